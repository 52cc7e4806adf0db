//! Whether a database is whole: SQLite's own checks, and what every row must be like.

use rusqlite::{Connection, Row};

use super::file::version;
use super::schema;

/// What holds for every row of a table, whatever the program did; a changed bit may break it.
/// Only columns that every format has.
pub(super) const SANE: [(&str, &str); 4] = [
    (
        "account",
        "typeof(name) = 'text' AND length(name) BETWEEN 1 AND 64 AND typeof(first_poll) IN ('null', 'integer')
         AND typeof(not_before) = 'integer'",
    ),
    ("place", "typeof(destination) = 'text' AND typeof(location) = 'blob' AND length(location) > 0"),
    (
        "message",
        "typeof(uid) = 'blob' AND length(uid) BETWEEN 1 AND 512
         AND typeof(occurrence) = 'integer' AND occurrence BETWEEN 0 AND 4294967295
         AND typeof(octets) IN ('null', 'integer') AND typeof(seen) = 'integer' AND kind IN (0, 1, 2)
         AND typeof(message_id) IN ('null', 'text')
         AND typeof(done) IN ('null', 'integer') AND typeof(deleted) IN ('null', 'integer')",
    ),
    (
        "delivery",
        "state IN (1, 2, 3, 4, 5, 6) AND typeof(at) = 'integer' AND typeof(attempts) = 'integer'
         AND typeof(until) IN ('null', 'integer') AND typeof(detail) IN ('null', 'text')",
    ),
];

/// The same for columns that came later.
pub(super) const SANE_SINCE: [(&str, &str); 4] = [
    ("account", "typeof(folder) = 'text' AND typeof(origin) IN ('null', 'text') AND typeof(revision) = 'integer'"),
    ("place", "typeof(kind) = 'text' AND length(kind) > 0 AND typeof(recipient) = 'text' AND typeof(machine) = 'text'"),
    (
        "message",
        "(digest IS NULL OR (typeof(digest) = 'blob' AND length(digest) = 32))
         AND (head IS NULL OR (typeof(head) = 'blob' AND length(head) = 16))
         AND typeof(absent) = 'integer' AND typeof(listed) IN ('null', 'integer')
         AND typeof(proof) = 'integer' AND typeof(crashes) = 'integer'
         AND typeof(sender) IN ('null', 'text') AND typeof(subject) IN ('null', 'text')
         AND typeof(date) IN ('null', 'integer') AND typeof(ends) = 'integer' AND typeof(routed) = 'integer'
         AND typeof(ends_since) IN ('null', 'integer')",
    ),
    (
        "delivery",
        "typeof(mark) IN ('null', 'blob') AND typeof(prefix) IN ('null', 'blob') AND typeof(since) IN ('null', 'integer')",
    ),
];

/// Columns that hold text.
const TEXT: [(&str, &str); 6] = [
    ("account", "name"),
    ("account", "error"),
    ("place", "destination"),
    ("message", "message_id"),
    ("delivery", "detail"),
    ("meta", "value"),
];

/// The same for columns that came later.
const TEXT_SINCE: [(&str, &str); 7] = [
    ("account", "folder"),
    ("account", "origin"),
    ("place", "kind"),
    ("place", "recipient"),
    ("place", "machine"),
    ("message", "sender"),
    ("message", "subject"),
];

/// Most faults of a damaged database that are shown.
const SHOWN: usize = 20;

/// Tables with their columns, and indexes, in order; as octets, since a changed bit may make text invalid.
pub(super) fn shape(connection: &Connection) -> rusqlite::Result<Vec<[Vec<u8>; 2]>> {
    let mut find = connection.prepare(
        "SELECT t.name, group_concat(c.name || ' ' || c.type || ' ' || c.\"notnull\" || c.pk || coalesce(c.dflt_value, ''), ', ')
         FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' GROUP BY t.name
         UNION ALL SELECT name, tbl_name || coalesce(sql, '') FROM sqlite_schema WHERE type = 'index' ORDER BY 1",
    )?;
    let octets = |row: &Row<'_>, index| row.get_ref(index).map(|value| value.as_bytes().unwrap_or_default().to_vec());
    find.query_map([], |row| Ok([octets(row, 0)?, octets(row, 1)?]))?.collect()
}

/// Whether a database of this format has its tables; an older one is checked once it is upgraded.
fn has_our_shape(connection: &Connection) -> rusqlite::Result<bool> {
    if version(connection)? != schema::VERSION {
        return Ok(true);
    }
    let model = Connection::open_in_memory()?;
    model.execute_batch(schema::CREATE)?;
    Ok(shape(connection)? == shape(&model)?)
}

/// What is wrong with a database; empty if it is whole.  Reads all of it: the quick check of
/// SQLite does not compare tables with their indexes, and a message that the index does not find
/// would be delivered twice.
pub(super) fn faults(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare(&format!("PRAGMA integrity_check({SHOWN})"))?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut faults: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
    if !faults.is_empty() {
        return Ok(faults);
    }
    if !has_our_shape(connection)? {
        return Ok(vec!["its tables are not those of this format".to_owned()]);
    }
    let mut foreign = connection.prepare("PRAGMA foreign_key_check")?;
    let rows = foreign.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))?;
    for row in rows.take(SHOWN) {
        let (table, parent) = row?;
        faults.push(format!("a row of {table} belongs to no row of {parent}"));
    }
    let is_current = version(connection)? == schema::VERSION;
    for (table, column) in TEXT.into_iter().chain(TEXT_SINCE.into_iter().filter(|_| is_current)) {
        let mut find = connection.prepare(&format!("SELECT {column} FROM {table} WHERE typeof({column}) = 'text'"))?;
        let mut rows = find.query([])?;
        while let Some(row) = rows.next()? {
            if row.get_ref(0)?.as_str().is_err() {
                faults.push(format!("{column} of {table} holds invalid text"));
                break;
            }
        }
    }
    for (table, sane) in SANE.into_iter().chain(SANE_SINCE.into_iter().filter(|_| is_current)) {
        let wrong: i64 = connection.query_row(
            &format!("SELECT count(*) FROM {table} WHERE NOT coalesce({sane}, 0)"),
            [],
            |row| row.get(0),
        )?;
        if wrong > 0 {
            faults.push(format!("{wrong} rows of {table} hold what postrider never writes"));
        }
    }
    Ok(faults)
}
