//! When the memory of messages that are gone from their server is given up.
//!
//! A message is remembered as long as the server may list it again, which would have it delivered once
//! more.  One that has been gone for long does not come back but by a restored backup.

use std::time::Duration;

use super::seconds;
use crate::message::UnixTime;

/// Messages that are gone, and remembered for each account at most; the oldest are given up first.
const MOST: usize = 100_000;

/// But none that has been gone for less, however many there are: an answer to QUIT may have been lost,
/// and a server that is being moved shows its mail again within days.
pub const SHORTEST_HISTORY: Duration = Duration::from_secs(7 * 86_400);

/// Messages that one poll gives up at most, so that none has to wait for long.
const AT_A_TIME: usize = 10_000;

/// Messages of an account that the server has no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// How many are remembered.
    pub messages: usize,
    /// Since when the first of them has been gone.
    pub since: Option<UnixTime>,
}

/// What is to be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prune {
    /// Messages at most, those first that have been gone longest.
    pub messages: usize,
    /// None that was there at this time.
    pub before: UnixTime,
}

/// What is to be forgotten of the messages that are gone, where they are remembered for so long.
pub fn prune(gone: Gone, history: Duration, now: UnixTime) -> Option<Prune> {
    let ago = |time| now.saturating_sub(seconds(time));
    let excess = gone.messages.saturating_sub(MOST);
    let prune = match excess {
        0 => Prune { messages: AT_A_TIME, before: ago(history.max(SHORTEST_HISTORY)) },
        _ => Prune { messages: excess.min(AT_A_TIME), before: ago(SHORTEST_HISTORY) },
    };
    gone.since.is_some_and(|since| since < prune.before).then_some(prune)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;
    const NOW: UnixTime = 1_000 * DAY;
    const HISTORY: Duration = Duration::from_secs(180 * 86_400);

    #[test]
    fn what_has_been_gone_for_long_is_forgotten() {
        let of = |days| prune(Gone { messages: 1, since: Some(NOW - days * DAY) }, HISTORY, NOW);
        assert_eq!(of(180), None);
        assert_eq!(of(181), Some(Prune { messages: AT_A_TIME, before: NOW - 180 * DAY }));
        assert_eq!(prune(Gone::default(), HISTORY, NOW), None);
    }

    #[test]
    fn of_too_many_the_oldest_are_forgotten_but_never_in_the_first_week() {
        let of = |messages, days| prune(Gone { messages, since: Some(NOW - days * DAY) }, HISTORY, NOW);
        assert_eq!(of(MOST, 100), None);
        assert_eq!(of(MOST + 3, 100), Some(Prune { messages: 3, before: NOW - 7 * DAY }));
        assert_eq!(of(MOST * 2, 100), Some(Prune { messages: AT_A_TIME, before: NOW - 7 * DAY }));
        assert_eq!(of(MOST * 2, 7), None);
        assert_eq!(prune(Gone { messages: 1, since: Some(NOW - DAY) }, Duration::ZERO, NOW), None);
    }
}
