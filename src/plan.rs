//! What is done with each message of a maildrop, decided before anything is fetched.
//!
//! [`plan`] takes the server's listing, what the state knows, the account's [`Policy`] and the
//! time, and gives one [`Step`] per message with its [`Reason`].  It never plans a deletion that
//! the policy does not ask for, nor of a message that is not delivered everywhere.  Pure: the
//! clock and the network are the caller's.

use std::time::Duration;

/// What happens on the server to a message that has been delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted as soon as it is durable everywhere.
    Delete,
    /// It is deleted so long after its delivery.
    After(Duration),
}

/// What happens to mail that is there at the account's first poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// It is fetched.
    #[default]
    All,
    /// It is remembered as seen and left alone.
    None,
    /// What arrived within this time is fetched, older mail is left alone.
    Since(Duration),
}

/// What happens to a message above `max_size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Oversize {
    /// It stays on the server.
    #[default]
    Skip,
    /// Its header is delivered, and it stays on the server.
    Headers,
}

/// An account's wishes about its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// After delivery.
    pub retention: Retention,
    /// At the first poll.
    pub initial: Initial,
    /// Largest message to fetch, in octets; `None`: any.
    pub max_size: Option<u64>,
    /// For larger ones.
    pub oversize: Oversize,
    /// Messages to fetch in one poll; `None`: all.
    pub max_messages: Option<u32>,
}
