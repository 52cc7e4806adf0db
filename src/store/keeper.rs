//! The thread that owns the database: it writes all waiting changes in one transaction, and answers queries.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rusqlite::Connection;

use super::answer::answer;
use super::query::{Query, Reply};
use super::seal::{Seal, break_seal};
use super::words::Change;
use super::{StoreError, file, headings, origin_file, write};
use crate::message::UnixTime;
use crate::plan::Patience;

/// Most requests that share one transaction.
const GROUP_LIMIT: usize = 256;

/// How long a transaction waits for another program's lock after one that has waited in vain.
const LOCKED_TIMEOUT: Duration = Duration::from_secs(2);

/// What the thread is asked to do.
pub(super) enum Request {
    Apply {
        changes: Vec<Change>,
        now: UnixTime,
        reply: Reply<usize>,
    },
    Read(Query),
    /// Ends the thread, and leaves the database in order.
    Close(Reply<()>),
}

/// A change that waits for its transaction.
struct Waiting {
    changes: Vec<Change>,
    now: UnixTime,
    reply: Reply<usize>,
}

impl Waiting {
    fn removes_headings(&self) -> bool {
        self.changes.iter().any(|change| matches!(change, Change::RecordHeadings(false)))
    }
}

/// The database and what this process has done with it.
pub(super) struct Keeper {
    pub(super) connection: Connection,
    pub(super) dir: PathBuf,
    pub(super) path: PathBuf,
    /// The seal beside it fits.
    pub(super) is_sealed: bool,
    /// The seal beside it fits except that the database is a copy.
    pub(super) is_copy: bool,
    /// Something was committed.
    pub(super) has_written: bool,
    /// SQLite has found it damaged.
    pub(super) is_damaged: bool,
    /// The last transaction waited in vain for another program's lock.
    pub(super) is_locked: bool,
}

impl Keeper {
    pub(super) fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Apply { changes, now, reply } => waiting.push(Waiting { changes, now, reply }),
                    Request::Read(query) => {
                        // It must see what was requested to be written before.
                        self.commit(std::mem::take(&mut waiting));
                        let is_damaged = answer(&self.connection, &self.path, query);
                        self.note_damage(is_damaged);
                    }
                    Request::Close(reply) => {
                        self.commit(waiting);
                        let _ = reply.send(self.close());
                        return;
                    }
                }
                next = if waiting.len() < GROUP_LIMIT { inbox.try_recv().ok() } else { None };
            }
            self.commit(waiting);
        }
    }

    /// One transaction for all waiting changes; if it fails, one for each, so that only the faulty one fails.
    fn commit(&mut self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        match self.transact(&waiting) {
            Ok(rows) => {
                self.note_lock(false);
                let broken = self.break_seal();
                if waiting.iter().any(Waiting::removes_headings) {
                    // What fails is tried again at the next start.
                    let _ = headings::clear_out(&self.connection);
                }
                for (waiting, rows) in waiting.into_iter().zip(rows) {
                    let _ = waiting.reply.send(broken.clone().map(|()| rows));
                }
            }
            Err(error) if waiting.len() == 1 => {
                self.note_lock(matches!(error, StoreError::Busy { .. }));
                self.note_damage(matches!(error, StoreError::Damaged { .. }));
                for waiting in waiting {
                    let _ = waiting.reply.send(Err(error.clone()));
                }
            }
            Err(error) => {
                self.note_lock(matches!(error, StoreError::Busy { .. }));
                waiting.into_iter().for_each(|one| self.commit(vec![one]));
            }
        }
    }

    fn transact(&self, waiting: &[Waiting]) -> Result<Vec<usize>, StoreError> {
        let failed = |error: rusqlite::Error| file::database_error(&self.path, &error);
        // Dropping it without commit rolls back.
        let transaction = super::begin(&self.connection).map_err(failed)?;
        let rows = waiting.iter().map(|waiting| {
            let counts =
                waiting.changes.iter().map(|change| write::apply(&transaction, change, &Patience::USUAL, waiting.now));
            counts.sum::<rusqlite::Result<usize>>()
        });
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(failed)?;
        if waiting.iter().flat_map(|waiting| &waiting.changes).any(moves_accounts) {
            origin_file::keep(&self.dir, &transaction)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(rows)
    }

    /// Called after the first commit, before its callers are answered: a commit that no caller knows of may be lost.
    fn break_seal(&mut self) -> Result<(), StoreError> {
        if !self.has_written {
            break_seal(&self.dir)?;
            (self.has_written, self.is_sealed) = (true, false);
        }
        Ok(())
    }

    /// A lock that was waited for in vain is not waited for as long by each of those behind.
    fn note_lock(&mut self, is_locked: bool) {
        if is_locked != self.is_locked {
            self.is_locked = is_locked;
            // The timeout is a setting of the connection, whatever the database is like.
            let _ = self.connection.busy_timeout(if is_locked { LOCKED_TIMEOUT } else { file::BUSY_TIMEOUT });
        }
    }

    /// Makes sure that the next start checks the whole database.
    fn note_damage(&mut self, is_damaged: bool) {
        if is_damaged {
            self.is_damaged = true;
            // Without write access nothing else can be done, and nothing is written either.
            let _ = break_seal(&self.dir);
        }
    }

    fn close(self) -> Result<(), StoreError> {
        if self.is_sealed || self.is_damaged {
            return Ok(());
        }
        let failed = |error: rusqlite::Error| file::database_error(&self.path, &error);
        let generation = file::generation(&self.connection).map_err(failed)?.unwrap_or(0);
        if self.is_copy && !self.has_written {
            drop(self.connection);
            return seal(&self.dir, &self.path, generation);
        }
        let generation = generation + 1;
        let raise = "INSERT OR REPLACE INTO meta (name, value) VALUES ('generation', ?1)";
        self.connection.execute(raise, [generation.to_string()]).map_err(failed)?;
        let busy: bool =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
        drop(self.connection);
        if busy {
            // Another process reads it; the next start takes over the write-ahead log.
            return Ok(());
        }
        seal(&self.dir, &self.path, generation)
    }
}

/// Whether a change may concern what stands for accounts in the names of files.
fn moves_accounts(change: &Change) -> bool {
    matches!(change, Change::Bind { .. } | Change::RenameAccount { .. } | Change::Lost(_))
}

/// The database must be closed.
fn seal(dir: &Path, path: &Path, generation: i64) -> Result<(), StoreError> {
    let seal = Seal::of(path, generation).map_err(|error| StoreError::file(path, &error))?;
    Ok(seal.write(dir)?)
}
