//! Where messages go: one file and one variant for each kind of destination.

pub mod maildir;
pub mod smtp;

use crate::message::Name;

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
    Smtp(smtp::Settings),
}
