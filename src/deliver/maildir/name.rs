//! Names of files in a Maildir: unique, and showing which message they hold.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::machine::host_name;
use crate::message::{MessageKey, Origin, UnixTime};
use crate::text;

/// A file name: `SECONDS.MmicrosecondsPpidQcountIinstanceTtoken.host`.  Unique by its time and by
/// `word`, which is process and count ([`crate::filesystem::make_unique`]); INSTANCE stands for the state
/// directory; TOKEN is made from the account's origin, unique-id and occurrence, so that a lost state can be
/// rebuilt from the Maildir.
pub fn file_name(word: &str, instance: &str, origin: &Origin, key: &MessageKey) -> String {
    let (seconds, micros) = now();
    let (token, host) = (token(origin, key), host());
    format!("{seconds}.M{micros:06}{word}I{instance}T{token}.{host}")
}

/// 128 bits of SHA-256 over the account's origin, unique-id and occurrence, in hexadecimal.
pub fn token(origin: &Origin, key: &MessageKey) -> String {
    let mut hash = Sha256::new();
    for part in [origin.as_str().as_bytes(), key.uid(), &key.occurrence().to_be_bytes()] {
        // With its length, so that no two lists of parts look the same.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    text::hex(&hash.finalize()[..16])
}

/// The parts of a name that [`file_name`] has made, whatever sizes and flags other programs have
/// added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameParts<'n> {
    /// When the file was made.
    pub at: UnixTime,
    /// The instance word of its state directory.
    pub instance: &'n str,
    /// The token of its message.
    pub token: &'n str,
}

impl<'n> NameParts<'n> {
    /// Reads a name; `None` if it is not one of ours.
    pub fn of(name: &'n str) -> Option<Self> {
        let mut parts = name.split('.');
        let at = parts.next()?.parse().ok()?;
        let mut rest = parts.next()?;
        for mark in ['M', 'P', 'Q'] {
            rest = rest.strip_prefix(mark)?.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        // An instance may contain a T, a token never does.
        let (instance, token) = rest.strip_prefix('I')?.rsplit_once('T')?;
        let is_token = token.len() == 32 && token.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'));
        (is_token && !instance.is_empty()).then_some(Self { at, instance, token })
    }
}

/// Seconds and microseconds of the wall clock.
pub(super) fn now() -> (u64, u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs(), now.subsec_micros())
}

/// This host's name, fit for a file name, as it was at the first message.
fn host() -> &'static str {
    static HOST: LazyLock<String> = LazyLock::new(read_host);
    &HOST
}

fn read_host() -> String {
    let name = host_name();
    let name = String::from_utf8_lossy(&name);
    let fit: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    if fit.is_empty() { "localhost".to_owned() } else { fit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_message_whatever_others_have_added() {
        let origin = Origin::new("a").expect("an origin");
        let key = MessageKey::new(b"uid", 0).expect("a key");
        let token = token(&origin, &key);
        let name = file_name("P1Q2", "TI3mT9xI", &origin, &key);
        for added in ["", ":2,S", ",S=512,W=530:2,FS", ",U=7:2,"] {
            let name = format!("{name}{added}");
            let told = NameParts::of(&name).expect("one of ours");
            assert_eq!((told.instance, told.token), ("TI3mT9xI", token.as_str()), "{name}");
            assert!(told.at > 1_700_000_000);
        }
        for other in ["1700000000.M1P2.host", "1.M1P2Q3Imine.host", "dovecot.index", "1.M1P2Q3ImineTshort.host", ""] {
            assert_eq!(NameParts::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_token_tells_account_unique_id_and_occurrence_apart() {
        let name = |name| Origin::new(name).expect("an origin");
        let key = |uid: &[u8], occurrence| MessageKey::new(uid, occurrence).expect("a key");
        let tokens =
            [token(&name("a"), &key(b"bc", 0)), token(&name("ab"), &key(b"c", 0)), token(&name("a"), &key(b"bc", 1))];
        assert!(tokens[0] != tokens[1] && tokens[0] != tokens[2] && tokens[1] != tokens[2]);
        assert_eq!(tokens[0].len(), 32);
    }
}
