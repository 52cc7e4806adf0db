//! The rules of planning, one test each.

use std::time::Duration;

use super::*;
use crate::message::Name;

mod any;
mod quiet;

const NOW: UnixTime = 1_000_000;
const DAY: u64 = 24 * 3600;

fn listed(standing: Option<Standing>) -> Listed {
    Listed {
        number: MessageNumber::new(1).expect("one"),
        key: MessageKey::new(b"u", 0),
        shared: false,
        octets: Some(100),
        standing,
    }
}

fn open(progress: &[(&str, DeliveryState)]) -> Option<Standing> {
    let delivery = |(destination, progress): &(&str, DeliveryState)| Delivery {
        place: place(destination),
        state: progress.clone(),
    };
    Some(Standing::Open(progress.iter().map(delivery).collect()))
}

fn place(destination: &str) -> Place {
    Place::maildir(Name::new(destination).expect("a name"), format!("/{destination}"), "machine")
}

fn destinations() -> Vec<Place> {
    ["home", "hub"].map(place).to_vec()
}

fn header(progress: &[(&str, DeliveryState)]) -> Option<Standing> {
    let Some(Standing::Open(deliveries)) = open(progress) else { return None };
    Some(Standing::HeaderOnly(deliveries))
}

fn hub() -> Targets {
    Targets::Only([place("hub")].into())
}

fn only(policy: &Policy, listed: Listed) -> (Action, Reason) {
    let step = plan(&[listed], policy, &destinations(), NOW).remove(0);
    (step.action, step.reason)
}

#[test]
fn retention_decides_about_delivered_messages() {
    let after = Retention::After(Duration::from_secs(DAY));
    for (retention, delivered, want) in [
        (Retention::Keep, 0, (Action::Leave, Reason::Kept)),
        (Retention::Delete, NOW, (Action::Delete, Reason::RetentionOver)),
        (after, NOW - DAY as i64, (Action::Delete, Reason::RetentionOver)),
        (after, NOW - DAY as i64 + 1, (Action::Leave, Reason::RetentionUntil(NOW + 1))),
        // A clock that went back deletes nothing early.
        (after, NOW + 50, (Action::Leave, Reason::RetentionUntil(NOW + 50 + DAY as i64))),
    ] {
        let policy = Policy { retention, ..Policy::default() };
        assert_eq!(only(&policy, listed(Some(Standing::Done(delivered)))), want);
    }
}

#[test]
fn nothing_undelivered_is_ever_deleted() {
    let policy = Policy { retention: Retention::Delete, ..Policy::default() };
    let mut standings = vec![
        None,
        Some(Standing::Ignored),
        Some(Standing::Deleted([0; 32])),
        header(&[("home", DeliveryState::Delivered)]),
    ];
    for progress in [
        DeliveryState::Staged,
        DeliveryState::Sending,
        DeliveryState::Delivered,
        DeliveryState::Deferred(0),
        DeliveryState::Deferred(NOW + 1),
        DeliveryState::Quarantined,
        DeliveryState::Skipped,
    ] {
        standings.push(open(&[("home", DeliveryState::Delivered), ("hub", progress.clone())]));
        standings.push(header(&[("home", DeliveryState::Delivered), ("hub", progress)]));
    }
    for standing in standings {
        let (action, _) = only(&policy, listed(standing.clone()));
        assert_ne!(action, Action::Delete, "{standing:?}");
    }
}

#[test]
fn only_destinations_that_lack_a_message_get_it() {
    let policy = Policy::default();
    for (progress, want) in [
        (DeliveryState::Sending, (Action::Fetch(hub()), Reason::Unfinished)),
        (DeliveryState::Deferred(NOW), (Action::Fetch(hub()), Reason::Unfinished)),
        (DeliveryState::Deferred(NOW + 1), (Action::Leave, Reason::Deferred(NOW + 1))),
        (DeliveryState::Quarantined, (Action::Leave, Reason::Quarantined)),
        (DeliveryState::Staged, (Action::Leave, Reason::Unconfirmed)),
    ] {
        let standing = open(&[("home", DeliveryState::Delivered), ("hub", progress)]);
        assert_eq!(only(&policy, listed(standing)), want);
    }
}

#[test]
fn a_message_that_one_of_several_recipients_has_is_fetched_for_the_others_and_never_deleted() {
    let recipient = |who| Place::server(Name::new("hub").expect("a name"), "lmtp", "mx:24", who);
    let targets = ["a", "b", "c"].map(recipient);
    let policy = Policy { retention: Retention::Delete, ..Policy::default() };
    let of = |who, state| Delivery { place: recipient(who), state };
    for (on_record, want) in [
        (vec![of("a", DeliveryState::Delivered), of("b", DeliveryState::Deferred(0))], vec!["b", "c"]),
        (vec![of("a", DeliveryState::Delivered), of("b", DeliveryState::Skipped)], vec!["c"]),
        (
            vec![
                of("a", DeliveryState::Delivered),
                of("b", DeliveryState::Quarantined),
                of("c", DeliveryState::Sending),
            ],
            vec!["c"],
        ),
    ] {
        let listing = [listed(Some(Standing::Open(on_record.into())))];
        let step = plan(&listing, &policy, &targets, NOW).remove(0);
        let want: Box<[Place]> = want.into_iter().map(recipient).collect();
        assert_eq!((step.action, step.reason), (Action::Fetch(Targets::Only(want)), Reason::Unfinished));
    }
    // Its former recipients are all replaced, and one of them did not get it.
    let on_record = [of("x", DeliveryState::Delivered), of("y", DeliveryState::Deferred(0))];
    let step = plan(&[listed(Some(Standing::Open(on_record.into())))], &policy, &targets, NOW).remove(0);
    assert_eq!(step.action, Action::Fetch(Targets::Only(targets.into())));
}

#[test]
fn too_large_a_message_is_left_or_gives_its_header() {
    let skip = Policy { max_size: Some(99), ..Policy::default() };
    let reason = Reason::TooLarge { octets: 100, limit: 99 };
    assert_eq!(only(&skip, listed(None)), (Action::Leave, reason.clone()));
    let headers = Policy { oversize: Oversize::Headers, ..skip };
    assert_eq!(only(&headers, listed(None)), (Action::FetchHeader(Targets::All), reason.clone()));
    let done = header(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Delivered)]);
    assert_eq!(only(&headers, listed(done.clone())), (Action::Leave, Reason::HeaderOnly));
    let half = header(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Deferred(0))]);
    assert_eq!(only(&headers, listed(half.clone())), (Action::FetchHeader(hub()), reason.clone()));
    let raised = Policy { max_size: Some(100), ..headers.clone() };
    for standing in [done, half] {
        assert_eq!(only(&raised, listed(standing)), (Action::Fetch(Targets::All), Reason::Unfinished));
    }
    // Where others have the whole message, a destination that is owed it does not get its header.
    let whole = open(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Deferred(0))]);
    assert_eq!(only(&headers, listed(whole)), (Action::Leave, reason));
}

#[test]
fn what_is_owed_follows_the_destinations_that_the_account_has_now() {
    let policy = Policy::default();
    for (deliveries, want) in [
        (
            &[("home", DeliveryState::Delivered), ("gone", DeliveryState::Deferred(0))][..],
            (Action::Fetch(hub()), Reason::Unfinished),
        ),
        (
            &[("home", DeliveryState::Delivered), ("gone", DeliveryState::Staged)],
            (Action::Fetch(hub()), Reason::Unfinished),
        ),
        (
            &[
                ("home", DeliveryState::Delivered),
                ("hub", DeliveryState::Skipped),
                ("gone", DeliveryState::Quarantined),
            ],
            (Action::Leave, Reason::Over),
        ),
        (
            &[("home", DeliveryState::Staged), ("hub", DeliveryState::Sending)],
            (Action::Fetch(hub()), Reason::Unfinished),
        ),
    ] {
        assert_eq!(only(&policy, listed(open(deliveries))), want, "{deliveries:?}");
    }
}

#[test]
fn a_clock_that_went_back_puts_nothing_off_for_long() {
    let policy = Policy::default();
    for (until, waits) in [(NOW + LAST_RETRY, true), (NOW + LAST_RETRY + 1, false), (UnixTime::MAX, false)] {
        let standing = open(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Deferred(until))]);
        assert_eq!(only(&policy, listed(standing)).0 == Action::Leave, waits, "{until}");
    }
}

#[test]
fn max_messages_counts_what_is_fetched_and_nothing_else() {
    let policy = Policy { max_messages: Some(1), retention: Retention::Delete, ..Policy::default() };
    let listing = [listed(Some(Standing::Done(0))), listed(None), listed(None), listed(Some(Standing::Done(0)))];
    let actions: Vec<Action> =
        plan(&listing, &policy, &destinations(), NOW).into_iter().map(|step| step.action).collect();
    assert_eq!(actions, [Action::Delete, Action::Fetch(Targets::All), Action::Leave, Action::Delete]);
}

#[test]
fn messages_that_share_a_unique_id_are_deleted_together() {
    let policy = Policy { retention: Retention::Delete, ..Policy::default() };
    let shared = |standing| Listed { shared: true, ..listed(standing) };
    let other = Listed { key: MessageKey::new(b"other", 0), ..listed(Some(Standing::Done(0))) };
    for (second, want) in [(Some(Standing::Done(0)), Action::Delete), (None, Action::Leave)] {
        let listing = [shared(Some(Standing::Done(0))), other.clone(), shared(second)];
        let steps = plan(&listing, &policy, &destinations(), NOW);
        assert_eq!((&steps[0].action, &steps[1].action), (&want, &Action::Delete));
    }
    // A deletion that is not confirmed is dropped behind the plan, and so is that of its twin.
    let listing = [shared(Some(Standing::Done(0))), other, shared(Some(Standing::Done(0)))];
    let mut steps = plan(&listing, &policy, &destinations(), NOW);
    (steps[2].action, steps[2].reason) = (Action::Leave, Reason::Unconfirmable);
    keep_shared(&listing, &mut steps);
    assert_eq!((&steps[0].action, &steps[1].action), (&Action::Leave, &Action::Delete));
}

#[test]
fn a_message_without_a_unique_id_is_fetched_only_if_it_is_to_be_deleted() {
    let nameless = || Listed { key: None, ..listed(None) };
    for retention in [Retention::Keep, Retention::After(Duration::from_secs(DAY))] {
        let policy = Policy { retention, ..Policy::default() };
        assert_eq!(only(&policy, nameless()), (Action::Leave, Reason::NoUniqueId));
    }
    let policy = Policy { retention: Retention::Delete, oversize: Oversize::Headers, ..Policy::default() };
    assert_eq!(only(&policy, nameless()), (Action::Fetch(Targets::All), Reason::ByContent));
    let policy = Policy { max_size: Some(99), ..policy };
    assert_eq!(only(&policy, nameless()).0, Action::Leave);
}

#[test]
fn a_match_by_the_header_is_not_deleted_before_it_is_proven() {
    let matched = |digest| listed(Some(Standing::Matched { at: 0, digest }));
    let delete = Policy { retention: Retention::Delete, ..Policy::default() };
    assert_eq!(only(&Policy::default(), matched(None)), (Action::Leave, Reason::Kept));
    assert_eq!(only(&delete, matched(Some([1; 32]))), (Action::Confirm, Reason::Unproven));
    assert_eq!(only(&delete, matched(None)), (Action::Leave, Reason::Doubtful));
    assert_eq!(only(&Policy { max_size: Some(99), ..delete }, matched(Some([1; 32]))).0, Action::Leave);
}

#[test]
fn the_first_poll_leaves_alone_what_the_policy_says() {
    let numbered = |n| Listed { number: MessageNumber::new(n).expect("not zero"), ..listed(None) };
    let listing = [numbered(1), numbered(2), numbered(3)];
    let number = |n| MessageNumber::new(n).expect("not zero");
    let dates = HashMap::from([(number(1), NOW - 2 * DAY as i64), (number(2), NOW)]);
    let since = Initial::Since(Duration::from_secs(DAY));
    assert_eq!(initially_ignored(&listing, Initial::All, &dates, NOW), [0_usize; 0]);
    assert_eq!(initially_ignored(&listing, Initial::None, &dates, NOW), [0, 1, 2]);
    assert_eq!(initially_ignored(&listing, since, &dates, NOW), [0]);
}
