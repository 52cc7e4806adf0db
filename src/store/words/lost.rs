//! States that were lost, and what is known of them again.

use std::path::PathBuf;

use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Identity, Place};

/// Whether an account's state was lost, and what is to be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// It was not.
    #[default]
    No,
    /// It was: what is on the server and in no Maildir may have been delivered or not.
    Lost,
    /// This directory never had a state as far as it knows, but the Maildirs show that mail was delivered.
    Unknown,
    /// It was, and the operator says: what is on the server now counts as delivered.
    Seen,
    /// It was, and the operator says: what is in no Maildir is fetched.
    FetchAgain,
}

impl Lost {
    const ALL: [Self; 5] = [Self::No, Self::Lost, Self::Unknown, Self::Seen, Self::FetchAgain];

    pub(in crate::store) fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|lost| lost.number() == number).unwrap_or(Self::Lost)
    }

    pub(in crate::store) fn number(self) -> i64 {
        self as i64
    }
}

/// A file in a Maildir that this program has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Identifies its message (`deliver::maildir::token`).
    pub token: String,
    /// Its path below the Maildir, when it was found.
    pub name: String,
    /// When it was delivered.
    pub at: UnixTime,
}

/// A change to lost states.
#[derive(Clone, Debug)]
pub enum LostChange {
    /// These accounts, and all that are known, are lost.
    Mark {
        /// The accounts of the configuration.
        accounts: Vec<Name>,
        /// What they are marked as.
        lost: Lost,
    },
    /// What a Maildir holds; without files: it must be read before anything is fetched for it.
    Files {
        /// The Maildir.
        maildir: PathBuf,
        /// Its files.
        files: Option<Vec<FoundFile>>,
    },
    /// A lost account is no longer lost.
    Adopt(Adoption),
}

/// What a lost account's listing and the Maildirs show together.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The account.
    pub account: Name,
    /// Messages that were delivered somewhere.
    pub messages: Vec<Adopted>,
    /// Messages to leave alone for ever.
    pub ignored: Vec<MessageKey>,
    /// Whether the account's first poll is over with this.
    pub begun: bool,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The message.
    pub key: MessageKey,
    /// Octets as they were on record, and what else the file shows.
    pub content: Option<(u64, Identity)>,
    /// Whether the file holds only the header.
    pub header_only: bool,
    /// Where it is, and where it may be.
    pub places: Vec<(Place, Whereabouts)>,
}

impl Adopted {
    /// Whether it is not known of one of the places if the message is there.
    pub fn is_unclear(&self) -> bool {
        self.places.iter().any(|(_, whereabouts)| matches!(whereabouts, Whereabouts::Unclear(_)))
    }
}

/// What is known of a message at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It was delivered, under this name, at this time.
    Delivered(String, UnixTime),
    /// Not known, for this reason; left to the operator.
    Unclear(String),
}
