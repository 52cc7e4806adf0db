//! What can go wrong with the state.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Class, Failure};
use crate::filesystem::{FileError, Person, owner, sandbox};

/// The state cannot be used or written.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum StoreError {
    #[error("state directory {}: {cause}", path.display())]
    Directory { path: PathBuf, cause: String, full: bool },
    #[error("state file {}: {cause}", path.display())]
    File { path: PathBuf, cause: String, full: bool },
    #[error("state directory {}: in use by another postrider{}", path.display(), process(*pid))]
    Locked { path: PathBuf, pid: Option<u32> },
    #[error("state directory {}: is on a network file system ({kind}), where SQLite's guarantees do not hold", path.display())]
    NetworkFileSystem { path: PathBuf, kind: &'static str },
    #[error("state database {}: {cause}", path.display())]
    Database { path: PathBuf, cause: String, full: bool },
    #[error("state database {}: another program has kept it locked for {} s", path.display(), limit.as_secs())]
    Busy { path: PathBuf, limit: Duration },
    #[error("state database {}: {cause}", path.display())]
    Inaccessible { path: PathBuf, cause: String },
    #[error("state database {}: is missing, although this directory has had one", path.display())]
    Missing { path: PathBuf },
    #[error("state database {}: is damaged ({cause})", path.display())]
    Damaged { path: PathBuf, cause: String },
    #[error("state file {}: is not what was written there; it says which accounts were renamed", path.display())]
    Origins { path: PathBuf },
    #[error("state database {}: was written by a newer postrider (format {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("state database {}: belongs to another program", path.display())]
    Foreign { path: PathBuf },
    #[error("{} in {}, where the unit of an older version kept it before systemd 254, and {} in {}", if *is_second { "there is a state" } else { "the state is" }, found.display(), if *is_second { "another" } else { "not" }, path.display())]
    Stray { path: PathBuf, found: PathBuf, is_second: bool, mend: String },
    #[error("the thread that keeps the state has ended")]
    Ended,
}

fn process(pid: Option<u32>) -> String {
    pid.map_or(String::new(), |pid| format!(" (process {pid})"))
}

impl StoreError {
    pub(crate) fn directory(path: &Path, error: &io::Error) -> Self {
        StoreError::Directory { path: path.to_owned(), cause: owner::explained(path, error), full: is_full(error) }
    }

    /// For an error of a file in the directory.
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        StoreError::File { path: path.to_owned(), cause: owner::explained(path, error), full: is_full(error) }
    }
}

impl From<FileError> for StoreError {
    fn from(error: FileError) -> Self {
        Self::file(&error.path, &error.source)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl Failure for StoreError {
    fn class(&self) -> Class {
        match self {
            StoreError::Locked { .. } | StoreError::Busy { .. } => Class::TryLater,
            StoreError::NetworkFileSystem { .. } | StoreError::Stray { .. } => Class::Configuration,
            _ => Class::LocalIo,
        }
    }

    fn advice(&self) -> Option<String> {
        let text = match self {
            StoreError::Directory { full: true, .. }
            | StoreError::File { full: true, .. }
            | StoreError::Database { full: true, .. } => "Make room on the disk.  Nothing was lost or deleted.",
            StoreError::Directory { .. } if sandbox::advice().is_some() => {
                "The service may write only to the folders of its unit (StateDirectory=, ReadWritePaths=): leave \
                 `state-dir` out, or open its folder in a drop-in."
            }
            StoreError::Directory { .. } => {
                "The user that runs postrider must be able to write there; or set `state-dir` to another place."
            }
            StoreError::File { path, .. } | StoreError::Inaccessible { path, .. } => {
                let folder = path.parent().unwrap_or(path).display();
                // With -h, a link that was planted there does not give another file away.
                return Some(format!(
                    "Nothing was lost or deleted.  The user that runs postrider must own the state directory and \
                     every file in it, and be able to enter the folders above; as root: `chown -hR {} {folder}`.",
                    Person::me()
                ));
            }
            StoreError::Locked { .. } => "Wait until it is done, or end it; two must not fetch the same mail.",
            StoreError::NetworkFileSystem { .. } => "Set `state-dir` to a directory on a local disk.",
            StoreError::Database { .. } => {
                "Nothing was lost or deleted.  Check whether the disk is full, and the kernel's log."
            }
            StoreError::Busy { .. } => {
                "Nothing was lost or deleted.  End the other program (a backup, or an sqlite3 that was left open?)."
            }
            StoreError::Missing { .. } => {
                "`postrider state rebuild` makes a new one from what the Maildirs show, and so does the next start of \
                 `postrider run` or `fetch`; see postrider(8)."
            }
            StoreError::Damaged { .. } => {
                "Nothing was lost or deleted.  The next start of `postrider run` or `fetch`, or `postrider state \
                 rebuild`, sets it aside and makes a new one from what it and the Maildirs show; see postrider(8)."
            }
            StoreError::Origins { path } => {
                return Some(format!(
                    "Nothing was fetched.  Restore the file from a backup.  Without it (`rm {}`) what was delivered to \
                     accounts that were renamed since may be fetched again.",
                    path.display()
                ));
            }
            StoreError::Newer { .. } => "Install the newer postrider again.",
            StoreError::Foreign { .. } => "Set `state-dir` to a directory of postrider's own.",
            StoreError::Stray { is_second, mend, .. } => {
                let why = if *is_second {
                    "Mail that only one of them knows would come twice; the command keeps the one that was written last."
                } else {
                    "Without it all mail would come a second time."
                };
                return Some(format!(
                    "Nothing was fetched.  {why}  Stop the service (`systemctl --user stop postrider`), then: `{mend}`"
                ));
            }
            StoreError::Ended => "Start postrider again; this is a bug.",
        };
        Some(text.to_owned())
    }
}
