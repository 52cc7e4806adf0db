//! Accounts whose state was lost: what the Maildirs show of their mail, and how it is taken over.
//!
//! `account.lost` is set until the account's next listing, which alone can show which file holds
//! which message; the transaction that takes the files over clears it.

use std::collections::HashMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::origin;
use super::rows::{account_id, finish, place_id};
use super::schema::{OWN_MAILDIR, kind, state};
use super::words::{Adopted, Adoption, FoundFile, Lost, LostChange, Whereabouts};
use crate::message::{Name, UnixTime};
use crate::plan::Identity;

pub(super) fn apply(connection: &Connection, change: &LostChange, now: UnixTime) -> rusqlite::Result<usize> {
    match change {
        LostChange::Mark { accounts, lost } => mark(connection, accounts, *lost),
        LostChange::Files { maildir, files } => note_files(connection, maildir, files.as_deref()),
        LostChange::Adopt(adoption) => adopt(connection, adoption, now),
    }
}

/// Marks these accounts and all others on record.
pub(super) fn mark(connection: &Connection, accounts: &[Name], lost: Lost) -> rusqlite::Result<usize> {
    for account in accounts {
        let account = account_id(connection, account)?;
        origin::claim(connection, account)?;
    }
    connection.execute("UPDATE account SET lost = ?1", [lost.number()])
}

/// Records what a Maildir holds.  An empty token stands for a Maildir that could not be read.
pub(super) fn note_files(
    connection: &Connection,
    maildir: &Path,
    files: Option<&[FoundFile]>,
) -> rusqlite::Result<usize> {
    let location = maildir.as_os_str().as_bytes();
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO salvaged (token, location, name, at) VALUES (?1, ?2, ?3, ?4)")?;
    let Some(files) = files else { return insert.execute(params!["", location, "", 0]) };
    connection.execute("DELETE FROM salvaged WHERE token = '' AND location = ?1", [location])?;
    for file in files {
        insert.execute(params![file.token, location, file.name, file.at])?;
    }
    Ok(files.len())
}

/// Maildirs of this machine that mail was delivered to.
pub(super) fn maildirs(connection: &Connection) -> rusqlite::Result<Vec<PathBuf>> {
    let mut find = connection.prepare(&format!("SELECT DISTINCT location FROM place WHERE {OWN_MAILDIR}"))?;
    let rows = find.query_map([], |row| Ok(PathBuf::from(std::ffi::OsString::from_vec(row.get(0)?))))?;
    rows.collect()
}

/// Files with these tokens, and their Maildirs.
pub(super) fn files(
    connection: &Connection,
    tokens: &[String],
) -> rusqlite::Result<HashMap<String, Vec<(PathBuf, FoundFile)>>> {
    let mut find = connection.prepare_cached("SELECT location, name, at FROM salvaged WHERE token = ?1")?;
    let mut found = HashMap::new();
    for token in tokens {
        let rows = find.query_map([token], |row| {
            let maildir = PathBuf::from(std::ffi::OsString::from_vec(row.get(0)?));
            Ok((maildir, FoundFile { token: token.clone(), name: row.get(1)?, at: row.get(2)? }))
        })?;
        let files = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        if !files.is_empty() {
            found.insert(token.clone(), files);
        }
    }
    Ok(found)
}

/// Whether a Maildir still has to be read.
pub(super) fn is_unread(connection: &Connection, maildir: &Path) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM salvaged WHERE token = '' AND location = ?1)")?
        .query_row([maildir.as_os_str().as_bytes()], |row| row.get(0))
}

fn adopt(connection: &Connection, adoption: &Adoption, now: UnixTime) -> rusqlite::Result<usize> {
    let account = account_id(connection, &adoption.account)?;
    for message in &adoption.messages {
        adopt_message(connection, account, message, now)?;
    }
    let mut ignore = connection.prepare_cached(
        "INSERT INTO message (account, uid, occurrence, seen, kind) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?;
    for key in &adoption.ignored {
        ignore.execute(params![account, key.uid(), key.occurrence(), now, kind::IGNORED])?;
    }
    if adoption.begun {
        connection
            .execute("UPDATE account SET first_poll = coalesce(first_poll, ?2) WHERE id = ?1", params![account, now])?;
    }
    connection.execute("UPDATE account SET lost = 0 WHERE id = ?1", [account])?;
    Ok(adoption.messages.len())
}

fn adopt_message(connection: &Connection, account: i64, message: &Adopted, now: UnixTime) -> rusqlite::Result<()> {
    let earliest = message.places.iter().filter_map(|(_, whereabouts)| match whereabouts {
        Whereabouts::Delivered(_, at) => Some(*at),
        Whereabouts::Unclear(_) => None,
    });
    let seen = earliest.min().unwrap_or(now);
    let (octets, identity) = message.content.clone().unzip();
    let octets = octets.and_then(|octets| i64::try_from(octets).ok());
    let Identity { digest, message_id, fingerprint, .. } = identity.unwrap_or_default();
    let kind = if message.header_only { kind::HEADER } else { kind::WHOLE };
    connection
        .prepare_cached(
            // As if it had been absent: its header is compared before its unique-id is trusted.
            "INSERT INTO message (account, uid, occurrence, octets, digest, seen, kind, message_id, head, absent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            account,
            message.key.uid(),
            message.key.occurrence(),
            octets,
            digest,
            seen,
            kind,
            message_id,
            fingerprint,
            now
        ])?;
    let id: Option<i64> = connection
        .prepare_cached("SELECT id FROM message WHERE account = ?1 AND uid = ?2 AND occurrence = ?3")?
        .query_row(params![account, message.key.uid(), message.key.occurrence()], |row| row.get(0))
        .optional()?;
    let Some(id) = id else { return Ok(()) };
    let mut last = seen;
    for (place, whereabouts) in &message.places {
        let place = place_id(connection, place)?;
        let (state, at, detail) = match whereabouts {
            Whereabouts::Delivered(name, at) => (state::DELIVERED, *at, name),
            Whereabouts::Unclear(why) => (state::QUARANTINED, now, why),
        };
        last = last.max(at);
        connection
            .prepare_cached(
                "INSERT INTO delivery (message, place, state, at, attempts, detail) VALUES (?1, ?2, ?3, ?4, 1, ?5)
                 ON CONFLICT (message, place) DO UPDATE SET
                     state = excluded.state, at = excluded.at, until = NULL, detail = excluded.detail",
            )?
            .execute(params![id, place, state, at, detail])?;
    }
    // Done when its last destination got it, so that a retention in days goes on from there.
    finish(connection, id, last)
}

/// Accounts that are lost.
pub(super) fn lost(connection: &Connection) -> rusqlite::Result<Vec<(String, Lost)>> {
    let mut find = connection.prepare("SELECT name, lost FROM account WHERE lost <> 0 ORDER BY name")?;
    find.query_map([], |row| Ok((row.get(0)?, Lost::of_number(row.get(1)?))))?.collect()
}
