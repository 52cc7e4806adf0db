//! Connections of strangers to a local listener: a fixed number of places, and the one that has been
//! silent for longest makes room for the next.
//!
//! So clients that connect and stay silent cannot keep out one that sends something.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;

/// The state of a place.
const SILENT: u8 = 0;
const KEPT: u8 = 1;
const LEFT: u8 = 2;
const LOST: u8 = 3;

/// The places of a listener.
#[derive(Debug)]
pub struct Crowd {
    limit: usize,
    /// In order of arrival.
    places: VecDeque<Weak<Shared>>,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: AtomicU8,
    lost: CancellationToken,
}

impl Crowd {
    /// With this many places.
    pub fn new(limit: usize) -> Self {
        Self { limit, places: VecDeque::new() }
    }

    /// A place for a new connection, taken from the oldest silent one if none is free.  `None`: all
    /// are kept.
    pub fn admit(&mut self) -> Option<Seat> {
        let counts = |place: &Weak<Shared>| {
            place.upgrade().is_some_and(|place| matches!(place.state.load(Ordering::SeqCst), SILENT | KEPT))
        };
        self.places.retain(counts);
        if self.places.len() >= self.limit {
            let oldest = self.places.iter().position(|place| place.upgrade().is_none_or(|place| place.lose()))?;
            self.places.remove(oldest);
        }
        let place = Arc::new(Shared { state: AtomicU8::new(SILENT), lost: CancellationToken::new() });
        self.places.push_back(Arc::downgrade(&place));
        Some(Seat(place))
    }
}

impl Drop for Crowd {
    /// Ends the connections that are still silent: the listener is gone.
    fn drop(&mut self) {
        for place in self.places.iter().filter_map(Weak::upgrade) {
            place.lose();
        }
    }
}

impl Shared {
    fn turn(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn lose(&self) -> bool {
        let is_lost = self.turn(SILENT, LOST);
        if is_lost {
            self.lost.cancel();
        }
        is_lost
    }
}

impl Seat {
    /// Keeps the place: the client has sent its request.
    pub fn keep(&self) {
        self.0.turn(SILENT, KEPT);
    }

    /// Frees the place for others, though the connection goes on.
    pub fn leave(&self) {
        let _ = self.0.turn(SILENT, LEFT) || self.0.turn(KEPT, LEFT);
    }

    /// Waits until the place is given to another connection, or the listener is gone.
    pub async fn lost(&self) {
        self.0.lost.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_lost(place: &Seat) -> bool {
        place.0.lost.is_cancelled()
    }

    #[test]
    fn the_one_that_has_been_silent_for_longest_makes_room() {
        let mut crowd = Crowd::new(2);
        let (first, second) = (crowd.admit().expect("free"), crowd.admit().expect("free"));
        first.keep();
        let third = crowd.admit().expect("the second's");
        assert_eq!([&first, &second, &third].map(is_lost), [false, true, false]);
        third.keep();
        assert!(crowd.admit().is_none());
        drop(first);
        assert!(crowd.admit().is_some());
    }

    #[test]
    fn who_has_left_or_lost_a_place_has_none_to_lose() {
        let mut crowd = Crowd::new(1);
        let waiting = crowd.admit().expect("free");
        waiting.leave();
        let lost = crowd.admit().expect("free");
        let last = crowd.admit().expect("the second's");
        assert_eq!([&waiting, &lost, &last].map(is_lost), [false, true, false]);
        // Too late.
        lost.keep();
        assert!(crowd.admit().is_some());
        assert!(is_lost(&last));
    }

    #[test]
    fn the_end_of_the_listener_is_that_of_the_silent() {
        let mut crowd = Crowd::new(3);
        let (silent, kept, waiting) =
            (crowd.admit().expect("free"), crowd.admit().expect("free"), crowd.admit().expect("free"));
        kept.keep();
        waiting.leave();
        drop(crowd);
        assert_eq!([&silent, &kept, &waiting].map(is_lost), [true, false, false]);
    }
}
