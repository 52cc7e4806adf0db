//! How a client proves who it is: the choice of a mechanism, and its messages.
//!
//! A mechanism is one variant of [`Mechanism`] and one function for its messages.  Exactly one is
//! tried in a login: every refused attempt may count towards a lock-out.

mod plain;

pub use plain::initial_response;

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SASL PLAIN (RFC 4616): name and password in one message.
    Plain,
    /// The USER and PASS commands (RFC 1939 §7).
    UserPass,
}

/// What a server offers before the login.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Whether it said anything; a server without CAPA may know any of them.
    pub announced: bool,
    /// Whether it announced USER.
    pub user: bool,
    /// The SASL mechanisms that it announced, in capitals.
    pub sasl: &'a [String],
}

impl Mechanism {
    /// Every mechanism, the preferred ones first.
    pub const ALL: [Mechanism; 2] = [Mechanism::Plain, Mechanism::UserPass];

    /// The name in the configuration, as `plain`.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "plain",
            Mechanism::UserPass => "user",
        }
    }

    fn is_offered(self, offer: &Offer<'_>) -> bool {
        match self {
            Mechanism::Plain => offer.sasl.iter().any(|name| name == "PLAIN"),
            // A server without CAPA is an old one, and those know USER and PASS.  Some announce
            // SASL alone or nothing of the two, and take it all the same.
            Mechanism::UserPass => offer.user || !offer.announced || offer.sasl.is_empty(),
        }
    }
}

/// The mechanism for this login: the first of `wanted` (empty: [`Mechanism::ALL`]) that the
/// server offers.  A single wanted one is taken at its word, offered or not.
pub fn choose(wanted: &[Mechanism], offer: &Offer<'_>) -> Option<Mechanism> {
    match wanted {
        [only] => Some(*only),
        [] => Mechanism::ALL.into_iter().find(|mechanism| mechanism.is_offered(offer)),
        _ => wanted.iter().copied().find(|mechanism| mechanism.is_offered(offer)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_offered_mechanism_is_chosen() {
        use Mechanism::{Plain, UserPass};
        let none: &[String] = &[];
        let plain = &["LOGIN".to_owned(), "PLAIN".to_owned()][..];
        let other = &["GSSAPI".to_owned()][..];
        for (wanted, announced, user, sasl, chosen) in [
            (&[][..], true, true, plain, Some(Plain)),
            (&[], true, true, none, Some(UserPass)),
            (&[], false, false, none, Some(UserPass)),
            (&[], true, false, none, Some(UserPass)),
            (&[], true, false, other, None),
            (&[UserPass, Plain], true, true, plain, Some(UserPass)),
            (&[UserPass, Plain], true, false, plain, Some(Plain)),
            (&[Plain], true, true, none, Some(Plain)),
        ] {
            assert_eq!(choose(wanted, &Offer { announced, user, sasl }), chosen, "{wanted:?} {user} {sasl:?}");
        }
    }
}
