//! Opening the database: settings that the promise rests on, verified; never a silent fresh start.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, schema};

/// How long a statement waits for a reader that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Marks a directory that has had a database: one that is missing then is no first run.
const MARKER: &str = "initialized";

/// Turns an error of SQLite into one that names the file.
pub(super) fn database_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ffi::ErrorCode;
    let path = path.to_owned();
    // The text of its source is in its own.
    let cause = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { path, cause },
        code => StoreError::Database { path, cause, full: code == Some(ErrorCode::DiskFull) },
    }
}

/// The database's file.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

/// Opens the database for writing; makes it if this directory never had one.  The lock must be
/// held.
pub(super) fn open(dir: &Path) -> Result<Connection, StoreError> {
    let path = path(dir);
    let failed = |error: rusqlite::Error| database_error(&path, &error);
    let marker = dir.join(MARKER);
    let is_new = !path.exists();
    if is_new {
        if marker.exists() {
            return Err(StoreError::Missing { path });
        }
        // SQLite would create it with the umask's mode.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| StoreError::directory(dir, &error))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    check_owner(&connection, &path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if !mode.eq_ignore_ascii_case("wal") {
        let cause = format!("SQLite cannot use its write-ahead log here (journal mode {mode})");
        return Err(StoreError::Database { path, cause, full: false });
    }
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -2048;")
        .map_err(failed)?;
    create(&connection).map_err(failed)?;
    if !marker.exists() {
        let made = File::create(&marker).and_then(|file| file.sync_all());
        made.and_then(|()| File::open(dir)?.sync_all()).map_err(|error| StoreError::directory(dir, &error))?;
    }
    Ok(connection)
}

/// Opens the database for reading, beside a process that writes.
pub(super) fn open_for_reading(dir: &Path) -> Result<Option<Connection>, StoreError> {
    let path = path(dir);
    if !path.exists() {
        return match dir.join(MARKER).exists() {
            true => Err(StoreError::Missing { path }),
            false => Ok(None),
        };
    }
    let failed = |error: rusqlite::Error| database_error(&path, &error);
    // Not read-only: the write-ahead log of a process that was killed must be taken in.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    check_owner(&connection, &path)?;
    match version(&connection).map_err(failed)? {
        0 => return Ok(None),
        // Beside a service of this version it is none; before its first start it may be.
        _ => create(&connection).map_err(failed)?,
    }
    Ok(Some(connection))
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
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

/// Makes the tables of a new database, or brings an older one up to this format; all or nothing.
fn create(connection: &Connection) -> rusqlite::Result<()> {
    if version(connection)? == schema::VERSION {
        return Ok(());
    }
    let transaction = super::begin(connection)?;
    // Another process may have been faster.
    match usize::try_from(version(&transaction)?).unwrap_or(0) {
        0 => {
            transaction.execute_batch(schema::CREATE)?;
            let instance: String = std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
            transaction.execute("INSERT INTO meta (name, value) VALUES ('instance', ?1)", [instance])?;
            transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        }
        older => schema::UPGRADES.iter().skip(older - 1).try_for_each(|upgrade| transaction.execute_batch(upgrade))?,
    }
    transaction.pragma_update(None, "user_version", schema::VERSION)?;
    transaction.commit()
}

/// A word that tells this state directory's Maildir names from another's.
pub(super) fn instance(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE name = 'instance'", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables and their columns, in their order.
    fn shape(connection: &Connection) -> Vec<(String, String)> {
        let mut find = connection
            .prepare(
                "SELECT t.name, group_concat(c.name || ' ' || c.type || ' ' || c.\"notnull\" || c.pk, ', ')
                 FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name ORDER BY 1",
            )
            .expect("a statement");
        let rows = find.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("read")
    }

    /// Format 1 is this one without what came later.
    fn make_format_1(dir: &Path) {
        let connection = open(dir).expect("made");
        connection
            .execute_batch(
                "ALTER TABLE account DROP COLUMN migrating; ALTER TABLE account DROP COLUMN lost;
                 ALTER TABLE message DROP COLUMN head; ALTER TABLE message DROP COLUMN proof;
                 ALTER TABLE message DROP COLUMN crashes; ALTER TABLE message DROP COLUMN absent; DROP TABLE salvaged; PRAGMA user_version = 1;
                 INSERT INTO account (name, first_poll) VALUES ('a', 7);",
            )
            .expect("changed");
    }

    #[test]
    fn an_older_database_is_brought_up_to_date_with_what_is_in_it() {
        let (old, new) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        make_format_1(old.path());
        let connection = open(old.path()).expect("opened");
        assert_eq!(shape(&connection), shape(&open(new.path()).expect("made")));
        assert_eq!(version(&connection).expect("read"), schema::VERSION);
        let first_poll: i64 = connection.query_row("SELECT first_poll FROM account", [], |row| row.get(0)).expect("it");
        assert_eq!(first_poll, 7);
    }
}
