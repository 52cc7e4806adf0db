//! Memory for the listings that are being read, one ration for all sessions of the process.
//!
//! The length of a listing is not known before its end, and servers lie.  Listings that never end
//! must not use up the memory of all sessions: when all together exceed [`TOTAL_OCTETS`], the
//! largest one is aborted, not the one that happens to ask for more.  A small one is never in danger.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::message::MessageNumber;

/// The most octets that all listings together may have while they are read, in packed form: 500,000
/// messages with unique-ids like Dovecot's, or 150,000 with unique-ids of 70 octets.
pub(super) const TOTAL_OCTETS: usize = 12 << 20;

/// Octets that a share takes at a time.
const PIECE_OCTETS: usize = 64 * 1024;

/// The sessions that hold a share.
static HOLDERS: Mutex<Vec<Arc<Holder>>> = Mutex::new(Vec::new());

#[derive(Debug, Default)]
struct Holder {
    octets: AtomicUsize,
    is_revoked: AtomicBool,
    revoked: Notify,
}

/// The part of the ration that one listing holds; given back when dropped.
#[derive(Debug)]
pub(super) struct Share(Arc<Holder>);

impl Share {
    pub(super) fn begin() -> Self {
        let holder = Arc::new(Holder::default());
        holders(|holders| holders.push(Arc::clone(&holder)));
        Self(holder)
    }

    /// Takes more; if that is too much, the largest share is revoked, perhaps this one.
    fn take(&self, octets: usize) {
        self.0.octets.fetch_add(octets, Ordering::Relaxed);
        holders(|holders| {
            let size = |holder: &Arc<Holder>| holder.octets.load(Ordering::Relaxed);
            let held = |holder: &&Arc<Holder>| !holder.is_revoked.load(Ordering::Relaxed);
            while holders.iter().filter(held).map(size).sum::<usize>() > TOTAL_OCTETS {
                let Some(largest) = holders.iter().filter(held).max_by_key(|holder| size(holder)) else { return };
                largest.is_revoked.store(true, Ordering::Relaxed);
                largest.revoked.notify_one();
            }
        });
    }

    /// Waits until it is revoked, which may never happen.
    pub(super) async fn revoked(&self) {
        self.0.revoked.notified().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        holders(|holders| holders.retain(|holder| !Arc::ptr_eq(holder, &self.0)));
    }
}

fn holders<T>(look: impl FnOnce(&mut Vec<Arc<Holder>>) -> T) -> T {
    // A panic in here leaves the list intact.
    look(&mut HOLDERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The lines of a listing while it is read: a number and some octets each, packed.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pieces: Vec<Vec<u8>>,
    lines: usize,
}

impl Packed {
    /// Appends a line, at the cost of `share`.
    pub(super) fn push(&mut self, share: &Share, number: MessageNumber, octets: &[u8]) {
        let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
        let octets = &octets[..usize::from(length)];
        let size = 6 + octets.len();
        let piece = match self.pieces.last_mut() {
            Some(piece) if piece.len() + size <= piece.capacity() => piece,
            _ => {
                let capacity = PIECE_OCTETS.max(size);
                share.take(capacity);
                self.pieces.push(Vec::with_capacity(capacity));
                let last = self.pieces.len() - 1;
                &mut self.pieces[last]
            }
        };
        piece.extend_from_slice(&number.value().to_le_bytes());
        piece.extend_from_slice(&length.to_le_bytes());
        piece.extend_from_slice(octets);
        self.lines += 1;
    }

    /// The lines in their order; the memory of each piece is freed before the next one is unpacked.
    pub(super) fn unpack<T>(self, mut each: impl FnMut(MessageNumber, &[u8]) -> T) -> Vec<T> {
        let mut lines = Vec::with_capacity(self.lines);
        for piece in self.pieces {
            let mut rest = piece.as_slice();
            while let Some((&[a, b, c, d, low, high], after)) = rest.split_first_chunk::<6>() {
                let length = usize::from(u16::from_le_bytes([low, high]));
                let (octets, after) = after.split_at(length.min(after.len()));
                lines.extend(MessageNumber::new(u32::from_le_bytes([a, b, c, d])).map(|number| each(number, octets)));
                rest = after;
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[test]
    fn what_is_packed_comes_out_in_its_order() {
        let (share, mut packed) = (Share::begin(), Packed::default());
        let long = vec![b'u'; 9000];
        for number in (1..=40).filter_map(MessageNumber::new) {
            packed.push(&share, number, if number.value() % 2 == 0 { &long } else { b"" });
        }
        let lines = packed.unpack(|number, octets| (number.value(), octets.len()));
        assert!(lines.iter().enumerate().all(|(at, &(number, _))| number as usize == at + 1));
        assert!(lines.iter().all(|&(number, length)| length == if number % 2 == 0 { 9000 } else { 0 }));
        assert_eq!(lines.len(), 40);
    }

    #[tokio::test]
    async fn the_largest_is_ended_and_what_it_held_is_free_again() {
        let is_revoked = async |share: &Share| timeout(Duration::from_millis(1), share.revoked()).await.is_ok();
        let (small, large) = (Share::begin(), Share::begin());
        small.take(TOTAL_OCTETS / 8);
        large.take(TOTAL_OCTETS / 4 * 3);
        assert!(!is_revoked(&large).await && !is_revoked(&small).await);
        // It is the small one that asks for too much.
        small.take(TOTAL_OCTETS / 8 + 1);
        assert!(is_revoked(&large).await && !is_revoked(&small).await);
        drop((small, large));
        let other = Share::begin();
        other.take(TOTAL_OCTETS / 2);
        assert!(!is_revoked(&other).await);
    }
}
