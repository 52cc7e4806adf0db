//! When messages that are gone from their server are forgotten.
//!
//! A message is remembered as long as the server may list it again, because then it would be delivered a
//! second time.  A message that has been gone for long comes back only with a restored backup.

use std::time::Duration;

use super::seconds;
use crate::message::UnixTime;

/// Gone messages that are remembered for each account at most; the oldest are forgotten first.
const MOST: usize = 100_000;

/// No message that has been gone for less is forgotten, however many there are: an answer to QUIT may have
/// been lost, and a server that is being moved shows its mail again within days.
pub const SHORTEST_HISTORY: Duration = Duration::from_secs(7 * 86_400);

/// Messages that one poll forgets at most, so that no poll has to wait for long.
const AT_A_TIME: usize = 10_000;

/// Messages of an account that the server no longer has.
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
    /// At most this many messages, those that have been gone longest first.
    pub messages: usize,
    /// No message that was still there at this time.
    pub before: UnixTime,
}

/// Which of the gone messages are to be forgotten, if they are remembered for as long as `history`.
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
