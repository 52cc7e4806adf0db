//! Delivery into a Maildir: exactly once, durable, never replacing a file.
//!
//! A message is written to `tmp/NAME` ([`Maildir::create`]), made durable there
//! ([`Draft::sync`], [`Maildir::sync_tmp`]), and, once the state has recorded NAME, moved to
//! `new/NAME` ([`Maildir::publish`], [`Maildir::sync_new`]).  Once that is recorded, `tmp/NAME`
//! being there means that the move is still to be made, and its absence that it was made,
//! whatever a mail program has done with the file since.
//!
//! Everything here blocks, and belongs on threads that may block.  After a failed sync the file is
//! given up: Linux reports the error once, and a later success would mean nothing.

mod error;
mod ground;
mod kind;
mod moving;
mod name;
mod probe;
mod scan;
mod sync;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

pub use error::{MaildirError, Matter, draft_failure};
pub use moving::Way;
pub use name::{NameParts, file_name, token};
pub use scan::{Found, Held, hold, scan, scan_failure};

use crate::descriptors::Permit;
use crate::filesystem::{make_unique, sync_content, sync_names};
use error::failure;

/// The beginning of the unique part of a probe's name; no message's begins like this.
const PROBE: &str = "postrider-probe";

/// Settings of a Maildir destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder that holds `tmp`, `new` and `cur`.
    pub path: PathBuf,
    /// The permission bits of a message's file; new folders get the bits that go with them.
    pub file_mode: u32,
}

/// The permission bits of a message's file by default: for its owner alone.
pub const FILE_MODE: u32 = 0o600;

impl Settings {
    /// A Maildir that is for its owner alone.
    pub fn private(path: PathBuf) -> Self {
        Self { path, file_mode: FILE_MODE }
    }

    /// The permission bits of a folder: whoever may read or write files may enter it.
    pub fn folder_mode(&self) -> u32 {
        let readers = (self.file_mode & 0o444) >> 2;
        let writers = (self.file_mode & 0o222) >> 1;
        self.file_mode | readers | writers
    }
}

/// The folder that messages arrive in, as a path from the Maildir's root.
const NEW: &str = "./new";

/// An open Maildir.
#[derive(Debug)]
pub struct Maildir {
    path: PathBuf,
    root: OwnedFd,
    tmp: Arc<OwnedFd>,
    new: OwnedFd,
    file_mode: Mode,
}

/// A message that is being written to `tmp/`.  If it is dropped before [`Draft::keep`], its file is removed.
#[derive(Debug)]
pub struct Draft {
    tmp: Arc<OwnedFd>,
    /// `None`: it is durable and closed.
    file: Option<File>,
    name: String,
    kept: bool,
    /// `None`: it must not stay open.
    permit: Option<Permit>,
}

impl Maildir {
    /// Opens a Maildir; makes it, and what is missing of `tmp`, `new` and `cur`, if the folder
    /// above it exists.  One that `was_there` is not made again: it may be on a disk that is not
    /// mounted now; mail below the mount point would be hidden, and the absence of a file in `tmp`
    /// would prove nothing.
    ///
    /// # Errors
    /// It is missing and cannot be made, we may not write to it, or this is root and it belongs to
    /// another user.
    pub fn open(settings: &Settings, was_there: bool) -> Result<Self, MaildirError> {
        let path = &settings.path;
        ground::refuse_foreign(path)?;
        if was_there {
            ground::refuse_gone(path)?;
        }
        ground::make(path, settings.folder_mode())?;
        let failed = |step| move |error: io::Error| failure(path, step, &error);
        let open = |sub| open_directory(&path.join(sub)).map_err(failed("cannot be opened"));
        Ok(Self {
            path: path.clone(),
            root: open_root(path).map_err(failed("cannot be opened"))?,
            tmp: Arc::new(open("tmp")?),
            new: open("new")?,
            file_mode: Mode::from_raw_mode(settings.file_mode),
        })
    }

    /// Opens a Maildir only if it is completely there, and, if this is root, root may work in it.
    pub fn open_existing(path: &Path) -> Option<Self> {
        ground::refuse_foreign(path).ok()?;
        let open = |sub| open_directory(&path.join(sub)).ok();
        Some(Self {
            path: path.to_owned(),
            root: open_root(path).ok()?,
            tmp: Arc::new(open("tmp")?),
            new: open("new")?,
            file_mode: Mode::from_raw_mode(FILE_MODE),
        })
    }

    /// Device and inode of its folder, which no other folder has, whatever it is called.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn identity(&self) -> io::Result<(u64, u64)> {
        let status = rustix::fs::fstat(&self.root)?;
        Ok((status.st_dev, status.st_ino))
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes `tmp/NAME`, with the mode of the settings whatever the umask is.  `name` makes the name from a
    /// unique word; if there is such a file already, from another word.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(&self, mut name: impl FnMut(&str) -> String) -> Result<Draft, MaildirError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let make = |word: &str| {
            let name = name(word);
            let file = rustix::fs::openat(&self.tmp, &name, flags, Mode::RUSR | Mode::WUSR)?;
            let permit = Permit::take();
            Ok(Draft { tmp: Arc::clone(&self.tmp), file: Some(file.into()), name, kept: false, permit })
        };
        let draft =
            make_unique(make).map_err(|error| failure(&self.path, "a message cannot be made in tmp/", &error))?;
        if self.file_mode != (Mode::RUSR | Mode::WUSR)
            && let Some(file) = &draft.file
        {
            let set = rustix::fs::fchmod(file, self.file_mode).map_err(ground::without_modes);
            set.map_err(|error| failure(&self.path, "a message cannot be given its file-mode", &error))?;
        }
        Ok(draft)
    }

    /// Makes all drafts and their names in `tmp/` durable at once, if that is better for this many
    /// files and octets; `false`: each draft is to be synced, and then [`Maildir::sync_tmp`] called.
    pub fn sync_whole(&self, files: usize, octets: u64) -> bool {
        sync::whole(&self.tmp, files, octets)
    }

    /// Makes the names in `tmp/` durable.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync_tmp(&self) -> Result<(), MaildirError> {
        sync_names(&self.tmp).map_err(|error| failure(&self.path, "tmp/ cannot be synced", &error))
    }

    /// Makes the names in `new/` durable.
    ///
    /// # Errors
    /// The disk failed, or the folder that was opened was replaced by another one: then the next look finds out where
    /// the messages are.
    pub fn sync_new(&self) -> Result<(), MaildirError> {
        let failed = |error: io::Error| failure(&self.path, "new/ cannot be synced", &error);
        sync_names(&self.new).map_err(failed)?;
        let identity = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        let identity_of = |stat: Result<_, Errno>| stat.map(identity).map_err(|error| failed(error.into()));
        let synced = identity_of(rustix::fs::fstat(&self.new))?;
        let there = identity_of(rustix::fs::statat(&self.root, NEW, AtFlags::empty()))?;
        if synced == there {
            Ok(())
        } else {
            Err(failure(&self.path, "new/ cannot be synced", &io::Error::other("it is another folder now")))
        }
    }

    /// Moves `tmp/NAME` to `new/NAME`, never replacing a file.
    ///
    /// # Errors
    /// The move failed; the file is still in `tmp/`, or the next look finds that it was moved.
    pub fn publish(&self, name: &str) -> Result<(), MaildirError> {
        self.move_to_new(name).map(|_| ())
    }

    fn move_to_new(&self, name: &str) -> Result<Way, MaildirError> {
        // By its path from the root: mail moved into a `new` that was put aside would never be found.
        let moved = moving::rename(&self.tmp, name, &self.root, &format!("{NEW}/{name}"));
        moved.map_err(|error| failure(&self.path, "a message cannot be moved to new/", &error.into()))
    }

    /// Finishes the move of `tmp/NAME` after a crash.  The crash may have come between the link and the
    /// unlink that replace a rename, and a mail program may have moved the link since.
    ///
    /// # Errors
    /// As [`Maildir::publish`].
    pub fn finish_move(&self, name: &str) -> Result<(), MaildirError> {
        let failed = |error: Errno| failure(&self.path, "tmp/ cannot be looked into", &error.into());
        let stat = rustix::fs::statat(&self.tmp, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if stat.st_nlink > 1 && self.has_message(name)? {
            self.discard(name);
            return Ok(());
        }
        self.publish(name)
    }

    /// Whether a file that was to be moved is nowhere: neither in `tmp/` nor where it should be.
    pub fn has_lost(&self, name: &str) -> bool {
        matches!((self.has_draft(name), self.has_message(name)), (Ok(false), Ok(false)))
    }

    /// Whether `tmp/NAME` is there.
    ///
    /// # Errors
    /// That cannot be found out.
    pub fn has_draft(&self, name: &str) -> Result<bool, MaildirError> {
        match rustix::fs::statat(&self.tmp, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(failure(&self.path, "tmp/ cannot be looked into", &error.into())),
        }
    }

    /// Removes `tmp/NAME`, which no record needs.
    pub fn discard(&self, name: &str) {
        let _ = rustix::fs::unlinkat(&self.tmp, name, AtFlags::empty());
    }

    /// Whether `new/` or `cur/` holds a file of this name, with or without flags.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn has_message(&self, name: &str) -> Result<bool, MaildirError> {
        let failed = |error: io::Error| failure(&self.path, "cannot be looked into", &error);
        for sub in ["new", "cur"] {
            for entry in std::fs::read_dir(self.path.join(sub)).map_err(failed)? {
                let found = entry.map_err(failed)?.file_name();
                if found.as_bytes().split(|&octet| octet == b':').next() == Some(name.as_bytes()) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Removes drafts of this state directory that are not on record: a crash came between their
    /// writing and their record.  `is_known` recognises the others.  A probe is removed, whichever
    /// process made it, from `new/` too: it is never used again.  Returns the number of files removed.
    ///
    /// # Errors
    /// `tmp/` or `new/` cannot be read.
    pub fn remove_strays(&self, instance: &str, is_known: impl Fn(&str) -> bool) -> Result<usize, MaildirError> {
        let mark = format!("I{instance}T");
        let is_ours = |name: &str| {
            name.split('.').nth(1).is_some_and(|unique| unique.contains(&mark) || unique.starts_with(PROBE))
        };
        let drafts = self.remove_from("tmp", |name| is_ours(name) && !is_known(name))?;
        Ok(drafts + self.remove_from("new", |name| name.starts_with(probe::HIDDEN))?)
    }

    fn remove_from(&self, sub: &'static str, is_stray: impl Fn(&str) -> bool) -> Result<usize, MaildirError> {
        let step = if sub == "tmp" { "tmp/ cannot be read" } else { "new/ cannot be read" };
        let failed = |error: io::Error| failure(&self.path, step, &error);
        let mut removed = 0;
        for entry in std::fs::read_dir(self.path.join(sub)).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(name) = name.to_str().filter(|name| is_stray(name)) else { continue };
            match rustix::fs::unlinkat(&self.root, format!("{sub}/{name}"), AtFlags::empty()) {
                // Another process has removed its probe.
                Err(Errno::NOENT) => continue,
                result => result.map_err(|error| failed(error.into()))?,
            }
            removed += 1;
        }
        Ok(removed)
    }
}

impl Draft {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Appends to the message.
    ///
    /// # Errors
    /// The disk is full or fails.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(octets),
            None => Err(io::Error::other("it was complete")),
        }
    }

    /// Marks it as complete.  If too many files are open, it is made durable at once and closed.  After an
    /// error it must be given up.
    ///
    /// # Errors
    /// The disk failed.
    pub fn complete(&mut self) -> io::Result<()> {
        if self.permit.is_none() {
            self.sync()?;
            self.file = None;
        }
        Ok(())
    }

    /// Makes its content durable.  After an error it must be given up.
    ///
    /// # Errors
    /// The disk failed.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| sync_content(file.as_fd()))
    }

    /// Leaves the file in `tmp/`, for [`Maildir::publish`].
    pub fn keep(mut self) -> String {
        self.kept = true;
        std::mem::take(&mut self.name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            let _ = rustix::fs::unlinkat(&self.tmp, &self.name, AtFlags::empty());
        }
    }
}

/// The Maildir's folder itself, which need not be readable.
fn open_root(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(Into::into)
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(Into::into)
}

#[cfg(test)]
mod tests;
