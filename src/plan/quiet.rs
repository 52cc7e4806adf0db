//! How long a plan that does nothing stays the same.
//!
//! While the listing, the state, the policy and the destinations are what they were, only the time
//! can change a plan: [`quiet_until`] says when it may.  Before that no message needs to be looked up.

use super::{Action, Delivery, DeliveryState, LAST_RETRY, Listed, Policy, Reason, Retention, Standing, Step, seconds};
use crate::message::UnixTime;

/// How long a plan is believed at most.  So changes that nothing else reveals come to light within a day: another
/// size by LIST, a changed octet in the database.
const LONGEST: i64 = 24 * 3600;

/// When the plan of a listing may change by time alone; `None` if there is anything to do, or if the plan
/// of a message depends on more than what is on record.
pub fn quiet_until(listing: &[Listed], steps: &[Step], policy: &Policy, now: UnixTime) -> Option<UnixTime> {
    let mut until = now.saturating_add(LONGEST);
    for (listed, step) in listing.iter().zip(steps) {
        let is_plain = listed.key.is_some() && !matches!(step.reason, Reason::Over | Reason::EnoughForNow);
        if step.action != Action::Leave || !is_plain {
            return None;
        }
        let due = match &listed.standing {
            // That is known only from a header that was read just now.
            Some(Standing::Reused | Standing::Unclear { .. } | Standing::Later) => return None,
            Some(Standing::Done(at) | Standing::Matched { at, .. }) => retention_over(policy.retention, *at, now),
            Some(Standing::HeaderOnly(deliveries) | Standing::Open(deliveries)) => retry(deliveries, now),
            Some(Standing::Ignored | Standing::Deleted(_)) | None => None,
        };
        until = due.map_or(until, |due| until.min(due));
    }
    Some(until)
}

/// Whether a plan that was made `at` one time and holds `until` another can be believed.  After the clock
/// was set back to before `at`, it cannot.
pub fn is_quiet(at: UnixTime, until: UnixTime, now: UnixTime) -> bool {
    at <= now && now < until && now.saturating_sub(at) < LONGEST
}

fn retention_over(retention: Retention, delivered: UnixTime, now: UnixTime) -> Option<UnixTime> {
    let Retention::After(time) = retention else { return None };
    Some(delivered.saturating_add(seconds(time))).filter(|&over| over > now)
}

/// When the first of these deliveries is tried again, whatever its destination.
fn retry(deliveries: &[Delivery], now: UnixTime) -> Option<UnixTime> {
    let turns = deliveries.iter().filter_map(|delivery| match delivery.state {
        // A delivery that is put off for too long counts as due until its wait is short enough.
        DeliveryState::Deferred(until) => Some([until.saturating_sub(LAST_RETRY), until]),
        _ => None,
    });
    turns.flatten().filter(|&turn| turn > now).min()
}
