//! How a client proves who it is: the choice of a mechanism, and its exchange.
//!
//! A mechanism is one variant of [`Mechanism`] and one file for its messages.

/// A way to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SASL PLAIN (RFC 4616): name and password in one message.
    Plain,
    /// The USER and PASS commands (RFC 1939 §7).
    UserPass,
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
}
