//! The service, and what it shares with a single fetch.
//!
//! One loop (`service`) takes in what happens (a poll ended, time passed, a file changed, a
//! signal, a request) and asks the schedule which polls to begin.  A poll is a task of its own,
//! with the configuration that it began with; one that panics is a failed poll of that account.

mod latch;
mod service;
mod signals;

use std::collections::HashMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use service::{Options, ServiceError, run};
pub use signals::{Signal, Signals};

use crate::config::Config;
use crate::deliver::{Destination, Outlet};
use crate::message::Name;
use crate::poll::{self, Account, Context, Outcome, PollError, Progress, Report};
use crate::store::{Store, StoreError};

/// Destinations in use, by name.
type Outlets = HashMap<Name, Arc<Outlet>>;

/// Takes the state directory's lock, opens what polls share, and finishes what a crash has left.
///
/// # Errors
/// The state cannot be used.
pub async fn prepare(config: &Config, cancel: CancellationToken) -> Result<Context, StoreError> {
    let store = Store::open(&config.state_dir)?;
    poll::recover(&store, None).await?;
    poll::remove_strays(&store, config.destinations.iter().map(AsRef::as_ref)).await?;
    Ok(Context { store, outlets: Arc::new(outlets(&config.destinations, &Outlets::new())), cancel })
}

/// Destinations in use; those that have not changed keep their connections.
fn outlets(destinations: &[Arc<Destination>], before: &Outlets) -> Outlets {
    let outlet = |destination: &Arc<Destination>| match before.get(&destination.name) {
        Some(outlet) if outlet.destination == *destination => Arc::clone(outlet),
        _ => Arc::new(Outlet::new(Arc::clone(destination))),
    };
    destinations.iter().map(|destination| (destination.name.clone(), outlet(destination))).collect()
}

/// Says farewell to servers that mail was sent to.
pub async fn close(context: &Context) {
    for outlet in context.outlets.values() {
        if let Some(pool) = &outlet.smtp {
            pool.close().await;
        }
    }
}

/// Polls once; a panic is an error of this poll.
pub async fn poll_guarded(account: Arc<Account>, context: Context, progress: Arc<Progress>) -> Outcome {
    let poll = tokio::spawn(async move { poll::poll(&account, &context, &progress).await });
    match poll.await {
        Ok(outcome) => outcome,
        Err(error) => Outcome { report: Report::default(), error: Some(PollError::Panic(error.to_string())) },
    }
}
