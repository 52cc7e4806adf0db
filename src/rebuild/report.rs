//! What a rebuild has found and done, as lines for people.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::store::{FoundFile, Salvaged};

/// Why something had to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The database was gone.
    Missing,
    /// It was damaged, as this says.
    Damaged(String),
    /// It was whole, and older than it once was.
    Outdated(String),
    /// There was none, and the Maildirs hold mail that a postrider has delivered.
    Unknown,
    /// The operator asked for it.
    Asked,
}

/// What was found in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scanned {
    /// The Maildir.
    pub maildir: PathBuf,
    /// Files that are not on record, or why it could not be read.
    pub files: Result<usize, String>,
}

impl Scanned {
    pub(super) fn new(maildir: PathBuf, files: &io::Result<Vec<FoundFile>>) -> Self {
        Self { maildir, files: files.as_ref().map(Vec::len).map_err(ToString::to_string) }
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub cause: Cause,
    /// Where the old database is now.
    pub aside: Option<PathBuf>,
    /// What could be read of it; `None`: it is still in use.
    pub salvaged: Option<Salvaged>,
    /// The Maildirs.
    pub scanned: Vec<Scanned>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Missing => write!(f, "the state database is gone; a new one was made")?,
            Cause::Damaged(cause) => write!(f, "the state database is damaged ({cause}); a new one was made")?,
            Cause::Outdated(cause) => write!(f, "the state database is older than it was: {cause}")?,
            Cause::Unknown => write!(f, "there is no state yet, but Maildirs hold mail that postrider has delivered")?,
            Cause::Asked => write!(f, "a new state database was made")?,
        }
        if let Some(aside) = &self.aside {
            write!(f, "\n  the old one is kept as {}", aside.display())?;
        }
        if let Some(salvaged) = self.salvaged.filter(|salvaged| *salvaged != Salvaged::default()) {
            let Salvaged { accounts, messages, deliveries } = salvaged;
            write!(f, "\n  taken over from it: {accounts} accounts, {messages} messages, {deliveries} deliveries")?;
        }
        for Scanned { maildir, files } in &self.scanned {
            let maildir = maildir.display();
            match (files, &self.salvaged) {
                (Ok(files), Some(_)) => write!(f, "\n  found in {maildir}: {files} messages")?,
                (Ok(files), None) => write!(f, "\n  found in {maildir}: {files} messages that are not on record")?,
                (Err(cause), _) => {
                    write!(f, "\n  {maildir} cannot be read ({cause}); nothing is fetched for it until it can")?;
                }
            }
        }
        write!(
            f,
            "\n  the next poll of each account counts what was found as delivered; what its owner has deleted or \
             renamed there is no longer known"
        )
    }
}
