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
    /// Its size as listed.
    pub(super) octets: Option<u64>,
    /// Only the header of a larger message.
    pub(super) header_only: bool,
    /// Indexes of the destinations that want it.
    pub(super) targets: Vec<usize>,
    /// What it may turn out to be.
    pub(super) supposed: Supposed,
    /// The last poll crashed on it.
    pub(super) suspect: bool,
    /// Whether it is delivered everywhere once these have it, and is to be deleted then.
    pub(super) completes: bool,
    /// Whether it is to be deleted if it turns out to be what was delivered before.
    pub(super) due: bool,
}

/// What a message may turn out to be once its content is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supposed {
    /// The message that is on its way to some of its destinations, or another one with its unique-id.
    Listed,
    /// A new message, or one that had another unique-id.
    New,
    /// The message with this BLAKE3 hash that was delivered and deleted, or another one.
    Deleted([u8; 32]),
    /// The message with this BLAKE3 hash that was delivered; anything else is not delivered.
    Delivered([u8; 32]),
    /// It has no unique-id: its content is all that it is known by.
    Nameless,
}

/// What the network side hands over.
#[derive(Debug)]
pub(super) enum Piece {
    /// The beginning of a message.  The first `prefix` octets of the data are trace headers.
    Start { job: Box<Job>, prefix: usize, data: Vec<u8>, complete: bool },
    /// More of the message.
    More { data: Vec<u8>, complete: bool },
    /// The message that was begun will not be completed.
    Abandon,
    /// The messages that are whole are proven to be so.
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
    /// Octets and digest with the mbox lines that the server had before it, if there were any: it was known by these
    /// while such lines were not dropped.
    pub(super) as_sent: Option<(u64, [u8; 32])>,
    pub(super) head: Head,
    pub(super) prefix: Vec<u8>,
    /// One for each target, in that order.
    pub(super) parcels: Vec<Parcel>,
}

impl Received {
    /// Octets and digests that it may be known by.
    pub(super) fn contents(&self) -> impl Iterator<Item = (u64, [u8; 32])> {
        std::iter::once((self.octets, self.digest)).chain(self.as_sent)
    }

    /// The same with its drafts left where they are.
    pub(super) fn kept(mut self) -> Self {
        self.parcels = self.parcels.into_iter().map(Parcel::kept).collect();
        self
    }

    /// Whether this is the digest of its content.
    pub(super) fn has_digest(&self, wanted: &[u8; 32]) -> bool {
        self.contents().any(|(_, digest)| digest == *wanted)
    }
}

/// A message on its way to one of its destinations.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The destination: its position among the account's.
    pub(super) target: usize,
    pub(super) state: State,
}

/// Where a parcel is in a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    /// The position of its message.
    pub(super) message: usize,
    /// Its position among those of the message.
    pub(super) parcel: usize,
}

/// How far a parcel has come.
#[derive(Debug)]
pub(super) enum State {
    /// It is a file in a Maildir's `tmp/`, which is removed when this is dropped.
    Drafted(Draft),
    /// It waits to be handed over.
    Spooled(Arc<Spool>),
    /// It is a file of this name in a Maildir's `tmp/`, which stays: it may be on record.
    Staged(String),
    /// The destination has it.
    Delivered,
    /// The destination failed.
    Failed(String),
    /// This machine has no room for a message like this one, but may have room for others.
    Unfit(String),
}

impl Parcel {
    /// Why it will not be delivered now, if so.
    pub(super) fn fault(&self) -> Option<&str> {
        match &self.state {
            State::Failed(cause) | State::Unfit(cause) => Some(cause),
            State::Drafted(_) | State::Spooled(_) | State::Staged(_) | State::Delivered => None,
        }
    }

    pub(super) fn is_draft(&self) -> bool {
        matches!(self.state, State::Drafted(_))
    }

    pub(super) fn is_delivered(&self) -> bool {
        matches!(self.state, State::Delivered)
    }

    /// The same with a draft left where it is: it is no longer removed.
    pub(super) fn kept(self) -> Self {
        match self.state {
            State::Drafted(draft) => Self { target: self.target, state: State::Staged(draft.keep()) },
            state => Self { target: self.target, state },
        }
    }
}
