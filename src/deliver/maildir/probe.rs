//! Whether a Maildir can be delivered to, found out by doing it.
//!
//! Before mail is fetched, what costs nothing is tried: a file in `tmp/`, and whether `new/` may be written.
//! `check --connect` does all that a delivery does.  Its file is called `.postrider-probe...` in `new/`, and no
//! reader of a Maildir looks at a name that begins with a dot (maildir(5)).

use rustix::fs::{Access, AtFlags};

use super::error::{MaildirError, failure};
use super::{Maildir, NEW, PROBE, Way, name};

/// The beginning of a probe's name, in `new/` too.
pub(super) const HIDDEN: &str = ".postrider-probe";

impl Maildir {
    /// Checks that a file can be made and written, and that `new/` can be written, without leaving anything.
    ///
    /// # Errors
    /// The step that fails.
    pub fn probe(&self) -> Result<(), MaildirError> {
        let mut draft = self.create(|word| format!("{}.{PROBE}{word}", name::now().0))?;
        draft.write(b"x").map_err(|error| failure(&self.path, "a message cannot be written in tmp/", &error))?;
        let access = Access::WRITE_OK | Access::EXEC_OK;
        match rustix::fs::accessat(&self.root, NEW, access, AtFlags::EACCESS) {
            // Not every kernel and sandbox knows the call; the move itself will show it.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL | rustix::io::Errno::PERM) => Ok(()),
            result => result.map_err(|error| failure(&self.path, "new/ cannot be written", &error.into())),
        }
    }

    /// Does what a delivery does, step by step, and takes it back.
    ///
    /// # Errors
    /// The step that fails.
    pub fn rehearse(&self) -> Result<Way, MaildirError> {
        let (seconds, micros) = name::now();
        let mut draft = self.create(|word| format!("{HIDDEN}{seconds}M{micros}{word}"))?;
        let failed = |step| move |error: std::io::Error| failure(&self.path, step, &error);
        draft.write(b"x").map_err(failed("a message cannot be written in tmp/"))?;
        draft.sync().map_err(failed("a message cannot be synced in tmp/"))?;
        self.sync_tmp()?;
        let name = draft.name().to_owned();
        let way = self.move_to_new(&name)?;
        // From here on there is nothing in tmp/ for the draft to remove.
        let synced = self.sync_new();
        let removed = rustix::fs::unlinkat(&self.root, format!("{NEW}/{name}"), AtFlags::empty());
        removed.map_err(|error| failure(&self.path, "a file cannot be removed from new/", &error.into()))?;
        synced.map(|()| way)
    }
}
