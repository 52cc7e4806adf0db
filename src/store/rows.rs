//! The rows of accounts, places and messages, by their names and keys outside the database.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::schema::{kind, state};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::Place;

pub(super) fn account_id(connection: &Connection, account: &Name) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT id FROM account WHERE name = ?1")?;
    if let Some(id) = find.query_row([account.as_str()], |row| row.get(0)).optional()? {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO account (name) VALUES (?1)")?.insert([account.as_str()])
}

pub(super) fn place_id(connection: &Connection, place: &Place) -> rusqlite::Result<i64> {
    let location = place.location.as_os_str().as_bytes();
    let key = params![place.destination.as_str(), place.kind, location, place.recipient, place.machine];
    let mut find = connection.prepare_cached(
        "SELECT id FROM place WHERE destination = ?1 AND kind = ?2 AND location = ?3 AND recipient = ?4 AND machine = ?5",
    )?;
    if let Some(id) = find.query_row(key, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    connection
        .prepare_cached(
            "INSERT INTO place (destination, kind, location, recipient, machine) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .insert(key)
}

/// The place whose destination, kind, location, recipient and machine begin at the column `first`; `None` if its
/// destination's name is not a valid one.
pub(super) fn place(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Place>> {
    let text = |index: usize| Ok::<_, rusqlite::Error>(row.get_ref(first + index)?.as_str()?.to_owned());
    let location = PathBuf::from(OsString::from_vec(row.get(first + 2)?));
    let (kind, recipient, machine) = (text(1)?.into(), text(3)?.into(), text(4)?.into());
    Ok(Name::new(&text(0)?).map(|destination| Place { destination, kind, location, recipient, machine }))
}

pub(super) fn message_id(connection: &Connection, account: i64, key: &MessageKey) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM message WHERE account = ?1 AND uid = ?2 AND occurrence = ?3")?
        .query_row(params![account, key.uid(), key.occurrence()], |row| row.get(0))
        .optional()
}

/// Marks a message as done if no delivery of it is open.
pub(super) fn finish(connection: &Connection, message: i64, now: UnixTime) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE message SET done = ?2 WHERE id = ?1 AND done IS NULL AND kind = ?3
             AND NOT EXISTS (SELECT 1 FROM delivery WHERE message = ?1 AND state <> ?4 AND state <> ?5)",
        )?
        .execute(params![message, now, kind::WHOLE, state::DELIVERED, state::SKIPPED])?;
    Ok(())
}

/// Where a place leads, as it is shown: a folder, or a server with its recipients.
pub(super) fn shown_location(location: Vec<u8>, recipient: &str) -> String {
    let location = PathBuf::from(OsString::from_vec(location));
    if recipient.is_empty() { location.display().to_string() } else { format!("{} {recipient}", location.display()) }
}
