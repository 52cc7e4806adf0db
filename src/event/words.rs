//! What events tell of polls, servers and messages.

use crate::failure::Class;

/// What a poll has counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that the server listed.
    pub listed: u64,
    /// Messages delivered everywhere they should go.
    pub delivered: u64,
    /// Their octets, as stored.
    pub octets: u64,
    /// Messages deleted on the server, confirmed.
    pub deleted: u64,
    /// Messages that wait on the server and that the state knows nothing of.
    pub waiting: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Messages left on the server because of their size.
    pub too_large: u64,
    /// Messages left on the server since they were there before the first poll.
    pub ignored: u64,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Step and cause.
    pub text: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// Its kind.
    pub class: Class,
}

/// Why a message is left on the server, and never fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftBehind {
    /// It is larger than `max-size`.
    TooLarge,
    /// The server gives it no usable unique-id.
    Nameless,
}

/// Why a server gets one command at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStep {
    /// It mixes up its answers.
    OutOfStep,
    /// It left several commands unanswered.
    Unanswered,
}

/// Why a session has not ended with a QUIT that the server has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoQuit {
    /// It was not sent: the server deletes what was retrieved, and not all of that is delivered.
    Withheld,
    /// The server refused it.
    Refused(String),
    /// The server did not answer.
    Unanswered,
}
