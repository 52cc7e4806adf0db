//! Whether a destination is usable: after a failure it is left alone for a while, and longer each time, so
//! that mail for the others goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{doubling, seconds};
use crate::failure::{Class, Failure, describe};
use crate::message::UnixTime;

/// Shortest and longest time before a destination that has failed is tried again.
const WAITS: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15 * 60));

/// The same if it refuses the login: each further try may lock the account there.
const LOGIN_WAITS: (Duration, Duration) = (Duration::from_secs(15 * 60), Duration::from_secs(6 * 60 * 60));

/// A failure of a destination, kept as long as it has not worked since.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct Lapse {
    /// What went wrong.
    pub cause: String,
    /// Its kind.
    pub class: Class,
    /// What to do about it.
    pub advice: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub since: UnixTime,
    /// It is left alone before this.
    pub until: UnixTime,
    /// It failed at messages, several of which it treated alike: only a delivery shows that it works.
    pub at_messages: bool,
}

impl Failure for Lapse {
    fn class(&self) -> Class {
        self.class
    }

    fn advice(&self) -> Option<String> {
        self.advice.clone()
    }
}

impl Lapse {
    /// Whether it is too early to try again.  A time that is too far ahead is not believed: the clock was set back.
    fn holds(&self, now: UnixTime) -> bool {
        self.until > now && self.until - now <= seconds(waits(self.class).1)
    }
}

fn waits(class: Class) -> (Duration, Duration) {
    if class == Class::LoginRefused { LOGIN_WAITS } else { WAITS }
}

/// The health of a destination, shared by all polls that deliver to it.
#[derive(Debug, Default)]
pub struct Health {
    last: Mutex<Option<Arc<Lapse>>>,
    /// What is on record may not be what is known here.
    is_unsure: AtomicBool,
}

impl Health {
    /// The last failure, if it is too early to try again.
    pub fn lapse(&self, now: UnixTime) -> Option<Arc<Lapse>> {
        self.lock().clone().filter(|lapse| lapse.holds(now))
    }

    /// The last failure, unless the destination has worked since.
    pub fn last(&self) -> Option<Arc<Lapse>> {
        self.lock().clone()
    }

    /// Notes a failure that is on record.
    pub fn recall(&self, lapse: Lapse) {
        *self.lock() = Some(Arc::new(lapse));
    }

    /// Notes a failure, which is to be recorded if it is returned.  Further ones while the destination is left alone do
    /// not count.
    pub fn failed<E: Failure + 'static>(&self, error: &E, at_messages: bool, now: UnixTime) -> Option<Arc<Lapse>> {
        let mut last = self.lock();
        let (failures, since) = match &*last {
            Some(lapse) if lapse.holds(now) => return None,
            Some(lapse) => (lapse.failures.saturating_add(1), lapse.since),
            None => (1, now),
        };
        let (cause, class, advice) = (describe(error), error.class(), error.advice());
        let (first, longest) = waits(class);
        let until = now.saturating_add(seconds(doubling(first, longest, failures)));
        let lapse = Arc::new(Lapse { cause, class, advice, failures, since, until, at_messages });
        *last = Some(Arc::clone(&lapse));
        Some(lapse)
    }

    /// Forgets the failure, since the destination works; `true` if that is to be recorded.
    pub fn recovered(&self) -> bool {
        let failed = self.lock().take().is_some();
        self.is_unsure.swap(false, Ordering::Relaxed) || failed
    }

    /// A poll that has not ended may still record a failure with former settings.
    pub fn may_be_recorded_otherwise(&self) {
        self.is_unsure.store(true, Ordering::Relaxed);
    }

    /// The destination is to be tried at once; a login that it refused only `if` somebody insists.
    pub fn hasten(&self, insists: bool) {
        let mut last = self.lock();
        if let Some(lapse) = &*last
            && (insists || lapse.class != Class::LoginRefused)
        {
            *last = Some(Arc::new(Lapse { until: 0, ..Lapse::clone(lapse) }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Lapse>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("full")]
    struct Full(Class);

    impl Failure for Full {
        fn class(&self) -> Class {
            self.0
        }
    }

    #[test]
    fn it_is_left_alone_for_longer_each_time_until_it_works() {
        let health = Health::default();
        let (fail, start) = (|now| health.failed(&Full(Class::LocalIo), false, now), 1_000_000);
        assert!(health.lapse(start).is_none());
        assert!(fail(start).is_some());
        // Another poll, which was on its way.
        assert!(fail(start + 1).is_none());
        assert!(health.lapse(start + 29).is_some_and(|lapse| lapse.to_string() == "full"));
        assert!(health.lapse(start + 30).is_none() && health.last().is_some());
        let again = fail(start + 30).expect("counted");
        assert_eq!((again.failures, again.since, again.until), (2, start, start + 90));
        for times in 0..40 {
            fail(start + 90 + times * 900);
        }
        let last = health.last().expect("failing");
        assert_eq!(last.until, start + 90 + 39 * 900 + 900);
        assert!(health.lapse(last.until - 901).is_none(), "the clock was set back");
        assert!(health.recovered() && !health.recovered());
        assert_eq!(fail(2 * start).map(|lapse| (lapse.failures, lapse.since)), Some((1, 2 * start)));
    }

    #[test]
    fn a_refused_login_waits_longer_and_is_hastened_only_by_somebody_who_insists() {
        let health = Health::default();
        health.failed(&Full(Class::LoginRefused), false, 1000);
        health.hasten(false);
        assert!(health.lapse(1000 + 899).is_some());
        health.hasten(true);
        assert!(health.lapse(1000).is_none() && health.last().is_some());
        health.failed(&Full(Class::TryLater), false, 1000);
        health.hasten(false);
        assert!(health.lapse(1000).is_none());
        assert_eq!(health.last().map(|lapse| lapse.failures), Some(2), "how often it failed is still known");
    }
}
