//! What is not delivered, and which destinations do not work, as clients receive it.

use serde::{Deserialize, Serialize};

use crate::message::UnixTime;
use crate::store::{self, DestinationTrouble};

/// What is to become of messages that are not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// They are tried again by themselves.
    Deferred,
    /// They are left to the operator.
    Quarantined,
}

/// Messages of an account that are not delivered to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Undelivered {
    /// The destination.
    pub destination: String,
    /// What is to become of them.
    pub state: Standing,
    /// How many.
    pub messages: u64,
    /// Why the last of them was not delivered, in the words of whoever refused it.
    pub cause: Option<String>,
    /// The unique-id of that one, escaped.
    #[serde(default)]
    pub uid: String,
    /// Since when the first of them has waited.
    pub since: UnixTime,
    /// When the first of them is tried again.
    pub next_try: Option<UnixTime>,
}

impl From<store::Undelivered> for Undelivered {
    fn from(one: store::Undelivered) -> Self {
        let store::Undelivered { destination, quarantined, messages, cause, uid, since, next_try, .. } = one;
        let state = if quarantined { Standing::Quarantined } else { Standing::Deferred };
        Self { destination: destination.to_string(), state, messages, cause, uid, since, next_try }
    }
}

/// A destination that does not work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DestinationStatus {
    /// Its name.
    pub destination: String,
    /// What went wrong.
    pub error: String,
    /// What to do about it.
    pub advice: Option<String>,
    /// The kind of the error, as in sysexits(3).
    pub exit_code: u8,
    /// Failures in a row.
    pub failures: u32,
    /// When the first of them was.
    pub since: UnixTime,
    /// It is not tried before this.
    pub next_try: UnixTime,
}

impl From<DestinationTrouble> for DestinationStatus {
    fn from(trouble: DestinationTrouble) -> Self {
        let DestinationTrouble { name, error, advice, exit_code, failures, since, until, .. } = trouble;
        Self { destination: name.to_string(), error, advice, exit_code, failures, since, next_try: until }
    }
}
