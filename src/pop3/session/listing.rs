//! The reply to UIDL, packed: its digest shows whether it has changed, and it is unpacked only if it has.

use blake3::Hasher;

use super::ration::{Packed, Share};
use crate::message::MessageNumber;

/// A message of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its unique-id; `None` where the server sent none or one that is too long.
    pub uid: Option<Box<[u8]>>,
    /// Its size; a hint.
    pub octets: Option<u64>,
}

/// The messages of a maildrop with their unique-ids, in the server's order.
#[derive(Debug, Default)]
pub struct Listing {
    packed: Packed,
    messages: usize,
    /// The reply to STAT, if it was usable.
    totals: Option<(u32, u64)>,
    /// Boxed: it has two kilobytes, and listings are moved.
    digest: Box<Hasher>,
}

impl Listing {
    /// Appends a message; an empty `uid` stands for no usable unique-id.
    pub(super) fn push(&mut self, share: &Share, number: MessageNumber, uid: &[u8]) {
        let [a, b, c, d] = number.value().to_le_bytes();
        // No unique-id is longer (`UNIQUE_ID_LIMIT`).
        let [low, high] = u16::try_from(uid.len()).unwrap_or(u16::MAX).to_le_bytes();
        self.digest.update(&[a, b, c, d, low, high]);
        self.digest.update(uid);
        self.packed.push(share, number, uid);
        self.messages += 1;
    }

    /// An empty listing of a maildrop with this reply to STAT: number of messages and octets.
    pub(super) fn of_totals(totals: Option<(u32, u64)>) -> Self {
        Self { totals, ..Self::default() }
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.messages
    }

    /// Whether there are no messages.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// A digest of all numbers and unique-ids in their order, and of the reply to STAT: two listings
    /// with the same digest are the same, unless another message of the same size now has a unique-id.
    pub fn digest(&self) -> [u8; 32] {
        let mut digest = self.digest.clone();
        if let Some((messages, octets)) = self.totals {
            digest.update(&messages.to_le_bytes());
            digest.update(&octets.to_le_bytes());
        }
        digest.finalize().into()
    }

    /// The messages.  Their sizes are not known yet.
    pub fn entries(self) -> Vec<Entry> {
        self.packed.unpack(|number, uid| {
            let uid = Some(uid).filter(|uid| !uid.is_empty()).map(Into::into);
            Entry { number, uid, octets: None }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(lines: &[(u32, &[u8])]) -> Listing {
        let (share, mut listing) = (Share::begin(), Listing::default());
        for (number, uid) in lines {
            listing.push(&share, MessageNumber::new(*number).expect("not zero"), uid);
        }
        listing
    }

    #[test]
    fn only_the_same_listing_has_the_same_digest() {
        let same = || listing(&[(1, b"a"), (2, b"bc")]);
        assert_eq!(same().digest(), same().digest());
        let others: [&[(u32, &[u8])]; 8] = [
            &[],
            &[(1, b"a")],
            &[(1, b"a"), (2, b"bc"), (3, b"")],
            &[(1, b"a"), (3, b"bc")],
            &[(2, b"bc"), (1, b"a")],
            &[(1, b"bc"), (2, b"a")],
            &[(1, b"ab"), (2, b"c")],
            &[(1, b"a"), (2, b"")],
        ];
        for other in others {
            assert_ne!(listing(other).digest(), same().digest(), "{other:?}");
        }
    }

    #[test]
    fn what_is_unpacked_is_what_came() {
        let listing = listing(&[(7, b"x y"), (3, b"")]);
        assert_eq!((listing.len(), listing.is_empty()), (2, false));
        let entries: Vec<_> = listing.entries().into_iter().map(|entry| (entry.number.value(), entry.uid)).collect();
        assert_eq!(entries, [(7, Some(b"x y"[..].into())), (3, None)]);
    }
}
