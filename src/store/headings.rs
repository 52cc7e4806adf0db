//! What people know messages by, From, Subject and Date: recorded, unless the operator does not want that.
//!
//! That it is not wanted is a fact of the state, so that a poll that began before the change records nothing either.

use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::header::{HEADING_LIMIT, Heading};
use crate::message::{MessageKey, Name};
use crate::text;

/// The row of `meta` that says so.
const OFF: &str = "headings-off";

/// Its value once no heading is left in the file.
const REMOVED: &str = "removed";

/// Octets of a database that is written anew by way of memory.
const IN_MEMORY: i64 = 64 << 20;

/// The SQL function that [`search_for`] makes.
pub(super) const HOLDS: &str = "holds";

/// The heading in three columns that begin at `first`.  The database may have been written by anybody.
pub(super) fn read(row: &Row<'_>, first: usize) -> rusqlite::Result<Heading> {
    let text = |index: usize| {
        let text = row.get::<_, Option<String>>(first + index)?;
        Ok::<_, rusqlite::Error>(text.map(|text| text::one_line(&text, HEADING_LIMIT)))
    };
    Ok(Heading { from: text(0)?, subject: text(1)?, date: row.get(first + 2)? })
}

/// From, Subject and Date of messages, as far as they are on record.
pub(super) fn find(connection: &Connection, account: &Name, keys: &[MessageKey]) -> rusqlite::Result<Vec<Heading>> {
    let mut find = connection.prepare(
        "SELECT m.sender, m.subject, m.date FROM message m JOIN account a ON a.id = m.account
         WHERE a.name = ?1 AND m.uid = ?2 AND m.occurrence = ?3",
    )?;
    let of_one = |key: &MessageKey| {
        let found = find.query_row(params![account.as_str(), key.uid(), key.occurrence()], |row| read(row, 0));
        found.optional().map(Option::unwrap_or_default)
    };
    keys.iter().map(of_one).collect()
}

/// Makes [`HOLDS`]: whether a text contains `wanted`, in any case.  SQLite by itself knows the cases of ASCII alone.
/// Upper case, since that of `ß` and of both small sigmas is the same whatever is beside them.
pub(super) fn search_for(connection: &Connection, wanted: Option<&str>) -> rusqlite::Result<()> {
    let wanted = wanted.map(str::to_uppercase);
    connection.create_scalar_function(HOLDS, 1, FunctionFlags::SQLITE_UTF8, move |context| {
        let text = context.get::<Option<String>>(0)?;
        Ok(text.zip(wanted.as_ref()).is_some_and(|(text, wanted)| text.to_uppercase().contains(wanted)))
    })
}

/// Whether headings are recorded; `None`: they are not, and some may still be in the file.
pub(super) fn setting(connection: &Connection) -> rusqlite::Result<Option<bool>> {
    let mut find = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let value: Option<String> = find.query_row([OFF], |row| row.get(0)).optional()?;
    Ok(value.map_or(Some(true), |value| (value == REMOVED).then_some(false)))
}

/// From now on headings are recorded; or they are not, and those on record are removed.  Their octets leave the file with
/// [`clear_out`].
pub(super) fn record(connection: &Connection, wanted: bool) -> rusqlite::Result<usize> {
    if wanted {
        return connection.execute("DELETE FROM meta WHERE name = ?1", [OFF]);
    }
    connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES (?1, '')", [OFF])?;
    connection.execute(
        "UPDATE message SET sender = NULL, subject = NULL, date = NULL
         WHERE sender IS NOT NULL OR subject IS NOT NULL OR date IS NOT NULL",
        [],
    )
}

/// Writes the file anew, without what was removed from it before, and empties the write-ahead log.  If that fails,
/// [`setting`] says so, and it is tried again.
pub(super) fn clear_out(connection: &Connection) -> rusqlite::Result<()> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let is_small = number("page_count")?.saturating_mul(number("page_size")?) <= IN_MEMORY;
    // A service may write in no folder for temporary files.
    connection.pragma_update(None, "temp_store", if is_small { "MEMORY" } else { "FILE" })?;
    let written = connection.execute_batch("VACUUM");
    connection.pragma_update(None, "temp_store", "DEFAULT")?;
    written?;
    let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if !is_busy {
        connection.execute("UPDATE meta SET value = ?2 WHERE name = ?1", [OFF, REMOVED])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Possession, Reader, Stage, Store};

    fn heading(text: &str) -> Heading {
        Heading { from: Some(format!("from {text}")), subject: Some(text.into()), date: Some(7) }
    }

    fn key(uid: &str) -> MessageKey {
        MessageKey::new(uid.as_bytes(), 0).expect("a key")
    }

    async fn stage(store: &Store, uid: &str, heading: Heading) {
        let (octets, digest, listed, message_id, fingerprint) = (1, [0; 32], None, None, None);
        let (header_only, targets, key) = (false, Vec::new(), key(uid));
        let message = Stage { key, octets, digest, listed, message_id, fingerprint, heading, header_only, targets };
        let change =
            Change::Stage { account: Name::new("a").expect("a name"), messages: vec![message], places: vec![] };
        store.apply(vec![change], 1).await.expect("written");
    }

    fn found(dir: &std::path::Path, uid: &str) -> Heading {
        let reader = Reader::open(dir).expect("open");
        reader.headings(&Name::new("a").expect("a name"), &[key(uid)]).expect("read").remove(0)
    }

    #[tokio::test]
    async fn what_was_staged_last_is_on_record_and_nothing_while_that_is_not_wanted() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let store = Possession::take(dir).and_then(|possession| possession.open()).expect("open").0;
        stage(&store, "x", heading("one")).await;
        stage(&store, "y", heading("two")).await;
        assert_eq!((found(dir, "x"), found(dir, "z")), (heading("one"), Heading::default()));
        stage(&store, "x", heading("three")).await;
        assert_eq!(found(dir, "x"), heading("three"));
        store.record_headings(false, 1).await.expect("written");
        stage(&store, "x", heading("four")).await;
        stage(&store, "z", heading("five")).await;
        for uid in ["x", "y", "z"] {
            assert!(found(dir, uid).is_empty(), "{uid}");
        }
        store.record_headings(true, 1).await.expect("written");
        stage(&store, "x", heading("six")).await;
        assert_eq!(found(dir, "x"), heading("six"));
    }

    #[tokio::test]
    async fn what_is_removed_is_in_no_file_even_before_the_state_is_closed() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        for number in 0..500 {
            stage(&store, &format!("u{number}"), heading(&"Markword ".repeat(number % 20))).await;
        }
        let holds = || {
            let files = std::fs::read_dir(dir.path()).expect("a folder").map(|entry| entry.expect("an entry").path());
            files
                .filter_map(|path| std::fs::read(path).ok())
                .any(|octets| memchr::memmem::find(&octets, b"Markword").is_some())
        };
        assert!(holds());
        store.record_headings(false, 1).await.expect("written");
        assert!(!holds());
    }
}
