//! The types in which a plan is asked for and returned.

use std::time::Duration;

use super::place::Place;
use super::reason::Reason;
use crate::message::{MessageKey, MessageNumber, UnixTime};

/// What happens on the server to a message that has been delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retention {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted as soon as it is durable everywhere.
    Delete,
    /// It is deleted this long after its delivery.
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

/// An account's rules for its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What happens to messages after delivery.
    pub retention: Retention,
    /// What happens to mail that is there at the first poll.
    pub initial: Initial,
    /// Largest message to fetch, in octets; `None`: any.
    pub max_size: Option<u64>,
    /// What happens to larger messages.
    pub oversize: Oversize,
    /// Messages to fetch in one poll; `None`: all.
    pub max_messages: Option<u32>,
}

/// A message as the server lists it, with what the state knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number in this session.
    pub number: MessageNumber,
    /// Its unique-id and occurrence; `None` where the server gave no usable unique-id.
    pub key: Option<MessageKey>,
    /// Another message of the listing has the same unique-id.
    pub shared: bool,
    /// Its size by LIST; a hint.
    pub octets: Option<u64>,
    /// What the state knows; `None`: it is new.
    pub standing: Option<Standing>,
}

/// What the state knows of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was there before the first poll and is left alone.
    Ignored,
    /// Delivered everywhere, at this time.
    Done(UnixTime),
    /// Delivered everywhere at this time under another unique-id, according to its header.  The
    /// BLAKE3 hash can prove it; `None`: nothing can, or the content has refuted it.
    Matched {
        /// When it was delivered.
        at: UnixTime,
        /// The hash of what was delivered.
        digest: Option<[u8; 32]>,
    },
    /// The message with this unique-id is not the one that was delivered.
    Reused,
    /// It may not be the message that was delivered; only its content can tell.
    Unclear {
        /// When the message on record was delivered everywhere, if it was.
        at: Option<UnixTime>,
    },
    /// A later poll finds out whether it is known.
    Later,
    /// A message with this unique-id and this BLAKE3 hash was delivered, and the server has confirmed
    /// its deletion.  RFC 1939 §7 lets a server reuse the unique-id then.
    Deleted([u8; 32]),
    /// Only its header was delivered, or is on its way.
    HeaderOnly(Box<[Delivery]>),
    /// Not yet delivered everywhere.
    Open(Box<[Delivery]>),
}

/// How far the delivery of one message to one destination has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The destination, as it was then.
    pub place: Place,
    /// How far the delivery has come.
    pub state: DeliveryState,
}

/// The states of a delivery that began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// In the Maildir, or on its way there: only the Maildir itself can tell.
    Staged,
    /// It was being sent when the process ended; the outcome is unknown.
    Sending,
    /// Done.
    Delivered,
    /// Failed for now; not tried again before this time.
    Deferred(UnixTime),
    /// Refused for good; left to the operator.
    Quarantined,
    /// Given up by the operator.
    Skipped,
}

/// What to do with one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Index of the message in the listing.
    pub index: usize,
    /// What to do with it.
    pub action: Action,
    /// Why this was chosen.
    pub reason: Reason,
}

/// What can be done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: it stays where it is.
    Leave,
    /// It is retrieved and delivered.
    Fetch(Targets),
    /// Its header is retrieved and delivered.
    FetchHeader(Targets),
    /// It is retrieved; if it is what was delivered, it may be deleted.
    Confirm,
    /// It is deleted on the server.
    Delete,
}

/// Places that still want a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// All places of the account.
    All,
    /// Only these places.
    Only(Box<[Place]>),
}
