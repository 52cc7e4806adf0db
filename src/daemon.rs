//! The service: one loop that asks the schedule and begins polls.
//!
//! A poll is a task of its own; one that panics is a failed poll of that account.  SIGTERM and
//! SIGINT let polls finish the batch in flight; what takes longer than [`STOP_LIMIT`] is dropped,
//! which loses nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::config::Config;
use crate::deliver::Outlet;
use crate::failure::{Failure, describe, paragraph};
use crate::message::Name;
use crate::poll::{self, Account, Context, Outcome, PollError, Progress};
use crate::pop3::reply::ResponseCode;
use crate::pop3::session::SessionError;
use crate::schedule::{Event, Schedule, Timing, Verdict};
use crate::store::{Store, StoreError};

/// Time for polls to finish when the process is to end: systemd's patience is longer, a user's
/// is not.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// Polls all accounts until the process is asked to end.
///
/// # Errors
/// The state cannot be used.
pub async fn run(config: &Config) -> Result<(), StoreError> {
    let cancel = CancellationToken::new();
    let context = prepare(config, cancel.clone()).await?;
    let accounts: HashMap<Name, Arc<Account>> = config
        .accounts
        .iter()
        .filter(|account| account.enabled)
        .map(|account| (account.name.clone(), Arc::clone(account)))
        .collect();
    info!(accounts = accounts.len(), "postrider is running");

    let began = Instant::now();
    let mut schedule = Schedule::new(config.max_concurrent_polls, fastrand::u64(..));
    let mut polls = JoinSet::new();
    let mut signals = Signals::new().map_err(|error| StoreError::Directory {
        path: config.state_dir.clone(),
        cause: format!("signals cannot be caught: {error}"),
    })?;
    let timings: BTreeMap<Name, Timing> =
        accounts.values().map(|account| (account.name.clone(), Timing { interval: account.interval })).collect();
    let mut event = Event::Configured(timings);
    loop {
        for name in schedule.handle(event, began.elapsed()) {
            if let Some(account) = accounts.get(&name) {
                polls.spawn(guarded(Arc::clone(account), context.clone()));
            }
        }
        let wake = schedule.wake().map(|moment| began + moment);
        event = tokio::select! {
            biased;
            name = signals.next() => {
                info!("{name}: finishing what is in flight");
                break;
            }
            Some(ended) = polls.join_next() => match ended {
                Ok((name, verdict)) => Event::Ended(name, verdict),
                // Not even the guard came back; the account's entry stays as running.
                Err(failure) => { error!("a poll was lost: {failure}"); Event::Tick }
            },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Event::Tick,
        };
    }
    cancel.cancel();
    let finish = async { while polls.join_next().await.is_some() {} };
    if timeout(STOP_LIMIT, finish).await.is_err() {
        warn!("polls that did not end in time are dropped; nothing is lost");
        polls.abort_all();
    }
    close(&context).await;
    info!("postrider has ended");
    Ok(())
}

/// Takes the state directory's lock, opens what polls share, and finishes what a crash has left.
///
/// # Errors
/// The state cannot be used.
pub async fn prepare(config: &Config, cancel: CancellationToken) -> Result<Context, StoreError> {
    let store = Store::open(&config.state_dir)?;
    poll::recover(&store, None).await?;
    poll::remove_strays(&store, config.destinations.iter().map(AsRef::as_ref)).await?;
    let outlets = config
        .destinations
        .iter()
        .map(|destination| (destination.name.clone(), Arc::new(Outlet::new(Arc::clone(destination)))));
    Ok(Context { store, outlets: Arc::new(outlets.collect()), cancel })
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
    let inner = Arc::clone(&progress);
    let poll = tokio::spawn(async move { poll::poll(&account, &context, &inner).await });
    match poll.await {
        Ok(outcome) => outcome,
        Err(error) => Outcome { report: poll::Report::default(), error: Some(PollError::Panic(error.to_string())) },
    }
}

async fn guarded(account: Arc<Account>, context: Context) -> (Name, Verdict) {
    let name = account.name.clone();
    let outcome = poll_guarded(account, context, Arc::new(Progress::default())).await;
    let report = &outcome.report;
    match &outcome.error {
        None => info!(
            account = %name, delivered = report.delivered, octets = report.octets, deleted = report.deleted, "polled"
        ),
        Some(error) => {
            let text = paragraph(&describe(error), error.advice().as_deref());
            warn!(account = %name, delivered = report.delivered, "{text}");
        }
    }
    let verdict = verdict(outcome.error.as_ref());
    (name, verdict)
}

/// What an outcome means for the next poll.
fn verdict(error: Option<&PollError>) -> Verdict {
    match error {
        None | Some(PollError::Undelivered { .. } | PollError::Stopped) => Verdict::Good,
        Some(PollError::Session(session)) => match session.response_code() {
            Some(ResponseCode::InUse) => Verdict::InUse,
            Some(ResponseCode::LoginDelay) => Verdict::TooSoon(None),
            Some(ResponseCode::SysPerm) => Verdict::ServerFault,
            Some(ResponseCode::SysTemp) => Verdict::Failed,
            Some(ResponseCode::Auth) => Verdict::LoginRefused { certain: true },
            _ if matches!(session, SessionError::LoginRefused { .. }) => Verdict::LoginRefused { certain: false },
            _ => Verdict::Failed,
        },
        Some(_) => Verdict::Failed,
    }
}

/// SIGTERM and SIGINT.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one; gives its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
