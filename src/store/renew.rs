//! A new database in place of one that is damaged or gone; the old one is set aside and kept.
//!
//! The rebuild is noted first (in the file `rebuilding`), so that a start after a kill between any
//! two steps continues it:
//!
//! 1. The note is written.
//! 2. The old write-ahead log and the old database get other names.
//! 3. The new database is made and filled as `state.db.new`.
//! 4. It is moved into its place.
//! 5. It is sealed, and the note removed.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::file::{self, beside, database_error};
use super::lost;
use super::salvage::{self, Salvaged};
use super::seal::Seal;
use super::words::{FoundFile, Lost};
use super::{StoreError, durable, origin_file};
use crate::filesystem::{FileError, private, sync_file, sync_folder};
use crate::message::Name;

/// The note's name.
const NOTE: &str = "rebuilding";

/// What the note says.
struct Note {
    /// The name of the old database from now on.
    aside: String,
    /// Whether there was an old database at all.
    had_database: bool,
}

impl Note {
    fn read(dir: &Path) -> Result<Option<Self>, StoreError> {
        let text = match durable::read(dir, NOTE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| StoreError::file(&dir.join(NOTE), &error))?,
        };
        let (aside, what) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(Some(Self { aside: aside.to_owned(), had_database: what == "database" }))
    }

    fn write(&self, dir: &Path) -> Result<(), FileError> {
        let what = if self.had_database { "database" } else { "nothing" };
        durable::write(dir, NOTE, &format!("{} {what}\n", self.aside))
    }

    /// Whether the new database is in its place.
    fn is_fulfilled(&self, dir: &Path) -> bool {
        is_there(&file::path(dir)) && (!self.had_database || is_there(&dir.join(&self.aside)))
    }
}

/// Finishes a rebuild of which only the last steps are missing.
///
/// # Errors
/// Earlier steps are missing too.
pub(super) fn resume(dir: &Path) -> Result<(), StoreError> {
    match Note::read(dir)? {
        Some(note) if note.is_fulfilled(dir) => Ok(conclude(dir)?),
        _ => refuse_unfinished(dir),
    }
}

/// Refuses what is left of an unfinished rebuild.
pub(super) fn refuse_unfinished(dir: &Path) -> Result<(), StoreError> {
    match Note::read(dir)? {
        Some(note) if !note.is_fulfilled(dir) => {
            let cause = "its rebuild was not finished".to_owned();
            Err(StoreError::Damaged { path: file::path(dir), cause })
        }
        _ => Ok(()),
    }
}

/// Seals the new database, which is in its place.
fn conclude(dir: &Path) -> Result<(), FileError> {
    let path = file::path(dir);
    Seal::of(&path, 0).map_err(FileError::of(&path))?.write(dir)?;
    durable::remove(dir, NOTE)
}

/// A new database that is being filled.
#[derive(Debug)]
pub struct Renewal {
    connection: Connection,
    dir: PathBuf,
    path: PathBuf,
    /// The old database, under its new name, if there was one.
    pub aside: Option<PathBuf>,
    /// What could be read of it.
    pub salvaged: Salvaged,
    /// The word in the names of this state directory's files; `None`: it is no longer known.
    pub instance: Option<String>,
}

impl Renewal {
    /// Sets the old database aside and takes over what can still be read of it.  `label`, a part of
    /// its new name, says what it was.
    pub(super) fn begin(dir: &Path, label: &str) -> Result<Self, StoreError> {
        let failed = |error: io::Error| StoreError::directory(dir, &error);
        // Without it nothing is set aside.
        let origins = origin_file::read(dir)?;
        let note = match Note::read(dir)? {
            Some(note) => note,
            None => {
                let had_database = is_there(&file::path(dir));
                let note = Note { aside: free_name(dir, label), had_database };
                note.write(dir)?;
                note
            }
        };
        let aside = dir.join(&note.aside);
        set_aside(dir, &aside).map_err(failed)?;

        let path = dir.join("state.db.new");
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let _ = std::fs::remove_file(beside(&path, suffix));
        }
        let database = |error: rusqlite::Error| database_error(&path, &error);
        let connection = make(&path).map_err(|error| StoreError::file(&path, &error))?;
        let old = note.had_database.then(|| salvage::Source::open(&aside)).flatten();
        let instance = file::marked_instance(dir).or_else(|| old.as_ref().and_then(salvage::Source::instance));
        file::use_log(&connection).map_err(database)?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;").map_err(database)?;
        file::create(&connection, instance.clone()).map_err(database)?;
        let salvaged = old.map(|old| old.salvage(&connection)).transpose().map_err(database)?.unwrap_or_default();
        origin_file::restore(&connection, &origins).map_err(database)?;
        if instance.is_none() {
            // The machine's word is no longer known: its Maildirs get the one that was drawn.
            let adopt = "UPDATE OR IGNORE place SET machine = (SELECT value FROM meta WHERE name = 'instance')
                         WHERE machine <> ''";
            connection.execute(adopt, []).map_err(database)?;
        }
        salvage::tidy(&aside);
        let aside = note.had_database.then_some(aside);
        Ok(Self { connection, dir: dir.to_owned(), path, aside, salvaged, instance })
    }

    /// Maildirs that the old database knew.
    ///
    /// # Errors
    /// The new database cannot be read.
    pub fn maildirs(&self) -> Result<Vec<PathBuf>, StoreError> {
        lost::maildirs(&self.connection).map_err(|error| database_error(&self.path, &error))
    }

    /// Records what a Maildir holds; `None`: it could not be read, and must be read before anything
    /// is fetched for it.
    ///
    /// # Errors
    /// The new database cannot be written.
    pub fn note(&self, maildir: &Path, files: Option<&[FoundFile]>) -> Result<(), StoreError> {
        let write = || {
            let transaction = super::begin(&self.connection)?;
            lost::note_files(&transaction, maildir, files)?;
            transaction.commit()
        };
        write().map_err(|error| database_error(&self.path, &error))
    }

    /// Puts the new database into its place; these accounts, and those that the old one knew, are
    /// lost until their next listing.
    ///
    /// # Errors
    /// The database cannot be written; the next start begins again.
    pub fn finish(self, accounts: &[Name]) -> Result<(), StoreError> {
        let fill = || {
            let transaction = super::begin(&self.connection)?;
            lost::mark(&transaction, accounts, Lost::Lost)?;
            transaction.commit()?;
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        };
        fill().map_err(|error| database_error(&self.path, &error))?;
        origin_file::keep(&self.dir, &self.connection)?;
        drop(self.connection);
        let place = || {
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(beside(&self.path, suffix));
            }
            sync_file(private::open(&self.path, std::fs::OpenOptions::new().read(true))?)?;
            std::fs::rename(&self.path, file::path(&self.dir))?;
            sync_folder(&self.dir)
        };
        place().map_err(|error| StoreError::directory(&self.dir, &error))?;
        Ok(conclude(&self.dir)?)
    }
}

/// Whether anything has that name; a link counts, wherever it leads.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The new file, private from the start.
fn make(path: &Path) -> io::Result<Connection> {
    private::create(path)?;
    file::connect(path).map_err(io::Error::other)
}

/// Renames the old files.  A write-ahead log that stayed behind would be taken for the new
/// database's, so it is renamed first.
fn set_aside(dir: &Path, aside: &Path) -> io::Result<()> {
    let old = file::path(dir);
    for suffix in ["-wal", ""] {
        let (from, to) = (beside(&old, suffix), beside(aside, suffix));
        match (is_there(&from), is_there(&to)) {
            (true, false) => std::fs::rename(from, to)?,
            // Made by a reader while the rebuild was interrupted.
            (true, true) => std::fs::remove_file(from)?,
            (false, _) => {}
        }
        sync_folder(dir)?;
    }
    let _ = std::fs::remove_file(beside(&old, "-shm"));
    Ok(())
}

/// A name that nothing in the directory has.
fn free_name(dir: &Path, label: &str) -> String {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut names = (1..).map(|count: u32| match count {
        1 => format!("state.db.{label}-{now}"),
        more => format!("state.db.{label}-{now}-{more}"),
    });
    let is_free = |name: &String| ["", "-wal"].iter().all(|suffix| !is_there(&beside(&dir.join(name), suffix)));
    names.find(is_free).unwrap_or_default()
}
