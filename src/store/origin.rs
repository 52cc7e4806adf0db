//! What stands for an account in the tokens of its files' names (`deliver::maildir::token`), whatever happens to its
//! name and to its mailbox.
//!
//! The column `origin` has one line for each origin: the first is that of new files, the others are those of older
//! ones.  NULL is the name itself.  No two accounts that have mail have the same first origin, so that a token says
//! whose message a file holds.

use rusqlite::{Connection, OptionalExtension, params};

use crate::message::{Name, Origin};

/// Letters of the word that makes an origin unlike any other.
const WORD_LETTERS: usize = 8;

/// The condition for accounts of which no mail is known: only how their polls went is recorded, or that their state
/// was lost.
pub(super) const BLANK: &str = "a.mailbox IS NULL AND a.first_poll IS NULL
     AND NOT EXISTS (SELECT 1 FROM message m WHERE m.account = a.id)";

/// The origins that a row's columns `name` and `origin` stand for.  A name that was freed (mailbox.rs) stands for the
/// one that it was made of.
pub(super) fn of_row(name: &str, column: Option<&str>) -> Vec<Origin> {
    let lines = column.unwrap_or_else(|| name.split('\n').next().unwrap_or_default());
    lines.lines().filter_map(Origin::new).collect()
}

/// The origins of an account, first that of its new files.
pub(super) fn find(connection: &Connection, account: &Name) -> rusqlite::Result<Vec<Origin>> {
    let mut find = connection.prepare_cached("SELECT origin FROM account WHERE name = ?1")?;
    let column: Option<Option<String>> = find.query_row([account.as_str()], |row| row.get(0)).optional()?;
    let found = of_row(account.as_str(), column.flatten().as_deref());
    Ok(if found.is_empty() { vec![Origin::of(account)] } else { found })
}

/// The origins of a row.
pub(super) fn of(connection: &Connection, account: i64) -> rusqlite::Result<Vec<Origin>> {
    let mut find = connection.prepare_cached("SELECT name, origin FROM account WHERE id = ?1")?;
    find.query_row([account], |row| Ok(of_row(row.get_ref(0)?.as_str()?, row.get::<_, Option<String>>(1)?.as_deref())))
}

/// Records the origins of a row, each once.
pub(super) fn put(connection: &Connection, account: i64, origins: &[Origin]) -> rusqlite::Result<usize> {
    let mut lines: Vec<&str> = Vec::with_capacity(origins.len());
    for origin in origins.iter().map(Origin::as_str) {
        if !lines.contains(&origin) {
            lines.push(origin);
        }
    }
    connection
        .prepare_cached("UPDATE account SET origin = nullif(?2, name) WHERE id = ?1")?
        .execute(params![account, lines.join("\n")])
}

/// Gives a row a first origin of its own, if another account has the one that it would have.
pub(super) fn claim(connection: &Connection, account: i64) -> rusqlite::Result<()> {
    let mut origins = of(connection, account)?;
    if let Some(first) = origins.first()
        && is_taken(connection, account, first)?
    {
        let has_files =
            "SELECT EXISTS (SELECT 1 FROM delivery d JOIN message m ON m.id = d.message WHERE m.account = ?1)";
        let has_files: bool = connection.prepare_cached(has_files)?.query_row([account], |row| row.get(0))?;
        let another = another(first);
        if !has_files {
            origins.clear();
        }
        origins.insert(0, another);
        put(connection, account, &origins)?;
    }
    Ok(())
}

/// An origin of the same name that nobody has.
pub(super) fn another(origin: &Origin) -> Origin {
    let word: String = std::iter::repeat_with(fastrand::alphanumeric).take(WORD_LETTERS).collect();
    origin.with(&word)
}

/// Whether a row other than this one has the origin as its first.
fn is_taken(connection: &Connection, account: i64, origin: &Origin) -> rusqlite::Result<bool> {
    let taken = format!(
        "SELECT EXISTS (SELECT 1 FROM account a WHERE name = ?2 AND origin IS NULL AND id <> ?1 AND NOT ({BLANK}))
             OR EXISTS (SELECT 1 FROM account WHERE origin IS NOT NULL AND id <> ?1
                        AND substr(origin || char(10), 1, length(?2) + 1) = ?2 || char(10))"
    );
    connection.prepare_cached(&taken)?.query_row(params![account, origin.as_str()], |row| row.get(0))
}

/// Takes an origin from the older ones of all other rows: the mailbox of its files is another account's.
pub(super) fn withdraw(connection: &Connection, account: i64, origin: &Origin) -> rusqlite::Result<()> {
    let mut find =
        connection.prepare_cached("SELECT id FROM account WHERE id <> ?1 AND origin LIKE '%' || char(10) || '%'")?;
    let rows = find.query_map([account], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
    for row in rows {
        let mut origins = of(connection, row)?;
        let older = origins.split_off(1);
        origins.extend(older.into_iter().filter(|older| older != origin));
        put(connection, row, &origins)?;
    }
    Ok(())
}
