//! What is known of a listing.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::prune::GONE;
use super::rows::place;
use super::schema::{OWN, kind, proof, state};
use super::words::{Known, Lost};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Delivery, DeliveryState, Gone, Place, Standing};

/// A message's row.
struct Row {
    standing: Option<Standing>,
    absent: bool,
    /// Not deleted.
    present: bool,
    listed: Option<u64>,
}

/// What is known of a listing; messages that went missing before `stale` no longer count.
pub(super) fn known(
    connection: &Connection,
    account: &Name,
    keys: &[Option<MessageKey>],
    stale: UnixTime,
) -> rusqlite::Result<Known> {
    // One snapshot, and one lock instead of one for each message.
    let transaction = connection.unchecked_transaction()?;
    let connection: &Connection = &transaction;
    let mut known = Known::default();
    let find = "SELECT id, first_poll, migrating, lost, revision FROM account WHERE name = ?1";
    let row = connection.prepare_cached(find)?.query_row([account.as_str()], |row| {
        (known.begun, known.migrating, known.revision) = (row.get(1)?, row.get(2)?, row.get(4)?);
        known.lost = Lost::of_number(row.get(3)?);
        row.get(0)
    });
    let Some(account) = row.optional()? else {
        let (standings, sizes) = (vec![None; keys.len()], vec![None; keys.len()]);
        return Ok(Known { standings, sizes, ..known });
    };
    let Counts { remembered, absent, stale, repeated, gone } = counts(connection, account, stale)?;
    known.gone = gone;
    if repeated > 0 {
        known.shared = shared(connection, account)?;
    }
    let (mut found, mut found_absent) = (0, 0);
    known.standings.reserve(keys.len());
    known.sizes.reserve(keys.len());
    for (index, key) in keys.iter().enumerate() {
        let row = key.as_ref().map_or(Ok(None), |key| find_message(connection, account, key))?;
        let Some(row) = row else {
            known.standings.push(None);
            known.sizes.push(None);
            continue;
        };
        found += i64::from(row.present);
        found_absent += i64::from(row.present && row.absent);
        if row.absent && row.standing.is_some() {
            known.returned.push(index);
        }
        known.standings.push(row.standing);
        known.sizes.push(row.listed);
    }
    let count = |number: i64| usize::try_from(number).unwrap_or(0);
    known.remembered = count(remembered - stale);
    known.missing = count(remembered - stale - found);
    known.newly_missing = count((remembered - absent) - (found - found_absent));
    Ok(known)
}

/// Numbers of an account's messages; except in `gone`, only messages that are not deleted count.
struct Counts {
    remembered: i64,
    absent: i64,
    stale: i64,
    /// Those that are not the first with their unique-id.
    repeated: i64,
    gone: Gone,
}

fn counts(connection: &Connection, account: i64, stale: UnixTime) -> rusqlite::Result<Counts> {
    let query = format!(
        "SELECT count(*) FILTER (WHERE deleted IS NULL), count(nullif(absent, 0)) FILTER (WHERE deleted IS NULL),
         count(*) FILTER (WHERE deleted IS NULL AND absent BETWEEN 1 AND ?2),
         count({GONE}), min({GONE}), count(nullif(occurrence, 0)) FILTER (WHERE deleted IS NULL)
         FROM message WHERE account = ?1"
    );
    connection.prepare_cached(&query)?.query_row([account, stale], |row| {
        let messages = usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
        let gone = Gone { messages, since: row.get(4)? };
        let repeated = row.get(5)?;
        Ok(Counts { remembered: row.get(0)?, absent: row.get(1)?, stale: row.get(2)?, repeated, gone })
    })
}

/// Unique-ids that several messages had, each with the number of its messages that are not deleted.
fn shared(connection: &Connection, account: i64) -> rusqlite::Result<Vec<(Box<[u8]>, usize)>> {
    let mut find = connection.prepare_cached(
        "SELECT uid, count(*) FROM message WHERE account = ?1 AND deleted IS NULL AND uid IN
             (SELECT uid FROM message WHERE account = ?1 AND deleted IS NULL AND occurrence > 0) GROUP BY uid",
    )?;
    let rows = find.query_map([account], |row| {
        let uid: Vec<u8> = row.get(0)?;
        Ok((uid.into(), usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
    })?;
    rows.collect()
}

/// What is known of one message.
pub(super) fn standing(
    connection: &Connection,
    account: &Name,
    key: &MessageKey,
) -> rusqlite::Result<Option<Standing>> {
    let mut find = connection.prepare_cached("SELECT id FROM account WHERE name = ?1")?;
    let Some(account) = find.query_row([account.as_str()], |row| row.get(0)).optional()? else { return Ok(None) };
    Ok(find_message(connection, account, key)?.and_then(|row| row.standing))
}

/// Whether an account's state was lost.
pub(super) fn lost(connection: &Connection, account: &Name) -> rusqlite::Result<Lost> {
    let mut find = connection.prepare_cached("SELECT lost FROM account WHERE name = ?1")?;
    let number = find.query_row([account.as_str()], |row| row.get(0)).optional()?;
    Ok(number.map_or(Lost::No, Lost::of_number))
}

/// Whether a message was ever delivered to this path of this machine, or is staged there, under any name of the
/// destination.
pub(super) fn knows(connection: &Connection, location: &Path) -> rusqlite::Result<bool> {
    let mut find = connection.prepare_cached(&format!("SELECT id, used FROM place WHERE location = ?1 AND {OWN}"))?;
    let places = find.query_map([location.as_os_str().as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let places: Vec<(i64, i64)> = places.collect::<rusqlite::Result<_>>()?;
    if places.iter().any(|(_, used)| *used != 0) {
        return Ok(true);
    }
    // Needed only until the first delivery there.  One place at a time: a join would build an index of all deliveries.
    let mut find =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM delivery WHERE place = ?1 AND state IN (?2, ?3))")?;
    for (place, _) in places {
        if find.query_row(params![place, state::STAGED, state::DELIVERED], |row| row.get(0))? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn find_message(connection: &Connection, account: i64, key: &MessageKey) -> rusqlite::Result<Option<Row>> {
    let mut find = connection.prepare_cached(
        "SELECT id, kind, done, deleted, digest, absent, proof, listed
         FROM message WHERE account = ?1 AND uid = ?2 AND occurrence = ?3",
    )?;
    let mut rows = find.query(params![account, key.uid(), key.occurrence()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (kind, done, deleted): (i64, Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
    let standing = match (kind, done, deleted) {
        (kind::IGNORED, ..) => Some(Standing::Ignored),
        // Given up before its content was ever seen: there is nothing to compare with.
        (_, Some(_), Some(_)) => row.get::<_, Option<[u8; 32]>>(4)?.map(Standing::Deleted),
        (_, Some(at), None) => Some(match row.get(6)? {
            proof::CONTENT => Standing::Done(at),
            // The digest could prove it, but not once it was refuted.
            proof::HEADER => Standing::Matched { at, digest: row.get(4)? },
            _ => Standing::Matched { at, digest: None },
        }),
        (kind::HEADER, None, _) => Some(Standing::HeaderOnly(deliveries(connection, row.get(0)?)?)),
        // A message without deliveries was only seen.
        (_, None, _) => Some(deliveries(connection, row.get(0)?)?).filter(|all| !all.is_empty()).map(Standing::Open),
    };
    let listed = row.get::<_, Option<i64>>(7)?.and_then(|octets| u64::try_from(octets).ok());
    Ok(Some(Row { standing, absent: row.get::<_, i64>(5)? != 0, present: deleted.is_none(), listed }))
}

/// The places that a message is still owed to and has failed at; `None`: it was tried nowhere.
pub(super) fn open_places(
    connection: &Connection,
    account: &Name,
    key: &MessageKey,
) -> rusqlite::Result<Option<Vec<Place>>> {
    let message = "SELECT m.id FROM message m JOIN account a ON a.id = m.account
         WHERE a.name = ?1 AND m.uid = ?2 AND m.occurrence = ?3 AND m.done IS NULL";
    let id: Option<i64> = connection
        .prepare_cached(message)?
        .query_row(params![account.as_str(), key.uid(), key.occurrence()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(Some(Vec::new())) };
    let deliveries = deliveries(connection, id)?;
    let is_open = |delivery: &Delivery| matches!(delivery.state, DeliveryState::Deferred(_));
    Ok(match deliveries.is_empty() {
        true => None,
        false => Some(deliveries.into_iter().filter(is_open).map(|delivery| delivery.place).collect()),
    })
}

pub(super) fn deliveries(connection: &Connection, message: i64) -> rusqlite::Result<Box<[Delivery]>> {
    let mut find = connection.prepare_cached(
        "SELECT d.state, d.until, p.destination, p.kind, p.location, p.recipient, p.machine
         FROM delivery d JOIN place p ON p.id = d.place WHERE d.message = ?1",
    )?;
    let rows = find.query_map([message], |row| {
        let state = match row.get(0)? {
            state::STAGED => DeliveryState::Staged,
            state::SENDING => DeliveryState::Sending,
            state::DELIVERED => DeliveryState::Delivered,
            state::DEFERRED => DeliveryState::Deferred(row.get::<_, Option<i64>>(1)?.unwrap_or(0)),
            state::SKIPPED => DeliveryState::Skipped,
            _ => DeliveryState::Quarantined,
        };
        Ok(place(row, 2)?.map(|place| Delivery { place, state }))
    })?;
    rows.filter_map(Result::transpose).collect()
}
