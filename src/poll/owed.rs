//! Messages that are on their way into a Maildir and do not get there.
//!
//! As long as a message waits for a Maildir that cannot be delivered to, each poll says so and fails, whether or
//! not there is anything to fetch.

use std::io::ErrorKind;
use std::time::Instant;

use super::destination::OpenDestination;
use super::listing::Inventory;
use crate::deliver::maildir::MaildirError;
use crate::plan::{DeliveryState, Reason, Standing};
use crate::threads::ThreadError;

/// Attributes what could not be finished to its destination.  Returns the indexes of those at which only a single
/// file is stuck, because another file has its name: other messages can be delivered there.
pub(super) fn blame(destinations: &[OpenDestination], failed: Vec<MaildirError>) -> Vec<(usize, MaildirError)> {
    let mut stuck = Vec::new();
    for error in failed {
        let Some(index) = destinations
            .iter()
            .position(|destination| destination.is_maildir() && destination.place.location == error.path)
        else {
            continue;
        };
        match error.kind {
            ErrorKind::AlreadyExists => stuck.push((index, error)),
            _ => destinations[index].fail(error),
        }
    }
    stuck
}

/// Tries the Maildirs for which messages wait that are not due yet.
///
/// # Errors
/// No thread became free in time, or it panicked.
pub(super) async fn try_waiting(
    inventory: &Inventory,
    destinations: &[OpenDestination],
    deadline: Instant,
) -> Result<(), ThreadError> {
    for destination in destinations.iter().filter(|destination| {
        destination.maildir.is_some() && destination.is_up() && is_waited_for(inventory, destination)
    }) {
        destination.probe(deadline).await?;
    }
    Ok(())
}

fn is_waited_for(inventory: &Inventory, destination: &OpenDestination) -> bool {
    let deferred = inventory.steps.iter().filter(|step| matches!(step.reason, Reason::Deferred(_)));
    deferred.into_iter().any(|step| match &inventory.listing()[step.index].standing {
        Some(Standing::Open(deliveries) | Standing::HeaderOnly(deliveries)) => deliveries.iter().any(|delivery| {
            delivery.place == destination.place && matches!(delivery.state, DeliveryState::Deferred(_))
        }),
        _ => false,
    })
}
