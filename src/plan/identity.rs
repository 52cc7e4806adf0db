//! Whether a message is the one that its unique-id names.
//!
//! A unique-id is a hint, the content is the identity.  RFC 1939 §7 lets a server reuse a unique-id as
//! soon as its message is gone, and small servers just number messages by position.  [`doubtful`] finds
//! the messages of a listing whose unique-id is not enough, and [`Identity::compare`] says what a header
//! proves.

use std::collections::HashMap;

use super::{Listed, Standing};
use crate::message::Fingerprint;

/// What identifies a message besides its unique-id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its Message-ID, if it has one.
    pub message_id: Option<String>,
    /// The digest of its header, if that identifies it.
    pub fingerprint: Option<Fingerprint>,
    /// The BLAKE3 hash of its content, if that was seen.
    pub digest: Option<[u8; 32]>,
    /// Its size by LIST, when it was last known to be this message.
    pub listed: Option<u64>,
    /// Only its header was seen.
    pub header_only: bool,
}

/// The result of comparing a header with a known message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It is the same message.
    Same,
    /// It is a different message.
    Other,
    /// It may be either: only the content can tell.
    Unclear,
}

impl Identity {
    /// Compares this message with the header of one that may be the same.  A different Message-ID alone
    /// does not make it a different message: some servers rewrite the header each time.
    pub fn compare(&self, message_id: Option<&str>, fingerprint: Option<Fingerprint>) -> Likeness {
        let differ = |new: bool, old: bool, same: bool| new && old && !same;
        match (self.fingerprint, fingerprint) {
            (Some(old), Some(new)) if old == new => Likeness::Same,
            (Some(_), Some(_))
                if differ(
                    message_id.is_some(),
                    self.message_id.is_some(),
                    message_id == self.message_id.as_deref(),
                ) =>
            {
                Likeness::Other
            }
            _ => Likeness::Unclear,
        }
    }
}

/// Why a unique-id is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The last listing did not have it.
    Returned,
    /// LIST gives another size than before.
    Size,
    /// Several messages had it, and their number has changed: there is no telling which is which.
    Shared,
    /// The server has given another unique-id to a different message.
    Distrusted,
    /// The message is to be deleted.
    Deletion,
}

/// The messages of a listing that are known by their unique-ids and may be different ones, by their index.
/// `sizes` are the former sizes by LIST, `returned` the messages that the last listing did not have, `shared`
/// the unique-ids that several messages had, and how many.
pub fn doubtful(
    listing: &[Listed],
    sizes: &[Option<u64>],
    returned: &[usize],
    shared: &[(Box<[u8]>, usize)],
) -> Vec<(usize, Doubt)> {
    let is_known = |index: usize| {
        listing[index].key.is_some() && !matches!(listing[index].standing, None | Some(Standing::Deleted(_)))
    };
    let differs = |index: &usize| {
        let before = sizes.get(*index).copied().flatten();
        matches!((before, listing[*index].octets), (Some(before), Some(now)) if before != now)
    };
    let mut doubts: HashMap<usize, Doubt> = HashMap::new();
    for &index in returned.iter().filter(|&&index| is_known(index)) {
        doubts.insert(index, Doubt::Returned);
    }
    for index in numbers_of_shared(listing, shared).into_iter().filter(|&index| is_known(index)) {
        doubts.insert(index, Doubt::Shared);
    }
    for index in (0..listing.len()).filter(|&index| is_known(index)).filter(differs) {
        doubts.insert(index, Doubt::Size);
    }
    let mut doubts: Vec<_> = doubts.into_iter().collect();
    doubts.sort_unstable_by_key(|(index, _)| *index);
    doubts
}

/// Messages whose unique-id belongs to more or fewer messages than before.
pub fn numbers_of_shared(listing: &[Listed], shared: &[(Box<[u8]>, usize)]) -> Vec<usize> {
    let mut now: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let before: HashMap<&[u8], usize> = shared.iter().map(|(uid, number)| (&**uid, *number)).collect();
    for (index, listed) in listing.iter().enumerate() {
        if let Some(key) = &listed.key
            && (listed.shared || before.contains_key(key.uid()))
        {
            now.entry(key.uid()).or_default().push(index);
        }
    }
    let is_another = |(uid, indexes): &(&[u8], Vec<usize>)| before.get(uid).copied().unwrap_or(1) != indexes.len();
    now.into_iter().filter(is_another).flat_map(|(_, indexes)| indexes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageKey, MessageNumber};

    fn listed(uid: &str, occurrence: u32, octets: u64, known: bool) -> Listed {
        Listed {
            number: MessageNumber::new(1).expect("one"),
            key: MessageKey::new(uid.as_bytes(), occurrence),
            shared: false,
            octets: Some(octets),
            standing: known.then_some(Standing::Done(1)),
        }
    }

    #[test]
    fn a_header_tells_the_same_from_another_and_where_it_cannot_it_says_so() {
        let identity = |message_id: Option<&str>, fingerprint: Option<u8>| Identity {
            message_id: message_id.map(str::to_owned),
            fingerprint: fingerprint.map(|octet| [octet; 16]),
            ..Identity::default()
        };
        for (known, now, want) in [
            ((Some("<1>"), Some(1)), (Some("<1>"), Some(1)), Likeness::Same),
            // Two copies with one Message-ID that came by different routes; a server that rewrites Message-IDs.
            ((Some("<1>"), Some(1)), (Some("<1>"), Some(2)), Likeness::Unclear),
            ((Some("<1>"), Some(1)), (Some("<2>"), Some(1)), Likeness::Same),
            ((Some("<1>"), Some(1)), (Some("<2>"), Some(2)), Likeness::Other),
            ((None, Some(1)), (Some("<2>"), Some(2)), Likeness::Unclear),
            ((Some("<1>"), None), (Some("<2>"), Some(2)), Likeness::Unclear),
            ((None, None), (None, None), Likeness::Unclear),
        ] {
            let fingerprint = now.1.map(|octet| [octet; 16]);
            assert_eq!(identity(known.0, known.1).compare(now.0, fingerprint), want, "{known:?} {now:?}");
        }
    }

    #[test]
    fn another_size_is_a_doubt_and_an_unknown_one_is_none() {
        let listing = [listed("1", 0, 100, true), listed("2", 0, 100, true), listed("3", 0, 100, true)];
        let sizes = [Some(100), Some(101), None];
        assert_eq!(doubtful(&listing, &sizes, &[], &[]), [(1, Doubt::Size)]);
        assert_eq!(doubtful(&listing, &sizes, &[0, 1], &[]), [(0, Doubt::Returned), (1, Doubt::Size)]);
        let new = [listed("1", 0, 100, false)];
        assert_eq!(doubtful(&new, &[Some(99)], &[0], &[]), []);
    }

    #[test]
    fn of_a_unique_id_that_several_had_all_must_be_there() {
        let both = |second| {
            let mut both = [listed("A", 0, 100, true), listed("A", 1, 100, second)];
            both.iter_mut().for_each(|listed| listed.shared = true);
            both
        };
        let two = [(Box::from(&b"A"[..]), 2)];
        assert_eq!(doubtful(&both(true), &[None, None], &[], &two), []);
        assert_eq!(doubtful(&both(false), &[None, None], &[], &[]), [(0, Doubt::Shared)]);
        // The second one has been waiting, and is still there.
        assert_eq!(doubtful(&both(false), &[None, None], &[], &two), []);
        assert_eq!(doubtful(&both(true)[..1], &[None], &[], &two), [(0, Doubt::Shared)]);
        let three = [(Box::from(&b"A"[..]), 3)];
        assert_eq!(doubtful(&both(true), &[None, None], &[], &three).len(), 2);
    }
}
