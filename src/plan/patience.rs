//! How often what fails is tried again, and when.

use std::time::Duration;

use crate::clock::{doubling, seconds};
use crate::message::UnixTime;

/// What becomes of a delivery that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again, not before this time.
    Later(UnixTime),
    /// It is left to the operator.
    Quarantine,
}

/// How long a message that fails is tried.  Times are seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Least time before a message whose delivery failed is tried again.
    pub first_wait: i64,
    /// Longest time before it is tried again.
    pub longest_wait: i64,
    /// How many times a message is requested that the server lists and does not hand out.
    pub retrievals: u32,
    /// How many times in a row the program may crash while it handles a message.
    pub deaths: u32,
    /// How many sessions may end at a message, ...
    pub sessions: u32,
    /// ... and for how long they must have done so.
    pub least_time: i64,
}

impl Patience {
    /// The values that all accounts have.
    pub const USUAL: Self = Self {
        first_wait: 5 * 60,
        longest_wait: 4 * 60 * 60,
        retrievals: 5,
        deaths: 2,
        sessions: 5,
        least_time: 24 * 60 * 60,
    };

    /// When a message that has failed `attempts` times, this one included, is tried again: after 5
    /// minutes, then twice as long each time, up to 4 hours.
    pub fn retry_at(&self, attempts: u32, now: UnixTime) -> UnixTime {
        let of = |wait: i64| Duration::from_secs(wait.unsigned_abs());
        now.saturating_add(seconds(doubling(of(self.first_wait), of(self.longest_wait), attempts)))
    }

    /// What becomes of a message that itself was the cause of `attempts` failures since then, this one included.
    pub fn failed(&self, attempts: u32, since: UnixTime, now: UnixTime) -> Next {
        if attempts >= self.retrievals && now.saturating_sub(since) >= self.least_time {
            Next::Quarantine
        } else {
            Next::Later(self.retry_at(attempts, now))
        }
    }

    /// What becomes of a message that the program has crashed on `deaths` times in a row: it is tried again at once, or
    /// not at all.
    pub fn died(&self, deaths: u32) -> Next {
        if deaths >= self.deaths { Next::Quarantine } else { Next::Later(0) }
    }
}

impl Patience {
    /// What becomes of a message at which this many sessions have ended since then.  After the first one it is tried
    /// again at once: the line may have been the cause.
    pub fn ended(&self, ends: u32, since: UnixTime, now: UnixTime) -> Next {
        match ends {
            0 | 1 => Next::Later(0),
            _ if ends >= self.sessions && now.saturating_sub(since) >= self.least_time => Next::Quarantine,
            _ => Next::Later(self.retry_at(ends - 1, now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_later_each_time_but_never_stop() {
        let waits: Vec<i64> = (1..=8).map(|attempts| Patience::USUAL.retry_at(attempts, 0) / 60).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 240, 240]);
        assert_eq!(Patience::USUAL.retry_at(u32::MAX, 0), Patience::USUAL.longest_wait);
    }

    #[test]
    fn what_is_not_handed_out_or_kills_is_left_to_the_operator_in_the_end() {
        let patience = Patience { retrievals: 3, ..Patience::USUAL };
        let day = patience.least_time;
        let tries: Vec<Next> = (1..=4).map(|attempts| patience.failed(attempts, -day, 0)).collect();
        assert_eq!(patience.failed(4, 1 - day, 0), Next::Later(2400), "not a day yet");
        assert_eq!(tries, [Next::Later(300), Next::Later(600), Next::Quarantine, Next::Quarantine]);
        assert_eq!([1, 2].map(|deaths| patience.died(deaths)), [Next::Later(0), Next::Quarantine]);
    }

    #[test]
    fn a_message_at_which_sessions_end_is_given_up_after_five_of_them_and_a_day() {
        let day = 24 * 60 * 60;
        for (ends, since, want) in [
            (1, 0, Next::Later(0)),
            (2, 100, Next::Later(100 + 300)),
            (3, 100, Next::Later(100 + 600)),
            (5, 100, Next::Later(100 + 2400)),
            (4, 100 - day, Next::Later(100 + 1200)),
            (5, 100 - day + 1, Next::Later(100 + 2400)),
            (5, 100 - day, Next::Quarantine),
            (99, 100, Next::Later(100 + 14400)),
        ] {
            assert_eq!(Patience::USUAL.ended(ends, since, 100), want, "{ends} {since}");
        }
    }
}
