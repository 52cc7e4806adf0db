//! What is done with each message of a maildrop, decided before anything is fetched.
//!
//! [`plan`] takes the server's listing, what the state knows of it, the account's [`Policy`] and
//! the time, and returns one [`Step`] per message with its [`Reason`].  It never plans to delete a
//! message unless the policy asks for it and the message is delivered everywhere.  Pure: the clock,
//! the network and the state are the caller's.
//!
//! # Words
//!
//! | word | of what | meaning |
//! |---|---|---|
//! | missing | a message on record | the listing does not have it now; it may come back ([`Missing`]) |
//! | gone | a message on record | it has been missing for so long that it will not come back, and may be forgotten ([`Gone`]) |
//! | forgotten | a message on record | its row was removed from the state |
//! | vanished | a staged file | it is no longer in `tmp/`: the move to `new/` was made, or the file was removed |
//! | absent | a state, a file | there is none, and nothing says that there ever was one |
//! | lost | a state | it was there, and cannot be read any more |

mod identity;
mod left;
mod matching;
mod patience;
mod place;
mod places;
mod prune;
mod quiet;
mod reason;
mod words;

use std::collections::{HashMap, HashSet};

pub use identity::{Doubt, Identity, Likeness, doubtful, numbers_of_shared};
pub use left::Left;
pub use matching::{Missing, has_migrated, match_headers, stale_since};
pub use patience::{Next, Patience};
pub use place::Place;
pub use places::{at_place, has_it};
pub use prune::{Gone, Prune, SHORTEST_HISTORY, prune};
pub use quiet::{is_quiet, quiet_until};
pub use reason::Reason;
pub use words::{
    Action, Delivery, DeliveryState, Initial, Listed, Oversize, Policy, Retention, Standing, Step, Targets,
};

use crate::clock::seconds;
use crate::message::{MessageKey, MessageNumber, UnixTime};

/// One step for each message of the listing, in its order.  `destinations` are the account's current
/// ones: what was owed to a former destination is no longer owed, and a new one gets the messages that
/// are not yet delivered everywhere.
pub fn plan(listing: &[Listed], policy: &Policy, destinations: &[Place], now: UnixTime) -> Vec<Step> {
    let steps = listing.iter().enumerate().map(|(index, listed)| {
        let (action, reason) = decide(listed, policy, destinations, now);
        Step { index, action, reason }
    });
    let mut steps: Vec<Step> = steps.collect();
    leave_enough(&mut steps, policy.max_messages);
    keep_shared(listing, &mut steps);
    steps
}

/// Limits what one poll fetches to `max_messages`.  Messages that are only compared come after new ones.
fn leave_enough(steps: &mut [Step], max_messages: Option<u32>) {
    let Some(mut room) = max_messages else { return };
    let is_fetched = |step: &Step| matches!(step.action, Action::Fetch(_) | Action::FetchHeader(_) | Action::Confirm);
    let is_compared = |step: &Step| step.action == Action::Confirm || step.reason == Reason::Unclear;
    for compared in [false, true] {
        for step in steps.iter_mut().filter(|step| is_fetched(step) && is_compared(step) == compared) {
            match room.checked_sub(1) {
                Some(left) => room = left,
                None => (step.action, step.reason) = (Action::Leave, Reason::EnoughForNow),
            }
        }
    }
}

/// Messages with the same unique-id are told apart by their order, which a deletion changes: they
/// are deleted together or not at all.
pub fn keep_shared(listing: &[Listed], steps: &mut [Step]) {
    let uid = |index: usize| listing[index].key.as_ref().map(MessageKey::uid);
    let shared = |step: &&Step| listing[step.index].shared;
    let staying: HashSet<_> = steps
        .iter()
        .filter(shared)
        .filter(|step| step.action != Action::Delete)
        .filter_map(|step| uid(step.index))
        .collect();
    for step in steps.iter_mut().filter(|step| step.action == Action::Delete) {
        if uid(step.index).is_some_and(|uid| staying.contains(uid)) {
            (step.action, step.reason) = (Action::Leave, Reason::Shared);
        }
    }
}

fn decide(listed: &Listed, policy: &Policy, destinations: &[Place], now: UnixTime) -> (Action, Reason) {
    if listed.key.is_none() {
        return nameless(listed, policy);
    }
    match &listed.standing {
        Some(Standing::Ignored) => (Action::Leave, Reason::Ignored),
        Some(Standing::Done(at)) => retain(policy.retention, *at, now),
        Some(Standing::Matched { at, digest }) => matched(*at, digest.is_some(), listed, policy, now),
        Some(Standing::Later) => (Action::Leave, Reason::EnoughForNow),
        Some(Standing::Reused) => fetch(Targets::All, Reason::Reused, listed, policy),
        Some(Standing::Unclear { .. }) => fetch(Targets::All, Reason::Unclear, listed, policy),
        Some(Standing::Deleted(_)) => match excess(listed, policy) {
            Some((octets, limit)) => (Action::Leave, Reason::TooLarge { octets, limit }),
            None => (Action::Fetch(Targets::All), Reason::Reappeared),
        },
        Some(Standing::HeaderOnly(deliveries)) => header_only(&Open::of(deliveries, destinations, now), listed, policy),
        Some(Standing::Open(deliveries)) => unfinished(Open::of(deliveries, destinations, now), listed, policy),
        None => fetch(Targets::All, Reason::New, listed, policy),
    }
}

/// Whether a message that was delivered everywhere at this time is to be deleted now.
pub fn is_due(policy: &Policy, delivered: UnixTime, now: UnixTime) -> bool {
    retain(policy.retention, delivered, now).0 == Action::Delete
}

fn retain(retention: Retention, delivered: UnixTime, now: UnixTime) -> (Action, Reason) {
    match retention {
        Retention::Keep => (Action::Leave, Reason::Kept),
        Retention::Delete => (Action::Delete, Reason::RetentionOver),
        Retention::After(time) => {
            let until = delivered.saturating_add(seconds(time));
            match until <= now {
                true => (Action::Delete, Reason::RetentionOver),
                false => (Action::Leave, Reason::RetentionUntil(until)),
            }
        }
    }
}

/// A message without a usable unique-id is known by its content alone: that is enough if it is
/// deleted after its delivery; if it were kept, each poll would retrieve it again.
fn nameless(listed: &Listed, policy: &Policy) -> (Action, Reason) {
    match (policy.retention, excess(listed, policy)) {
        (Retention::Delete, Some((octets, limit))) => (Action::Leave, Reason::TooLarge { octets, limit }),
        (Retention::Delete, None) => (Action::Fetch(Targets::All), Reason::ByContent),
        (Retention::Keep | Retention::After(_), _) => (Action::Leave, Reason::NoUniqueId),
    }
}

/// Nothing is deleted because of its header alone.
fn matched(at: UnixTime, provable: bool, listed: &Listed, policy: &Policy, now: UnixTime) -> (Action, Reason) {
    match (retain(policy.retention, at, now), excess(listed, policy)) {
        ((Action::Delete, _), Some((octets, limit))) => (Action::Leave, Reason::TooLarge { octets, limit }),
        ((Action::Delete, _), None) if provable => (Action::Confirm, Reason::Unproven),
        ((Action::Delete, _), None) => (Action::Leave, Reason::Doubtful),
        (other, _) => other,
    }
}

/// The size of a message that is too large to be fetched, and the limit.
fn excess(listed: &Listed, policy: &Policy) -> Option<(u64, u64)> {
    let (octets, limit) = (listed.octets?, policy.max_size?);
    (octets > limit).then_some((octets, limit))
}

fn fetch(targets: Targets, reason: Reason, listed: &Listed, policy: &Policy) -> (Action, Reason) {
    match (excess(listed, policy), policy.oversize) {
        (None, _) => (Action::Fetch(targets), reason),
        (Some((octets, limit)), Oversize::Skip) => (Action::Leave, Reason::TooLarge { octets, limit }),
        (Some((octets, limit)), Oversize::Headers) => {
            (Action::FetchHeader(targets), Reason::TooLarge { octets, limit })
        }
    }
}

/// What is still to be done for a message at the account's destinations.
#[derive(Default)]
struct Open {
    /// Places that can be tried now.
    wanted: Vec<Place>,
    /// Why other places cannot be tried; the first of these reasons counts.
    unconfirmed: bool,
    waiting: Option<UnixTime>,
    quarantined: bool,
    /// At least one place has the message.
    delivered: bool,
}

impl Open {
    fn of(deliveries: &[Delivery], destinations: &[Place], now: UnixTime) -> Self {
        let mut open = Self::default();
        for place in destinations {
            let of_it = at_place(deliveries, place, destinations);
            let any = |is: fn(&DeliveryState) -> bool| of_it.iter().any(|delivery| is(&delivery.state));
            let until = of_it.iter().filter_map(|delivery| match delivery.state {
                // No retry is put off for longer than that: a clock that was set back must not delay one.
                DeliveryState::Deferred(until) if until > now && until - now <= LAST_RETRY => Some(until),
                _ => None,
            });
            if any(is_over) {
                open.delivered = true;
            } else if any(|progress| *progress == DeliveryState::Staged) {
                open.unconfirmed = true;
            } else if any(|progress| *progress == DeliveryState::Quarantined) {
                open.quarantined = true;
            } else if let Some(until) = until.min() {
                open.waiting = Some(open.waiting.map_or(until, |earliest| earliest.min(until)));
            } else {
                open.wanted.push(place.clone());
            }
        }
        open
    }

    /// Why nothing can be tried now; `None` if nothing is open.
    fn obstacle(&self) -> Option<Reason> {
        match (self.unconfirmed, self.waiting, self.quarantined) {
            (true, ..) => Some(Reason::Unconfirmed),
            (false, Some(until), _) => Some(Reason::Deferred(until)),
            (false, None, true) => Some(Reason::Quarantined),
            (false, None, false) => None,
        }
    }
}

/// Whether a delivery is over: the destination needs nothing more.
pub fn is_over(progress: &DeliveryState) -> bool {
    matches!(progress, DeliveryState::Delivered | DeliveryState::Skipped)
}

/// If `max-size` was raised, the whole message is fetched, for every destination.
fn header_only(open: &Open, listed: &Listed, policy: &Policy) -> (Action, Reason) {
    match (excess(listed, policy), listed.octets, open.obstacle()) {
        (None, Some(_), Some(obstacle)) => (Action::Leave, obstacle),
        (None, Some(_), None) => (Action::Fetch(Targets::All), Reason::Unfinished),
        (Some((octets, limit)), ..) if policy.oversize == Oversize::Headers && !open.wanted.is_empty() => {
            let targets = Targets::Only(open.wanted.clone().into());
            (Action::FetchHeader(targets), Reason::TooLarge { octets, limit })
        }
        _ => (Action::Leave, Reason::HeaderOnly),
    }
}

fn unfinished(open: Open, listed: &Listed, policy: &Policy) -> (Action, Reason) {
    if open.wanted.is_empty() {
        return (Action::Leave, open.obstacle().unwrap_or(Reason::Over));
    }
    match excess(listed, policy) {
        // Where some destinations have the whole message, the others do not get its header instead.
        Some((octets, limit)) if open.delivered => (Action::Leave, Reason::TooLarge { octets, limit }),
        _ => fetch(Targets::Only(open.wanted.into()), Reason::Unfinished, listed, policy),
    }
}

/// The messages that an account's first poll is to leave alone for ever, by their index.  `dates`
/// are arrival times as far as they are known; a message without one is fetched.
pub fn initially_ignored(
    listing: &[Listed],
    initial: Initial,
    dates: &HashMap<MessageNumber, UnixTime>,
    now: UnixTime,
) -> Vec<usize> {
    let ignored = |listed: &Listed| match initial {
        Initial::All => false,
        Initial::None => true,
        Initial::Since(time) => dates.get(&listed.number).is_some_and(|&date| date < now.saturating_sub(seconds(time))),
    };
    let unknown = listing.iter().enumerate().filter(|(_, listed)| listed.standing.is_none() && listed.key.is_some());
    unknown.filter(|(_, listed)| ignored(listed)).map(|(index, _)| index).collect()
}

/// The longest delay of a retry, in seconds.
const LAST_RETRY: i64 = Patience::USUAL.longest_wait;

#[cfg(test)]
mod tests;
