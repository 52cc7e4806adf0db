//! The tokens of an account, and the format of their file.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::protocol::Answer;
use crate::message::UnixTime;
use crate::secret::Secret;

/// The version of the format that is written and read.
const VERSION: u32 = 1;

/// A token is used only if it is valid for this many seconds more: room for a poll, a slow server and
/// a clock that is slightly wrong.
const MARGIN: UnixTime = 120;

/// The assumed lifetime of a token that comes without one; a server that disagrees refuses it, and
/// then it is renewed.
const LIFETIME: UnixTime = 3600;

/// The longest lifetime that a provider can announce: more is a mistake.
const LONGEST: UnixTime = 366 * 86_400;

/// The tokens of an account.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tokens {
    version: u32,
    /// The client, endpoint and scopes that they belong to.
    pub(super) client: String,
    /// A word that identifies the sign-in that they come from.
    pub(super) sign_in: String,
    obtained: UnixTime,
    expires: UnixTime,
    #[serde(serialize_with = "write", deserialize_with = "read")]
    access_token: Secret,
    #[serde(serialize_with = "write", deserialize_with = "read")]
    pub(super) refresh_token: Secret,
}

impl Tokens {
    /// The tokens of a new sign-in; `None` without a refresh token.
    pub(super) fn new(client: String, sign_in: String, answer: Answer, now: UnixTime) -> Option<Self> {
        let expires = expiry(&answer, now);
        let Answer { access: access_token, refresh, .. } = answer;
        let version = VERSION;
        Some(Self { version, client, sign_in, obtained: now, expires, access_token, refresh_token: refresh? })
    }

    /// The tokens after a renewal.
    pub(super) fn renewed(&self, answer: Answer, now: UnixTime) -> Self {
        let expires = expiry(&answer, now);
        let Answer { access: access_token, refresh, .. } = answer;
        let refresh_token = refresh.unwrap_or_else(|| self.refresh_token.clone());
        Self { obtained: now, expires, access_token, refresh_token, ..self.clone() }
    }

    /// The access token, unless it is about to expire or is the one that a server has refused.  If the
    /// clock was set back, its age is unknown, and it is not used.
    pub(super) fn usable(&self, now: UnixTime, refused: Option<&Secret>) -> Option<&Secret> {
        let is_fresh = now.saturating_add(MARGIN) < self.expires && now.saturating_add(MARGIN) >= self.obtained;
        (is_fresh && refused != Some(&self.access_token)).then_some(&self.access_token)
    }

    /// The access token, whatever its age.
    pub(super) fn access(&self) -> &Secret {
        &self.access_token
    }

    /// The content of the file.
    pub(super) fn encoded(&self) -> Zeroizing<Vec<u8>> {
        // Large enough not to move, which would leave a copy behind.
        let room = 1024 + 6 * (self.access_token.expose().len() + self.refresh_token.expose().len());
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        // Strings and numbers can always be serialized.
        let _ = serde_json::to_writer(&mut *text, self);
        text.push(b'\n');
        text
    }

    /// Parses the content of the file; `None` if it is anything else.
    pub(super) fn decoded(text: &[u8]) -> Option<Self> {
        let tokens: Self = serde_json::from_slice(text).ok()?;
        (tokens.version == VERSION && !tokens.refresh_token.expose().is_empty()).then_some(tokens)
    }
}

fn expiry(answer: &Answer, now: UnixTime) -> UnixTime {
    let lifetime = answer.lifetime.map_or(LIFETIME, |time| UnixTime::try_from(time.as_secs()).unwrap_or(LONGEST));
    now.saturating_add(lifetime.min(LONGEST))
}

fn write<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(std::str::from_utf8(secret.expose()).map_err(serde::ser::Error::custom)?)
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    Ok(Secret::new(String::deserialize(deserializer)?.into_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    fn tokens(lifetime: Option<u64>) -> Tokens {
        let refresh = Some(secret("r1"));
        let answer = Answer { access: secret("a1"), refresh, lifetime: lifetime.map(Duration::from_secs) };
        Tokens::new("client".into(), "word".into(), answer, 1000).expect("a refresh token")
    }

    #[test]
    fn a_token_is_used_while_it_is_good_and_not_refused() {
        for (lifetime, now, want) in [
            (Some(3600), 1000, true),
            (Some(3600), 1000 + 3600 - 121, true),
            (Some(3600), 1000 + 3600 - 120, false),
            (Some(3600), 9999, false),
            // The clock was set back: a little, and a lot.
            (Some(3600), 900, true),
            (Some(3600), 500, false),
            (Some(60), 1000, false),
            (None, 1000 + 3000, true),
            (None, 1000 + 3600, false),
            (Some(u64::MAX), 1000 + LONGEST - 121, true),
            (Some(u64::MAX), 1000 + LONGEST, false),
        ] {
            assert_eq!(tokens(lifetime).usable(now, None).is_some(), want, "{lifetime:?} {now}");
        }
        let good = tokens(Some(3600));
        assert!(good.usable(1000, Some(&secret("a0"))).is_some());
        assert!(good.usable(1000, Some(&secret("a1"))).is_none());
    }

    #[test]
    fn a_refresh_token_stays_until_another_comes() {
        let answer =
            |refresh: Option<&str>| Answer { access: secret("a2"), refresh: refresh.map(secret), lifetime: None };
        let before = tokens(None);
        assert_eq!(before.renewed(answer(None), 1).refresh_token, secret("r1"));
        assert_eq!(before.renewed(answer(Some("r2")), 1).refresh_token, secret("r2"));
        assert!(Tokens::new("c".into(), "w".into(), answer(None), 1).is_none());
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let text = tokens(Some(3600)).encoded();
        let read = Tokens::decoded(&text).expect("as written");
        assert_eq!((read.access(), &read.refresh_token, read.expires), (&secret("a1"), &secret("r1"), 4600));
        for cut in 0..text.len() - 1 {
            assert!(Tokens::decoded(&text[..cut]).is_none(), "{cut}");
        }
        let other = String::from_utf8_lossy(&text).replace("\"version\":1", "\"version\":2");
        assert!(Tokens::decoded(other.as_bytes()).is_none());
        assert!(!format!("{read:?}").contains("a1"), "{read:?}");
    }
}
