//! The whole state, as it is shown.

use super::lost::Lost;
use super::staged::StagedDelivery;
use crate::header::Heading;
use crate::message::UnixTime;

/// What a look at the whole state has shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What is wrong with the database; empty if it is whole.
    pub faults: Vec<String>,
    /// Accounts on record.
    pub accounts: u64,
    /// Messages on record.
    pub messages: u64,
    /// Deliveries on record.
    pub deliveries: u64,
    /// Deliveries whose end only their Maildir can show.
    pub staged: Vec<StagedDelivery>,
    /// Accounts that are lost until their next listing.
    pub lost: Vec<(String, Lost)>,
}

/// A row of the state.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum Record {
    /// An account.
    Account {
        /// Its name.
        account: String,
        /// When `initial` was applied.
        first_poll: Option<UnixTime>,
        /// When its last poll ended well.
        last_success: Option<UnixTime>,
        /// Whether its state was lost, and is worked out at its next listing.
        lost: bool,
    },
    /// A message.
    Message {
        /// Its account.
        account: String,
        /// The unique-id, escaped.
        uid: String,
        /// 0 unless several messages share the unique-id.
        occurrence: u32,
        /// `whole`, `ignored` (left alone at the first poll) or `header`.
        kind: &'static str,
        /// Size as stored.
        octets: Option<u64>,
        /// BLAKE3 of the same, in hexadecimal.
        digest: Option<String>,
        /// The Message-ID, escaped.
        message_id: Option<String>,
        /// From, Subject and Date.
        #[serde(flatten)]
        heading: Heading,
        /// When it was first recorded.
        seen: UnixTime,
        /// When it was delivered everywhere.
        done: Option<UnixTime>,
        /// When the server confirmed its deletion.
        deleted_at: Option<UnixTime>,
    },
    /// A delivery of a message.
    Delivery {
        /// The account.
        account: String,
        /// The message's unique-id, escaped.
        uid: String,
        /// 0 unless several messages share the unique-id.
        occurrence: u32,
        /// The destination.
        destination: String,
        /// A Maildir's path, a server's address.
        location: String,
        /// As in [`crate::store::HistoryEntry`].
        state: &'static str,
        /// When it came into this state.
        at: UnixTime,
        /// How often it was tried.
        attempts: u32,
        /// It is not tried again before this time.
        until: Option<UnixTime>,
        /// The file's name, the server's reply, the reason.
        detail: Option<String>,
    },
}
