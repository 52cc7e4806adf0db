//! What is not delivered, and why.

use std::collections::BTreeMap;

use super::destination::DestinationTrouble;
use crate::message::{Name, UnixTime};

/// Everything that is not delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Grouped by account, destination, and what is to become of it.
    pub groups: Vec<Undelivered>,
    /// How many messages of each account are tried again, and how many are in quarantine.
    pub totals: BTreeMap<Name, (u64, u64)>,
    /// The destinations that do not work.
    pub troubles: Vec<DestinationTrouble>,
}

/// Messages of an account that are not delivered to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The account.
    pub account: Name,
    /// The destination.
    pub destination: Name,
    /// They are in quarantine; otherwise they are tried again.
    pub quarantined: bool,
    /// How many.
    pub messages: u64,
    /// Why the last of them was not delivered, in the words of whoever refused it.
    pub cause: Option<String>,
    /// The unique-id of that one, escaped.
    pub uid: String,
    /// Since when the first of them has waited.
    pub since: UnixTime,
    /// When the first of them is tried again; 0: with the next poll.
    pub next_try: Option<UnixTime>,
}
