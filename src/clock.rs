//! The time of day.  Decisions take it as a parameter; only what begins something reads it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::message::UnixTime;

/// The time by the clock on the wall.
pub fn unix_now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixTime::try_from(since.as_secs()).unwrap_or(UnixTime::MAX)
}
