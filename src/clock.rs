//! The time of day.  Decisions take it as a parameter; only the code that starts an operation reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::message::UnixTime;

/// The wall-clock time.
pub(crate) fn unix_now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::try_from(since.as_secs()).unwrap_or(UnixTime::MAX)
}

/// Whole seconds of a time.
pub(crate) fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Seconds of a time, a begun one included.
pub(crate) fn seconds_up(time: Duration) -> i64 {
    seconds(time).saturating_add(i64::from(time.subsec_nanos() > 0))
}

/// How long to wait after `failures` in a row, at least one: `first`, then twice as long each time, up to `last`.
pub(crate) fn doubling(first: Duration, last: Duration, failures: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_last_one() {
        let seconds = Duration::from_secs;
        let waits = [0, 1, 2, 3, 4, 5, 33, u32::MAX].map(|failures| doubling(seconds(30), seconds(240), failures));
        assert_eq!(waits.map(|wait| wait.as_secs()), [30, 30, 60, 120, 240, 240, 240, 240]);
        assert_eq!(doubling(seconds(30), Duration::MAX, 3), seconds(120));
    }
}
