//! Small validated types of the mail domain: no I/O, nothing that can fail late.
//!
//! A unique-id is raw bytes (RFC 1939 §7 allows 1 to 70 octets of 0x21-0x7E; real servers send
//! more, with spaces and 8-bit bytes), so it is bounded here and never taken for text.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use crate::text;

/// Octets that a unique-id may have.  RFC 1939 says 70; servers with several hundred exist.
pub const UNIQUE_ID_LIMIT: usize = 512;

/// The beginning of a key that is made from the message's content, where the server gives no unique-id.
pub const CONTENT_UID_PREFIX: &[u8] = b"blake3:";

/// The end of the unique-id in a key that has been set apart ([`MessageKey::apart`]): no line of UIDL
/// contains this octet.
const APART: u8 = b'\n';

/// The unique-id as the server sent it, even of a key that was set apart.
pub fn unique_id(uid: &[u8]) -> &[u8] {
    uid.split(|octet| *octet == APART).next().unwrap_or_default()
}

/// The number of a message within one POP3 session (RFC 1939 §5), counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The number, unless it is zero.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// As an integer, at least one.
    pub fn value(self) -> u32 {
        self.0.into()
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What names one message of a maildrop across sessions: its unique-id, and which of the
/// messages with that unique-id it is (0 for the first; identical copies may share one).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageKey {
    uid: Box<[u8]>,
    occurrence: u32,
}

impl MessageKey {
    /// The key, if the unique-id has 1 to [`UNIQUE_ID_LIMIT`] octets.
    pub fn new(uid: &[u8], occurrence: u32) -> Option<Self> {
        Self::of_octets(uid.into(), occurrence)
    }

    /// The same from octets that need not be copied.
    pub fn of_octets(uid: Box<[u8]>, occurrence: u32) -> Option<Self> {
        (1..=UNIQUE_ID_LIMIT).contains(&uid.len()).then_some(Self { uid, occurrence })
    }

    /// The key of a message that has no unique-id: its BLAKE3 hash, and which of the messages with
    /// this content it is.
    pub fn of_content(digest: &[u8; 32], occurrence: u32) -> Self {
        Self { uid: [CONTENT_UID_PREFIX, text::hex(digest).as_bytes()].concat().into(), occurrence }
    }

    /// A key for the same message that no listing can have, for when the server has given its
    /// unique-id to another message.  `distinction` keeps it distinct from others that had the same.
    #[must_use]
    pub fn apart(&self, distinction: u64) -> Self {
        let uid = unique_id(&self.uid);
        let room = UNIQUE_ID_LIMIT - 21;
        let mut apart = uid[..uid.len().min(room)].to_vec();
        apart.push(APART);
        apart.extend_from_slice(distinction.to_string().as_bytes());
        Self { uid: apart.into(), occurrence: self.occurrence }
    }

    /// Whether it was set apart.
    pub fn is_apart(&self) -> bool {
        self.uid.contains(&APART)
    }

    /// The unique-id as the server sent it, with the suffix of a key that was set apart.
    pub fn uid(&self) -> &[u8] {
        &self.uid
    }

    /// 0 for the first message with this unique-id, 1 for the second, ...
    pub fn occurrence(&self) -> u32 {
        self.occurrence
    }
}

impl fmt::Display for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::escape(unique_id(&self.uid), 80))?;
        match self.occurrence {
            0 => Ok(()),
            n => write!(f, " (copy {})", n + 1),
        }
    }
}

impl fmt::Debug for MessageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageKey({self})")
    }
}

/// The name of an account or destination: 1 to 64 characters out of `A-Z a-z 0-9 . _ @ + -`,
/// so that it is safe in logs, tables and file names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name, if it is valid.
    pub fn new(name: &str) -> Option<Self> {
        let good = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
        ((1..=64).contains(&name.len()) && name.chars().all(good) && !name.starts_with(['.', '-']))
            .then(|| Self(name.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The word that stands for an account in the tokens of its files' names: at first its name.  It stays when the
/// account is renamed, so that the files go on showing whose they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

/// Separates the name from the word that makes an origin unlike any name; no name contains it.
const ORIGIN_MARK: char = '#';

/// Octets of an origin at most: a name, the mark and a word.
const ORIGIN_LIMIT: usize = 64 + 1 + 16;

impl Origin {
    /// That of an account which was never renamed.
    pub fn of(name: &Name) -> Self {
        Self(Arc::clone(&name.0))
    }

    /// The origin, if it is a name, with or without a word behind it.
    pub fn new(text: &str) -> Option<Self> {
        let (name, word) = text.split_once(ORIGIN_MARK).unwrap_or((text, "0"));
        let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
        (text.len() <= ORIGIN_LIMIT && is_word && Name::new(name).is_some()).then(|| Self(text.into()))
    }

    /// Another one for the same name.
    #[must_use]
    pub fn with(&self, word: &str) -> Self {
        let name = self.0.split(ORIGIN_MARK).next().unwrap_or_default();
        Self(format!("{name}{ORIGIN_MARK}{word}").into())
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// 128 bits of SHA-256 over the header fields that identify a message, by which it is recognised
/// under another unique-id.
pub type Fingerprint = [u8; 16];

/// Seconds since 1970-01-01T00:00:00Z: the form in which times are recorded.
pub type UnixTime = i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_id_is_bounded() {
        assert!(MessageKey::new(b"", 0).is_none());
        assert!(MessageKey::new(&[b'x'; UNIQUE_ID_LIMIT], 0).is_some());
        assert!(MessageKey::new(&[b'x'; UNIQUE_ID_LIMIT + 1], 0).is_none());
    }

    #[test]
    fn a_unique_id_is_shown_without_control_bytes() {
        let key = MessageKey::new(b"a\x1b[2J\xff", 1).expect("valid");
        assert_eq!(key.to_string(), "a\\x1b[2J\\xff (copy 2)");
    }

    #[test]
    fn a_key_that_was_set_apart_is_none_that_a_server_can_send_and_is_shown_as_it_was() {
        for uid in [&b"1"[..], &[b'x'; UNIQUE_ID_LIMIT]] {
            let key = MessageKey::new(uid, 3).expect("valid");
            let apart = key.apart(u64::MAX);
            assert!(apart.uid().contains(&b'\n') && apart.uid().len() <= UNIQUE_ID_LIMIT);
            assert_eq!(apart.occurrence(), 3);
            assert_eq!(apart.to_string(), key.to_string());
            assert_ne!(apart, key.apart(0));
            assert_eq!(apart.apart(0), key.apart(0), "setting it apart twice adds nothing");
        }
    }

    #[test]
    fn a_name_cannot_leave_its_line_or_folder() {
        for bad in ["", "a b", "../x", "a/b", "a\n", "-c", "ä"] {
            assert!(Name::new(bad).is_none(), "{bad:?}");
        }
        assert!(Name::new("alice@isp.example").is_some());
    }

    #[test]
    fn an_origin_is_a_name_or_one_with_a_word_that_no_name_has() {
        let name = Name::new("work").expect("a name");
        let other = Origin::of(&name).with("x7").with("y8");
        assert_eq!((other.as_str(), Name::new(other.as_str())), ("work#y8", None));
        for good in ["work", "work#y8"] {
            assert_eq!(Origin::new(good).expect(good).as_str(), good);
        }
        for bad in ["", "#y8", "work#", "work#y 8", "work#y#8", "a\tb", "a/b", &"w".repeat(82)] {
            assert_eq!(Origin::new(bad), None, "{bad:?}");
        }
    }
}
