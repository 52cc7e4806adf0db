//! What holds for any listing and any policy.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const PROGRESS: [DeliveryState; 8] = [
    DeliveryState::Staged,
    DeliveryState::Sending,
    DeliveryState::Delivered,
    DeliveryState::Deferred(NOW - 1),
    DeliveryState::Deferred(NOW + 60),
    DeliveryState::Deferred(NOW + 1_000_000),
    DeliveryState::Quarantined,
    DeliveryState::Skipped,
];

fn deliveries() -> impl Strategy<Value = Box<[Delivery]>> {
    let destination = prop::sample::select(vec!["home", "hub", "gone"]);
    prop::collection::vec((destination, 0..PROGRESS.len()), 0..4).prop_map(|all| {
        let delivery = |(destination, progress): (&str, usize)| Delivery {
            place: place(destination),
            state: PROGRESS[progress].clone(),
        };
        all.into_iter().map(delivery).collect()
    })
}

fn standing() -> impl Strategy<Value = Option<Standing>> {
    let at = || prop_oneof![Just(NOW), NOW - 3 * DAY as i64..NOW + 10, Just(i64::MIN), Just(i64::MAX)];
    let digest = || prop::option::of(Just([0; 32]));
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(Standing::Ignored)),
        4 => at().prop_map(|at| Some(Standing::Done(at))),
        1 => (at(), digest()).prop_map(|(at, digest)| Some(Standing::Matched { at, digest })),
        1 => Just(Some(Standing::Reused)),
        1 => Just(Some(Standing::Deleted([0; 32]))),
        1 => deliveries().prop_map(|deliveries| Some(Standing::HeaderOnly(deliveries))),
        3 => deliveries().prop_map(|deliveries| Some(Standing::Open(deliveries))),
    ]
}

/// Unique-id, size, standing.
type Message = (Option<u8>, Option<u64>, Option<Standing>);

/// Few unique-ids, so that several messages have the same.
fn listing() -> impl Strategy<Value = Vec<Listed>> {
    let message = (prop::option::weighted(0.9, 0..6_u8), prop::option::of(0..200_u64), standing());
    prop::collection::vec(message, 0..12).prop_map(|messages| {
        let uids: Vec<Option<u8>> = messages.iter().map(|(uid, ..)| *uid).collect();
        let same = |uid: Option<u8>| uids.iter().filter(|other| **other == uid && uid.is_some()).count();
        let occurrence = |index: usize| uids[..index].iter().filter(|other| **other == uids[index]).count();
        let listed = |(index, (uid, octets, standing)): (usize, Message)| Listed {
            number: MessageNumber::new(index as u32 + 1).expect("not zero"),
            key: uid.and_then(|uid| MessageKey::new(&[b'a' + uid], occurrence(index) as u32)),
            shared: same(uid) > 1,
            octets,
            // What has no key is not known.
            standing: standing.filter(|_| uid.is_some()),
        };
        messages.into_iter().enumerate().map(listed).collect()
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let retention = prop_oneof![
        Just(Retention::Keep),
        Just(Retention::Delete),
        (0..3 * DAY).prop_map(|seconds| Retention::After(Duration::from_secs(seconds))),
        Just(Retention::After(Duration::from_secs(i64::MAX.cast_unsigned()))),
    ];
    let oversize = prop_oneof![Just(Oversize::Skip), Just(Oversize::Headers)];
    let limits = (prop::option::of(0..200_u64), prop::option::of(0..6_u32));
    (retention, oversize, limits).prop_map(|(retention, oversize, (max_size, max_messages))| Policy {
        retention,
        oversize,
        max_size,
        max_messages,
        ..Policy::default()
    })
}

/// Whether a deletion is asked for, and the message is proven to be delivered.
fn may_be_deleted(listed: &Listed, policy: &Policy) -> bool {
    let Some(Standing::Done(at)) = listed.standing else { return false };
    listed.key.is_some()
        && match policy.retention {
            Retention::Keep => false,
            Retention::Delete => true,
            Retention::After(time) => i128::from(at) + i128::from(time.as_secs()) <= i128::from(NOW),
        }
}

proptest! {
    #[test]
    fn nothing_is_deleted_that_is_not_delivered_and_nothing_that_nobody_asked_to_delete(
        listing in listing(),
        policy in policy(),
    ) {
        let steps = plan(&listing, &policy, &destinations(), NOW);
        prop_assert_eq!(steps.len(), listing.len());
        for (index, step) in steps.iter().enumerate() {
            prop_assert_eq!(step.index, index);
            let listed = &listing[index];
            let alike = listing.iter().filter(|other| {
                listed.key.as_ref().map(MessageKey::uid) == other.key.as_ref().map(MessageKey::uid)
            });
            let all_may = alike.clone().all(|other| may_be_deleted(other, &policy));
            prop_assert_eq!(step.action == Action::Delete, may_be_deleted(listed, &policy) && all_may, "{:?}", step);
        }
    }

    #[test]
    fn no_destination_gets_what_it_has_and_no_poll_more_than_it_may(listing in listing(), policy in policy()) {
        let steps = plan(&listing, &policy, &destinations(), NOW);
        let fetched = |step: &&Step| matches!(step.action, Action::Fetch(_) | Action::FetchHeader(_) | Action::Confirm);
        prop_assert!(steps.iter().filter(fetched).count() <= policy.max_messages.unwrap_or(u32::MAX) as usize);
        for (step, listed) in steps.iter().zip(&listing) {
            if let Action::Fetch(_) | Action::Confirm = step.action {
                prop_assert!(listed.octets.is_none_or(|octets| policy.max_size.is_none_or(|limit| octets <= limit)));
            }
            let (Action::Fetch(targets) | Action::FetchHeader(targets)) = &step.action else { continue };
            prop_assert!(!matches!(listed.standing, Some(Standing::Done(_) | Standing::Ignored)));
            let (Targets::Only(places), Some(Standing::Open(deliveries))) = (targets, &listed.standing) else { continue };
            prop_assert!(!places.is_empty() && places.iter().all(|place| destinations().contains(place)));
            let settled = |delivery: &Delivery| {
                matches!(
                    delivery.state,
                    DeliveryState::Staged | DeliveryState::Delivered | DeliveryState::Quarantined | DeliveryState::Skipped
                )
            };
            let has = |place: &Place| deliveries.iter().any(|delivery| delivery.place == *place && settled(delivery));
            prop_assert!(!places.iter().any(has), "{:?} {:?}", step, listed);
        }
    }

    #[test]
    fn a_quiet_plan_is_the_same_until_it_is_due(
        mut listing in listing(),
        policy in policy(),
        share in 0.0..1.0_f64,
    ) {
        // What is to be fetched is left out, or hardly any listing would be quiet.
        let steps = plan(&listing, &policy, &destinations(), NOW);
        let mut steps = steps.iter();
        listing.retain(|_| steps.next().is_some_and(|step| step.action == Action::Leave));
        let steps = plan(&listing, &policy, &destinations(), NOW);
        let Some(until) = quiet_until(&listing, &steps, &policy, NOW) else { return Ok(()) };
        prop_assert!(NOW < until && steps.iter().all(|step| step.action == Action::Leave));
        let between = NOW + ((until - NOW) as f64 * share) as i64;
        for later in [between.min(until - 1), until - 1] {
            prop_assert_eq!(&plan(&listing, &policy, &destinations(), later), &steps);
        }
    }
}
