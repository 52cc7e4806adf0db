//! From the plan to what is received: one job for each message, with its destinations.

use std::collections::HashSet;

use super::listing::Inventory;
use super::piece::{Job, Supposed};
use crate::message::{MessageKey, UnixTime};
use crate::plan::{self, Action, Delivery, DeliveryState, Listed, Place, Policy, Retention, Standing, Step, Targets};
use crate::store::Doubted;

/// What is to be received, and for which destinations: first what was not tried yet, then what failed before, then what
/// was refused itself, and last messages that a previous run crashed on.
pub(super) fn jobs(
    policy: &Policy,
    inventory: &Inventory,
    places: &[Place],
    (crashed, doubted): (&[MessageKey], &[Doubted]),
    now: UnixTime,
) -> Vec<Job> {
    let job = |step: &Step| {
        let listed = &inventory.listing()[step.index];
        let (targets, header_only) = match &step.action {
            Action::Fetch(targets) => (indexes(targets, places), false),
            Action::FetchHeader(targets) => (indexes(targets, places), true),
            Action::Confirm => (Vec::new(), false),
            Action::Leave | Action::Delete => return None,
        };
        if targets.is_empty() && step.action != Action::Confirm {
            return None;
        }
        let supposed = match listed.standing {
            _ if listed.key.is_none() => Supposed::Nameless,
            Some(Standing::Deleted(digest)) => Supposed::Deleted(digest),
            Some(Standing::Matched { digest: Some(digest), .. }) => Supposed::Delivered(digest),
            None | Some(Standing::Reused | Standing::Unclear { .. }) => Supposed::New,
            _ => Supposed::Listed,
        };
        let due = match listed.standing {
            Some(Standing::Unclear { at }) => at.is_some_and(|at| plan::is_due(policy, at, now)),
            _ => step.action == Action::Confirm,
        };
        let deletes = policy.retention == Retention::Delete && !header_only && !listed.shared;
        let completes = deletes && completes(listed, &targets, places);
        let (number, octets) = (listed.number, listed.octets);
        // Until its content is there, a message without a unique-id is named by its number.
        let key = listed.key.clone().or_else(|| MessageKey::new(format!("number:{number}").as_bytes(), 0))?;
        let suspect = crashed.contains(&key);
        Some(Job { number, key, octets, header_only, targets, supposed, suspect, completes, due })
    };
    let mut jobs: Vec<Job> = inventory.steps.iter().filter_map(job).collect();
    let retried = retried(inventory);
    let doubted: HashSet<&MessageKey> = doubted.iter().map(|doubted| &doubted.key).collect();
    jobs.sort_by_key(|job| (job.suspect, doubted.contains(&job.key), retried.contains(&job.key)));
    jobs
}

/// Messages whose delivery has failed before.
fn retried(inventory: &Inventory) -> HashSet<MessageKey> {
    let is_deferred = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Deferred(until) if until > 0);
    let is_retried = |listed: &&Listed| matches!(&listed.standing, Some(Standing::Open(deliveries)) if deliveries.iter().any(is_deferred));
    inventory.listing().iter().filter(is_retried).filter_map(|listed| listed.key.clone()).collect()
}

/// The destinations of a fetch, by their position among the account's.
fn indexes(targets: &Targets, places: &[Place]) -> Vec<usize> {
    let wanted = |place: &Place| match targets {
        Targets::All => true,
        Targets::Only(places) => places.contains(place),
    };
    (0..places.len()).filter(|&index| wanted(&places[index])).collect()
}

/// Whether a message is delivered everywhere once the targets of this fetch have it.
fn completes(listed: &Listed, targets: &[usize], places: &[Place]) -> bool {
    let deliveries = match &listed.standing {
        Some(Standing::Open(deliveries)) => &deliveries[..],
        _ => &[],
    };
    let has_it = |place: &Place| plan::has_it(deliveries, place, places);
    (0..places.len()).all(|index| targets.contains(&index) || has_it(&places[index]))
}
