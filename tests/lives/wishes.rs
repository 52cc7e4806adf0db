//! The configuration, as its user changes it.

use super::nature::Nature;
use super::support::{mailbox, maildir};
use fastrand::Rng;
use std::fmt;

/// What becomes of delivered mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    Keep,
    Delete,
    Days(i64),
}

/// The account's keys that change.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    pub(crate) retention: Retention,
    pub(crate) max_messages: Option<usize>,
    pub(crate) max_size: Option<u64>,
    pub(crate) headers: bool,
}

impl Wishes {
    /// Any of them.
    pub(crate) fn any(nature: &Nature, random: &mut Rng) -> Self {
        Self {
            retention: [Retention::Keep, Retention::Delete, Retention::Days(2)][random.usize(..3)],
            max_messages: Some(random.usize(1..4)).filter(|_| random.u8(..3) == 0),
            max_size: Some(random.u64(800..5000)).filter(|_| random.u8(..4) == 0),
            headers: nature.has_top() && random.bool(),
        }
    }

    /// The whole configuration.
    pub(crate) fn config(&self, port: u16) -> String {
        let lines = format!("{self}\nreceived-header = false\ndeliver = \"home\"");
        [mailbox(port, "a", &lines), maildir("home")].concat()
    }
}

impl fmt::Display for Wishes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.retention {
            Retention::Keep => f.write_str("retention = \"keep\""),
            Retention::Delete => f.write_str("retention = \"delete\""),
            Retention::Days(days) => write!(f, "retention = \"{days}d\""),
        }?;
        if let Some(messages) = self.max_messages {
            write!(f, "\nmax-messages = {messages}")?;
        }
        if let Some(octets) = self.max_size {
            let oversize = if self.headers { "headers" } else { "skip" };
            write!(f, "\nmax-size = {octets}\noversize = \"{oversize}\"")?;
        }
        Ok(())
    }
}
