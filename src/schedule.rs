//! When each account is polled: intervals, back-off, and logins that must not be tried again.
//!
//! Pure: [`Schedule::handle`] takes what happened and the time since the start, and gives the
//! polls to begin; [`Schedule::wake`] says when to ask again.  Time is monotonic, so a changed
//! clock moves nothing, and after a suspend there is one poll, not a burst.

use std::collections::BTreeMap;
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

/// What the schedule must know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between polls.
    pub interval: Duration,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// These are the accounts now.  New ones are polled at once; those that are gone end.
    Configured(BTreeMap<Name, Timing>),
    /// A poll ended.
    Ended(Name, Verdict),
    /// Somebody wants a poll now: of one account or of all.
    PollNow(Option<Name>),
    /// Time has passed.
    Tick,
}

/// How a poll ended, as far as it matters for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well, or with faults of single messages.
    Good,
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
    running: bool,
    due: Moment,
    failures: u32,
    refusals: u32,
}

/// Which account is polled when.
#[derive(Debug)]
pub struct Schedule {
    entries: BTreeMap<Name, Entry>,
    limit: usize,
    random: fastrand::Rng,
}

impl Schedule {
    /// A schedule of at most `limit` polls at a time.  `seed` decides about jitter.
    pub fn new(limit: usize, seed: u64) -> Self {
        Self { entries: BTreeMap::new(), limit, random: fastrand::Rng::with_seed(seed) }
    }

    /// Takes in what happened; gives the polls to begin now.
    pub fn handle(&mut self, event: Event, now: Moment) -> Vec<Name> {
        match event {
            Event::Configured(accounts) => self.configure(accounts, now),
            Event::Ended(name, verdict) => self.ended(&name, verdict, now),
            Event::PollNow(name) => {
                let wanted = |entry: &Name| name.as_ref().is_none_or(|name| name == entry);
                for (_, entry) in self.entries.iter_mut().filter(|(entry, _)| wanted(entry)) {
                    entry.due = now;
                }
            }
            Event::Tick => {}
        }
        self.begin(now)
    }

    /// When the next poll is due, if one is and none that runs must end first.
    pub fn wake(&self) -> Option<Moment> {
        if self.running() >= self.limit {
            return None;
        }
        self.entries.values().filter(|entry| !entry.running).map(|entry| entry.due).min()
    }

    /// When an account's next poll is due.
    pub fn due(&self, name: &Name) -> Option<Moment> {
        self.entries.get(name).map(|entry| entry.due)
    }

    fn running(&self) -> usize {
        self.entries.values().filter(|entry| entry.running).count()
    }

    fn configure(&mut self, accounts: BTreeMap<Name, Timing>, now: Moment) {
        self.entries.retain(|name, entry| entry.running || accounts.contains_key(name));
        for (name, timing) in accounts {
            let new = Entry { timing: timing.clone(), running: false, due: now, failures: 0, refusals: 0 };
            self.entries.entry(name).or_insert(new).timing = timing;
        }
    }

    fn ended(&mut self, name: &Name, verdict: Verdict, now: Moment) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.running = false;
        let random = &mut self.random;
        let delay = match verdict {
            Verdict::Good => {
                (entry.failures, entry.refusals) = (0, 0);
                around(entry.timing.interval, random)
            }
            Verdict::InUse => between(IN_USE.0, IN_USE.1, random),
            Verdict::TooSoon(delay) => around(delay.unwrap_or(LOGIN_DELAY).max(entry.timing.interval), random),
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
    }

    fn begin(&mut self, now: Moment) -> Vec<Name> {
        let room = self.limit.saturating_sub(self.running());
        let mut due: Vec<(&Name, &mut Entry)> =
            self.entries.iter_mut().filter(|(_, entry)| !entry.running && entry.due <= now).collect();
        // Who has waited longest comes first.
        due.sort_by_key(|(_, entry)| entry.due);
        due.into_iter()
            .take(room)
            .map(|(name, entry)| {
                entry.running = true;
                name.clone()
            })
            .collect()
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

    fn accounts(names: &[&str]) -> Event {
        let timing = Timing { interval: 5 * MINUTE };
        Event::Configured(names.iter().map(|account| (name(account), timing.clone())).collect())
    }

    #[test]
    fn every_account_is_polled_at_once_and_then_at_its_interval() {
        let mut schedule = Schedule::new(9, 1);
        assert_eq!(schedule.handle(accounts(&["a", "b"]), MINUTE), [name("a"), name("b")]);
        assert_eq!(schedule.wake(), None);
        assert!(schedule.handle(Event::Ended(name("a"), Verdict::Good), 2 * MINUTE).is_empty());
        let due = schedule.wake().expect("due");
        assert!((2 * MINUTE + MINUTE * 9 / 2..=2 * MINUTE + MINUTE * 11 / 2).contains(&due), "{due:?}");
        assert!(schedule.handle(Event::Tick, due - Duration::from_nanos(1)).is_empty());
        assert_eq!(schedule.handle(Event::Tick, due), [name("a")]);
    }

    #[test]
    fn an_account_is_never_polled_twice_at_the_same_time() {
        let mut schedule = Schedule::new(9, 1);
        schedule.handle(accounts(&["a"]), MINUTE);
        assert!(schedule.handle(Event::PollNow(None), 2 * MINUTE).is_empty());
        assert!(schedule.handle(accounts(&["a"]), 3 * MINUTE).is_empty());
    }

    #[test]
    fn no_more_polls_run_than_allowed_and_the_longest_waiting_is_next() {
        let mut schedule = Schedule::new(1, 1);
        assert_eq!(schedule.handle(accounts(&["a", "b", "c"]), MINUTE).len(), 1);
        assert_eq!(schedule.handle(Event::Ended(name("a"), Verdict::Good), MINUTE), [name("b")]);
        schedule.handle(Event::PollNow(Some(name("a"))), 2 * MINUTE);
        assert_eq!(schedule.handle(Event::Ended(name("b"), Verdict::Good), 2 * MINUTE), [name("c")]);
        assert_eq!(schedule.handle(Event::Ended(name("c"), Verdict::Good), 2 * MINUTE), [name("a")]);
    }

    #[test]
    fn an_account_that_fails_backs_off_alone() {
        let mut schedule = Schedule::new(9, 1);
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
        schedule.handle(Event::Ended(name("bad"), Verdict::Good), now);
        assert!(schedule.due(&name("bad")).expect("known") - now > 4 * MINUTE);
    }

    #[test]
    fn a_wrong_password_is_tried_at_most_three_times_an_hour() {
        for certain in [true, false] {
            let mut schedule = Schedule::new(9, 1);
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
        let mut schedule = Schedule::new(9, 1);
        schedule.handle(accounts(&["a", "b"]), MINUTE);
        schedule.handle(accounts(&["b"]), MINUTE);
        schedule.handle(Event::Ended(name("a"), Verdict::Good), MINUTE);
        schedule.handle(accounts(&["b"]), MINUTE);
        assert_eq!(schedule.due(&name("a")), None);
    }
}
