//! Messages on their way from the server to the destinations, in pieces and whole.

use std::sync::Arc;

use crate::deliver::maildir::Draft;
use crate::header::Head;
use crate::message::{MessageKey, MessageNumber};
use crate::spool::Spool;

/// A message that is to be received.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) number: MessageNumber,
    pub(super) key: MessageKey,
    /// As listed.
    pub(super) octets: Option<u64>,
    /// Only the header of a larger message.
    pub(super) header_only: bool,
    /// Destinations that want it: indexes of sinks.
    pub(super) targets: Vec<usize>,
    /// What it may turn out to be.
    pub(super) claim: Claim,
    /// The last poll has died of it.
    pub(super) suspect: bool,
    /// Whether it is delivered everywhere once these have it, and is to be deleted then.
    pub(super) completes: bool,
    /// Whether it is to be deleted if it turns out to be what was delivered before.
    pub(super) due: bool,
}

/// What a message may turn out to be once its content is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// What is on its way to some of its destinations, or another one with its unique-id.
    Listed,
    /// New, or one that was called otherwise.
    New,
    /// The one with this BLAKE3 hash that was delivered and deleted, or another one.
    Deleted([u8; 32]),
    /// The one with this BLAKE3 hash that was delivered; anything else is not delivered.
    Delivered([u8; 32]),
    /// It has no unique-id: its content is all that it is known by.
    Nameless,
}

/// What the network side hands over.
#[derive(Debug)]
pub(super) enum Piece {
    /// The beginning of a message.  The first `prefix` octets of the data are trace headers.
    Start { job: Box<Job>, prefix: usize, data: Vec<u8>, complete: bool },
    /// More of it.
    More { data: Vec<u8>, complete: bool },
    /// The message that was begun will not be completed.
    Abandon,
    /// The messages that are whole are what they seem.
    Proven,
}

impl Piece {
    /// Octets that it takes in memory.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Piece::Start { data, .. } | Piece::More { data, .. } => data.capacity(),
            Piece::Abandon | Piece::Proven => 0,
        }
    }
}

/// A message that is received whole.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) job: Job,
    pub(super) octets: u64,
    pub(super) digest: [u8; 32],
    /// Octets and digest with the mbox lines that the server had before it, if there were any: so it was known
    /// while they were not dropped.
    pub(super) as_sent: Option<(u64, [u8; 32])>,
    pub(super) head: Head,
    pub(super) prefix: Vec<u8>,
    /// One for each target, in that order.
    pub(super) copies: Vec<(usize, Copy)>,
}

impl Received {
    /// Octets and digests that it may be known by.
    pub(super) fn contents(&self) -> impl Iterator<Item = (u64, [u8; 32])> {
        std::iter::once((self.octets, self.digest)).chain(self.as_sent)
    }

    /// Whether this is the digest of its content.
    pub(super) fn has_digest(&self, wanted: &[u8; 32]) -> bool {
        self.contents().any(|(_, digest)| digest == *wanted)
    }
}

/// A message at one destination, not yet delivered.
#[derive(Debug)]
pub(super) enum Copy {
    /// In a Maildir's `tmp`.
    Draft(Draft),
    /// To be sent.
    Spool(Arc<Spool>),
    /// The destination failed.
    Failed(String),
    /// This machine has no room for a message like this one, and may have for others.
    Unfit(String),
}

impl Copy {
    /// Why it will not be delivered now, if so.
    pub(super) fn fault(&self) -> Option<&str> {
        match self {
            Copy::Draft(_) | Copy::Spool(_) => None,
            Copy::Failed(cause) | Copy::Unfit(cause) => Some(cause),
        }
    }
}
