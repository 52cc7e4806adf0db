//! Secrets of a dialogue, to be recognised in what a server says, however it encodes them.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text;

/// Octets in a row that give a secret away, as it is or encoded: a server may repeat a part of it.
const ROW: usize = 8;

/// The shortest secret that is hidden: a shorter one could not be told from common words.
const SHORTEST: usize = 4;

/// Separators of the fields of a login message: the last field is the secret.
const SEPARATORS: [u8; 4] = [0, 1, b' ', b','];

/// Replaces a server's text that must not be shown.
pub(crate) const NOT_SHOWN: &str = "(its answer repeats what it was sent, and is not shown)";

/// Secrets in every encoding, in lower case: some servers shout.
#[derive(Clone, Default)]
pub(crate) struct Hidden {
    /// Each with how many of its octets in a row give it away.
    forms: Vec<(Zeroizing<Vec<u8>>, usize)>,
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

impl Hidden {
    /// Hides a secret, as it is and in base64, hexadecimal and the encodings of URLs.
    pub(crate) fn add(&mut self, secret: &[u8]) {
        if secret.len() < SHORTEST {
            return;
        }
        self.form(secret, ROW);
        self.form(&Zeroizing::new(text::hex(secret).into_bytes()), ROW);
        self.form(&escaped(secret, u8::is_ascii_alphanumeric), ROW);
        self.form(&escaped(secret, |octet| octet.is_ascii_alphanumeric() || b"-._~".contains(octet)), ROW);
        self.form(&escaped(secret, |_| false), ROW);
        for before in 0..3 {
            self.form(&in_base64(secret, before), ROW);
        }
    }

    /// Hides what was sent in a login: it is a secret, or holds one at its end in base64.
    pub(crate) fn add_sent(&mut self, sent: &[u8]) {
        // A shorter one could be a word; the secret in it is hidden separately.
        if sent.len() >= ROW {
            self.form(sent, ROW);
        }
        let Ok(decoded) = STANDARD.decode(sent).map(Zeroizing::new) else { return };
        let end = decoded.iter().rposition(|octet| *octet > 1).map_or(0, |at| at + 1);
        let proof = decoded[..end].rsplit(|octet| SEPARATORS.contains(octet)).next().unwrap_or_default();
        self.add(proof);
    }

    fn form(&mut self, form: &[u8], row: usize) {
        if !form.is_empty() {
            self.forms.push((Zeroizing::new(form.to_ascii_lowercase()), row.min(form.len())));
        }
    }

    /// A server's text, escaped, or [`NOT_SHOWN`] if it holds a secret.
    pub(crate) fn shown(&self, line: &[u8]) -> String {
        if self.is_in(line) { NOT_SHOWN.to_owned() } else { text::shown(line) }
    }

    /// Whether a line holds a secret, or a telling part of one.
    pub(crate) fn is_in(&self, line: &[u8]) -> bool {
        let line = Zeroizing::new(line.to_ascii_lowercase());
        let betrays = |(form, row): &(Zeroizing<Vec<u8>>, usize)| {
            line.windows(*row).any(|part| memchr::memmem::find(form, part).is_some())
        };
        !self.forms.is_empty() && self.forms.iter().any(betrays)
    }
}

/// Percent-encodes all octets but those that are `plain`.
fn escaped(secret: &[u8], plain: impl Fn(&u8) -> bool) -> Zeroizing<Vec<u8>> {
    let one = |octet: &u8| if plain(octet) { vec![*octet] } else { format!("%{octet:02x}").into_bytes() };
    Zeroizing::new(secret.iter().flat_map(one).collect())
}

/// The base64 digits that depend on the secret alone, with `before` octets, modulo 3, in front of it.
fn in_base64(secret: &[u8], before: usize) -> Zeroizing<Vec<u8>> {
    let padded = Zeroizing::new([&vec![0; before][..], secret].concat());
    let encoded = Zeroizing::new(STANDARD.encode(&*padded).into_bytes());
    // A digit has six bits: the first and the last may be shared with the octets beside it.
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    Zeroizing::new(encoded.get(first..last).unwrap_or_default().to_vec())
}
