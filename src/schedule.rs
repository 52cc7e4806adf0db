//! When each account is polled: intervals, back-off, and logins that must not be tried again.
//!
//! Pure: [`Schedule::handle`] takes what happened and the time since the start, and returns the
//! polls to begin; [`Schedule::wake`] says when to ask again.  Time is monotonic, so setting the
//! clock changes nothing, and after a suspend there is one poll, not a burst.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::doubling;
use crate::message::Name;

/// Time since the process began.
pub(crate) type Moment = Duration;

/// First delay after a failure; doubled with each one that follows.
const FIRST_DELAY: Duration = Duration::from_secs(30);
/// Longest delay after failures, if the interval is not longer.
const LAST_DELAY: Duration = Duration::from_secs(60 * 60);
/// Delay, from and to, while another session uses the maildrop, or a login may have been refused for that reason.
pub(crate) const IN_USE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5 * 60));
/// Delay if the server wants more time between logins and does not say how much.
const LOGIN_DELAY: Duration = Duration::from_secs(15 * 60);
/// Delay if the server has a fault that must be fixed there.
const SERVER_FAULT: Duration = Duration::from_secs(60 * 60);
/// Delays before a refused login is tried again, unless its settings change: few enough attempts for
/// every lock-out rule.
const LATCH: [Duration; 3] = [Duration::from_secs(3600), Duration::from_secs(4 * 3600), Duration::from_secs(24 * 3600)];

/// Least time between two logins at one host: some hosts ban an address for many logins in a short time.
const SPACING: Duration = Duration::from_millis(100);

/// Longest wait that a server, or a record from before a restart, can ask for.
pub(crate) const LONGEST: Duration = Duration::from_secs(27 * 3600);

/// What the schedule must know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Time between polls.
    pub interval: Duration,
    /// The server's name: polls at the same one are spaced and bounded.
    pub host: Arc<str>,
}

/// Bounds of the whole schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Polls at a time.
    pub polls: usize,
    /// Polls at one host at a time.
    pub polls_per_host: usize,
}

/// What is remembered of an account across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// Failures in a row.
    pub failures: u32,
    /// Refused logins in a row.
    pub refusals: u32,
    /// Time until the next poll.
    pub wait: Duration,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// These are the accounts now.  New ones are polled as soon as what is remembered of them allows,
    /// others keep their time; those that are gone are dropped.
    Configured(BTreeMap<Name, (Timing, Carried)>),
    /// A poll ended.
    Ended(Name, Verdict),
    /// This account is to be polled now, whatever it is waiting for.
    Poll(Name),
    /// All accounts are to be polled now, except those whose login was refused.
    PollAll,
    /// The settings or the secret of an account have changed: a refused login may be tried again.
    Released(Name),
    /// Time has passed.
    Tick,
}

/// How a poll ended, as far as it matters for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Successfully, or with failures of single messages only.
    Good {
        /// Least time between logins, if the server announces one.
        login_delay: Option<Duration>,
    },
    /// With a failure that may pass.
    Failed,
    /// Another session has the maildrop.
    InUse,
    /// The server wants more time between logins: this much, if it said so.
    TooSoon(Option<Duration>),
    /// The server has a fault that must be fixed there.
    ServerFault,
    /// The login was refused; `certain` if the server says that the credentials are wrong.
    LoginRefused {
        /// It is more than a bare refusal.
        certain: bool,
    },
}

/// The state of an account in the schedule.
#[derive(Clone, Debug)]
struct Entry {
    timing: Timing,
    /// New settings, from the end of the poll that is running.
    next: Option<Timing>,
    running: bool,
    /// It is no longer configured; its poll is awaited, and how that ended is remembered.
    gone: bool,
    /// Asked for while it was running: polled again at once.
    again: bool,
    due: Moment,
    failures: u32,
    refusals: u32,
}

/// The polls at one host.
#[derive(Clone, Copy, Debug, Default)]
struct Host {
    running: usize,
    /// No login before this.
    free: Moment,
}

/// Which account is polled when.
#[derive(Debug)]
pub(crate) struct Schedule {
    entries: BTreeMap<Name, Entry>,
    hosts: BTreeMap<Arc<str>, Host>,
    limits: Limits,
    random: fastrand::Rng,
}

impl Schedule {
    /// An empty schedule.  `seed` decides about jitter.
    pub(crate) fn new(limits: Limits, seed: u64) -> Self {
        Self { entries: BTreeMap::new(), hosts: BTreeMap::new(), limits, random: fastrand::Rng::with_seed(seed) }
    }

    /// Changes the bounds, for polls that begin from now on.
    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Handles what happened; returns the polls to begin now.
    pub(crate) fn handle(&mut self, event: Input, now: Moment) -> Vec<Name> {
        match event {
            Input::Configured(accounts) => self.configure(accounts, now),
            Input::Ended(name, verdict) => self.ended(&name, verdict, now),
            Input::Poll(name) => {
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.ask(now);
                }
            }
            Input::PollAll => {
                self.entries.values_mut().filter(|entry| !entry.is_latched()).for_each(|entry| entry.ask(now));
            }
            Input::Released(name) => {
                if let Some(entry) = self.entries.get_mut(&name).filter(|entry| entry.is_latched()) {
                    entry.refusals = 0;
                    entry.ask(now);
                }
            }
            Input::Tick => {}
        }
        self.begin(now)
    }

    /// When to ask again, if nothing happens before.
    pub(crate) fn wake(&self) -> Option<Moment> {
        if self.running() >= self.limits.polls {
            return None;
        }
        let waiting = self.entries.values().filter(|entry| entry.waits());
        waiting.filter_map(|entry| Some(entry.due.max(self.free(&entry.timing.host)?))).min()
    }

    /// When an account's next poll is due.
    pub(crate) fn due(&self, name: &Name) -> Option<Moment> {
        self.entries.get(name).map(|entry| entry.due)
    }

    /// What to remember of an account across a restart.
    pub(crate) fn memory(&self, name: &Name, now: Moment) -> Option<Carried> {
        let entry = self.entries.get(name)?;
        let wait = entry.due.saturating_sub(now);
        Some(Carried { failures: entry.failures, refusals: entry.refusals, wait })
    }

    /// Whether an account waits because its login was refused.
    pub(crate) fn is_latched(&self, name: &Name) -> bool {
        self.entries.get(name).is_some_and(Entry::is_latched)
    }

    fn running(&self) -> usize {
        self.entries.values().filter(|entry| entry.running).count()
    }

    /// When a host may be logged in to; `None` while it has as many polls as it may.
    fn free(&self, host: &str) -> Option<Moment> {
        let host = self.hosts.get(host).copied().unwrap_or_default();
        (host.running < self.limits.polls_per_host).then_some(host.free)
    }

    fn configure(&mut self, accounts: BTreeMap<Name, (Timing, Carried)>, now: Moment) {
        self.entries.retain(|name, entry| {
            // An account that comes back after its last poll is new, unless it has something to wait for.
            let is_over = entry.gone && !entry.running && (entry.failures, entry.refusals) == (0, 0);
            entry.gone = !accounts.contains_key(name);
            entry.running || !(entry.gone || is_over)
        });
        for (name, (timing, memory)) in accounts {
            match self.entries.get_mut(&name) {
                Some(entry) if entry.running => entry.next = Some(timing),
                Some(entry) => {
                    entry.timing = timing;
                    // A shorter interval counts at once; back-off stays.
                    if entry.failures == 0 && entry.refusals == 0 {
                        entry.due = entry.due.min(now.saturating_add(entry.timing.interval));
                    }
                }
                None => {
                    let Carried { failures, refusals, wait } = memory;
                    let due = now.saturating_add(wait.min(LONGEST));
                    let entry = Entry {
                        timing,
                        next: None,
                        running: false,
                        gone: false,
                        again: false,
                        due,
                        failures,
                        refusals,
                    };
                    self.entries.insert(name, entry);
                }
            }
        }
        let used: BTreeSet<Arc<str>> = self.entries.values().map(|entry| Arc::clone(&entry.timing.host)).collect();
        self.hosts.retain(|host, _| used.contains(host));
    }

    fn ended(&mut self, name: &Name, verdict: Verdict, now: Moment) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.running = false;
        if let Some(host) = self.hosts.get_mut(&entry.timing.host) {
            host.running = host.running.saturating_sub(1);
        }
        if let Some(timing) = entry.next.take() {
            entry.timing = timing;
        }
        let random = &mut self.random;
        let delay = match verdict {
            Verdict::Good { login_delay } => {
                (entry.failures, entry.refusals) = (0, 0);
                let delay = around(entry.timing.interval, random);
                delay.max(login_delay.unwrap_or_default().min(LONGEST))
            }
            Verdict::InUse => between(IN_USE.0, IN_USE.1, random),
            Verdict::TooSoon(delay) => {
                let delay = delay.unwrap_or(LOGIN_DELAY).min(LONGEST).max(entry.timing.interval);
                delay + between(Duration::ZERO, delay / 10, random)
            }
            Verdict::ServerFault => around(SERVER_FAULT.max(entry.timing.interval), random),
            Verdict::LoginRefused { certain } => {
                entry.refusals += 1;
                // One bare refusal may mean anything; a second one means the password.
                let step = if certain { entry.refusals } else { entry.refusals - 1 };
                match step.checked_sub(1) {
                    None => between(IN_USE.0, IN_USE.1, random),
                    Some(step) => around(LATCH[(step as usize).min(LATCH.len() - 1)], random),
                }
            }
            Verdict::Failed => backoff(entry, random),
        };
        entry.due = now.saturating_add(delay);
        if std::mem::take(&mut entry.again) && matches!(verdict, Verdict::Good { .. }) {
            entry.due = now;
        }
    }

    fn begin(&mut self, now: Moment) -> Vec<Name> {
        let mut room = self.limits.polls.saturating_sub(self.running());
        let waiting = self.entries.iter().filter(|(_, entry)| entry.waits() && entry.due <= now);
        let mut due: Vec<(Moment, Name)> = waiting.map(|(name, entry)| (entry.due, name.clone())).collect();
        // The account that has waited longest comes first.
        due.sort();
        let mut begun = Vec::new();
        for (_, name) in due {
            if room == 0 {
                break;
            }
            let Some(entry) = self.entries.get_mut(&name) else { continue };
            let host = self.hosts.entry(Arc::clone(&entry.timing.host)).or_default();
            if host.running >= self.limits.polls_per_host || host.free > now {
                continue;
            }
            (host.running, host.free) = (host.running + 1, now.saturating_add(SPACING));
            entry.running = true;
            room -= 1;
            begun.push(name);
        }
        begun
    }
}

impl Entry {
    fn ask(&mut self, now: Moment) {
        self.due = self.due.min(now);
        self.again = self.running;
    }

    /// Whether it waits for its next poll.
    fn waits(&self) -> bool {
        !self.running && !self.gone
    }

    fn is_latched(&self) -> bool {
        self.refusals > 0
    }
}

/// Exponential back-off with full jitter: any time up to the doubled delay, but never less than
/// half of the first one, so that a dead server is not hammered.
fn backoff(entry: &mut Entry, random: &mut fastrand::Rng) -> Duration {
    entry.failures = entry.failures.saturating_add(1);
    let most = doubling(FIRST_DELAY, LAST_DELAY.max(entry.timing.interval), entry.failures);
    between(FIRST_DELAY / 2, most, random)
}

/// A tenth more or less, so that accounts drift apart.
fn around(time: Duration, random: &mut fastrand::Rng) -> Duration {
    time.mul_f64(0.9 + 0.2 * random.f64())
}

fn between(least: Duration, most: Duration, random: &mut fastrand::Rng) -> Duration {
    least + most.saturating_sub(least).mul_f64(random.f64())
}

#[cfg(test)]
mod tests;
