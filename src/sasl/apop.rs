//! APOP (RFC 1939 §7): the greeting's timestamp and the password, hashed together.
//!
//! MD5 is broken, and a server that chooses its challenges can find out the password; the strict
//! check of the challenge makes that harder, and TLS protects against everyone else.

use md5::{Digest, Md5};

use crate::secret::Secret;
use crate::text;

/// Most octets of a challenge.
const LIMIT: usize = 250;

/// The challenge in a greeting: a message-id of printable ASCII, `<...@...>`, and only one.
pub fn challenge(greeting: &str) -> Option<&str> {
    let start = greeting.find('<')?;
    let end = start + greeting[start..].find('>')? + 1;
    let (challenge, rest) = (&greeting[start..end], &greeting[end..]);
    let inner = &challenge[1..challenge.len() - 1];
    let (local, domain) = inner.split_once('@')?;
    let is_sane = challenge.len() <= LIMIT
        && !local.is_empty()
        && !domain.is_empty()
        && inner.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'<')
        && !domain.contains('@')
        && !rest.contains('<');
    is_sane.then_some(challenge)
}

/// The digest that answers it, in hexadecimal.
pub fn digest(challenge: &str, password: &Secret) -> String {
    let mut hash = Md5::new();
    hash.update(challenge.as_bytes());
    hash.update(password.expose());
    text::hex(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_rfc_1939() {
        let greeting = "POP3 server ready <1896.697170952@dbc.mtview.ca.us>";
        let challenge = challenge(greeting).expect("one");
        let digest = digest(challenge, &Secret::new(b"tanstaaf".to_vec()));
        assert_eq!(digest, "c4c9334bac560ecc979e58001b3e22fb");
    }

    #[test]
    fn only_a_message_id_is_a_challenge() {
        let long = format!("<{}@x>", "a".repeat(LIMIT));
        for bad in
            ["ready", "<>", "<a>", "<@>", "<a@>", "<a b@c>", "<a@b@c>", "<a\u{e9}@b>", "<a@b> <c@d>", "<<a@b>", &long]
        {
            assert_eq!(challenge(bad), None, "{bad}");
        }
    }
}
