//! The configuration of a running service: applied at the start and at each reload.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tracing::debug;

use super::Service;
use crate::account::Account;
use crate::clock::unix_now;
use crate::config::{Config, Problem, files_of};
use crate::engine::latch::fingerprint;
use crate::engine::{Outlets, outlets, polls_at_a_time};
use crate::event::Event as Told;
use crate::failure::describe;
use crate::message::Name;
use crate::process::reload::Watched;
use crate::process::status::AccountStatus;
use crate::process::{log, systemd};
use crate::schedule::{Carried, Input, Limits, Timing};
use crate::store::Change;
use crate::{filesystem, poll};

/// How long all files together may take to be read; each file also has its own limit.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

impl Service {
    /// Applies the configuration's accounts; returns the event for the schedule.
    pub(super) fn configure(&mut self) -> Input {
        let enabled = self.config.accounts.iter().filter(|account| account.enabled);
        self.accounts = enabled.map(|account| (account.name.clone(), Arc::clone(account))).collect();
        for (name, cancel) in &self.cancels {
            if !self.accounts.contains_key(name) {
                cancel.cancel();
            }
        }
        let (remembered, now) = (&self.remembered, unix_now());
        let mut board = self.board();
        let mut before = std::mem::take(&mut board.accounts);
        for account in &self.config.accounts {
            let status = before.remove(&account.name).unwrap_or_else(|| {
                let memory = remembered.get(&account.name).cloned().unwrap_or_default();
                AccountStatus {
                    account: account.name.to_string(),
                    last_success: memory.last_success,
                    new_today: memory.delivered,
                    waiting: memory.waiting,
                    too_large: memory.too_large,
                    ignored: memory.ignored,
                    quarantined: memory.quarantined,
                    failures: memory.failures,
                    error: memory.error,
                    advice: memory.advice,
                    exit_code: memory.exit_code,
                    ..AccountStatus::default()
                }
            });
            board.accounts.insert(account.name.clone(), status);
        }
        drop(board);
        let entry = |account: &Arc<Account>| {
            let memory = remembered.get(&account.name).cloned().unwrap_or_default();
            // If `not_before` is in the past, there is no wait.  If it is far ahead because the clock was set back,
            // the schedule bounds it.
            let wait = Duration::from_secs(u64::try_from(memory.not_before - now).unwrap_or(0));
            let timing = Timing { interval: account.interval, host: account.endpoint.host.as_str().into() };
            (account.name.clone(), (timing, Carried { failures: memory.failures, refusals: memory.refusals, wait }))
        };
        Input::Configured(self.accounts.values().map(entry).collect::<BTreeMap<_, _>>())
    }

    /// Starts to read the configuration again, outside the loop, since the disk may be slow.  Nothing changes until it
    /// has been read.
    pub(super) fn reload(&mut self, cause: &'static str, answer: Option<Answer>) -> Input {
        let wanted = self.reload.wanted.get_or_insert_with(|| Wanted { cause, answers: Vec::new() });
        wanted.answers.extend(answer);
        // A reading that is under way may have begun before the change: then it is read once more.
        if self.reload.loads.is_empty()
            && let Some(wanted) = self.reload.wanted.take()
        {
            systemd::reloading();
            let file = self.config.file.clone();
            self.reload.loads.spawn(async move { (load(file).await, wanted) });
        }
        Input::Tick
    }

    /// Applies what was read.  A broken configuration changes nothing but the status.
    pub(super) fn loaded(&mut self, (loaded, wanted): (Result<Config, Broken>, Wanted)) -> Input {
        let cause = wanted.cause;
        let (result, more) = match loaded {
            Ok(config) => {
                self.adopt(config, cause);
                (Ok(()), Vec::new())
            }
            Err(broken) => {
                for line in broken.lines {
                    self.tell(&Told::ConfigurationFault { text: line });
                }
                self.tell(&Told::NotReloaded { cause, text: broken.text.clone() });
                (Err(broken.text), broken.files)
            }
        };
        let event = if result.is_ok() { self.configure() } else { Input::Tick };
        self.step(event);
        self.check_refused();
        let mut list = watched(&self.config);
        if result.is_err() {
            // The files are known to be broken; only a change counts.
            list.read.clear();
        }
        list.files.extend(more);
        let _ = self.lists.send(list);
        for answer in wanted.answers {
            let _ = answer.send(result.clone());
        }
        if let Some(next) = self.reload.wanted.take() {
            self.reload(next.cause, None);
        }
        self.ready();
        Input::Tick
    }

    /// Makes a new configuration the running one.
    fn adopt(&mut self, mut config: Config, cause: &'static str) {
        let before: HashMap<&Name, &Arc<Account>> =
            self.config.accounts.iter().map(|account| (&account.name, account)).collect();
        let (mut new, mut changed, mut same) = (0, 0, 0);
        for account in &config.accounts {
            match before.get(&account.name) {
                None => new += 1,
                Some(before) if *before == account => same += 1,
                Some(_) => changed += 1,
            }
        }
        let removed = before.len() as u64 - changed - same;
        if config.state_dir != self.config.state_dir || config.runtime_dir != self.config.runtime_dir {
            self.tell(&Told::RestartNeeded);
            config.state_dir.clone_from(&self.config.state_dir);
            config.runtime_dir.clone_from(&self.config.runtime_dir);
        }
        for warning in &config.warnings {
            self.tell(&Told::ConfigurationWarning { text: warning.to_string() });
        }
        let fresh: Outlets = outlets(&config.destinations, &self.context.outlets);
        self.correct(&fresh);
        self.context.outlets = Arc::new(fresh);
        self.context.mailboxes = poll::mailboxes(&config.accounts);
        for account in config.accounts.iter().filter(|account| account.enabled) {
            if before.get(&account.name).is_some_and(|before| before.deliver != account.deliver) {
                self.tell_of_new_destinations(Arc::clone(account));
            }
        }
        if config.record_headers != self.config.record_headers {
            self.record_headings(config.record_headers);
        }
        self.schedule.limit(limits(&config));
        log::set_level(self.options.log_level.unwrap_or(config.log_level));
        self.config = config;
        self.tell(&Told::Reloaded { cause, new, changed, removed, same });
    }

    /// Destinations that do not work are tried at once, and with other settings also what was put off there.
    fn correct(&self, fresh: &Outlets) {
        let mut changes = Vec::new();
        for (name, before) in self.context.outlets.iter().filter(|(_, before)| before.health.last().is_some()) {
            match fresh.get(name) {
                Some(outlet) if Arc::ptr_eq(outlet, before) => outlet.health.hasten(true),
                outlet => {
                    outlet.into_iter().for_each(|outlet| outlet.health.may_be_recorded_otherwise());
                    changes.push(Change::DestinationWorks { name: name.clone() });
                }
            }
        }
        let store = self.context.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.apply(changes, unix_now()).await {
                Told::NotRecorded { account: None, cause: describe(&error) }.tell();
            }
        });
    }

    fn record_headings(&self, wanted: bool) {
        let store = self.context.store.clone();
        tokio::spawn(async move {
            if let Err(error) = store.record_headings(wanted, unix_now()).await {
                Told::NotRecorded { account: None, cause: describe(&error) }.tell();
            }
        });
    }

    fn tell_of_new_destinations(&self, account: Arc<Account>) {
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = poll::tell_of_new_destinations(&account, &context).await {
                Told::NotRecorded { account: Some(account.name.clone()), cause: describe(&error) }.tell();
            }
        });
    }

    /// Checks for refused logins whether their settings and secrets have changed.
    pub(super) fn check_refused(&mut self) {
        let latched = self.accounts.values().filter(|account| self.schedule.is_latched(&account.name));
        for account in latched.cloned() {
            let salt = self.context.store.local().instance().to_owned();
            self.checks.spawn(async move { (account.name.clone(), fingerprint(&account, &salt).await) });
        }
    }

    /// Releases an account if its settings or its secret differ from those that were refused.
    pub(super) fn checked(&self, name: Name, secret: Option<[u8; 32]>) -> Input {
        let refused = self.remembered.get(&name).and_then(|memory| memory.refused);
        if secret.is_none() || secret == refused {
            debug!(account = %name, "its settings and its password are still those that were refused");
            return Input::Tick;
        }
        self.tell(&Told::LoginRetried { account: name.clone() });
        Input::Released(name)
    }
}

/// Sends the result of a reload to a client that has asked for it.
type Answer = oneshot::Sender<Result<(), String>>;

/// The state of reloads.
#[derive(Default)]
pub(super) struct Reload {
    /// The reading that is under way; at most one.
    pub(super) loads: JoinSet<(Result<Config, Broken>, Wanted)>,
    /// The reload that was requested since that reading began.
    wanted: Option<Wanted>,
}

/// A reload that was requested.
pub(super) struct Wanted {
    cause: &'static str,
    answers: Vec<Answer>,
}

/// A configuration that cannot be used.
pub(super) struct Broken {
    /// Each fault on its own line.
    lines: Vec<String>,
    /// All faults, as one text.
    text: String,
    /// Its files, which must be watched until it is corrected.
    files: Vec<PathBuf>,
}

async fn load(file: PathBuf) -> Result<Config, Broken> {
    let whole = PathBuf::from(format!("the configuration {}", file.display()));
    let load = {
        let file = file.clone();
        move || {
            // Listed before the reading: a file that appears meanwhile counts as a change.
            let files = files_of(&file);
            Config::load_again(&file).map_err(|problems| Broken {
                lines: problems.problems().iter().map(Problem::on_one_line).collect(),
                text: problems.to_string(),
                files,
            })
        }
    };
    filesystem::in_time_async(&whole, LOAD_LIMIT, load).await.unwrap_or_else(|error| {
        let text = format!("{}: cannot be read: {error}", file.display());
        Err(Broken { lines: vec![text.clone()], text, files: vec![file] })
    })
}

pub(super) fn watched(config: &Config) -> Watched {
    // A folder that does not exist cannot be watched, and the user may sign in later.
    if let Some(grant) = config.accounts.iter().find_map(|account| account.credential.grant())
        && let Err(error) = grant.vault.make_folders()
    {
        Told::NotRecorded { account: None, cause: describe(&error) }.tell();
    }
    Watched { files: config.watched(), folder: config.folder.clone(), read: config.digests.clone() }
}

pub(super) fn limits(config: &Config) -> Limits {
    Limits { polls: polls_at_a_time(config), polls_per_host: config.max_polls_per_host }
}
