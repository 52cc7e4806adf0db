//! An account's settings: a mailbox to poll, the credentials for it, and what happens to its mail.

use std::sync::Arc;
use std::time::Duration;

use crate::credential::SecretSource;
use crate::message::Name;
use crate::net::Endpoint;
use crate::oauth::Grant;
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
    /// The user name there.
    pub username: String,
    /// What it logs in with.
    pub credential: Credential,
    /// Mechanisms to choose from, in this order; empty: automatic.
    pub auth: Vec<Mechanism>,
    /// What to do with its messages.
    pub policy: Policy,
    /// Destinations by name, at least one, each once.
    pub deliver: Vec<Name>,
    /// How long messages are remembered that the server no longer has.
    pub history: Duration,
    /// Time between polls.
    pub interval: Duration,
    /// Silence of the server that ends a poll.
    pub timeout: Duration,
    /// Time that a whole poll may take.
    pub deadline: Duration,
    /// Whether a `Received:` header is put before each message.
    pub received_header: bool,
}

/// What an account logs in with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// A password.
    Password(SecretSource),
    /// An OAuth 2.0 access token that another program keeps fresh.
    Token(SecretSource),
    /// An OAuth 2.0 access token that we keep fresh.
    OAuth(Arc<Grant>),
    /// The client certificate of the connection.
    Certificate,
}

impl Credential {
    /// Where its secret comes from, if we do not keep it ourselves.
    pub fn source(&self) -> Option<&SecretSource> {
        match self {
            Credential::Password(source) | Credential::Token(source) => Some(source),
            Credential::OAuth(_) | Credential::Certificate => None,
        }
    }

    /// The grant, if it is OAuth 2.0.
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Credential::OAuth(grant) => Some(grant),
            Credential::Password(_) | Credential::Token(_) | Credential::Certificate => None,
        }
    }
}
