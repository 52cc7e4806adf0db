//! What can still be read of a damaged database, row by row from both ends.
//!
//! A row that breaks a rule of its table is left out, as is one whose parent row is missing.  A
//! message counts as delivered everywhere only if its deliveries say so too: one changed bit must
//! not get it deleted on the server.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};

use super::file::{beside, connect_as};
use super::schema::{self, kind, state};
use super::sound::{SANE, SANE_SINCE};

/// Tables, each after those that its rows refer to, with the key to walk them by.
const TABLES: [(&str, &str); 4] = [("account", "id"), ("place", "id"), ("message", "id"), ("delivery", "message")];

/// Most keys that one step over an unreadable part skips.
const LONGEST_STEP: i64 = 1 << 40;

/// How much was taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Accounts.
    pub accounts: u64,
    /// Messages.
    pub messages: u64,
    /// Deliveries.
    pub deliveries: u64,
}

/// A database that is not to be changed.
pub(super) struct Source(Connection);

impl Source {
    /// Opens it, if SQLite can make anything of it.
    pub(super) fn open(path: &Path) -> Option<Self> {
        connect_as(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok().map(Self)
    }

    /// The word in the names of its files.
    pub(super) fn instance(&self) -> Option<String> {
        let find = "SELECT value FROM meta WHERE name = 'instance'";
        let word: String = self.0.query_row(find, [], |row| row.get(0)).optional().ok()??;
        (word.len() == 8 && word.bytes().all(|octet| octet.is_ascii_alphanumeric())).then_some(word)
    }

    /// Copies what can be read and makes sense.
    ///
    /// # Errors
    /// The new database cannot be written.
    pub(super) fn salvage(&self, to: &Connection) -> rusqlite::Result<Salvaged> {
        let transaction = super::begin(to)?;
        for (table, key) in TABLES {
            let columns = self.columns(table, &transaction);
            if !columns.is_empty() && !self.copy(table, key, &columns, false, &transaction)? {
                self.copy(table, key, &columns, true, &transaction)?;
            }
            if table == "place" {
                transaction.execute_batch(schema::GIVE_KINDS)?;
            }
            for (_, sane) in SANE.into_iter().chain(SANE_SINCE).filter(|(name, _)| *name == table) {
                transaction.execute(&format!("DELETE FROM {table} WHERE NOT coalesce({sane}, 0)"), [])?;
            }
        }
        transaction.execute(
            "UPDATE message SET done = NULL WHERE done IS NOT NULL AND deleted IS NULL AND EXISTS
             (SELECT 1 FROM delivery d WHERE d.message = message.id AND d.state NOT IN (?1, ?2))",
            [state::DELIVERED, state::SKIPPED],
        )?;
        // Where it went is lost; the Maildirs show it.
        transaction.execute(
            "DELETE FROM message WHERE kind <> ?1 AND deleted IS NULL
             AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message = message.id)",
            [kind::IGNORED],
        )?;
        let count = |table: &str| -> rusqlite::Result<u64> {
            let rows: i64 = transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
            Ok(u64::try_from(rows).unwrap_or(0))
        };
        let salvaged =
            Salvaged { accounts: count("account")?, messages: count("message")?, deliveries: count("delivery")? };
        transaction.commit()?;
        Ok(salvaged)
    }

    /// Columns that both databases have: the old one may be of an older format.
    fn columns(&self, table: &str, to: &Connection) -> Vec<String> {
        let of = |connection: &Connection| -> rusqlite::Result<Vec<String>> {
            let mut find = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
            find.query_map([table], |row| row.get(0))?.collect()
        };
        let (ours, theirs) = (of(to).unwrap_or_default(), of(&self.0).unwrap_or_default());
        ours.into_iter().filter(|column| theirs.contains(column)).collect()
    }

    /// Copies the rows of a table in one direction, skipping parts that cannot be read.  Returns
    /// whether there were no such parts.
    fn copy(
        &self,
        table: &str,
        key: &str,
        columns: &[String],
        descending: bool,
        to: &Connection,
    ) -> rusqlite::Result<bool> {
        let (list, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
        let (is, order) = if descending { ("<", "DESC") } else { (">", "ASC") };
        let select = format!("SELECT {key}, {list} FROM {table} WHERE {key} {is} ?1 ORDER BY {key} {order}");
        let mut insert = to.prepare(&format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({marks})"))?;
        let (mut from, mut step) = (if descending { i64::MAX } else { -1 }, 0);
        let mut whole = true;
        while step < LONGEST_STEP {
            let Ok(mut find) = self.0.prepare(&select) else { return Ok(false) };
            let start = if descending { from.saturating_sub(step) } else { from.saturating_add(step) };
            let Ok(mut rows) = find.query([start]) else { return Ok(false) };
            let ended = loop {
                let row = match rows.next() {
                    Ok(Some(row)) => row,
                    Ok(None) => break true,
                    Err(_) => break false,
                };
                let Ok(at) = row.get::<_, i64>(0) else { break false };
                (from, step) = (at, 0);
                // Invalid text is no reason to end: only this row is left out.
                let values: rusqlite::Result<Vec<Value>> = (1..=columns.len()).map(|index| row.get(index)).collect();
                if let Ok(values) = values {
                    match insert.execute(params_from_iter(values)) {
                        // It breaks a rule of its table.
                        Err(rusqlite::Error::SqliteFailure(error, _))
                            if error.code == rusqlite::ErrorCode::ConstraintViolation => {}
                        result => {
                            result?;
                        }
                    }
                }
            };
            if ended {
                return Ok(whole);
            }
            whole = false;
            step = if step == 0 { 1 } else { step * 2 };
            if descending && from == i64::MAX {
                // Nothing was read from this end: there is no place to step from.
                return Ok(false);
            }
        }
        Ok(false)
    }
}

/// Removes what reading a set-aside database has left beside it.
pub(super) fn tidy(aside: &Path) {
    let _ = std::fs::remove_file(beside(aside, "-shm"));
    let log = beside(aside, "-wal");
    if log.metadata().is_ok_and(|metadata| metadata.len() == 0) {
        let _ = std::fs::remove_file(log);
    }
}
