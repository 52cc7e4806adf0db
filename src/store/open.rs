//! Opening the database: settings that the promise rests on, verified; never a silent fresh start.
//!
//! What an orderly end has left (`seal`) is taken as it is.  Everything else is checked whole, and
//! found sound, damaged, or older than it once was.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::file::{
    MARKER, beside, connect, create, database_error, files, generation, instance, is_marked, marked_instance, path,
    use_log, version,
};
use super::seal::{self, Fit, Seal};
use super::{StoreError, durable, origin_file, renew, schema, sound};
use crate::filesystem::private;

/// How a database was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This directory never had one.
    New,
    /// As the last orderly end has left it.
    Sound,
    /// Octet for octet as an orderly end has left it, but a copy; the Maildirs may know of more.
    Copied,
    /// Whole, but left in disorder or changed since; the Maildirs may know of more.
    Unsealed,
    /// Whole, but certainly older than it once was.
    Outdated {
        /// What shows it.
        cause: String,
    },
}

/// An open database.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) condition: Condition,
}

/// Opens the database for writing; makes it if this directory never had one.  The lock must be
/// held.
pub(super) fn open(dir: &Path) -> Result<Opened, StoreError> {
    renew::resume(dir)?;
    let was_there = is_marked(dir)?;
    open_or_make(dir, was_there).map_err(|error| match error {
        // Nothing has been written to it yet: what looks damaged is a disk that fails just now.
        StoreError::Damaged { path, cause } if !was_there => StoreError::Database { path, cause, full: false },
        error => error,
    })
}

fn open_or_make(dir: &Path, was_there: bool) -> Result<Opened, StoreError> {
    let path = path(dir);
    let failed = |error: rusqlite::Error| database_error(&path, &error);
    let left = Left::find(dir, was_there)?;
    let connection = connect(&path).map_err(failed)?;
    let mut condition = left.condition(dir, &connection, was_there)?;
    configure(&connection, &path)?;
    if create(&connection, marked_instance(dir)).map_err(failed)? {
        seal::break_seal(dir)?;
        if matches!(condition, Condition::Sound | Condition::Copied) {
            condition = Condition::Unsealed;
        }
    }
    if take_origins(dir, &connection, &condition)? {
        seal::break_seal(dir)?;
        condition = if condition == Condition::Copied { Condition::Unsealed } else { condition };
    }
    let instance = instance(&connection).map_err(failed)?;
    if marked_instance(dir).as_ref() != Some(&instance) {
        durable::write(dir, MARKER, &instance)?;
    }
    Ok(Opened { connection, condition })
}

/// Takes over what the file of origins says, where the database may not know it; then the file says what the database
/// says.  Returns whether the database was changed.
fn take_origins(dir: &Path, connection: &Connection, condition: &Condition) -> Result<bool, StoreError> {
    let failed = |error: rusqlite::Error| database_error(&path(dir), &error);
    let transaction = super::begin(connection).map_err(failed)?;
    let is_news = match condition {
        // The database knows all of it.
        Condition::Sound => Ok(false),
        Condition::New => origin_file::restore(&transaction, &origin_file::read(dir)?).map(|()| false),
        Condition::Outdated { .. } => origin_file::complete(&transaction, &origin_file::read(dir)?),
        // If the file is broken, a database that is whole decides alone.
        Condition::Unsealed | Condition::Copied => {
            origin_file::complete(&transaction, &origin_file::read(dir).unwrap_or_default())
        }
    };
    let is_news = is_news.map_err(failed)?;
    origin_file::keep(dir, &transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(is_news)
}

/// The files that an earlier process left, as they are before SQLite opens them.
struct Left {
    path: PathBuf,
    /// Octets of the database; `None`: it was made just now.
    size: Option<u64>,
    /// Octets of the write-ahead log, if there is one.
    log: Option<u64>,
    seal: Option<Seal>,
    /// How the files fit the seal, if there is one.
    fit: Option<Fit>,
}

impl Left {
    /// Looks at them; makes an empty database where there is none and never was one.
    fn find(dir: &Path, was_there: bool) -> Result<Self, StoreError> {
        let path = path(dir);
        let unreadable = |error: std::io::Error| StoreError::file(&path, &error);
        let size = files(&path)?;
        match size {
            None if was_there => return Err(StoreError::Missing { path }),
            // SQLite would create it with the umask's mode.
            None => {
                private::create(&path).map_err(unreadable)?;
            }
            // SQLite would take it for a new database, and discard its write-ahead log.
            Some(0) if was_there => return Err(StoreError::Damaged { path, cause: "it is empty".into() }),
            Some(_) => {}
        }
        let log = private::size(&beside(&path, "-wal")).map_err(unreadable)?;
        let seal = Seal::read(dir);
        let fit = seal.as_ref().map(|seal| seal.fit(&path, log.unwrap_or(0) > 0)).transpose().map_err(unreadable)?;
        Ok(Self { path, size, log, seal, fit })
    }

    /// How the database was found, once SQLite has it open.
    fn condition(&self, dir: &Path, connection: &Connection, was_there: bool) -> Result<Condition, StoreError> {
        match check_owner(connection, &self.path) {
            // The seal is of another header: a bit of it has changed since.
            Err(StoreError::Newer { .. } | StoreError::Foreign { .. }) if self.fit == Some(Fit::Changed) => {
                return Err(self.damaged("its header was changed"));
            }
            result => result?,
        }
        let is_new = version(connection).map_err(|error| database_error(&self.path, &error))? == 0;
        match (is_new, self.fit) {
            (true, _) if was_there => Err(self.damaged("it holds nothing")),
            (true, _) => Ok(Condition::New),
            (false, Some(Fit::Whole)) => Ok(Condition::Sound),
            (false, _) => self.examined(dir, connection),
        }
    }

    /// How a database was found that is not as an orderly end has left it: its content is checked whole.
    fn examined(&self, dir: &Path, connection: &Connection) -> Result<Condition, StoreError> {
        let failed = |error: rusqlite::Error| database_error(&self.path, &error);
        let is_read_only = connection.is_readonly("main").map_err(failed)?;
        if is_read_only && self.fit == Some(Fit::Changed) {
            return Err(self.damaged("its header forbids to write"));
        }
        // A page has 512 octets or a multiple of them.  The log could have the rest of the last one.
        let without_log = self.log.unwrap_or(0) == 0;
        if without_log && self.size.is_some_and(|octets| octets % 512 != 0) {
            return Err(self.damaged("its end is cut off"));
        }
        // Octets that are those of an orderly end need not be checked again.
        let is_copy = self.fit == Some(Fit::Touched) && without_log;
        if !is_copy && let Some(cause) = sound::faults(connection).map_err(failed)?.into_iter().next() {
            return Err(self.damaged(&cause));
        }
        let marked = marked_instance(dir);
        if marked.is_some() && marked != instance(connection).optional().map_err(failed)? {
            return Err(self.damaged("it is not the one of this directory"));
        }
        match age(connection, self.seal.as_ref(), self.log.is_none()).map_err(failed)? {
            Condition::Unsealed if is_copy => Ok(Condition::Copied),
            condition => Ok(condition),
        }
    }

    fn damaged(&self, cause: &str) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), cause: cause.to_owned() }
    }
}

/// Sets what the promise rests on, and sees that SQLite has done it.
fn configure(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| database_error(path, &error);
    let mode = use_log(connection).map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let cause = format!("SQLite cannot use its write-ahead log here (journal mode {mode})");
        return Err(StoreError::Database { path: path.to_owned(), cause, full: false });
    }
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;")
        .map_err(failed)
}

/// Whether a whole database that was not left in order is one from before.
fn age(connection: &Connection, seal: Option<&Seal>, without_log: bool) -> rusqlite::Result<Condition> {
    let outdated = |cause: &str| Ok(Condition::Outdated { cause: cause.to_owned() });
    match (generation(connection)?, seal) {
        (Some(found), Some(seal)) if found < seal.generation => outdated("it is an older copy of itself"),
        // A database that no version with seals has written to may be without.
        (Some(_), None) if without_log => outdated("its write-ahead log (state.db-wal) is gone"),
        _ => Ok(Condition::Unsealed),
    }
}

/// Opens the database for reading, beside a process that writes.
pub(super) fn open_beside(dir: &Path) -> Result<Option<Connection>, StoreError> {
    let path = path(dir);
    renew::refuse_unfinished(dir)?;
    match (files(&path)?, is_marked(dir)?) {
        (None, true) => return Err(StoreError::Missing { path }),
        (None, false) => return Ok(None),
        (Some(0), true) => return Err(StoreError::Damaged { path, cause: "it is empty".into() }),
        _ => {}
    }
    let failed = |error: rusqlite::Error| database_error(&path, &error);
    // Not read-only: the write-ahead log of a process that was killed must be taken in.
    let connection = connect(&path).map_err(failed)?;
    check_owner(&connection, &path)?;
    match version(&connection).map_err(failed)? {
        0 => return Ok(None),
        // Beside a service of this version it is none; before its first start it may be.
        _ => create(&connection, None).map_err(failed)?,
    };
    Ok(Some(connection))
}

/// Refuses a file of another program or of a newer postrider.
fn check_owner(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| database_error(path, &error);
    let version = version(connection).map_err(failed)?;
    let application: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    match (version, application, tables) {
        (0, 0, 0) | (1..=schema::VERSION, schema::APPLICATION_ID, _) => Ok(()),
        (found, schema::APPLICATION_ID, _) if found > schema::VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: schema::VERSION })
        }
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Name;
    use crate::plan::Place;
    use crate::store::lookup;

    /// Each format is the next one without what came in it.
    fn make_format(dir: &Path, format: i64) {
        let connection = open(dir).expect("made").connection;
        let without = [
            "ALTER TABLE account DROP COLUMN migrating; ALTER TABLE account DROP COLUMN lost;
             ALTER TABLE message DROP COLUMN head; ALTER TABLE message DROP COLUMN proof;
             ALTER TABLE message DROP COLUMN crashes; ALTER TABLE message DROP COLUMN absent; DROP TABLE salvaged;",
            "DROP INDEX IF EXISTS message_content; DROP TABLE quiet; DROP TABLE host; ALTER TABLE place DROP COLUMN used;
             ALTER TABLE message DROP COLUMN digest; ALTER TABLE message ADD COLUMN sha256 BLOB;",
            "DROP TABLE former; DROP INDEX IF EXISTS message_content; DROP INDEX account_mailbox; ALTER TABLE message DROP COLUMN listed;
             ALTER TABLE account DROP COLUMN mailbox; ALTER TABLE account DROP COLUMN deliver;
             ALTER TABLE account DROP COLUMN by_size;",
            "ALTER TABLE account DROP COLUMN worked; ALTER TABLE account DROP COLUMN doubts;
             ALTER TABLE account DROP COLUMN told; ALTER TABLE host DROP COLUMN lessons;
             ALTER TABLE host DROP COLUMN lessons_until;",
            "PRAGMA foreign_keys = OFF; DROP TABLE account; DROP TABLE place; DROP TABLE alert;
             DROP TABLE destination;
             CREATE TABLE account (
                 id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, first_poll INTEGER,
                 failures INTEGER NOT NULL DEFAULT 0, refusals INTEGER NOT NULL DEFAULT 0,
                 not_before INTEGER NOT NULL DEFAULT 0, last_success INTEGER, error TEXT,
                 exit_code INTEGER NOT NULL DEFAULT 0, refused BLOB, migrating INTEGER NOT NULL DEFAULT 0,
                 lost INTEGER NOT NULL DEFAULT 0, mailbox TEXT, deliver TEXT, by_size INTEGER NOT NULL DEFAULT 0,
                 worked INTEGER, doubts INTEGER NOT NULL DEFAULT 0, told TEXT);
             CREATE INDEX account_mailbox ON account (mailbox);
             CREATE TABLE place (id INTEGER PRIMARY KEY, destination TEXT NOT NULL, location BLOB NOT NULL,
                 used INTEGER NOT NULL DEFAULT 0, UNIQUE (destination, location));
             ALTER TABLE message DROP COLUMN sender; ALTER TABLE message DROP COLUMN subject;
             ALTER TABLE message DROP COLUMN date; DROP INDEX message_ends; ALTER TABLE message DROP COLUMN ends;
             ALTER TABLE message DROP COLUMN ends_since; ALTER TABLE delivery DROP COLUMN since;
             ALTER TABLE message DROP COLUMN routed; ALTER TABLE delivery DROP COLUMN mark;
             ALTER TABLE delivery DROP COLUMN prefix; ALTER TABLE host DROP COLUMN replies;",
            "ALTER TABLE destination DROP COLUMN at_messages; ALTER TABLE account DROP COLUMN waiting;
             ALTER TABLE account DROP COLUMN too_large; ALTER TABLE account DROP COLUMN ignored;
             ALTER TABLE quiet DROP COLUMN ignored; DROP INDEX delivery_doubted; DROP INDEX delivery_open;
             CREATE INDEX delivery_open ON delivery (state) WHERE state IN (1, 5);",
        ];
        let steps: Vec<(i64, &str)> = (1..).zip(without).collect();
        for (_, without) in steps.into_iter().rev().take_while(|(older, _)| *older >= format) {
            connection.execute_batch(without).expect("changed");
        }
        connection.pragma_update(None, "user_version", format).expect("changed");
        connection.execute("INSERT INTO account (name, first_poll) VALUES ('a', 7)", []).expect("changed");
    }

    #[test]
    fn an_older_database_is_brought_up_to_date_with_what_is_in_it() {
        let new = tempfile::tempdir().expect("a directory");
        let new = open(new.path()).expect("made").connection;
        for format in 1..schema::VERSION {
            let old = tempfile::tempdir().expect("a directory");
            make_format(old.path(), format);
            let connection = open(old.path()).expect("opened").connection;
            assert_eq!(sound::shape(&connection).expect("read"), sound::shape(&new).expect("read"), "{format}");
            assert_eq!(version(&connection).expect("read"), schema::VERSION);
            let first_poll: i64 =
                connection.query_row("SELECT first_poll FROM account", [], |row| row.get(0)).expect("it");
            assert_eq!(first_poll, 7);
        }
    }

    #[test]
    fn places_of_before_format_6_are_a_maildir_of_this_machine_or_a_server_with_its_recipients() {
        let dir = tempfile::tempdir().expect("a directory");
        make_format(dir.path(), 5);
        let fill = "INSERT INTO place (id, destination, location, used) VALUES
                        (3, 'home', CAST('/mail of a' AS BLOB), 1), (5, 'hub', CAST('mx:25 a@b,\"c d\"@e' AS BLOB), 0);
                    INSERT INTO message (id, account, uid, occurrence, seen, kind) VALUES (7, 1, x'61', 0, 1, 0);
                    INSERT INTO delivery (message, place, state, at) VALUES (7, 3, 3, 1), (7, 5, 4, 1)";
        Connection::open(path(dir.path())).and_then(|old| old.execute_batch(fill)).expect("filled");
        let connection = open(dir.path()).expect("opened").connection;
        let deliveries = lookup::deliveries(&connection, 7).expect("read");
        let name = |text| Name::new(text).expect("a name");
        let home = Place::maildir(name("home"), "/mail of a", &instance(&connection).expect("a word"));
        let hub = Place::server(name("hub"), "smtp", "mx:25", "a@b,\"c d\"@e");
        assert_eq!(deliveries.iter().map(|delivery| &delivery.place).collect::<Vec<_>>(), [&home, &hub]);
        let used = "SELECT used FROM place WHERE destination = 'home'";
        assert_eq!(connection.query_row(used, [], |row| row.get::<_, i64>(0)).expect("kept"), 1);
        assert_eq!(sound::faults(&connection).expect("checked"), [""; 0]);
        connection.execute("DELETE FROM place WHERE id = 3", []).expect_err("rows belong to it");
    }
}
