//! What is remembered of destinations that do not work, and of messages that they refuse.

use crate::message::{MessageKey, Name, UnixTime};

/// A destination that has failed, and has not worked since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationTrouble {
    /// Its name.
    pub name: Name,
    /// Distinguishes the settings that it failed with from others.
    pub settings: [u8; 32],
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The kind of the error, as an exit code.
    pub exit_code: u8,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub since: UnixTime,
    /// It is not tried before this.
    pub until: UnixTime,
    /// It failed at messages, several of which it treated alike.
    pub at_messages: bool,
}

/// A message that a destination has refused without saying that its content is why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubted {
    /// The message.
    pub key: MessageKey,
    /// The destination.
    pub destination: Name,
    /// The destination has accepted another message since: it is the message that is refused.
    pub is_its_own: bool,
}
