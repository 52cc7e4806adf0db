//! Messages that vanish from the listing, come back, or are called otherwise.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::change::Renamed;
use super::schema::{kind, proof};
use super::write::account_id;
use crate::message::{CONTENT_UID_PREFIX, MessageKey, Name, UnixTime};
use crate::plan::Missing;

/// What is remembered of an account, is not deleted, and is not among these.
pub(super) fn missing(
    connection: &Connection,
    account: &Name,
    listed: &[Option<MessageKey>],
) -> rusqlite::Result<Vec<Missing>> {
    let listed: HashSet<(&[u8], u32)> = listed.iter().flatten().map(|key| (key.uid(), key.occurrence())).collect();
    let mut find = connection.prepare_cached(
        "SELECT m.uid, m.occurrence, m.digest, m.head, m.kind, m.absent <> 0 FROM message m JOIN account a ON a.id = m.account
         WHERE a.name = ?1 AND m.deleted IS NULL",
    )?;
    let mut rows = find.query([account.as_str()])?;
    let mut missing = Vec::new();
    while let Some(row) = rows.next()? {
        let (uid, occurrence) = (row.get_ref(0)?.as_blob()?, row.get(1)?);
        if listed.contains(&(uid, occurrence)) {
            continue;
        }
        let Some(key) = MessageKey::new(uid, occurrence) else { continue };
        missing.push(Missing {
            key,
            digest: row.get(2)?,
            fingerprint: row.get(3)?,
            ignored: row.get::<_, i64>(4)? == kind::IGNORED,
            was_missing: row.get(5)?,
        });
    }
    Ok(missing)
}

fn each(connection: &Connection, account: &Name, keys: &[MessageKey], set: &str) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection
        .prepare_cached(&format!("UPDATE message SET {set} WHERE account = ?1 AND uid = ?2 AND occurrence = ?3"))?;
    keys.iter().map(|key| update.execute(params![account, key.uid(), key.occurrence()])).sum()
}

pub(super) fn sight(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
    listed: bool,
) -> rusqlite::Result<usize> {
    each(connection, account, keys, if listed { "absent = 0" } else { "absent = unixepoch()" })
}

pub(super) fn rename(connection: &Connection, account: &Name, renamed: &[Renamed]) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET uid = ?4, occurrence = ?5, proof = max(proof, ?6), absent = 0
         WHERE account = ?1 AND uid = ?2 AND occurrence = ?3",
    )?;
    for Renamed { from, to, proven } in renamed {
        let proof = if *proven { proof::CONTENT } else { proof::HEADER };
        let key = params![account, from.uid(), from.occurrence(), to.uid(), to.occurrence(), proof];
        // A message is taken for another only if that one is really there.
        match update.execute(key)? {
            1 => {}
            rows => return Err(rusqlite::Error::StatementChangedRows(rows)),
        }
    }
    Ok(renamed.len())
}

pub(super) fn prove(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
    same: bool,
) -> rusqlite::Result<usize> {
    each(connection, account, keys, if same { "proof = 0" } else { "proof = 2" })
}

pub(super) fn migrate(connection: &Connection, account: &Name, migrating: bool) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    connection.prepare_cached("UPDATE account SET migrating = ?2 WHERE id = ?1")?.execute(params![account, migrating])
}

pub(super) fn retrieved(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let keys: Vec<Option<MessageKey>> = keys.iter().cloned().map(Some).collect();
    let gone = missing(connection, account, &keys)?;
    let gone = gone.into_iter().map(|missing| missing.key).filter(|key| key.uid().starts_with(CONTENT_UID_PREFIX));
    let account = account_id(connection, account)?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET deleted = ?4 WHERE account = ?1 AND uid = ?2 AND occurrence = ?3 AND done IS NOT NULL",
    )?;
    gone.map(|key| update.execute(params![account, key.uid(), key.occurrence(), now])).sum()
}
