//! The configuration of a running service: taken in at the start and at each reload.

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
use crate::{filesystem, poll};

/// Each file has a time of its own; this is for many of them together.
const LOAD_LIMIT: Duration = Duration::from_secs(60);

impl Service {
    /// Takes the configuration's accounts in; gives the event for the schedule.
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
            // In the past: it need not wait.  Far ahead, by a clock that was set back: the schedule bounds it.
            let wait = Duration::from_secs(u64::try_from(memory.not_before - now).unwrap_or(0));
            let timing = Timing { interval: account.interval, host: account.endpoint.host.as_str().into() };
            (account.name.clone(), (timing, Carried { failures: memory.failures, refusals: memory.refusals, wait }))
        };
        Input::Configured(self.accounts.values().map(entry).collect::<BTreeMap<_, _>>())
    }

    /// Has the configuration read again, beside the loop: it may lie on a disk that takes its time.  Until it is
    /// there nothing changes.
    pub(super) fn reload(&mut self, cause: &'static str, answer: Option<Answer>) -> Input {
        let wanted = self.reload.wanted.get_or_insert_with(|| Wanted { cause, answers: Vec::new() });
        wanted.answers.extend(answer);
        // What is being read may be older than what was asked for: then it is read once more.
        if self.reload.loads.is_empty()
            && let Some(wanted) = self.reload.wanted.take()
        {
            systemd::reloading();
            let file = self.config.file.clone();
            self.reload.loads.spawn(async move { (load(file).await, wanted) });
        }
        Input::Tick
    }

    /// Takes in what was read.  A broken configuration changes nothing but the status.
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
            // What is there is known to be broken, until it changes.
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
        self.context.outlets = Arc::new(fresh);
        self.context.mailboxes = poll::mailboxes(&config.accounts);
        for account in config.accounts.iter().filter(|account| account.enabled) {
            if before.get(&account.name).is_some_and(|before| before.deliver != account.deliver) {
                self.tell_of_new_destinations(Arc::clone(account));
            }
        }
        self.schedule.limit(limits(&config));
        log::set_level(self.options.log_level.unwrap_or(config.log_level));
        self.config = config;
        self.tell(&Told::Reloaded { cause, new, changed, removed, same });
    }

    fn tell_of_new_destinations(&self, account: Arc<Account>) {
        let context = self.context.clone();
        tokio::spawn(async move {
            if let Err(error) = poll::tell_of_new_destinations(&account, &context).await {
                Told::NotRecorded { account: Some(account.name.clone()), cause: describe(&error) }.tell();
            }
        });
    }

    /// Looks whether what was refused is still what would be tried.
    pub(super) fn check_refused(&mut self) {
        let latched = self.accounts.values().filter(|account| self.schedule.is_latched(&account.name));
        for account in latched.cloned() {
            let salt = self.context.store.local().instance().to_owned();
            self.checks.spawn(async move { (account.name.clone(), fingerprint(&account, &salt).await) });
        }
    }

    /// Lets an account go whose login was refused with other settings or another secret than now.
    pub(super) fn checked(&self, name: Name, secret: Option<[u8; 32]>) -> Input {
        let refused = self.remembered.get(&name).and_then(|memory| memory.refused);
        if secret.is_none() || secret == refused {
            debug!(account = %name, "its settings and its password are as they were refused");
            return Input::Tick;
        }
        self.tell(&Told::LoginRetried { account: name.clone() });
        Input::Released(name)
    }
}

/// Who has asked for a reload hears what came of it.
type Answer = oneshot::Sender<Result<(), String>>;

/// Readings of the configuration.
#[derive(Default)]
pub(super) struct Reload {
    /// At most one.
    pub(super) loads: JoinSet<(Result<Config, Broken>, Wanted)>,
    /// What was asked for since that one began.
    wanted: Option<Wanted>,
}

/// A reload that somebody wants.
pub(super) struct Wanted {
    cause: &'static str,
    answers: Vec<Answer>,
}

/// A configuration that cannot be used.
pub(super) struct Broken {
    /// Each fault by itself.
    lines: Vec<String>,
    /// All of them.
    text: String,
    /// Its files, which must be watched for its mending.
    files: Vec<PathBuf>,
}

async fn load(file: PathBuf) -> Result<Config, Broken> {
    let whole = PathBuf::from(format!("the configuration {}", file.display()));
    let load = {
        let file = file.clone();
        move || {
            // Before: what comes meanwhile is a change.
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
    // What is not there cannot be watched, and somebody may sign in later.
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
