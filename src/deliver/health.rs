//! Whether a destination is usable: after a failure it is left alone for a while, and longer each time, so
//! that mail for the others goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::doubling;
use crate::failure::{Class, Failure, describe};

/// Shortest time before a destination that has failed is tried again.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Longest such time.
const LAST_WAIT: Duration = Duration::from_secs(15 * 60);

/// A failure of a destination, kept as long as the destination is not tried again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct Lapse {
    cause: String,
    class: Class,
    advice: Option<String>,
    failures: u32,
    until: Instant,
}

impl Failure for Lapse {
    fn class(&self) -> Class {
        self.class
    }

    fn advice(&self) -> Option<String> {
        self.advice.clone()
    }
}

/// The health of a destination, shared by all polls that deliver to it.
#[derive(Debug, Default)]
pub struct Health(Mutex<Option<Arc<Lapse>>>);

impl Health {
    /// The last failure, if it is too early to try again.
    pub fn lapse(&self, now: Instant) -> Option<Arc<Lapse>> {
        self.lock().clone().filter(|lapse| lapse.until > now)
    }

    /// Records a failure.  Further ones while it is left alone do not count.
    pub fn failed<E: Failure + 'static>(&self, error: &E, now: Instant) {
        let mut lapse = self.lock();
        let failures = match &*lapse {
            Some(lapse) if lapse.until > now => return,
            Some(lapse) => lapse.failures + 1,
            None => 1,
        };
        let wait = doubling(FIRST_WAIT, LAST_WAIT, failures);
        let (cause, class, advice) = (describe(error), error.class(), error.advice());
        *lapse = Some(Arc::new(Lapse { cause, class, advice, failures, until: now + wait }));
    }

    /// Forgets the failure: the destination works, or is to be tried at once.
    pub fn recovered(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Lapse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("full")]
    struct Full;

    impl Failure for Full {
        fn class(&self) -> Class {
            Class::LocalIo
        }

        fn advice(&self) -> Option<String> {
            None
        }
    }

    #[test]
    fn it_is_left_alone_for_longer_each_time_until_it_works() {
        let (health, start) = (Health::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(health.lapse(start).is_none());
        health.failed(&Full, start);
        // Another poll, which was on its way.
        health.failed(&Full, after(1));
        assert!(health.lapse(after(29)).is_some_and(|lapse| lapse.to_string() == "full"));
        assert!(health.lapse(after(30)).is_none());
        health.failed(&Full, after(30));
        assert!(health.lapse(after(89)).is_some() && health.lapse(after(90)).is_none());
        for _ in 0..40 {
            health.failed(&Full, after(90));
        }
        health.failed(&Full, after(100_000));
        assert!(health.lapse(after(100_000) + LAST_WAIT).is_none());
        health.recovered();
        health.failed(&Full, after(200_000));
        assert!(health.lapse(after(200_030)).is_none());
    }
}
