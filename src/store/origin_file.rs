//! The file `origins` beside the database: what stands for accounts in the names of files, where that is not their
//! name.  It outlives the database, so that after its loss a renamed account is still known by its files.
//!
//! A line for each such account, and for each mailbox that no account leads to now, with tabs between the fields: the
//! name, the origins with spaces between them, and the mailbox (host, port, username and perhaps the route).  In place
//! of its line breaks a freed name (mailbox.rs) has slashes.  The last line is a checksum: a name or an origin that is
//! wrong would bring mail twice, or hide it.
//!
//! The file is written before the database says the same ([`keep`]).  After a crash in between it is one step ahead,
//! and the database, as long as it is there, decides.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{StoreError, mailbox, origin};
use crate::filesystem::private;
use crate::message::{Name, Origin};

/// The file's name.
const NAME: &str = "origins";

/// What it begins with.
const HEAD: &str = "# Written by postrider.  Keep it: without it renamed accounts do not know their files after a loss of \
                    state.db.\n";

/// What its last line begins with.
const END: &str = "# checksum ";

/// Most octets that are read: many accounts have a few hundred each.
const SIZE_LIMIT: u64 = 64 << 20;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// As in the column.
    name: String,
    origins: Vec<Origin>,
    /// As in the column; `None`: not known, or it cannot be written in a line.
    mailbox: Option<String>,
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The lines of the file; none if there is no file.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub(super) fn read(dir: &Path) -> Result<Vec<Line>, StoreError> {
    let path = path(dir);
    let octets = match private::read(&path, SIZE_LIMIT) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        octets => octets.map_err(|error| StoreError::file(&path, &error))?,
    };
    parse(&octets).ok_or(StoreError::Origins { path })
}

/// Makes the file say what the database says, or is about to say.
///
/// # Errors
/// It cannot be written; it is as it was.
pub(super) fn keep(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| super::file::database_error(&super::file::path(dir), &error);
    let lines = lines(connection).map_err(failed)?;
    let (path, text) = (path(dir), text(&lines));
    match private::read(&path, SIZE_LIMIT) {
        Err(error) if error.kind() == ErrorKind::NotFound && lines.is_empty() => return Ok(()),
        Ok(before) if before == text.as_bytes() => return Ok(()),
        // One that is broken or a link is replaced: the database knows better.
        _ => {}
    }
    Ok(private::replace(&path, &dir.join(format!("{NAME}.new")), text.as_bytes())?)
}

fn lines(connection: &Connection) -> rusqlite::Result<Vec<Line>> {
    let mut find =
        connection.prepare_cached("SELECT name, origin, mailbox FROM account WHERE origin IS NOT NULL ORDER BY id")?;
    let line = |row: &rusqlite::Row<'_>| {
        let (name, column): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Line { origins: origin::of_row(&name, Some(&column)), name, mailbox: row.get(2)? })
    };
    find.query_map([], line)?.collect()
}

fn text(lines: &[Line]) -> String {
    let mut text = HEAD.to_owned();
    for Line { name, origins, mailbox } in lines {
        let origins: Vec<&str> = origins.iter().map(Origin::as_str).collect();
        text.push_str(&format!("{}\t{}", name.replace('\n', "/"), origins.join(" ")));
        if let Some(mailbox) = mailbox.as_ref().filter(|mailbox| !mailbox.contains(['\t', '\r'])) {
            text.push_str(&format!("\t{}", mailbox.replace('\n', "\t")));
        }
        text.push('\n');
    }
    text.push_str(&format!("{END}{}\n", checksum(&text)));
    text
}

fn checksum(text: &str) -> String {
    crate::text::hex(&blake3::hash(text.as_bytes()).as_bytes()[..16])
}

fn parse(octets: &[u8]) -> Option<Vec<Line>> {
    let text = std::str::from_utf8(octets).ok()?;
    let end = text.rfind(END)?;
    let (lines, end) = text.split_at(end);
    if end.strip_prefix(END)?.strip_suffix('\n')? != checksum(lines) {
        return None;
    }
    lines.strip_prefix(HEAD)?.lines().map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let mut fields = text.splitn(3, '\t');
    let (name, origins) = (fields.next()?.replace('/', "\n"), fields.next()?);
    let mailbox = fields.next().map(|mailbox| mailbox.replace('\t', "\n"));
    let origins = origins.split(' ').map(Origin::new).collect::<Option<Vec<_>>>()?;
    Name::new(name.split('\n').next()?)?;
    Some(Line { name, origins, mailbox })
}

/// Adds what the file says of mailboxes that an older database knows.  Returns whether that was news.
pub(super) fn complete(connection: &Connection, lines: &[Line]) -> rusqlite::Result<bool> {
    let mut is_news = false;
    for line in lines {
        let Some(mailbox) = &line.mailbox else { continue };
        let mut find = connection.prepare_cached("SELECT id FROM account WHERE mailbox = ?1")?;
        let rows = find.query_map([mailbox], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        for row in rows {
            let mut origins = origin::of(connection, row)?;
            let known = origins.len();
            origins.extend(line.origins.iter().filter(|origin| !origins.contains(origin)).cloned().collect::<Vec<_>>());
            if origins.len() > known {
                origin::put(connection, row, &origins)?;
                is_news = true;
            }
        }
    }
    Ok(is_news)
}

/// Puts what the file says into a database that was made anew: rows that are there get their origins, the others are
/// made, so that their mailboxes are known when an account leads there.
pub(super) fn restore(connection: &Connection, lines: &[Line]) -> rusqlite::Result<()> {
    let mut done = HashSet::new();
    for line in lines {
        let found = rows(connection, line)?.into_iter().find(|(row, _)| !done.contains(row));
        let (row, is_the_same) = match found {
            Some(found) => found,
            None => (make(connection, &line.name)?, false),
        };
        done.insert(row);
        let set = "UPDATE account SET mailbox = coalesce(mailbox, ?2) WHERE id = ?1";
        connection.prepare_cached(set)?.execute(params![row, line.mailbox])?;
        let mut origins = line.origins.clone();
        // A row that was read from the old database has its own.
        origins.extend(origin::of(connection, row)?.into_iter().filter(|_| is_the_same));
        origin::put(connection, row, &origins)?;
    }
    Ok(())
}

/// The rows that a line may be about, the likeliest first, and whether each is known to be of the same mailbox.
fn rows(connection: &Connection, line: &Line) -> rusqlite::Result<Vec<(i64, bool)>> {
    let mut find = connection.prepare_cached(
        "SELECT id, mailbox IS NOT NULL FROM account WHERE mailbox = ?2 OR (name = ?1 AND mailbox IS NULL)
         ORDER BY mailbox IS NULL, name <> ?1, instr(name, char(10)), id",
    )?;
    find.query_map(params![line.name, line.mailbox], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Makes a row of this name; if it is taken, the row gets a freed one.
fn make(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let taken = "SELECT EXISTS (SELECT 1 FROM account WHERE name = ?1)";
    let is_taken: bool = connection.prepare_cached(taken)?.query_row([name], |row| row.get(0))?;
    if !name.contains('\n') && !is_taken {
        return connection.prepare_cached("INSERT INTO account (name) VALUES (?1)")?.insert([name]);
    }
    let highest = "SELECT coalesce(max(id), 0) + 1 FROM account";
    let id: i64 = connection.prepare_cached(highest)?.query_row([], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT INTO account (id, name) VALUES (?1, ?2)")?
        .insert(params![id, format!("{}\n\n{id}", mailbox::kept(name))])
}
