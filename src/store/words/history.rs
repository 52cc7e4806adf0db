//! What was done with messages, as it is shown.

use crate::header::Heading;
use crate::message::{Name, UnixTime};

/// Which part of the history is wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryFilter {
    /// Only this account.
    pub account: Option<Name>,
    /// Only messages whose unique-id, Message-ID or detail contains this, or whose From or Subject does, in any case.
    pub search: Option<String>,
    /// At most this many, the newest.
    pub limit: usize,
}

/// One delivery of one message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HistoryEntry {
    /// When it came into its state.
    pub at: UnixTime,
    /// The account.
    pub account: String,
    /// The unique-id, escaped.
    pub uid: String,
    /// 0 unless several messages share the unique-id.
    pub occurrence: u32,
    /// The Message-ID, escaped.
    pub message_id: Option<String>,
    /// From, Subject and Date.
    #[serde(flatten)]
    pub heading: Heading,
    /// Size as stored.
    pub octets: Option<u64>,
    /// `staged`, `sending`, `delivered`, `deferred`, `quarantined`, `skipped`.
    pub state: &'static str,
    /// The destination.
    pub destination: String,
    /// A Maildir's path, a server's address.
    pub location: String,
    /// It is a Maildir, and the detail of a delivery is the name of its file.
    #[serde(skip)]
    pub is_maildir: bool,
    /// The file's name, the server's reply, the reason.
    pub detail: Option<String>,
    /// When the server confirmed that it deleted the message.
    pub deleted_at: Option<UnixTime>,
}

/// How one delivery of a message in quarantine stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct QuarantinedDelivery {
    /// What is known of it.
    #[serde(flatten)]
    pub event: HistoryEntry,
    /// When the message was first seen.
    pub first_seen: UnixTime,
    /// Attempts, the last one included.
    pub attempts: u32,
    /// How many times the program has crashed while it handled the message.
    pub crashes: u32,
    /// The BLAKE3 hash of its content, in hexadecimal, if it was ever retrieved whole.
    pub digest: Option<String>,
}

/// A message in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct QuarantinedMessage {
    /// The account.
    pub account: String,
    /// The unique-id, escaped.
    pub uid: String,
    /// 0 unless several messages share the unique-id.
    pub occurrence: u32,
    /// Since when it is in quarantine.
    pub since: UnixTime,
    /// The destination that refused it.
    pub destination: String,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The Message-ID, escaped.
    pub message_id: Option<String>,
    /// From, Subject and Date.
    #[serde(flatten)]
    pub heading: Heading,
}
