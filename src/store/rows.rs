//! The rows of accounts, places and messages, by what they are called outside.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

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
    let key = params![place.destination.as_str(), place.location.as_os_str().as_bytes()];
    let mut find = connection.prepare_cached("SELECT id FROM place WHERE destination = ?1 AND location = ?2")?;
    if let Some(id) = find.query_row(key, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    connection.prepare_cached("INSERT INTO place (destination, location) VALUES (?1, ?2)")?.insert(key)
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

/// The folder that a place's location names, as it is shown.
pub(super) fn shown_location(location: Vec<u8>) -> String {
    Path::new(&std::ffi::OsString::from_vec(location)).display().to_string()
}
