//! Where messages go: one folder and one variant for each kind of destination.
//!
//! A [`Destination`] is what the configuration says; an [`Outlet`] is one in use, shared by all polls that deliver
//! to it.
//!
//! # The delivery contract
//!
//! A message is deleted from its server only after each of its destinations has it durably and the state can prove
//! it.  There are two ways to get there, and a kind of destination has one of them ([`Way`]).
//!
//! **Staged.**  The destination lets a message be prepared where it will be, and be moved into place by a single
//! step whose outcome can be seen later.  The Maildir is the example, and the only one:
//!
//! 1. The message is written to `tmp/`; it and its name are made durable.
//! 2. One transaction records it as *staged*, with its file's name.  Once that is requested, the draft is not removed.
//! 3. It is moved to `new/`, and that is made durable.
//! 4. The next transaction records it as *delivered*.
//!
//! After a crash the file shows what happened: if it is still in `tmp/`, the move is made now; if not, it was made.
//! No message comes twice.
//!
//! **Handed over.**  The destination takes a message and answers.  The message is recorded as *sending* before
//! [`Lanes::hand_over`], and the result of that is recorded before the next message takes its place.  Each
//! [`Verdict`] says what the caller has to do.  If the outcome is unknown, [`Carrier::look_up`] may still find it out;
//! if it cannot, the message is handed over again, and a second copy is possible.
//!
//! A refusal that names the content is [`Verdict::Refused`]; one that does not is [`Verdict::Declined`], and it is the
//! message's only as long as others are taken.
//!
//! A destination that is [`Verdict::Unusable`] ends only its own deliveries of this poll; [`Health`] keeps other polls
//! away from it for a while.
//!
//! CONTRIBUTING.md lists the places that a new kind of destination touches.

mod carrier;
mod error;
mod health;
mod kind;
pub mod maildir;
mod outlet;
pub mod smtp;
mod verdict;

use std::path::Path;
use std::time::Duration;

pub use carrier::{Carrier, Found, Probed, Shipment};
pub use error::OutletError;
pub use health::{Health, Lapse};
pub use kind::{Facts, Settings};
pub use outlet::{Lanes, Outlet, Way};
pub use verdict::{Declined, Verdict};

use crate::credential::SecretSource;
use crate::message::Name;
use crate::net::Endpoint;
use crate::plan::Place;

/// A named destination of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of destinations, with their settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Maildir on this machine.
    Maildir(maildir::Settings),
    /// A server that takes the mail by SMTP.
    Smtp(Box<smtp::Settings>),
}

impl Destination {
    /// What its kind says about it.  An arm for each kind.
    pub fn settings(&self) -> &dyn Settings {
        match &self.kind {
            Kind::Maildir(settings) => settings,
            Kind::Smtp(settings) => settings.as_ref(),
        }
    }

    /// The place that it leads to, as the state knows it, from the machine with this instance word.
    pub fn place(&self, machine: &str) -> Place {
        self.settings().place(self.name.clone(), machine)
    }

    /// What it is, in one line for people.
    pub fn summary(&self) -> String {
        self.settings().summary()
    }

    /// The Maildir that messages are staged in, if it is one.
    pub fn maildir(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Maildir(settings) => Some(&settings.path),
            _ => None,
        }
    }

    /// The path of this machine that it writes to, if it does.
    pub fn writes_to(&self) -> Option<&Path> {
        self.settings().facts().writes_to
    }

    /// The server that it connects to, if it does.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.settings().facts().endpoint
    }

    /// How long it may be silent, if that is known.
    pub fn timeout(&self) -> Option<Duration> {
        self.settings().facts().timeout
    }

    /// Where the secret that it logs in with comes from, if it logs in.
    pub fn secret(&self) -> Option<&SecretSource> {
        self.settings().facts().secret
    }

    /// Whether `Delivered-To` fields get another name on the way there.
    pub fn renames_delivered_to(&self) -> bool {
        self.settings().facts().renames_delivered_to
    }
}
