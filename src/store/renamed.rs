//! Messages that vanish from the listing, come back, or get another unique-id.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::{account_id, message_id};
use super::schema::{kind, proof};
use super::words::{Content, Renamed};
use crate::message::{CONTENT_UID_PREFIX, MessageKey, Name, UnixTime};
use crate::plan::{Identity, Missing};

/// Most messages with the same content that are looked at: more than a batch has.
const ALIKE: u32 = 512;

/// What messages are known by besides their unique-ids; `None` for a message that is not known.
pub(super) fn identities(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
) -> rusqlite::Result<Vec<Option<Identity>>> {
    let mut find = connection.prepare_cached(
        "SELECT m.message_id, m.head, m.digest, m.listed, m.kind FROM message m JOIN account a ON a.id = m.account
         WHERE a.name = ?1 AND m.uid = ?2 AND m.occurrence = ?3",
    )?;
    let of_one = |key: &MessageKey| {
        find.query_row(params![account.as_str(), key.uid(), key.occurrence()], |row| {
            let listed = row.get::<_, Option<i64>>(3)?.and_then(|octets| u64::try_from(octets).ok());
            let (message_id, fingerprint, digest) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let header_only = row.get::<_, i64>(4)? == kind::HEADER;
            Ok(Identity { message_id, fingerprint, digest, listed, header_only })
        })
        .optional()
    };
    keys.iter().map(of_one).collect()
}

/// Messages of an account that are remembered, not deleted, and not among those `listed`.
pub(super) fn missing(
    connection: &Connection,
    account: &Name,
    listed: &[Option<MessageKey>],
) -> rusqlite::Result<Vec<Missing>> {
    let listed: HashSet<(&[u8], u32)> = listed.iter().flatten().map(|key| (key.uid(), key.occurrence())).collect();
    let mut find = connection.prepare_cached(
        "SELECT m.uid, m.occurrence, m.digest, m.head, m.kind, m.absent <> 0, m.listed FROM message m JOIN account a ON a.id = m.account
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
            listed: row.get::<_, Option<i64>>(6)?.and_then(|octets| u64::try_from(octets).ok()),
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
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let absent = if listed { 0 } else { now };
    let mut update = connection
        .prepare_cached("UPDATE message SET absent = ?4 WHERE account = ?1 AND uid = ?2 AND occurrence = ?3")?;
    keys.iter().map(|key| update.execute(params![account, key.uid(), key.occurrence(), absent])).sum()
}

pub(super) fn set_apart(
    connection: &Connection,
    account: &Name,
    keys: &[(MessageKey, MessageKey)],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET uid = ?4, occurrence = ?5, absent = iif(absent, absent, ?6)
         WHERE account = ?1 AND uid = ?2 AND occurrence = ?3",
    )?;
    let one = |(from, to): &(MessageKey, MessageKey)| {
        remember_former(connection, account, from)?;
        update.execute(params![account, from.uid(), from.occurrence(), to.uid(), to.occurrence(), now])
    };
    keys.iter().map(one).sum()
}

/// Frees a key for the message that has it from now on; the one that had it is still known by its content.
fn free(connection: &Connection, account: i64, key: &MessageKey, now: UnixTime) -> rusqlite::Result<()> {
    let Some(id) = message_id(connection, account, key)? else { return Ok(()) };
    let apart = key.apart(id.cast_unsigned());
    connection
        .prepare_cached("UPDATE message SET uid = ?2, occurrence = ?3, absent = iif(absent, absent, ?4) WHERE id = ?1")?
        .execute(params![id, apart.uid(), apart.occurrence(), now])?;
    Ok(())
}

/// Keeps the unique-id of a header's message, after which the header's file is named.
fn remember_former(connection: &Connection, account: i64, key: &MessageKey) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "INSERT INTO former (message, uid, occurrence) SELECT id, uid, occurrence FROM message
             WHERE account = ?1 AND uid = ?2 AND occurrence = ?3 AND kind = ?4 ON CONFLICT DO NOTHING",
        )?
        .execute(params![account, key.uid(), key.occurrence(), kind::HEADER])
}

pub(super) fn seen(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO message (account, uid, occurrence, seen, kind) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    keys.iter().map(|key| insert.execute(params![account, key.uid(), key.occurrence(), now, kind::WHOLE])).sum()
}

pub(super) fn listed(connection: &Connection, account: &Name, sizes: &[(MessageKey, u64)]) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection
        .prepare_cached("UPDATE message SET listed = ?4 WHERE account = ?1 AND uid = ?2 AND occurrence = ?3")?;
    let one = |(key, octets): &(MessageKey, u64)| {
        update.execute(params![account, key.uid(), key.occurrence(), i64::try_from(*octets).unwrap_or(i64::MAX)])
    };
    sizes.iter().map(one).sum()
}

/// Messages that the last listing did not have, or whose deletion was confirmed, by their content: for each content
/// their keys, first those that are not deleted.  Only messages that were delivered somewhere, or are on their way.
pub(super) fn by_content(
    connection: &Connection,
    account: &Name,
    contents: &[Content],
) -> rusqlite::Result<Vec<Vec<MessageKey>>> {
    let account = account_id(connection, account)?;
    let mut find = connection.prepare_cached(
        "SELECT uid, occurrence FROM message m
         WHERE account = ?1 AND substr(digest, 1, 8) = substr(?3, 1, 8) AND octets = ?2 AND digest = ?3 AND kind = ?4
         AND (absent <> 0 OR deleted IS NOT NULL) AND EXISTS (SELECT 1 FROM delivery WHERE message = m.id)
         ORDER BY deleted IS NOT NULL, id LIMIT ?5",
    )?;
    let of_one = |content: &Content| {
        let kind = if content.header_only { kind::HEADER } else { kind::WHOLE };
        let octets = i64::try_from(content.octets).unwrap_or(i64::MAX);
        let rows = find.query_map(params![account, octets, content.digest, kind, ALIKE], |row| {
            Ok(MessageKey::new(row.get_ref(0)?.as_blob()?, row.get(1)?))
        })?;
        rows.filter_map(Result::transpose).collect()
    };
    contents.iter().map(of_one).collect()
}

pub(super) fn rename(
    connection: &Connection,
    account: &Name,
    renamed: &[Renamed],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut update = connection.prepare_cached(
        "UPDATE message SET uid = ?4, occurrence = ?5, proof = iif(?6 = 0, 0, max(proof, ?6)), absent = 0
         WHERE account = ?1 AND uid = ?2 AND occurrence = ?3",
    )?;
    // The row of a message that was only seen holds nothing worth keeping.
    let mut forget = connection.prepare_cached(
        "DELETE FROM message WHERE account = ?1 AND uid = ?2 AND occurrence = ?3 AND digest IS NULL AND done IS NULL
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message = message.id)",
    )?;
    for Renamed { from, to, proven } in renamed {
        remember_former(connection, account, from)?;
        forget.execute(params![account, to.uid(), to.occurrence()])?;
        free(connection, account, to, now)?;
        let proof = if *proven { proof::CONTENT } else { proof::HEADER };
        let key = params![account, from.uid(), from.occurrence(), to.uid(), to.occurrence(), proof];
        // A message is taken for another only if the other is really on record.
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
    each(connection, account, keys, if same { "proof = 0" } else { "proof = 2, head = NULL" })
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
