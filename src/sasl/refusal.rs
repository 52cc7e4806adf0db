//! Why a server refuses, where the mechanism has a place for it: words for people, which cannot
//! contain any part of a secret.

use crate::text;

/// Octets of a word of SCRAM that are shown.
const WORD_LIMIT: usize = 40;

/// The word after `e=` (RFC 5802 §7), such as `invalid-proof`.  An extension may follow it.
pub(super) fn of_scram(error: &[u8]) -> String {
    text::escape(error.split(|&octet| octet == b',').next().unwrap_or_default(), WORD_LIMIT)
}

/// Reads the JSON object that refuses a token (RFC 7628 §3.2.2; the older XOAUTH2 has a number as in
/// HTTP).  `None` if it says nothing that is known: nothing else of it is shown, since it may contain
/// the token.
pub(super) fn of_token(json: &[u8]) -> Option<String> {
    let object: serde_json::Value = serde_json::from_slice(json).ok()?;
    let status = object.get("status")?;
    let status = status.as_str().map(str::to_owned).or_else(|| status.as_u64().map(|number| number.to_string()))?;
    let words = match status.as_str() {
        // Google says 400 to an expired token.
        "400" | "401" | "invalid_token" => "the token is invalid or has expired",
        "403" | "insufficient_scope" => "the token does not allow this: it lacks the scope",
        "invalid_request" => "the server does not understand the token",
        _ => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said_in_words_and_nothing_else_is_shown() {
        let expired = Some("the token is invalid or has expired");
        for (json, want) in [
            (&br#"{"status":"401","schemes":"bearer","scope":"mail"}"#[..], expired),
            (br#"{"status":400}"#, expired),
            (br#"{"status":"invalid_token","openid-configuration":"https://example.org"}"#, expired),
            (br#"{"status":"insufficient_scope"}"#, Some("the token does not allow this: it lacks the scope")),
            (br#"{"status":"eyJhbGciOi"}"#, None),
            (br#"{"status":["401"]}"#, None),
            (br#"{"scope":"eyJhbGciOi"}"#, None),
            (b"[]", None),
            (b"", None),
            (b"\xff{", None),
        ] {
            assert_eq!(of_token(json).as_deref(), want, "{}", String::from_utf8_lossy(json));
        }
        assert_eq!(of_scram(b"invalid-proof,x=more"), "invalid-proof");
        assert_eq!(of_scram(b"\x1b[31m"), "\\x1b[31m");
    }
}
