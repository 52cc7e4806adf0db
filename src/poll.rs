//! One poll of one account.

use std::time::Duration;

use crate::credential::SecretSource;
use crate::message::Name;
use crate::net::Endpoint;
use crate::plan::Policy;
use crate::sasl::Mechanism;

/// A mailbox to poll, and what to do with its mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name in the configuration.
    pub name: Name,
    /// Whether it is polled at all.
    pub enabled: bool,
    /// The server.
    pub endpoint: Endpoint,
    /// The user's name there.
    pub username: String,
    /// Where the password comes from.
    pub secret: SecretSource,
    /// Mechanisms to choose from, in this order; empty: automatic.
    pub auth: Vec<Mechanism>,
    /// What to do with its messages.
    pub policy: Policy,
    /// Destinations by name, at least one, each once.
    pub deliver: Vec<Name>,
    /// Time between polls.
    pub interval: Duration,
    /// Silence of the server that ends a poll.
    pub timeout: Duration,
    /// Time that a whole poll may take.
    pub deadline: Duration,
    /// Whether a `Received:` header is put before each message.
    pub received_header: bool,
}
