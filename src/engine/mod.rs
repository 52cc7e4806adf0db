//! What the service and a single `fetch` share: preparing polls, running one, and remembering its result.

pub(crate) mod latch;
mod once;
pub(crate) mod verdict;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use once::{Polled, poll_once};

use crate::account::Account;
use crate::clock::unix_now;
use crate::config::{Config, Stray, stray_state};
use crate::deliver::{Destination, Lapse, Outlet};
use crate::descriptors::{self, LEAST, Needs};
use crate::event::Event;
use crate::failure::Class;
use crate::message::Name;
use crate::poll::{self, Context, Outcome, PollError, Report, Turns};
use crate::progress::Progress;
use crate::rebuild::{self, Scope};
use crate::store::{Change, DestinationTrouble, Store, StoreError};
use crate::{attempt, transcript};

/// How long a thread may take to finish what an earlier process has left.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Destinations in use, by name.
pub(crate) type Outlets = HashMap<Name, Arc<Outlet>>;

/// Takes the state directory's lock, opens what polls share, and finishes what a crash has left;
/// a state that is lost or damaged is rebuilt, which is logged.
///
/// # Errors
/// The state cannot be used.
pub(crate) async fn prepare(config: &Config, cancel: CancellationToken) -> Result<Context, StoreError> {
    if descriptors::limit() < LEAST {
        let (limit, least) = (descriptors::limit() as u64, LEAST as u64);
        Event::TooFewFiles { limit, least }.tell();
    }
    refuse_second_state(&config.state_dir)?;
    let (store, report) = rebuild::open(&config.state_dir, &scope(config), unix_now()).await?;
    attempt::watch(&config.state_dir).map_err(StoreError::from)?;
    for line in report.map(|report| report.to_string()).iter().flat_map(|report| report.lines()) {
        Event::StateRebuilt { text: line.trim_start().to_owned() }.tell();
    }
    store.record_headings(config.record_headers, unix_now()).await?;
    // If something cannot be finished yet, each poll tries again, and reports it.
    poll::recover(&store, None, Instant::now() + START_LIMIT).await?;
    poll::remove_strays(&store, config.destinations.iter().map(AsRef::as_ref)).await?;
    let outlets = Arc::new(outlets(&config.destinations, &Outlets::new()));
    take_up(&store, &outlets).await?;
    Ok(Context { store, outlets, mailboxes: poll::mailboxes(&config.accounts), turns: Turns::default(), cancel })
}

/// Takes up which destinations did not work.  With other settings they are tried at once.
async fn take_up(store: &Store, outlets: &Outlets) -> Result<(), StoreError> {
    let mut changes = Vec::new();
    for trouble in store.backlog().await?.troubles {
        let class = Class::of_exit_code(trouble.exit_code).unwrap_or(Class::TryLater);
        let settings = match outlets.get(&trouble.name) {
            Some(outlet) => outlet.mark(store.instance(), class).await,
            None => None,
        };
        match outlets.get(&trouble.name).filter(|_| settings == Some(trouble.settings)) {
            Some(outlet) => outlet.health.recall(lapse(trouble, class)),
            None => changes.push(Change::DestinationWorks { name: trouble.name }),
        }
    }
    if !changes.is_empty() {
        store.apply(changes, unix_now()).await?;
    }
    Ok(())
}

fn lapse(trouble: DestinationTrouble, class: Class) -> Lapse {
    let DestinationTrouble { error: cause, advice, failures, since, until, at_messages, .. } = trouble;
    Lapse { cause, class, advice, failures, since, until, at_messages }
}

/// Refuses to ignore a state that an older unit has left beside the configuration: mail would be delivered twice.
fn refuse_second_state(state_dir: &Path) -> Result<(), StoreError> {
    match stray_state(state_dir, &|name| std::env::var_os(name)) {
        None => Ok(()),
        Some(Stray::Linked { folder, mend }) => {
            Event::StateMisplaced { folder, mend }.tell();
            Ok(())
        }
        Some(Stray::Apart { folder, is_second, mend }) => {
            Err(StoreError::Stray { path: state_dir.to_owned(), found: folder, is_second, mend })
        }
    }
}

/// The destinations in use; those that have not changed keep their connections.
pub(crate) fn outlets(destinations: &[Arc<Destination>], before: &Outlets) -> Outlets {
    let outlet = |destination: &Arc<Destination>| match before.get(&destination.name) {
        Some(outlet) if outlet.destination == *destination => Arc::clone(outlet),
        _ => Arc::new(Outlet::new(Arc::clone(destination))),
    };
    destinations.iter().map(|destination| (destination.name.clone(), outlet(destination))).collect()
}

/// How many accounts are polled at a time: limited by the configuration, and by the number of open files,
/// which are shared out again.
pub(crate) fn polls_at_a_time(config: &Config) -> usize {
    let is_maildir = |name: &&Name| {
        let mut found = config.destinations.iter().filter(|destination| destination.name == **name);
        found.any(|destination| destination.maildir().is_some())
    };
    let enabled = || config.accounts.iter().filter(|account| account.enabled);
    let maildirs = enabled().map(|account| account.deliver.iter().filter(is_maildir).count()).max().unwrap_or(0);
    let servers = config.destinations.iter().filter(|one| one.endpoint().is_some()).count();
    let needs = Needs { polls: config.max_concurrent_polls, maildirs, servers };
    let polls = descriptors::share(needs).polls;
    if polls < config.max_concurrent_polls.min(enabled().count()) {
        Event::PollsLimited { polls: polls as u64, limit: descriptors::limit() as u64 }.tell();
    }
    polls
}

/// What a rebuild of the state needs to know about a configuration.
pub(crate) fn scope(config: &Config) -> Scope {
    let accounts = config.accounts.iter().map(|account| &account.name);
    Scope::new(accounts, config.destinations.iter().map(AsRef::as_ref))
}

/// Closes the state in good order, so that the next start need not check it.
pub(crate) async fn leave(context: &Context) {
    if let Err(error) = context.store.close().await {
        Event::StateUnsealed { cause: error.to_string() }.tell();
    }
}

/// Closes the connections to servers that mail was sent to.
pub(crate) async fn close(context: &Context) {
    for outlet in context.outlets.values() {
        if let Some(carrier) = outlet.carrier() {
            carrier.close().await;
        }
    }
}

/// Polls once; a panic is an error of this poll.
pub(crate) async fn poll_guarded(account: Arc<Account>, context: Context, progress: Arc<Progress>) -> Outcome {
    let poll = tokio::spawn(async move {
        let poll = poll::poll(&account, &context, &progress);
        transcript::of(account.name.as_str(), poll).await
    });
    match poll.await {
        Ok(outcome) => outcome,
        Err(error) => Outcome { report: Report::default(), error: Some(PollError::Panic(error.to_string())) },
    }
}
