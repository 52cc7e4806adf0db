//! Messages that are recognised although the server gives them other unique-ids: it was migrated, or
//! its index was rebuilt.

use std::collections::HashMap;

use crate::message::{Fingerprint, MessageKey, UnixTime};

/// A message that is remembered and not in the listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The key that it was known by.
    pub key: MessageKey,
    /// The BLAKE3 hash of its content, if that was seen.
    pub digest: Option<[u8; 32]>,
    /// The digest of its header, if that identifies it.
    pub fingerprint: Option<Fingerprint>,
    /// It was there before the first poll and was left alone.
    pub ignored: bool,
    /// The last listing did not have it either.
    pub was_missing: bool,
    /// Its size by LIST, when it was last known to be this message.
    pub listed: Option<u64>,
}

/// After this many seconds a missing message is no longer a sign that its server was migrated: it was
/// deleted elsewhere, or the answer to a QUIT was lost.
const STALE: i64 = 7 * 24 * 3600;

/// A message that has been missing since before this time is no longer a sign of a migration.
pub fn stale_since(now: UnixTime) -> UnixTime {
    now.saturating_sub(STALE)
}

/// Whether a server seems to have given its messages other unique-ids: most of what it lists is
/// `unknown`, and most of what it listed before (`remembered`) is `missing`.  A guess that costs
/// no more than a look at the headers: what is not matched is new.
pub fn has_migrated(listed: usize, unknown: usize, remembered: usize, missing: usize) -> bool {
    let is_most = |part: usize, whole: usize| part > 0 && part * 2 >= whole;
    is_most(unknown, listed) && is_most(missing, remembered)
}

/// Up to this many matches of different size are always dropped: their content can be compared.
const FEW: usize = 16;

/// Matches new messages with missing ones by the digests of their headers, and returns pairs of their
/// indexes, the missing one first.  Where several messages have the same header, none of them is matched;
/// their content has to decide.  The same holds where the sizes differ, unless they differ for most pairs:
/// then the server counts sizes in another way now.
pub fn match_headers(missing: &[Missing], new: &[(Option<Fingerprint>, Option<u64>)]) -> Vec<(usize, usize)> {
    let old = unique(missing.iter().map(|missing| missing.fingerprint));
    let sizes: Vec<Option<u64>> = new.iter().map(|(_, octets)| *octets).collect();
    let new = unique(new.iter().map(|(fingerprint, _)| *fingerprint));
    let pair =
        |(fingerprint, to): (&Fingerprint, &Option<usize>)| Some((old.get(fingerprint).copied().flatten()?, (*to)?));
    let mut pairs: Vec<(usize, usize)> = new.iter().filter_map(pair).collect();
    let differs = |&(from, to): &(usize, usize)| matches!((missing[from].listed, sizes[to]), (Some(before), Some(now)) if before != now);
    let differing = pairs.iter().filter(|pair| differs(pair)).count();
    if differing <= FEW || differing * 2 <= pairs.len() {
        pairs.retain(|pair| !differs(pair));
    }
    pairs
}

/// For each fingerprint the index of the one message that has it; `None` if several have it.
fn unique(all: impl Iterator<Item = Option<Fingerprint>>) -> HashMap<Fingerprint, Option<usize>> {
    let mut unique = HashMap::new();
    for (index, fingerprint) in all.enumerate() {
        if let Some(fingerprint) = fingerprint {
            unique.entry(fingerprint).and_modify(|one| *one = None).or_insert(Some(index));
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(uid: &str) -> MessageKey {
        MessageKey::new(uid.as_bytes(), 0).expect("a key")
    }

    fn missing(uid: &str, fingerprint: u8) -> Missing {
        let fingerprint = Some([fingerprint; 16]);
        Missing { key: key(uid), digest: None, fingerprint, ignored: false, was_missing: false, listed: None }
    }

    #[test]
    fn most_must_be_unknown_and_most_must_be_missing() {
        assert!(has_migrated(10_005, 10_005, 10_000, 10_000));
        assert!(has_migrated(1, 1, 1, 1));
        // A window that has moved on, a mailbox that was emptied, an ordinary day.
        for (listed, unknown, remembered, missing) in
            [(100, 5, 100, 60), (0, 0, 10, 10), (50, 50, 1000, 0), (3, 1, 3, 3)]
        {
            assert!(!has_migrated(listed, unknown, remembered, missing), "{listed} {unknown} {remembered} {missing}");
        }
    }

    #[test]
    fn one_header_of_each_side_is_a_match_and_several_are_none() {
        let old = [missing("a", 1), missing("b", 2), missing("c", 2), missing("d", 3)];
        let new = [Some([4; 16]), Some([2; 16]), Some([3; 16]), None, Some([3; 16]), Some([1; 16])];
        assert_eq!(match_headers(&old, &new.map(|fingerprint| (fingerprint, Some(1)))), [(0, 5)]);
    }

    #[test]
    fn of_another_size_is_another_message_unless_all_are() {
        let old: Vec<Missing> = (0..40).map(|n| Missing { listed: Some(100), ..missing(&n.to_string(), n) }).collect();
        let new = |differing: u8| -> Vec<_> {
            (0..40).map(|n| (Some([n; 16]), Some(if n < differing { 101 } else { 100 }))).collect()
        };
        for (differing, matched) in [(0, 40), (1, 39), (16, 24), (20, 20), (21, 40), (40, 40)] {
            assert_eq!(match_headers(&old, &new(differing)).len(), matched, "{differing}");
        }
        assert_eq!(match_headers(&old[..1], &new(1)), [], "its content can be compared");
    }
}
