//! What is known of a listing.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::lost::Lost;
use super::schema::{kind, state};
use crate::message::{MessageKey, Name};
use crate::plan::{Delivery, Progress, Standing};

/// What the state knows of an account's listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Whether the account's first poll is over.
    pub begun: bool,
    /// Whether its state was lost, and is still to be made out from its listing.
    pub lost: Lost,
    /// For each message that was asked for, in that order: what is known.
    pub standings: Vec<Option<Standing>>,
}

pub(super) fn known(connection: &Connection, account: &Name, keys: &[Option<MessageKey>]) -> rusqlite::Result<Known> {
    let row: Option<(i64, Option<i64>, i64)> = connection
        .prepare_cached("SELECT id, first_poll, lost FROM account WHERE name = ?1")?
        .query_row([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((account, first_poll, lost)) = row else {
        return Ok(Known { standings: vec![None; keys.len()], ..Known::default() });
    };
    let standings = keys.iter().map(|key| key.as_ref().map_or(Ok(None), |key| standing(connection, account, key)));
    let standings = standings.collect::<rusqlite::Result<_>>()?;
    Ok(Known { begun: first_poll.is_some(), lost: Lost::of_number(lost), standings })
}

/// Whether a message has ever come to this location, whatever its destination was called.
pub(super) fn knows(connection: &Connection, location: &Path) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM place p JOIN delivery d ON d.place = p.id
             WHERE p.location = ?1 AND d.state IN (?2, ?3))",
        )?
        .query_row(params![location.as_os_str().as_bytes(), state::STAGED, state::DELIVERED], |row| row.get(0))
}

fn standing(connection: &Connection, account: i64, key: &MessageKey) -> rusqlite::Result<Option<Standing>> {
    type Row = (i64, i64, Option<i64>, Option<i64>, Option<[u8; 32]>);
    let row: Option<Row> = connection
        .prepare_cached(
            "SELECT id, kind, done, deleted, sha256 FROM message WHERE account = ?1 AND uid = ?2 AND occurrence = ?3",
        )?
        .query_row(params![account, key.uid(), key.occurrence()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })
        .optional()?;
    Ok(match row {
        None => None,
        Some((_, kind::IGNORED, ..)) => Some(Standing::Ignored),
        // Given up before its content was ever seen: there is nothing to compare with.
        Some((_, _, Some(_), Some(_), sha256)) => sha256.map(Standing::Deleted),
        Some((_, _, Some(done), None, _)) => Some(Standing::Done(done)),
        Some((id, kind::HEADER, None, ..)) => Some(Standing::HeaderOnly(deliveries(connection, id)?)),
        Some((id, _, None, ..)) => Some(Standing::Open(deliveries(connection, id)?)),
    })
}

fn deliveries(connection: &Connection, message: i64) -> rusqlite::Result<Box<[Delivery]>> {
    let mut find = connection.prepare_cached(
        "SELECT p.destination, d.state, d.until FROM delivery d JOIN place p ON p.id = d.place WHERE d.message = ?1",
    )?;
    let rows = find.query_map([message], |row| {
        let destination: String = row.get(0)?;
        let progress = match row.get(1)? {
            state::STAGED => Progress::Staged,
            state::SENDING => Progress::Sending,
            state::DELIVERED => Progress::Delivered,
            state::DEFERRED => Progress::Deferred(row.get::<_, Option<i64>>(2)?.unwrap_or(0)),
            state::SKIPPED => Progress::Skipped,
            _ => Progress::Quarantined,
        };
        Ok(Name::new(&destination).map(|destination| Delivery { destination, progress }))
    })?;
    rows.filter_map(Result::transpose).collect()
}
