//! Why a Maildir cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::deliver::error::OutletError;
use crate::failure::{Class, Failure, is_shortage, shortage};
use crate::filesystem::owner::{self, Foreign};
use crate::filesystem::{Person, sandbox};

/// A Maildir that cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("Maildir {}: {step}: {cause}", path.display())]
pub struct MaildirError {
    /// The Maildir.
    pub path: PathBuf,
    /// What was tried.
    pub step: &'static str,
    /// Why it failed.
    pub cause: String,
    /// The kind of error.
    pub kind: io::ErrorKind,
    /// What the kind does not say.
    pub matter: Matter,
}

/// What is the matter with a Maildir.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// Only what the kind of error says.
    Error,
    /// It was there before, and is not now.
    Gone,
    /// This machine has run short of something.
    Shortage,
    /// This is root, and the Maildir, or a folder above it, belongs to another user.
    Foreign(Foreign),
}

impl From<MaildirError> for OutletError {
    fn from(error: MaildirError) -> Self {
        OutletError::of(error)
    }
}

impl Failure for MaildirError {
    fn class(&self) -> Class {
        if self.is_shortage() { Class::TryLater } else { Class::LocalIo }
    }

    fn is_shortage(&self) -> bool {
        self.matter == Matter::Shortage
    }

    fn advice(&self) -> Option<String> {
        if let Matter::Foreign(Foreign { owner, group, .. }) = &self.matter {
            return Some(advice_of_root(*owner, *group));
        }
        if self.is_shortage() {
            return Some(shortage());
        }
        let sandbox = match self.kind {
            _ if self.matter == Matter::Gone => None,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotFound => {
                sandbox::advice()
            }
            _ => None,
        };
        if let Some(sandbox) = sandbox {
            return Some(format!("{sandbox}  The mail stays on the server."));
        }
        Some(
            match self.kind {
                _ if self.matter == Matter::Gone => {
                    "If it is on a disk that is not mounted, mount it; if it was removed on purpose, make the folder \
                     again with tmp, new and cur in it.  The mail stays on the server."
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    "The user that runs postrider must be able to write there.  The mail stays on the server."
                }
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    "Make room.  The mail stays on the server, and is fetched when there is room."
                }
                io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                    "A part of `path` is a file and not a folder; name another place.  The mail stays on the server."
                }
                io::ErrorKind::NotFound => {
                    "The folder above it must exist (is a disk not mounted?); postrider makes the Maildir itself.  The \
                     mail stays on the server."
                }
                io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput => {
                    "Its file system lacks what a delivery needs: name a folder on another one, or leave out what it \
                     does not support.  The mail stays on the server."
                }
                _ => "The mail stays on the server.  Check the disk and the kernel's log.",
            }
            .to_owned(),
        )
    }
}

fn advice_of_root(owner: Person, group: u32) -> String {
    if owner.is_root() {
        "Close that folder to others: `chmod o-w` on it.  The mail stays on the server.".to_owned()
    } else {
        format!(
            "Run it as {owner}: `{}`; or set `state-dir` to a folder of {owner}'s, and root does so by itself.  The \
             mail stays on the server.",
            owner::command_as(owner, group)
        )
    }
}

pub(super) fn failure(path: &Path, step: &'static str, error: &io::Error) -> MaildirError {
    // Which of its folders is closed; the name stands for any file in it.
    let closed = || ["tmp/x", "new/x", "cur", ""].iter().find_map(|part| owner::obstacle(&path.join(part)));
    let obstacle = (error.kind() == io::ErrorKind::PermissionDenied).then(closed).flatten();
    let cause = match obstacle {
        Some(obstacle) => format!("{error}; {}", obstacle.told(path)),
        None => error.to_string(),
    };
    let matter = if is_shortage(error) { Matter::Shortage } else { Matter::Error };
    MaildirError { path: path.to_owned(), step, cause, kind: error.kind(), matter }
}

/// Turns an error of a [`super::Draft`] into one that names the Maildir.
pub fn draft_failure(path: &Path, error: &io::Error) -> MaildirError {
    failure(path, "a message cannot be written", error)
}
