//! What is known of the messages of a listing.

use super::lost::Lost;
use crate::message::{MessageKey, UnixTime};
use crate::plan::{Gone, Standing};

/// What the state knows of an account's listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// When the account's first poll was; `None`: it is this one.
    pub begun: Option<UnixTime>,
    /// Its unique-ids have changed, and not all are matched yet.
    pub migrating: bool,
    /// Messages that are remembered and not deleted; not those that have long been missing.
    pub remembered: usize,
    /// How many of those are not among the ones that were asked for.
    pub missing: usize,
    /// How many of the missing ones the last listing did have.
    pub newly_missing: usize,
    /// Messages that the server no longer has.
    pub gone: Gone,
    /// The number that every change to this part of the state beside the account's poll raises.
    pub revision: i64,
    /// Whether its state was lost, and is still to be worked out from its listing.
    pub lost: Lost,
    /// For each message that was asked for, in that order: what is known.
    pub standings: Vec<Option<Standing>>,
    /// For each of them, its size as LIST gave it before.
    pub sizes: Vec<Option<u64>>,
    /// Indexes of those that the last listing did not have, or whose unique-id several messages had.
    pub returned: Vec<usize>,
    /// Unique-ids that several messages had which are not deleted, and how many.
    pub shared: Vec<(Box<[u8]>, usize)>,
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Octets as stored.
    pub octets: u64,
    /// BLAKE3 of the same.
    pub digest: [u8; 32],
    /// Whether it is only the header of a larger message.
    pub header_only: bool,
}

/// A message whose unique-id has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// What it was known by.
    pub from: MessageKey,
    /// What it is called now.
    pub to: MessageKey,
    /// Its whole content is the same, not only its header.
    pub proven: bool,
}
