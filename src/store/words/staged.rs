//! Staged deliveries that an earlier process left behind.

use std::path::PathBuf;

use crate::message::{Name, UnixTime};
#[cfg(doc)]
use crate::plan::Place;

/// A staged delivery, whose process may have ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedDelivery {
    /// Row of the message.
    pub message: i64,
    /// Row of the place.
    pub place: i64,
    /// The account.
    pub account: Name,
    /// The Maildir.
    pub maildir: PathBuf,
    /// The machine that the Maildir is on ([`Place::machine`]).
    pub machine: String,
    /// The file's name.
    pub name: String,
    /// When it was staged.
    pub at: UnixTime,
}

/// What a look into the Maildir has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It is delivered.
    Delivered,
    /// It is lost, and fetched again.
    Lost,
}
