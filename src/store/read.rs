//! Reading the state beside the process that writes it: history and quarantine.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, params};

use super::headings::{self, HOLDS};
use super::lookup;
use super::rows::shown_location;
use super::schema::{IN_INDEX, state};
use super::words::{HistoryEntry, HistoryFilter, Holding, Known, QuarantinedDelivery, QuarantinedMessage};
use super::{StoreError, file, likeness, mailbox, open, renamed};
use crate::header::Heading;
use crate::message::{MessageKey, Name, UnixTime, unique_id};
use crate::plan::Place;
use crate::plan::{self, Identity, Missing};
use crate::text;

/// Reads the state, without the lock.
#[derive(Debug)]
pub struct Reader {
    connection: Option<Mutex<Connection>>,
    path: PathBuf,
}

pub(super) fn state_name(number: i64) -> &'static str {
    match number {
        state::STAGED => "staged",
        state::SENDING => "sending",
        state::DELIVERED => "delivered",
        state::DEFERRED => "deferred",
        state::SKIPPED => "skipped",
        _ => "quarantined",
    }
}

impl Reader {
    /// Opens the state of a directory; if it never had one, the state is read as empty.
    ///
    /// # Errors
    /// The database is there and cannot be read, or is gone.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { connection: open::open_beside(dir)?.map(Mutex::new), path: file::path(dir) })
    }

    /// Whether there is no state at all.
    pub fn is_absent(&self) -> bool {
        self.connection.is_none()
    }

    /// The name under which the state knows the mailbox that an account leads to now; `None`: what it knows under
    /// the account's name, if anything, belongs to another mailbox.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known_as(
        &self,
        account: &Name,
        mailbox: &str,
        others: &[(Name, String)],
    ) -> Result<Option<Name>, StoreError> {
        let found = self.read(|connection| mailbox::known_as(connection, account, mailbox, others))?;
        Ok(found.flatten().and_then(|name| Name::new(&name)))
    }

    /// The account of an unused name, if there is one, that had the host and the username of this account, of which no
    /// mail is known; with `deliver`, only one whose mail went to these destinations.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn alike(
        &self,
        account: &Name,
        mailbox: &str,
        others: &[(Name, String)],
        deliver: Option<&[Place]>,
    ) -> Result<Option<Name>, StoreError> {
        let found = self.read(|connection| likeness::alike(connection, account, mailbox, others, deliver))?;
        Ok(found.flatten().and_then(|name| Name::new(&name)))
    }

    /// What is known under a name; `None`: nothing at all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn holding(&self, name: &Name) -> Result<Option<Holding>, StoreError> {
        self.read(|connection| mailbox::holding(connection, name)).map(Option::flatten)
    }

    /// The word that stands for this machine in places; empty if the directory never had a state.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn instance(&self) -> Result<String, StoreError> {
        self.read(file::instance).map(Option::unwrap_or_default)
    }

    /// What is known of a listing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known(&self, account: &Name, keys: &[Option<MessageKey>], now: UnixTime) -> Result<Known, StoreError> {
        let nothing = || {
            let (standings, sizes) = (vec![None; keys.len()], vec![None; keys.len()]);
            Known { standings, sizes, ..Known::default() }
        };
        let stale = plan::stale_since(now);
        let known = self.read(|connection| lookup::known(connection, account, keys, stale))?;
        Ok(known.unwrap_or_else(nothing))
    }

    /// Messages of an account that are remembered, not deleted, and not among those `listed`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn missing(&self, account: &Name, listed: &[Option<MessageKey>]) -> Result<Vec<Missing>, StoreError> {
        self.read(|connection| renamed::missing(connection, account, listed)).map(Option::unwrap_or_default)
    }

    /// What messages are known by besides their unique-ids; `None` for a message that is not known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn identities(&self, account: &Name, keys: &[MessageKey]) -> Result<Vec<Option<Identity>>, StoreError> {
        let known = self.read(|connection| renamed::identities(connection, account, keys))?;
        Ok(known.unwrap_or_else(|| vec![None; keys.len()]))
    }

    /// From, Subject and Date of messages, as far as they are on record.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn headings(&self, account: &Name, keys: &[MessageKey]) -> Result<Vec<Heading>, StoreError> {
        let found = self.read(|connection| headings::find(connection, account, keys))?;
        Ok(found.unwrap_or_else(|| vec![Heading::default(); keys.len()]))
    }

    /// Whether a message was ever delivered to this location.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn knows(&self, location: &Path) -> Result<bool, StoreError> {
        self.read(|connection| lookup::knows(connection, location)).map(Option::unwrap_or_default)
    }

    /// Deliveries, the newest last.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn history(&self, filter: &HistoryFilter) -> Result<Vec<HistoryEntry>, StoreError> {
        self.read(|connection| history(connection, filter)).map(Option::unwrap_or_default)
    }

    /// Messages in quarantine, of one account or of all, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quarantined(&self, account: Option<&Name>) -> Result<Vec<QuarantinedMessage>, StoreError> {
        self.read(|connection| quarantined(connection, account)).map(Option::unwrap_or_default)
    }

    /// Keys of an account's quarantined messages that have these unique-ids, as they are shown; of all
    /// of them if no unique-id is given.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quarantined_keys(&self, account: &Name, shown: &[String]) -> Result<Vec<MessageKey>, StoreError> {
        let keys = self.read(|connection| quarantined_keys(connection, account))?.unwrap_or_default();
        let wanted = |key: &MessageKey| shown.iter().any(|uid| *uid == text::escape(unique_id(key.uid()), 512));
        Ok(keys.into_iter().filter(|key| shown.is_empty() || wanted(key)).collect())
    }

    /// Keys of an account's messages with these unique-ids, as they are shown, that are tried again or at which a session
    /// has ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn retried_keys(&self, account: &Name, shown: &[String]) -> Result<Vec<MessageKey>, StoreError> {
        let keys = self.read(|connection| retried_keys(connection, account))?.unwrap_or_default();
        let wanted = |key: &MessageKey| shown.iter().any(|uid| *uid == text::escape(unique_id(key.uid()), 512));
        Ok(keys.into_iter().filter(wanted).collect())
    }

    /// Every delivery of a message in quarantine.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn quarantined_deliveries(
        &self,
        account: &Name,
        key: &MessageKey,
    ) -> Result<Vec<QuarantinedDelivery>, StoreError> {
        self.read(|connection| quarantined_deliveries(connection, account, key)).map(Option::unwrap_or_default)
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(connection) = &self.connection else { return Ok(None) };
        let connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        read(&connection).map(Some).map_err(|error| file::database_error(&self.path, &error))
    }
}

/// The columns and tables that a [`HistoryEntry`] is read from.
const EVENT: &str = "d.at, substr(a.name, 1, instr(a.name || char(10), char(10)) - 1), m.uid, m.occurrence, m.message_id, m.octets, d.state, p.destination, p.location,
                d.detail, m.deleted, m.seen, d.attempts, m.crashes, m.digest, p.recipient, p.kind, m.sender, m.subject, m.date
         FROM delivery d JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         JOIN place p ON p.id = d.place";

fn event(row: &rusqlite::Row<'_>) -> rusqlite::Result<HistoryEntry> {
    Ok(HistoryEntry {
        at: row.get(0)?,
        account: row.get(1)?,
        uid: text::escape(unique_id(&row.get::<_, Vec<u8>>(2)?), 512),
        occurrence: row.get(3)?,
        message_id: row.get::<_, Option<String>>(4)?.map(|id| text::shown(id.as_bytes())),
        heading: headings::read(row, 17)?,
        octets: row.get::<_, Option<i64>>(5)?.and_then(|octets| u64::try_from(octets).ok()),
        state: state_name(row.get(6)?),
        destination: row.get(7)?,
        location: shown_location(row.get(8)?, row.get_ref(15)?.as_str()?),
        is_maildir: row.get_ref(16)?.as_str()? == Place::MAILDIR,
        detail: row.get(9)?,
        deleted_at: row.get(10)?,
    })
}

fn quarantined_deliveries(
    connection: &Connection,
    account: &Name,
    key: &MessageKey,
) -> rusqlite::Result<Vec<QuarantinedDelivery>> {
    let mut find = connection.prepare(&format!(
        "SELECT {EVENT} WHERE a.name = ?1 AND m.uid = ?2 AND m.occurrence = ?3 ORDER BY p.destination"
    ))?;
    let rows = find.query_map(params![account.as_str(), key.uid(), key.occurrence()], |row| {
        Ok(QuarantinedDelivery {
            event: event(row)?,
            first_seen: row.get(11)?,
            attempts: row.get(12)?,
            crashes: row.get(13)?,
            digest: row.get::<_, Option<[u8; 32]>>(14)?.map(|digest| text::hex(&digest)),
        })
    })?;
    rows.collect()
}

fn history(connection: &Connection, filter: &HistoryFilter) -> rusqlite::Result<Vec<HistoryEntry>> {
    headings::search_for(connection, filter.search.as_deref())?;
    let mut find = connection.prepare(&format!(
        "SELECT {EVENT} WHERE (?1 IS NULL OR a.name = ?1)
           AND (?2 IS NULL OR instr(m.uid, ?2) OR instr(m.message_id, ?2) OR instr(d.detail, ?2)
                OR {HOLDS}(m.sender) OR {HOLDS}(m.subject))
         ORDER BY d.at DESC, instr(a.name, char(10)), m.id DESC LIMIT ?3"
    ))?;
    // What is known of a mailbox may be there twice (mailbox.rs).
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX).saturating_mul(3);
    let rows = find.query_map(params![filter.account.as_ref().map(Name::as_str), filter.search, limit], event)?;
    let mut events: Vec<HistoryEntry> = rows.collect::<rusqlite::Result<_>>()?;
    let mut told = HashSet::new();
    events.retain(|event| {
        let HistoryEntry { at, account, location, detail, message_id, .. } = event;
        let is_named = event.is_maildir && detail.as_deref().is_some_and(|detail| !detail.is_empty());
        !is_named || told.insert((*at, account.clone(), location.clone(), detail.clone(), message_id.clone()))
    });
    events.truncate(filter.limit);
    events.reverse();
    Ok(events)
}

pub(super) fn quarantined_query() -> String {
    format!(
        "SELECT substr(a.name, 1, instr(a.name || char(10), char(10)) - 1), m.uid, m.occurrence, d.at, p.destination,
             d.detail, m.message_id, m.sender, m.subject, m.date
         FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         JOIN place p ON p.id = d.place
         WHERE d.state = 5 AND {IN_INDEX} AND (?1 IS NULL OR a.name = ?1) AND instr(a.name, char(10)) = 0
         ORDER BY d.at, m.id"
    )
}

fn quarantined(connection: &Connection, account: Option<&Name>) -> rusqlite::Result<Vec<QuarantinedMessage>> {
    let mut find = connection.prepare(&quarantined_query())?;
    let rows = find.query_map([account.map(Name::as_str)], |row| {
        Ok(QuarantinedMessage {
            account: row.get(0)?,
            uid: text::escape(unique_id(&row.get::<_, Vec<u8>>(1)?), 512),
            occurrence: row.get(2)?,
            since: row.get(3)?,
            destination: row.get(4)?,
            reason: row.get(5)?,
            message_id: row.get::<_, Option<String>>(6)?.map(|id| text::shown(id.as_bytes())),
            heading: headings::read(row, 7)?,
        })
    })?;
    rows.collect()
}

fn retried_keys(connection: &Connection, account: &Name) -> rusqlite::Result<Vec<MessageKey>> {
    let mut find = connection.prepare(&format!(
        "SELECT m.uid, m.occurrence FROM delivery d CROSS JOIN message m ON m.id = d.message
         JOIN account a ON a.id = m.account WHERE d.state = 4 AND {IN_INDEX} AND a.name = ?1
         UNION SELECT m.uid, m.occurrence FROM account a JOIN message m ON m.account = a.id
         WHERE a.name = ?1 AND m.ends > 0 AND m.done IS NULL"
    ))?;
    let rows =
        find.query_map([account.as_str()], |row| Ok(MessageKey::new(&row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
    rows.filter_map(Result::transpose).collect()
}

fn quarantined_keys(connection: &Connection, account: &Name) -> rusqlite::Result<Vec<MessageKey>> {
    let mut find = connection.prepare(&format!(
        "SELECT DISTINCT m.uid, m.occurrence FROM delivery d CROSS JOIN message m ON m.id = d.message
         JOIN account a ON a.id = m.account WHERE d.state = 5 AND {IN_INDEX} AND a.name = ?1"
    ))?;
    let rows =
        find.query_map([account.as_str()], |row| Ok(MessageKey::new(&row.get::<_, Vec<u8>>(0)?, row.get(1)?)))?;
    rows.filter_map(Result::transpose).collect()
}
