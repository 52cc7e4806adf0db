//! How a client proves who it is: the choice of a mechanism, and its messages.
//!
//! Exactly one mechanism is tried in a login: every refused attempt may count towards a lock-out.
//! [`choose`] takes the strongest that the server offers and the credentials at hand allow; an
//! [`Exchange`] makes its messages.  The server's messages are hostile input.  Pure.

mod apop;
mod exchange;
mod refusal;
mod scram;

pub use apop::{challenge as apop_challenge, digest as apop_digest};
pub use exchange::{Exchange, ExchangeError, Identity};

use crate::secret::Secret;

/// What a login is proven by.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A password.
    Password(Secret),
    /// An OAuth 2.0 access token.
    Token(Secret),
    /// The certificate of the TLS connection, and nothing else.
    Certificate,
}

impl Credentials {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Credentials::Password(_) => "a password",
            Credentials::Token(_) => "a token",
            Credentials::Certificate => "a certificate",
        }
    }
}

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM-SHA-256 (RFC 7677): the password is not sent, and the server proves that it knows it.
    ScramSha256,
    /// SCRAM-SHA-1 (RFC 5802): the same.
    ScramSha1,
    /// CRAM-MD5 (RFC 2195): the password is not sent.
    CramMd5,
    /// SASL PLAIN (RFC 4616): name and password in one message.
    Plain,
    /// LOGIN (draft-murchison-sasl-login): name and password in two messages.
    Login,
    /// The USER and PASS commands (RFC 1939 §7).
    UserPass,
    /// OAUTHBEARER (RFC 7628): an access token.
    OAuthBearer,
    /// XOAUTH2, the older form of OAUTHBEARER.
    XOAuth2,
    /// EXTERNAL (RFC 4422): the client certificate of the connection.
    External,
    /// APOP (RFC 1939 §7): MD5 of a challenge and the password, which no longer protects it.
    Apop,
}

/// What a server offers before the login, and how it is connected.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Whether it announced anything; a server without CAPA may know any mechanism.
    pub announced: bool,
    /// Whether it announced USER.
    pub user: bool,
    /// The SASL mechanisms that it announced, in capitals.
    pub sasl: &'a [String],
    /// Whether its greeting has a challenge for APOP that can be trusted.
    pub apop: bool,
    /// What is sent cannot be read on the way: TLS, or a private network.
    pub is_private: bool,
}

use Mechanism::{Apop, CramMd5, External, Login, OAuthBearer, Plain, ScramSha1, ScramSha256, UserPass, XOAuth2};

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Mechanism; 10] =
        [ScramSha256, ScramSha1, CramMd5, Plain, Login, UserPass, OAuthBearer, XOAuth2, External, Apop];

    /// What is chosen from by default, the preferred ones first.
    fn automatic(credentials: &Credentials) -> &'static [Mechanism] {
        match credentials {
            Credentials::Password(_) => &[ScramSha256, ScramSha1, CramMd5, Plain, Login, UserPass],
            Credentials::Token(_) => &[OAuthBearer, XOAuth2],
            Credentials::Certificate => &[External],
        }
    }

    /// The name in the configuration, such as `plain`.
    pub fn name(self) -> &'static str {
        match self {
            ScramSha256 => "scram-sha-256",
            ScramSha1 => "scram-sha-1",
            CramMd5 => "cram-md5",
            Plain => "plain",
            Login => "login",
            UserPass => "user",
            OAuthBearer => "oauthbearer",
            XOAuth2 => "xoauth2",
            External => "external",
            Apop => "apop",
        }
    }

    /// The name in SASL, for SASL mechanisms.
    pub fn sasl_name(self) -> &'static str {
        match self {
            ScramSha256 => "SCRAM-SHA-256",
            ScramSha1 => "SCRAM-SHA-1",
            CramMd5 => "CRAM-MD5",
            Plain => "PLAIN",
            Login => "LOGIN",
            UserPass => "USER",
            OAuthBearer => "OAUTHBEARER",
            XOAuth2 => "XOAUTH2",
            External => "EXTERNAL",
            Apop => "APOP",
        }
    }

    /// Whether an eavesdropper learns enough to log in.
    pub fn is_clear_text(self) -> bool {
        matches!(self, Plain | Login | UserPass | OAuthBearer | XOAuth2)
    }

    /// Whether it works with this kind of credentials.
    pub fn takes(self, credentials: &Credentials) -> bool {
        match self {
            OAuthBearer | XOAuth2 => matches!(credentials, Credentials::Token(_)),
            External => matches!(credentials, Credentials::Certificate),
            _ => matches!(credentials, Credentials::Password(_)),
        }
    }

    fn is_offered(self, offer: &Offer<'_>) -> bool {
        match self {
            // A server without CAPA is an old one, and those know USER and PASS.  Some announce
            // only SASL or neither, and accept it all the same.
            UserPass => offer.user || !offer.announced || offer.sasl.is_empty(),
            Apop => offer.apop,
            _ => offer.sasl.iter().any(|name| name == self.sasl_name()),
        }
    }

    /// Whether the credentials can be put into its messages: most take text alone.
    fn can_send(self, credentials: &Credentials) -> bool {
        match (self, credentials) {
            (Plain | UserPass | Apop, _) | (_, Credentials::Certificate) => true,
            (_, Credentials::Password(secret) | Credentials::Token(secret)) => {
                std::str::from_utf8(secret.expose()).is_ok()
            }
        }
    }
}

/// The mechanism for this login: the first of `wanted` that the server offers and the credentials
/// allow.  A single wanted one is taken whether or not it is offered, and whether or not it can send
/// the secret: its exchange reports that.  If none is wanted, the strongest is taken, but none that
/// could be read on the way.
pub fn choose(wanted: &[Mechanism], credentials: &Credentials, offer: &Offer<'_>) -> Option<Mechanism> {
    let fits = |mechanism: &Mechanism| mechanism.takes(credentials) && mechanism.can_send(credentials);
    match wanted {
        [only] => Some(*only).filter(|mechanism| mechanism.takes(credentials)),
        [] => Mechanism::automatic(credentials)
            .iter()
            .copied()
            .filter(fits)
            .filter(|mechanism| offer.is_private || !mechanism.is_clear_text())
            .find(|mechanism| mechanism.is_offered(offer)),
        _ => wanted.iter().copied().filter(fits).find(|mechanism| mechanism.is_offered(offer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password() -> Credentials {
        Credentials::Password(Secret::new(b"pw".to_vec()))
    }

    fn offered(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_first_offered_mechanism_is_chosen() {
        for (wanted, announced, user, sasl, chosen) in [
            (&[][..], true, true, &["LOGIN", "PLAIN"][..], Some(Plain)),
            (&[], true, true, &["PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"], Some(ScramSha256)),
            (&[], true, true, &["PLAIN", "CRAM-MD5"], Some(CramMd5)),
            (&[], true, true, &[], Some(UserPass)),
            (&[], false, false, &[], Some(UserPass)),
            (&[], true, false, &[], Some(UserPass)),
            (&[], true, false, &["GSSAPI"], None),
            (&[], true, false, &["XOAUTH2", "EXTERNAL"], None),
            (&[UserPass, Plain], true, true, &["PLAIN"], Some(UserPass)),
            (&[UserPass, Plain], true, false, &["PLAIN"], Some(Plain)),
            (&[Plain], true, true, &[], Some(Plain)),
            (&[XOAuth2], true, true, &["XOAUTH2"], None),
            (&[Apop], true, true, &["PLAIN"], Some(Apop)),
            (&[Apop, Plain], true, true, &["PLAIN"], Some(Plain)),
        ] {
            let sasl = &offered(sasl)[..];
            let offer = Offer { announced, user, sasl, apop: false, is_private: true };
            assert_eq!(choose(wanted, &password(), &offer), chosen, "{wanted:?} {user} {sasl:?}");
        }
    }

    #[test]
    fn nothing_that_can_be_read_is_chosen_by_itself_where_it_can_be_read() {
        let all = offered(&["PLAIN", "LOGIN", "CRAM-MD5", "OAUTHBEARER", "XOAUTH2"]);
        let offer = |sasl| Offer { announced: true, user: true, sasl, apop: false, is_private: false };
        assert_eq!(choose(&[], &password(), &offer(&all)), Some(CramMd5));
        assert_eq!(choose(&[], &password(), &offer(&all[..2])), None);
        assert_eq!(choose(&[], &Credentials::Token(Secret::new(b"t".to_vec())), &offer(&all)), None);
        // The operator may know better.
        assert_eq!(choose(&[Plain], &password(), &offer(&all)), Some(Plain));
    }

    #[test]
    fn the_proof_decides_too() {
        let all = offered(&["PLAIN", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "EXTERNAL"]);
        let offer = Offer { announced: true, user: true, sasl: &all, apop: false, is_private: true };
        assert_eq!(choose(&[], &Credentials::Token(Secret::new(b"t".to_vec())), &offer), Some(OAuthBearer));
        assert_eq!(choose(&[], &Credentials::Certificate, &offer), Some(External));
        // SCRAM knows text alone; PLAIN sends what it is given.
        let octets = Credentials::Password(Secret::new(vec![0xff]));
        assert_eq!(choose(&[], &octets, &offer), Some(Plain));
        assert_eq!(choose(&[ScramSha256, Plain], &octets, &offer), Some(Plain));
        assert_eq!(choose(&[ScramSha256], &octets, &offer), Some(ScramSha256));
    }
}
