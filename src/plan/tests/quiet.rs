//! When a plan needs a second look.

use std::time::Duration;

use super::*;

const LATER: UnixTime = NOW + 24 * 3600;

fn until(policy: &Policy, listed: Listed) -> Option<UnixTime> {
    let listing = [listed];
    quiet_until(&listing, &plan(&listing, policy, &destinations(), NOW), policy, NOW)
}

#[test]
fn what_stays_is_looked_at_once_a_day_and_what_becomes_due_when_it_does() {
    let hour = 3600;
    let keep = Policy { max_size: Some(50), ..Policy::default() };
    let after = Policy { retention: Retention::After(Duration::from_secs(DAY)), ..keep.clone() };
    let matched = |at| Some(Standing::Matched { at, digest: None });
    let deferred = |until| open(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Deferred(until))]);
    let both = open(&[("home", DeliveryState::Deferred(NOW + 20)), ("hub", DeliveryState::Deferred(NOW + 10))]);
    let behind = open(&[("home", DeliveryState::Staged), ("hub", DeliveryState::Deferred(NOW + 10))]);
    for (policy, standing, want) in [
        (&keep, Some(Standing::Done(NOW - hour)), LATER),
        (&keep, Some(Standing::Ignored), LATER),
        (&keep, None, LATER),
        (&keep, Some(Standing::Deleted([0; 32])), LATER),
        (&keep, open(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Quarantined)]), LATER),
        (&after, Some(Standing::Done(NOW - hour)), LATER - hour),
        (&after, matched(NOW - hour), LATER - hour),
        // Its retention is over and it cannot be proven: that does not change.
        (&after, matched(NOW - DAY as i64), LATER),
        // The clock has gone back since.
        (&after, Some(Standing::Done(NOW + hour)), LATER),
        (&keep, deferred(NOW + 60), NOW + 60),
        (&keep, both, NOW + 10),
        // The reason that counts more hides when the other delivery is tried again.
        (&keep, behind, NOW + 10),
        (&keep, header(&[("home", DeliveryState::Delivered), ("hub", DeliveryState::Deferred(NOW + 10))]), NOW + 10),
    ] {
        assert_eq!(until(policy, listed(standing.clone())), Some(want), "{standing:?}");
    }
    assert_eq!(quiet_until(&[], &[], &keep, NOW), Some(LATER), "an empty mailbox");
}

#[test]
fn a_plan_that_does_anything_is_not_quiet_nor_is_one_that_rests_on_more() {
    let keep = Policy::default();
    let small = Policy { max_size: Some(50), ..Policy::default() };
    let none = Policy { max_messages: Some(0), ..Policy::default() };
    let delete = Policy { retention: Retention::Delete, ..Policy::default() };
    let over = open(&[
        ("home", DeliveryState::Delivered),
        ("hub", DeliveryState::Delivered),
        ("gone", DeliveryState::Deferred(0)),
    ]);
    for (policy, listed) in [
        (&keep, listed(None)),
        (&none, listed(None)),
        (&delete, listed(Some(Standing::Done(0)))),
        (&keep, listed(over)),
        (&small, listed(Some(Standing::Reused))),
        (&keep, Listed { key: None, ..listed(None) }),
    ] {
        assert_eq!(until(policy, listed.clone()), None, "{listed:?}");
    }
}

#[test]
fn a_plan_is_believed_from_its_time_on_until_it_is_due_and_for_a_day_at_most() {
    for (now, is) in [(NOW - 1, false), (NOW, true), (NOW + 9, true), (NOW + 10, false)] {
        assert_eq!(is_quiet(NOW, NOW + 10, now), is, "{now}");
    }
    // As a changed octet in the database could claim.
    for (now, is) in [(LATER - 1, true), (LATER, false), (UnixTime::MAX - 1, false)] {
        assert_eq!(is_quiet(NOW, UnixTime::MAX, now), is, "{now}");
    }
    assert!(!is_quiet(UnixTime::MIN, UnixTime::MAX, NOW));
}
