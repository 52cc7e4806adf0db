//! Changes of the state, each a few rows, applied inside a transaction that others may share.

use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::{Connection, params};

use super::account;
use super::destination;
use super::ends;
use super::headings;
use super::host;
use super::lost;
use super::mailbox;
use super::prune;
use super::quiet;
use super::renamed;
use super::rows::{account_id, finish, message_id, place_id};
use super::schema::{IN_INDEX, kind, state};
use super::stage;
use super::words::{Change, Release, Resolution, StagedDelivery};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Next, Patience, Place};

/// Applies one change; returns the number of rows that it concerned.
pub(super) fn apply(
    connection: &Connection,
    change: &Change,
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<usize> {
    quiet::forget(connection, change)?;
    match change {
        Change::Bind { account, mailbox, others } => mailbox::bind(connection, account, mailbox, others, now),
        Change::RenameAccount { from, to } => mailbox::rename_account(connection, from.as_str(), to),
        Change::TellBySize { account } => mailbox::tell_by_size(connection, account),
        Change::DecideFor { account, deliver } => mailbox::decide_for(connection, account, deliver, now),
        Change::Begin { account, ignored } => begin(connection, account, ignored, now),
        Change::Stage { account, messages, places } => stage::stage(connection, account, messages, places, now),
        Change::Settle { account, outcomes } => stage::settle(connection, account, outcomes, patience, now),
        Change::Close { account, keys } => close(connection, account, keys, now),
        Change::Delete { account, keys } => delete(connection, account, keys, now),
        Change::Remember { account: name, memory } => account::remember(connection, name, memory),
        Change::Worked { account, login } => account::worked(connection, account, *login),
        Change::Tell { account, told } => account::tell(connection, account, told),
        Change::Prune { account, prune, listed } => prune::prune(connection, account, *prune, listed),
        Change::Quiet { account, quiet } => quiet::record(connection, account, quiet, now),
        Change::Host { host, memory } => host::remember(connection, host, memory),
        Change::DestinationFails(trouble) => destination::fails(connection, trouble),
        Change::DestinationIdle { name } => destination::idle(connection, name),
        Change::DestinationWorks { name } => destination::works(connection, name),
        Change::Lost(change) => lost::apply(connection, change, now),
        Change::Reappear { account, keys } => reappear(connection, account, keys),
        Change::Ignore { account, keys } => ignore(connection, account, keys, now),
        Change::Seen { account, keys } => renamed::seen(connection, account, keys, now),
        Change::Sight { account, keys, listed } => renamed::sight(connection, account, keys, *listed, now),
        Change::SetApart { account, keys } => renamed::set_apart(connection, account, keys, now),
        Change::Listed { account, sizes } => renamed::listed(connection, account, sizes),
        Change::Rename { account, renamed } => renamed::rename(connection, account, renamed, now),
        Change::Confirm { account, keys, same } => renamed::prove(connection, account, keys, *same),
        Change::Migrate { account, migrating } => renamed::migrate(connection, account, *migrating),
        Change::Retrieved { account, keys } => renamed::retrieved(connection, account, keys, now),
        Change::Crash { account, deaths, places } => crash(connection, account, deaths, places, patience, now),
        Change::SessionEnd { account, keys, places, cause } => {
            ends::count(connection, account, keys, places, cause, patience, now)
        }
        Change::Resolve(resolved) => resolve(connection, resolved, now),
        Change::RecordHeadings(wanted) => headings::record(connection, *wanted),
        Change::Release { account, key, release } => release_messages(connection, account, key.as_ref(), *release, now),
    }
}

fn begin(connection: &Connection, account: &Name, ignored: &[MessageKey], now: UnixTime) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    connection.prepare_cached("UPDATE account SET first_poll = ?2 WHERE id = ?1")?.execute(params![account, now])?;
    ignore_messages(connection, account, ignored, now)
}

fn ignore(connection: &Connection, account: &Name, keys: &[MessageKey], now: UnixTime) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    ignore_messages(connection, account, keys, now)
}

fn ignore_messages(
    connection: &Connection,
    account: i64,
    keys: &[MessageKey],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO message (account, uid, occurrence, seen, kind) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    for key in keys {
        insert.execute(params![account, key.uid(), key.occurrence(), now, kind::IGNORED])?;
    }
    Ok(keys.len())
}

fn close(connection: &Connection, account: &Name, keys: &[MessageKey], now: UnixTime) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    for key in keys {
        let Some(message) = message_id(connection, account, key)? else { continue };
        connection
            .prepare_cached(
                // `until` distinguishes it from a delivery that the operator has given up (mailbox.rs).
                "UPDATE delivery SET state = ?2, at = ?3, until = 0,
                     detail = 'no longer a destination of the account'
                 WHERE message = ?1 AND state NOT IN (?2, ?4)",
            )?
            .execute(params![message, state::SKIPPED, now, state::DELIVERED])?;
        finish(connection, message, now)?;
    }
    Ok(keys.len())
}

fn delete(connection: &Connection, account: &Name, keys: &[MessageKey], now: UnixTime) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET deleted = ?4 WHERE account = ?1 AND uid = ?2 AND occurrence = ?3 AND done IS NOT NULL",
    )?;
    for key in keys {
        update.execute(params![account, key.uid(), key.occurrence(), now])?;
    }
    Ok(keys.len())
}

fn reappear(connection: &Connection, account: &Name, keys: &[MessageKey]) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection
        .prepare_cached("UPDATE message SET deleted = NULL WHERE account = ?1 AND uid = ?2 AND occurrence = ?3")?;
    for key in keys {
        update.execute(params![account, key.uid(), key.occurrence()])?;
    }
    Ok(keys.len())
}

/// Counts a crash for each message; with the last one allowed, its open deliveries go into quarantine.
fn crash(
    connection: &Connection,
    account: &Name,
    deaths: &[(MessageKey, bool)],
    places: &[Place],
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    for (key, again) in deaths {
        let (message, crashes): (i64, u32) = connection
            .prepare_cached(
                "INSERT INTO message (account, uid, occurrence, seen, kind, crashes) VALUES (?1, ?2, ?3, ?4, ?5, 1)
                 ON CONFLICT (account, uid, occurrence) DO UPDATE SET crashes = iif(?6, crashes, 0) + 1
                 RETURNING id, crashes",
            )?
            .query_row(params![account, key.uid(), key.occurrence(), now, kind::WHOLE, again], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let (state, until) = match patience.died(crashes) {
            Next::Quarantine => (state::QUARANTINED, 0),
            Next::Later(until) => (state::DEFERRED, until),
        };
        let most = patience.deaths;
        let why = format!("the program crashed while it handled this message ({crashes} of {most} times)");
        for place in places {
            let place = place_id(connection, place)?;
            connection
                .prepare_cached(
                    "INSERT INTO delivery (message, place, state, at, attempts, until, detail)
                     SELECT id, ?2, ?3, ?4, 1, ?8, ?5 FROM message WHERE id = ?1 AND done IS NULL
                     ON CONFLICT (message, place) DO UPDATE SET
                         state = excluded.state, at = excluded.at, until = excluded.until, detail = excluded.detail
                     WHERE state IN (?6, ?7)",
                )?
                .execute(params![message, place, state, now, why, state::SENDING, state::DEFERRED, until])?;
        }
    }
    Ok(deaths.len())
}

fn resolve(
    connection: &Connection,
    resolved: &[(StagedDelivery, Resolution)],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    for (delivery, resolution) in resolved {
        match resolution {
            Resolution::Delivered => {
                connection
                    .prepare_cached("UPDATE delivery SET state = ?3 WHERE message = ?1 AND place = ?2")?
                    .execute(params![delivery.message, delivery.place, state::DELIVERED])?;
                finish(connection, delivery.message, now)?;
            }
            Resolution::Lost => {
                connection
                    .prepare_cached(
                        "UPDATE delivery SET state = ?3, until = 0, at = ?4, detail = 'the staged file was lost'
                         WHERE message = ?1 AND place = ?2",
                    )?
                    .execute(params![delivery.message, delivery.place, state::DEFERRED, now])?;
            }
        }
    }
    Ok(resolved.len())
}

pub(super) fn released_query() -> String {
    format!(
        "SELECT DISTINCT m.id FROM delivery d CROSS JOIN message m ON m.id = d.message
         WHERE d.state = 5 AND {IN_INDEX} AND m.account = ?1
         AND (?2 IS NULL OR (m.uid = ?2 AND m.occurrence = ?3))"
    )
}

fn release_messages(
    connection: &Connection,
    account: &Name,
    key: Option<&MessageKey>,
    release: Release,
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut find = connection.prepare_cached(&released_query())?;
    let rows =
        find.query_map(params![account, key.map(MessageKey::uid), key.map(MessageKey::occurrence)], |row| row.get(0))?;
    let messages: Vec<i64> = rows.collect::<rusqlite::Result<_>>()?;
    let (new_state, until) = match release {
        Release::Retry => (state::DEFERRED, Some(0)),
        Release::Skip => (state::SKIPPED, None),
    };
    for &message in &messages {
        connection
            .prepare_cached(
                "UPDATE delivery SET state = ?2, until = ?3, attempts = 0, since = NULL, at = ?4 WHERE message = ?1 AND state = ?5",
            )?
            .execute(params![message, new_state, until, now, state::QUARANTINED])?;
        connection
            .prepare_cached("UPDATE message SET crashes = 0, ends = min(ends, 1), ends_since = NULL WHERE id = ?1")?
            .execute([message])?;
        if release == Release::Skip {
            finish(connection, message, now)?;
        }
    }
    Ok(messages.len())
}

pub(super) fn staged_query() -> String {
    format!(
        "SELECT d.message, d.place, a.name, p.location, d.detail, d.at, p.machine
         FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         JOIN place p ON p.id = d.place
         WHERE d.state = 1 AND {IN_INDEX} AND (?1 IS NULL OR a.name = ?1)"
    )
}

/// Every delivery that is staged, of one account or all.
pub(super) fn staged(connection: &Connection, account: Option<&Name>) -> rusqlite::Result<Vec<StagedDelivery>> {
    let mut find = connection.prepare_cached(&staged_query())?;
    let rows = find.query_map([account.map(Name::as_str)], |row| {
        let name: String = row.get(2)?;
        let location: Vec<u8> = row.get(3)?;
        let delivery = Name::new(&name).map(|account| {
            Ok(StagedDelivery {
                message: row.get(0)?,
                place: row.get(1)?,
                account,
                maildir: PathBuf::from(std::ffi::OsString::from_vec(location)),
                name: row.get::<_, Option<String>>(4)?.unwrap_or_default(),
                at: row.get(5)?,
                machine: row.get(6)?,
            })
        });
        delivery.transpose()
    })?;
    rows.filter_map(Result::transpose).collect()
}
