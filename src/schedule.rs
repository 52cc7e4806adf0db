//! When each account is polled: intervals, back-off, and logins that must not be tried again.
//!
//! Pure: [`Schedule::handle`] takes what happened and the time since the start, and gives the
//! polls to begin; [`Schedule::wake`] says when to ask again.  Time is monotonic, so a changed
//! clock moves nothing, and after a suspend there is one poll, not a burst.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::message::Name;

/// Time since the process began.
pub type Moment = Duration;

/// First delay after a failure; doubled with each one that follows.
const FIRST_DELAY: Duration = Duration::from_secs(30);
/// Longest delay after failures, if the interval is not longer.
const LAST_DELAY: Duration = Duration::from_secs(60 * 60);
/// The maildrop is in use by another session.
const IN_USE: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(5 * 60));
/// The server wants more time between logins and does not say how much.
const LOGIN_DELAY: Duration = Duration::from_secs(15 * 60);
/// The server has a fault that somebody must mend.
const SERVER_FAULT: Duration = Duration::from_secs(60 * 60);
/// A refused login is tried again after these, unless its settings change: few enough for every
/// lock-out rule.
const LATCH: [Duration; 3] = [Duration::from_secs(3600), Duration::from_secs(4 * 3600), Duration::from_secs(24 * 3600)];

/// Least time between two logins at one host: some ban an address for many in a short time.
const SPACING: Duration = Duration::from_millis(100);

/// Longest wait that a server, or a memory from before a restart, can ask for.
const LONGEST: Duration = Duration::from_secs(27 * 3600);

/// What the schedule must know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between polls.
    pub interval: Duration,
    /// The server's name: polls at the same one are spaced and bounded.
    pub host: Arc<str>,
}

/// Bounds of the whole schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Polls at a time.
    pub polls: usize,
    /// Of these, at one host.
    pub polls_per_host: usize,
}

/// What is remembered of an account across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Failures in a row.
    pub failures: u32,
    /// Refused logins in a row.
    pub refusals: u32,
    /// Time until the next poll.
    pub wait: Duration,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These are the accounts now.  New ones are polled as soon as their memory allows, others
    /// keep their time; those that are gone end.
    Configured(BTreeMap<Name, (Timing, Memory)>),
    /// A poll ended.
    Ended(Name, Verdict),
    /// Somebody wants this account polled now, whatever it is waiting for.
    Poll(Name),
    /// Somebody wants all polled now; those whose login was refused are left alone.
    PollAll,
    /// The settings or the secret of an account have changed: a refused login may be tried again.
    Released(Name),
    /// Time has passed.
    Tick,
}

/// How a poll ended, as far as it matters for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well, or with faults of single messages.
    Good {
        /// Least time between logins, if the server announces one.
        login_delay: Option<Duration>,
    },
    /// Not well; it may be better later.
    Failed,
    /// Another session has the maildrop.
    InUse,
    /// The server wants so much time between logins, if it said so.
    TooSoon(Option<Duration>),
    /// The server has a fault that somebody must mend.
    ServerFault,
    /// The login was refused; `certain` if the server says that the credentials are wrong.
    LoginRefused {
        /// Not just a bare refusal.
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
pub struct Schedule {
    entries: BTreeMap<Name, Entry>,
    hosts: BTreeMap<Arc<str>, Host>,
    limits: Limits,
    random: fastrand::Rng,
}

impl Schedule {
    /// An empty schedule.  `seed` decides about jitter.
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self { entries: BTreeMap::new(), hosts: BTreeMap::new(), limits, random: fastrand::Rng::with_seed(seed) }
    }

    /// Changes the bounds, for polls that begin from now on.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes in what happened; gives the polls to begin now.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Name> {
        match event {
            Event::Configured(accounts) => self.configure(accounts, now),
            Event::Ended(name, verdict) => self.ended(&name, verdict, now),
            Event::Poll(name) => {
                if let Some(entry) = self.entries.get_mut(&name) {
                    entry.ask(now);
                }
            }
            Event::PollAll => {
                self.entries.values_mut().filter(|entry| !entry.is_latched()).for_each(|entry| entry.ask(now));
            }
            Event::Released(name) => {
                if let Some(entry) = self.entries.get_mut(&name).filter(|entry| entry.is_latched()) {
                    entry.refusals = 0;
                    entry.ask(now);
                }
            }
            Event::Tick => {}
        }
        self.begin(now)
    }

    /// When to ask again, if nothing happens before.
    pub fn wake(&self) -> Option<Moment> {
        if self.running() >= self.limits.polls {
            return None;
        }
        let waiting = self.entries.values().filter(|entry| !entry.running);
        waiting.filter_map(|entry| Some(entry.due.max(self.free(&entry.timing.host)?))).min()
    }

    /// When an account's next poll is due.
    pub fn due(&self, name: &Name) -> Option<Moment> {
        self.entries.get(name).map(|entry| entry.due)
    }

    /// What to remember of an account across a restart.
    pub fn memory(&self, name: &Name, now: Moment) -> Option<Memory> {
        let entry = self.entries.get(name)?;
        let wait = entry.due.saturating_sub(now);
        Some(Memory { failures: entry.failures, refusals: entry.refusals, wait })
    }

    /// Whether an account waits because its login was refused.
    pub fn is_latched(&self, name: &Name) -> bool {
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

    fn configure(&mut self, accounts: BTreeMap<Name, (Timing, Memory)>, now: Moment) {
        self.entries.retain(|name, entry| entry.running || accounts.contains_key(name));
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
                    let Memory { failures, refusals, wait } = memory;
                    let due = now.saturating_add(wait.min(LONGEST));
                    let entry = Entry { timing, next: None, running: false, again: false, due, failures, refusals };
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
                let delay = delay.unwrap_or(LOGIN_DELAY).clamp(entry.timing.interval, LONGEST);
                delay + between(Duration::ZERO, delay / 10, random)
            }
            Verdict::ServerFault => around(SERVER_FAULT.max(entry.timing.interval), random),
            Verdict::LoginRefused { certain } => {
                entry.refusals += 1;
                // A bare refusal may mean anything once; twice it means the password.
                let step = if certain { entry.refusals } else { entry.refusals - 1 };
                match step.checked_sub(1) {
                    None => backoff(entry, random),
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
        let waiting = self.entries.iter().filter(|(_, entry)| !entry.running && entry.due <= now);
        let mut due: Vec<(Moment, Name)> = waiting.map(|(name, entry)| (entry.due, name.clone())).collect();
        // Who has waited longest comes first.
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

    fn is_latched(&self) -> bool {
        self.refusals > 0
    }
}

/// Exponential back-off with full jitter: any time up to the doubled delay, but never less than
/// half of the first one, so that a dead server is not hammered.
fn backoff(entry: &mut Entry, random: &mut fastrand::Rng) -> Duration {
    entry.failures = entry.failures.saturating_add(1);
    let doubled = FIRST_DELAY.saturating_mul(1 << (entry.failures - 1).min(16));
    between(FIRST_DELAY / 2, doubled.min(LAST_DELAY.max(entry.timing.interval)), random)
}

/// A tenth more or less, so that accounts drift apart.
fn around(time: Duration, random: &mut fastrand::Rng) -> Duration {
    time.mul_f64(0.9 + 0.2 * random.f64())
}

fn between(least: Duration, most: Duration, random: &mut fastrand::Rng) -> Duration {
    least + most.saturating_sub(least).mul_f64(random.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn name(name: &str) -> Name {
        Name::new(name).expect("a name")
    }

    const GOOD: Verdict = Verdict::Good { login_delay: None };

    fn at_host(names: &[&str], host: impl Fn(&str) -> String) -> Event {
        let entry = |account: &&str| {
            let timing = Timing { interval: 5 * MINUTE, host: host(account).into() };
            (name(account), (timing, Memory::default()))
        };
        Event::Configured(names.iter().map(entry).collect())
    }

    fn accounts(names: &[&str]) -> Event {
        at_host(names, str::to_owned)
    }

    fn schedule(polls: usize) -> Schedule {
        Schedule::new(Limits { polls, polls_per_host: 2 }, 1)
    }

    #[test]
    fn one_host_is_logged_in_to_by_few_and_not_in_a_burst() {
        let mut schedule = schedule(9);
        let mut now = MINUTE;
        assert_eq!(schedule.handle(at_host(&["a", "b", "c"], |_| "host".into()), now), [name("a")]);
        assert_eq!(schedule.wake(), Some(now + SPACING));
        now += SPACING;
        assert_eq!(schedule.handle(Event::Tick, now), [name("b")]);
        now += SPACING;
        assert!(schedule.handle(Event::Tick, now).is_empty());
        assert_eq!(schedule.wake(), None);
        assert_eq!(schedule.handle(Event::Ended(name("a"), GOOD), now), [name("c")]);
    }

    #[test]
    fn a_login_delay_is_kept_and_survives_a_restart() {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a"]), MINUTE);
        let login_delay = Some(15 * MINUTE);
        schedule.handle(Event::Ended(name("a"), Verdict::Good { login_delay }), MINUTE);
        assert_eq!(schedule.due(&name("a")), Some(16 * MINUTE));
        let memory = schedule.memory(&name("a"), 6 * MINUTE).expect("known");
        assert_eq!(memory.wait, 10 * MINUTE);
        let timing = Timing { interval: MINUTE, host: "h".into() };
        let mut after = self::schedule(9);
        let restored = Event::Configured([(name("a"), (timing, memory))].into());
        assert!(after.handle(restored, Duration::ZERO).is_empty());
        assert_eq!(after.wake(), Some(10 * MINUTE));
    }

    #[test]
    fn a_refused_login_is_released_by_new_settings_or_by_name_but_not_by_polling_all() {
        for release in [Event::Released(name("a")), Event::Poll(name("a"))] {
            let mut schedule = schedule(9);
            schedule.handle(accounts(&["a"]), MINUTE);
            schedule.handle(Event::Ended(name("a"), Verdict::LoginRefused { certain: true }), MINUTE);
            assert!(schedule.handle(Event::PollAll, 2 * MINUTE).is_empty());
            assert_eq!(schedule.handle(release, 3 * MINUTE), [name("a")]);
        }
    }

    #[test]
    fn a_poll_asked_for_during_a_poll_follows_it() {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a"]), MINUTE);
        assert!(schedule.handle(Event::Poll(name("a")), 2 * MINUTE).is_empty());
        assert!(schedule.handle(Event::Ended(name("a"), GOOD), 3 * MINUTE).contains(&name("a")));
    }

    #[test]
    fn every_account_is_polled_at_once_and_then_at_its_interval() {
        let mut schedule = schedule(9);
        assert_eq!(schedule.handle(accounts(&["a", "b"]), MINUTE), [name("a"), name("b")]);
        assert_eq!(schedule.wake(), None);
        assert!(schedule.handle(Event::Ended(name("a"), GOOD), 2 * MINUTE).is_empty());
        let due = schedule.wake().expect("due");
        assert!((2 * MINUTE + MINUTE * 9 / 2..=2 * MINUTE + MINUTE * 11 / 2).contains(&due), "{due:?}");
        assert!(schedule.handle(Event::Tick, due - Duration::from_nanos(1)).is_empty());
        assert_eq!(schedule.handle(Event::Tick, due), [name("a")]);
    }

    #[test]
    fn an_account_is_never_polled_twice_at_the_same_time() {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a"]), MINUTE);
        assert!(schedule.handle(Event::PollAll, 2 * MINUTE).is_empty());
        assert!(schedule.handle(accounts(&["a"]), 3 * MINUTE).is_empty());
    }

    #[test]
    fn no_more_polls_run_than_allowed_and_the_longest_waiting_is_next() {
        let mut schedule = schedule(1);
        assert_eq!(schedule.handle(accounts(&["a", "b", "c"]), MINUTE).len(), 1);
        assert_eq!(schedule.handle(Event::Ended(name("a"), GOOD), MINUTE), [name("b")]);
        schedule.handle(Event::Poll(name("a")), 2 * MINUTE);
        assert_eq!(schedule.handle(Event::Ended(name("b"), GOOD), 2 * MINUTE), [name("c")]);
        assert_eq!(schedule.handle(Event::Ended(name("c"), GOOD), 2 * MINUTE), [name("a")]);
    }

    #[test]
    fn an_account_that_fails_backs_off_alone() {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["bad", "good"]), MINUTE);
        let mut now = MINUTE;
        for failures in 1..20 {
            schedule.handle(Event::Ended(name("bad"), Verdict::Failed), now);
            let delay = schedule.due(&name("bad")).expect("known") - now;
            let most = (FIRST_DELAY * (1 << (failures - 1).min(10))).min(LAST_DELAY);
            assert!(delay >= FIRST_DELAY / 2 && delay <= most, "{failures}: {delay:?}");
            now += delay;
            assert_eq!(schedule.handle(Event::Tick, now), [name("bad")]);
        }
        schedule.handle(Event::Ended(name("bad"), GOOD), now);
        assert!(schedule.due(&name("bad")).expect("known") - now > 4 * MINUTE);
    }

    #[test]
    fn a_wrong_password_is_tried_at_most_three_times_an_hour() {
        for certain in [true, false] {
            let mut schedule = schedule(9);
            schedule.handle(accounts(&["a"]), Duration::ZERO);
            let (mut now, mut tries) = (Duration::ZERO, 0);
            while now < 50 * MINUTE {
                tries += 1;
                schedule.handle(Event::Ended(name("a"), Verdict::LoginRefused { certain }), now);
                now = schedule.wake().expect("due");
                schedule.handle(Event::Tick, now);
            }
            assert!(tries <= 3, "{certain}: {tries}");
        }
    }

    #[test]
    fn a_poll_of_a_removed_account_ends_and_does_not_come_back() {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a", "b"]), MINUTE);
        schedule.handle(accounts(&["b"]), MINUTE);
        schedule.handle(Event::Ended(name("a"), GOOD), MINUTE);
        schedule.handle(accounts(&["b"]), MINUTE);
        assert_eq!(schedule.due(&name("a")), None);
    }
}
