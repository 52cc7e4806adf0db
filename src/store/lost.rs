//! Accounts whose state was lost: what the Maildirs tell of their mail, and how it is taken over.
//!
//! `account.lost` holds until the account's next listing, which alone can say which of the files
//! are of which message; the transaction that takes them over ends it.

use std::collections::HashMap;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::{kind, state};
use super::stage::finish;
use super::write::{account_id, place_id};
use super::{StoreError, open};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Identity, Place};

/// Whether an account's state was lost, and what is to be done about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lost {
    /// It was not.
    #[default]
    No,
    /// It was: what is on the server and in no Maildir may have been delivered or not.
    Lost,
    /// There was none as far as this directory knows, and the Maildirs know of mail.
    Unknown,
    /// It was, and the operator says: what is on the server now counts as delivered.
    Seen,
    /// It was, and the operator says: what is in no Maildir is fetched.
    FetchAgain,
}

impl Lost {
    const ALL: [Self; 5] = [Self::No, Self::Lost, Self::Unknown, Self::Seen, Self::FetchAgain];

    pub(super) fn of_number(number: i64) -> Self {
        Self::ALL.into_iter().find(|lost| lost.number() == number).unwrap_or(Self::Lost)
    }

    fn number(self) -> i64 {
        self as i64
    }
}

/// A file in a Maildir that this program has made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// Tells its message (`deliver::maildir::token`).
    pub token: String,
    /// Its path below the Maildir, when it was found.
    pub name: String,
    /// When it was delivered.
    pub at: UnixTime,
}

/// What is done about lost states.
#[derive(Clone, Debug)]
pub enum LostChange {
    /// These accounts, and all that are known, are lost.
    Mark {
        /// The accounts of the configuration.
        accounts: Vec<Name>,
        /// How.
        lost: Lost,
    },
    /// What a Maildir holds; without files: it must be read before anything is fetched for it.
    Files {
        /// The Maildir.
        maildir: PathBuf,
        /// Its files.
        files: Option<Vec<FoundFile>>,
    },
    /// A lost account is lost no more.
    Adopt(Adoption),
}

/// What a lost account's listing and the Maildirs tell together.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// The account.
    pub account: Name,
    /// Messages that were delivered somewhere.
    pub messages: Vec<Adopted>,
    /// Messages to leave alone for ever.
    pub ignored: Vec<MessageKey>,
    /// Whether the account's first poll is over with this.
    pub begun: bool,
}

/// A message that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// The message.
    pub key: MessageKey,
    /// Octets as they were on record, and what else the file tells.
    pub content: Option<(u64, Identity)>,
    /// Whether the file holds only the header.
    pub header_only: bool,
    /// Where it is, and where nobody knows.
    pub places: Vec<(Place, Whereabouts)>,
}

impl Adopted {
    /// Whether a destination is among them of which nobody knows.
    pub fn is_unclear(&self) -> bool {
        self.places.iter().any(|(_, whereabouts)| matches!(whereabouts, Whereabouts::Unclear(_)))
    }
}

/// What is known of a message at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whereabouts {
    /// It was delivered, under this name, at this time.
    Delivered(String, UnixTime),
    /// Nobody knows, for this reason; left to the operator.
    Unclear(String),
}

pub(super) fn apply(connection: &Connection, change: &LostChange, now: UnixTime) -> rusqlite::Result<usize> {
    match change {
        LostChange::Mark { accounts, lost } => mark(connection, accounts, *lost),
        LostChange::Files { maildir, files } => note_files(connection, maildir, files.as_deref()),
        LostChange::Adopt(adoption) => adopt(connection, adoption, now),
    }
}

/// Marks these accounts and all that are known.
pub(super) fn mark(connection: &Connection, accounts: &[Name], lost: Lost) -> rusqlite::Result<usize> {
    for account in accounts {
        account_id(connection, account)?;
    }
    connection.execute("UPDATE account SET lost = ?1", [lost.number()])
}

/// Writes down what a Maildir holds.  An empty token stands for one that could not be read.
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

/// Maildirs that mail was delivered to.
pub(super) fn maildirs(connection: &Connection) -> rusqlite::Result<Vec<PathBuf>> {
    let mut find = connection.prepare("SELECT DISTINCT location FROM place WHERE substr(location, 1, 1) = x'2f'")?;
    let rows = find.query_map([], |row| Ok(PathBuf::from(std::ffi::OsString::from_vec(row.get(0)?))))?;
    rows.collect()
}

/// Files of these tokens, with their Maildirs.
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

/// Whether a Maildir has still to be read.
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
            // As if it had been away: it is compared by its header before it is believed.
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
    // Done when the last of its destinations had it, so that a retention in days goes on.
    finish(connection, id, last)
}

/// Accounts that are lost.
pub(super) fn lost(connection: &Connection) -> rusqlite::Result<Vec<(String, Lost)>> {
    let mut find = connection.prepare("SELECT name, lost FROM account WHERE lost <> 0 ORDER BY name")?;
    find.query_map([], |row| Ok((row.get(0)?, Lost::of_number(row.get(1)?))))?.collect()
}

/// Writes down what the operator decides about a lost account; works beside a running service.
/// Gives whether it is lost at all.
///
/// # Errors
/// The database cannot be written.
pub fn decide(dir: &Path, account: &Name, decision: Lost) -> Result<bool, StoreError> {
    let Some(connection) = open::open_for_reading(dir)? else { return Ok(false) };
    let changed = connection.execute(
        "UPDATE account SET lost = ?2 WHERE name = ?1 AND lost <> 0",
        params![account.as_str(), decision.number()],
    );
    changed.map(|rows| rows > 0).map_err(|error| open::database_error(&open::path(dir), &error))
}
