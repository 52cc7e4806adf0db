//! The database's file: where it is, how every part of this program opens it, and what distinguishes it from others.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{StoreError, durable, schema};
use crate::filesystem::{owner, private};

/// How long a statement waits for a reader that holds the database.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Marks a directory that has had a database: if the database is missing there, this is not the first
/// run.  It holds the instance word, which thus outlives the database.
pub(super) const MARKER: &str = "initialized";

/// The database's file.
pub(super) fn path(dir: &Path) -> PathBuf {
    dir.join("state.db")
}

/// A companion of the database: `-wal`, `-shm`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Turns an error of SQLite into one that names the file.
pub(super) fn database_error(path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ffi::ErrorCode;
    // Its own text includes that of its source.
    let cause = error.to_string();
    let barred = ["", "-wal", "-shm"].map(|suffix| beside(path, suffix));
    let barred = barred.iter().find_map(|file| Some((file, owner::obstacle(file)?)));
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Damaged { path, cause },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path, limit: BUSY_TIMEOUT },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            let (path, cause) = match barred {
                Some((file, obstacle)) => (file.clone(), format!("{cause}; {}", obstacle.told(file))),
                None => (path, cause),
            };
            StoreError::Inaccessible { path, cause }
        }
        code => StoreError::Database { path, cause, full: code == Some(ErrorCode::DiskFull) },
    }
}

/// Whether this directory has had a database.
pub(super) fn is_marked(dir: &Path) -> Result<bool, StoreError> {
    let marker = dir.join(MARKER);
    private::is_there(&marker).map_err(|error| StoreError::file(&marker, &error))
}

/// The database's size; `None` if it is not there.  A link in place of it or of a file that SQLite keeps
/// beside it is an error.
pub(super) fn files(path: &Path) -> Result<Option<u64>, StoreError> {
    let size = |path: &Path| private::size(path).map_err(|error| StoreError::file(path, &error));
    for suffix in ["-wal", "-shm", "-journal"] {
        size(&beside(path, suffix))?;
    }
    size(path)
}

/// The instance word in the marker beside the database; `None` if an older version left none there.
pub(super) fn marked_instance(dir: &Path) -> Option<String> {
    let word = durable::read(dir, MARKER).ok()?;
    let word = word.trim();
    (!word.is_empty() && word.bytes().all(|octet| octet.is_ascii_alphanumeric())).then(|| word.to_owned())
}

/// Opens a database's file, but follows no link.
pub(super) fn connect_as(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // SQLite refuses links in the whole path; those above the directory are the operator's.
    let real = path.parent().and_then(|dir| Some(dir.canonicalize().ok()?.join(path.file_name()?)));
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    Connection::open_with_flags(real.as_deref().unwrap_or(path), flags)
}

/// Opens the file as every part of this program does.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect_as(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // The write-ahead log stays where it is, even if it is empty: if it is missing, it was taken away.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(connection)
}

/// Asks for a write-ahead log; the mode that SQLite uses then.  It names the mode in a row, and makes the change only
/// when the statement ends: an I/O error comes behind that row.
pub(super) fn use_log(connection: &Connection) -> rusqlite::Result<String> {
    let mut switch = connection.prepare("PRAGMA journal_mode = WAL")?;
    let modes: rusqlite::Result<Vec<String>> = switch.query_map([], |row| row.get(0))?.collect();
    Ok(modes?.into_iter().last().unwrap_or_default())
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// How many times the database was closed in order; `None` if it is older than the seals.
pub(super) fn generation(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let value: Option<String> =
        connection.query_row("SELECT value FROM meta WHERE name = 'generation'", [], |row| row.get(0)).optional()?;
    Ok(value.and_then(|value| value.parse().ok()))
}

/// The word that distinguishes this state directory's file names in Maildirs from another's.
pub(super) fn instance(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE name = 'instance'", [], |row| row.get(0))
}

/// Makes the tables of a new database, or brings an older one up to this format; all or nothing.
/// Returns whether anything had to be done.
pub(super) fn create(connection: &Connection, instance: Option<String>) -> rusqlite::Result<bool> {
    if version(connection)? == schema::VERSION {
        return Ok(false);
    }
    // With them on, the rows of other tables would be deleted with a table that is made again.  Within a transaction
    // the setting cannot be changed.
    connection.execute_batch("PRAGMA foreign_keys = OFF")?;
    let made = make(connection, instance);
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    made.map(|()| true)
}

fn make(connection: &Connection, instance: Option<String>) -> rusqlite::Result<()> {
    let transaction = super::begin(connection)?;
    // Another process may have been faster.
    match usize::try_from(version(&transaction)?).unwrap_or(0) {
        0 => {
            transaction.execute_batch(schema::CREATE)?;
            let drawn = || std::iter::repeat_with(fastrand::alphanumeric).take(8).collect();
            let instance: String = instance.unwrap_or_else(drawn);
            transaction
                .execute("INSERT INTO meta (name, value) VALUES ('instance', ?1), ('generation', '0')", [instance])?;
            transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        }
        older => {
            schema::UPGRADES.iter().skip(older - 1).try_for_each(|upgrade| transaction.execute_batch(upgrade))?;
            transaction.execute_batch(schema::GIVE_KINDS)?;
        }
    }
    transaction.pragma_update(None, "user_version", schema::VERSION)?;
    transaction.commit()
}
