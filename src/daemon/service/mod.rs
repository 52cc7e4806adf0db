//! The service's loop.

mod configuration;
mod outcome;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, Interval, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use configuration::{Reload, limits, watched};

use crate::account::Account;
use crate::clock::{seconds_up, unix_now};
use crate::config::Config;
use crate::control::{Front, Note};
use crate::engine::latch::fingerprint;
use crate::engine::verdict::verdict;
use crate::engine::{close, leave, poll_guarded, prepare};
use crate::event::Event as Told;
use crate::failure::{Class, Failure};
use crate::message::{Name, UnixTime};
use crate::poll::{Context, Outcome, Summary};
use crate::process::reload::{self, Watched};
use crate::process::signals::{Signal, Signals};
use crate::process::status::{Board, SCHEMA, State, Status};
use crate::process::systemd;
use crate::progress::Progress;
use crate::schedule::{Input, Moment, Schedule, Verdict};
use crate::store::{AccountMemory, Change, Store, StoreError};

/// How long polls may take to finish when the process is to end.
const STOP_LIMIT: Duration = Duration::from_secs(9);

/// How many notes of the control socket may wait.
const NOTES: usize = 64;

/// The options of the service from the command line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    /// Overrides the configured log level.
    pub log_level: Option<tracing::Level>,
}

/// The service cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    /// The state cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A system call has failed.
    #[error("{what}: {source}")]
    System {
        /// What has failed.
        what: &'static str,
        /// The system's error.
        source: std::io::Error,
    },
}

impl Failure for ServiceError {
    fn class(&self) -> Class {
        match self {
            ServiceError::Store(error) => error.class(),
            ServiceError::System { .. } => Class::LocalIo,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            ServiceError::Store(error) => error.advice(),
            ServiceError::System { .. } => None,
        }
    }
}

/// Runs until it is asked to end.
///
/// # Errors
/// The state cannot be used, or the system refuses what a service needs.
pub(crate) async fn run(config: Config, options: Options) -> Result<(), ServiceError> {
    let cancel = CancellationToken::new();
    let context = prepare(&config, cancel).await?;
    let signals = Signals::of_service().map_err(|source| ServiceError::System { what: "signals", source })?;
    let (notes_in, notes) = mpsc::channel(NOTES);
    let board = Arc::new(Mutex::new(Board::default()));
    let front = Front::open(&config.runtime_dir, &config.state_dir);
    let closing = CancellationToken::new();
    let serving = tokio::spawn(front.serve(
        Arc::clone(&board),
        context.store.clone(),
        notes_in,
        closing.clone().cancelled_owned(),
    ));
    let (lists, watch_lists) = watch::channel(watched(&config));
    let (changes_in, changes) = mpsc::channel(1);
    tokio::spawn(reload::watch(watch_lists, changes_in));
    let service = Service {
        schedule: Schedule::new(limits(&config), fastrand::u64(..)),
        began: Instant::now(),
        accounts: HashMap::new(),
        config,
        options,
        context,
        board,
        polls: JoinSet::new(),
        checks: JoinSet::new(),
        cancels: HashMap::new(),
        waiters: HashMap::new(),
        remembered: HashMap::new(),
        damaged: None,
        lists,
        reload: Reload::default(),
        headline: String::new(),
        front: (closing, serving),
    };
    service.run(signals, notes, changes).await
}

/// A poll that is over.
struct Ended {
    name: Name,
    outcome: Outcome,
    /// How long it took.
    time: Duration,
    /// The fingerprint of the refused login, if the server has refused it.
    refused: Option<[u8; 32]>,
}

struct Service {
    config: Config,
    options: Options,
    context: Context,
    schedule: Schedule,
    began: Instant,
    /// The enabled accounts.
    accounts: HashMap<Name, Arc<Account>>,
    board: Arc<Mutex<Board>>,
    polls: JoinSet<Ended>,
    /// Reads the secrets of refused logins, outside the loop, since a password command may be slow.
    checks: JoinSet<(Name, Option<[u8; 32]>)>,
    /// Ends an account's poll after the batch in flight.
    cancels: HashMap<Name, CancellationToken>,
    /// The clients that wait for the result of an account's next poll.
    waiters: HashMap<Name, Vec<mpsc::UnboundedSender<Summary>>>,
    /// What the state remembers of each account.
    remembered: HashMap<Name, AccountMemory>,
    /// Set when the database was found damaged: only the next start can rebuild it.
    damaged: Option<StoreError>,
    lists: watch::Sender<Watched>,
    reload: Reload,
    /// The status line that systemd shows.
    headline: String,
    /// Closes the control socket; and its task.
    front: (CancellationToken, JoinHandle<()>),
}

impl Service {
    async fn run(
        mut self,
        mut signals: Signals,
        mut notes: mpsc::Receiver<Note>,
        mut changes: mpsc::Receiver<()>,
    ) -> Result<(), ServiceError> {
        self.remembered = self.context.store.remembered(midnight()).await?.into_iter().collect();
        self.introduce();
        let mut watchdog = systemd::watchdog().map(interval);
        let event = self.configure();
        self.step(event);
        self.check_refused();
        self.ready();
        self.tell(&Told::Started { accounts: self.accounts.len() as u64 });
        loop {
            let wake = self.schedule.wake().map(|moment| self.began + moment);
            let event = tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::Terminate | Signal::Interrupt => {
                        self.tell(&Told::Stopping { cause: signal.name() });
                        break;
                    }
                    Signal::Hangup => self.reload("SIGHUP", None),
                    Signal::User1 => self.poll_for(Vec::new(), None, false),
                },
                Some(ended) = self.polls.join_next() => self.ended(ended),
                Some(Ok((name, secret))) = self.checks.join_next() => self.checked(name, secret),
                Some(Ok(loaded)) = self.reload.loads.join_next() => self.loaded(loaded),
                Some(note) = notes.recv() => match note {
                    Note::Stop => {
                        self.tell(&Told::Stopping { cause: "asked to stop" });
                        break;
                    }
                    Note::Reload(answer) => self.reload("asked to", Some(answer)),
                    Note::Poll { accounts, results, insists } => self.poll_for(accounts, results, insists),
                },
                Some(()) = changes.recv() => self.reload("a file has changed", None),
                () = tick(watchdog.as_mut()) => {
                    systemd::alive();
                    continue;
                }
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => Input::Tick,
            };
            self.step(event);
            if self.damaged.is_some() {
                break;
            }
        }
        let damaged = self.damaged.take();
        self.stop().await?;
        damaged.map_or(Ok(()), |error| Err(error.into()))
    }

    fn now(&self) -> Moment {
        self.began.elapsed()
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an event to the schedule and begins the polls that it returns.
    fn step(&mut self, event: Input) {
        let now = self.now();
        for name in self.schedule.handle(event, now) {
            let Some(account) = self.accounts.get(&name).map(Arc::clone) else { continue };
            let cancel = self.context.cancel.child_token();
            let progress = Arc::new(Progress::default());
            self.board().running.insert(name.clone(), Arc::clone(&progress));
            self.cancels.insert(name.clone(), cancel.clone());
            let context = Context { cancel, ..self.context.clone() };
            self.polls.spawn(async move {
                debug!(account = %name, "polling");
                let began = Instant::now();
                let salt = context.store.local().instance().to_owned();
                let outcome = poll_guarded(Arc::clone(&account), context, progress).await;
                let time = began.elapsed();
                let refused = match verdict(outcome.error.as_ref(), None) {
                    Verdict::LoginRefused { .. } => fingerprint(&account, &salt).await,
                    _ => None,
                };
                Ended { name, outcome, time, refused }
            });
        }
        self.tell_times();
    }

    /// Updates the board: when each account is due, and its state.
    fn tell_times(&self) {
        let (now, unix) = (self.now(), unix_now());
        let mut board = self.board();
        for (name, account) in &mut board.accounts {
            let enabled = self.accounts.contains_key(name);
            let due = self.schedule.due(name).filter(|_| enabled);
            account.next_poll = due.map(|due| unix + seconds_up(due.saturating_sub(now)));
            let backs_off = self.schedule.memory(name, now).map_or(account.failures, |memory| memory.failures);
            account.state = match (enabled, self.schedule.is_latched(name), backs_off) {
                (false, ..) => State::Disabled,
                (true, true, _) => State::LoginRefused,
                (true, false, 0) => State::Idle,
                (true, false, _) => State::BackingOff,
            };
        }
    }

    /// Polls now, for a client of the control socket.  A login that was refused is tried only if it insists.
    fn poll_for(
        &mut self,
        accounts: Vec<Name>,
        results: Option<mpsc::UnboundedSender<Summary>>,
        insists: bool,
    ) -> Input {
        // The operator may have repaired what was wrong.
        self.context.outlets.values().for_each(|outlet| outlet.health.hasten(insists));
        let all = accounts.is_empty();
        let wanted = if all { self.accounts.keys().cloned().collect() } else { accounts };
        for name in wanted {
            if !self.accounts.contains_key(&name) || (!insists && self.schedule.is_latched(&name)) {
                // It will not be polled: the answer is its last status.
                if let (Some(results), Some(status)) = (&results, self.board().accounts.get(&name)) {
                    let skipped = self.schedule.is_latched(&name);
                    let _ = results.send(Summary {
                        account: status.account.clone(),
                        error: status.error.clone().or_else(|| Some("the account is disabled".into())),
                        advice: status.advice.clone(),
                        exit_code: status.exit_code,
                        skipped,
                        next_try: status.next_poll.filter(|_| skipped),
                        ..Summary::default()
                    });
                }
                continue;
            }
            if let Some(results) = &results {
                let waiters = self.waiters.entry(name.clone()).or_default();
                // Some clients may have gone away meanwhile.
                waiters.retain(|waiter| !waiter.is_closed());
                waiters.push(results.clone());
            }
            if !all || insists {
                self.step(Input::Poll(name));
            }
        }
        if all { Input::PollAll } else { Input::Tick }
    }

    /// Fills in the part of the status that does not change.
    fn introduce(&self) {
        let mut board = self.board();
        board.day = today();
        board.service = Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            running: true,
            pid: Some(std::process::id()),
            since: Some(unix_now()),
            config_file: self.config.files.first().unwrap_or(&self.config.file).display().to_string(),
            state_dir: self.config.state_dir.display().to_string(),
            config_loaded: Some(unix_now()),
            config_error: None,
            ..Status::default()
        };
    }

    /// Reports an event to the log and on the status board.
    fn tell(&self, event: &Told) {
        event.tell();
        self.board().take_in(event, unix_now(), today());
    }

    /// Reports to systemd that the configuration is in use.
    fn ready(&mut self) {
        let headline = self.board().headline();
        systemd::ready(&headline);
        self.headline = headline;
    }

    /// Reports to systemd which accounts fail, if that has changed.
    fn tell_systemd(&mut self) {
        let headline = self.board().headline();
        if headline != self.headline {
            systemd::status(&headline);
            self.headline = headline;
        }
    }

    /// Lets polls finish, and records when each account may be polled again.
    async fn stop(mut self) -> Result<(), ServiceError> {
        systemd::stopping();
        self.context.cancel.cancel();
        let finish = async { while self.polls.join_next().await.is_some() {} };
        if timeout(STOP_LIMIT, finish).await.is_err() {
            Told::PollsDropped.tell();
            self.polls.abort_all();
        }
        let remembered = self.remembered.iter().filter(|(_, memory)| memory.last_success.is_some());
        let changes = remembered
            .map(|(account, memory)| Change::Remember { account: account.clone(), memory: memory.clone() })
            .collect();
        write_down(&self.context.store, changes).await;
        let _ = timeout(Duration::from_millis(500), close(&self.context)).await;
        leave(&self.context).await;
        let (closing, front) = self.front;
        closing.cancel();
        let _ = timeout(Duration::from_millis(500), front).await;
        Told::Ended.tell();
        Ok(())
    }
}

async fn write_down(store: &Store, changes: Vec<Change>) {
    if let Err(error) = store.apply(changes, unix_now()).await {
        Told::NotRecorded { account: None, cause: error.to_string() }.tell();
    }
}

async fn tick(watchdog: Option<&mut Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// The day by this machine's clock, as a number.
fn today() -> i64 {
    midnight() / 86_400
}

/// When this day began, by this machine's clock.
fn midnight() -> UnixTime {
    jiff::ZonedDateTime::now().start_of_day().map_or(0, |start| start.timestamp().as_second())
}
