//! A destination as it is at a time: its name, and where it leads.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::message::Name;

/// A target of deliveries.  Two that differ in anything are two places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the configuration calls it.
    pub destination: Name,
    /// The kind of destination, in the word of its configuration: `maildir`, `smtp`.
    pub kind: Cow<'static, str>,
    /// A Maildir's path, a server's host and port.
    pub location: PathBuf,
    /// The recipients, where the location takes mail for several: addresses separated by commas; empty without any.
    pub recipient: Box<str>,
    /// The machine that the location is on, by the instance word of its state directory; empty where the location is
    /// the same for every machine.
    pub machine: Box<str>,
}

impl Place {
    /// The kind of a Maildir.
    pub const MAILDIR: &'static str = "maildir";

    /// A Maildir on a machine.
    pub fn maildir(destination: Name, path: impl Into<PathBuf>, machine: &str) -> Self {
        let (location, machine) = (path.into(), machine.into());
        Self { destination, kind: Self::MAILDIR.into(), location, recipient: "".into(), machine }
    }

    /// A file or folder of a machine, of another kind than a Maildir.
    pub fn local(destination: Name, kind: &'static str, path: impl Into<PathBuf>, machine: &str) -> Self {
        Self { kind: kind.into(), ..Self::maildir(destination, path, machine) }
    }

    /// A server that takes mail for a recipient.
    pub fn server(destination: Name, kind: &'static str, location: impl Into<PathBuf>, recipient: &str) -> Self {
        let (location, recipient) = (location.into(), recipient.into());
        Self { destination, kind: kind.into(), location, recipient, machine: "".into() }
    }

    /// Whether another place leads to the same folder or mailbox, whatever the two are called.
    pub fn leads_to(&self, other: &Self) -> bool {
        self.is_beside(other) && self.recipient == other.recipient
    }

    /// Whether another place is at the same server or is the same folder, whatever its recipients.
    pub fn is_beside(&self, other: &Self) -> bool {
        (&self.kind, &self.location, &self.machine) == (&other.kind, &other.location, &other.machine)
    }
}
