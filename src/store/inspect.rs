//! Looking at the whole state beside the process that writes it: is it whole, and what is in it.

use rusqlite::{Connection, Row};

use super::headings;
use super::lost;
use super::read::{Reader, state_name};
use super::rows::shown_location;
use super::schema::kind;
use super::words::{Inspection, Record};
use super::write;
use super::{StoreError, sound};
use crate::message::unique_id;
use crate::text;

impl Reader {
    /// Looks at the whole database; `None` if there never was one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn inspect(&self) -> Result<Option<Inspection>, StoreError> {
        self.read(inspect)
    }

    /// Hands over everything that is on record, until `each` wants no more.
    ///
    /// # Errors
    /// The database cannot be read; what could be was handed over.
    pub fn export(&self, mut each: impl FnMut(&Record) -> bool) -> Result<(), StoreError> {
        self.read(|connection| export(connection, &mut each)).map(|_| ())
    }
}

fn inspect(connection: &Connection) -> rusqlite::Result<Inspection> {
    // One picture, while others write.
    let transaction = connection.unchecked_transaction()?;
    let count = |table: &str| -> rusqlite::Result<u64> {
        let rows: i64 = transaction.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(u64::try_from(rows).unwrap_or(0))
    };
    let mut faults = sound::faults(&transaction)?;
    let half: i64 = transaction.query_row(
        "SELECT count(*) FROM message m WHERE done IS NOT NULL AND deleted IS NULL
         AND EXISTS (SELECT 1 FROM delivery d WHERE d.message = m.id AND d.state NOT IN (3, 6))",
        [],
        |row| row.get(0),
    )?;
    if half > 0 {
        faults.push(format!("{half} messages count as delivered everywhere, and are not"));
    }
    Ok(Inspection {
        faults,
        accounts: count("account")?,
        messages: count("message")?,
        deliveries: count("delivery")?,
        staged: write::staged(&transaction, None)?,
        lost: lost::lost(&transaction)?,
    })
}

fn export(connection: &Connection, each: &mut impl FnMut(&Record) -> bool) -> rusqlite::Result<()> {
    // One picture, while others write.
    let transaction = connection.unchecked_transaction()?;
    let _ = records(&transaction, ACCOUNTS, account, each)?
        && records(&transaction, MESSAGES, message, each)?
        && records(&transaction, DELIVERIES, delivery, each)?;
    Ok(())
}

/// Hands over the rows of a query, until `each` wants no more: `false`.
fn records(
    connection: &Connection,
    query: &str,
    record: fn(&Row<'_>) -> rusqlite::Result<Record>,
    each: &mut impl FnMut(&Record) -> bool,
) -> rusqlite::Result<bool> {
    let mut find = connection.prepare(query)?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        if !each(&record(row)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

const ACCOUNTS: &str = "SELECT name, first_poll, last_success, lost <> 0 FROM account ORDER BY id";

fn account(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Account { account: row.get(0)?, first_poll: row.get(1)?, last_success: row.get(2)?, lost: row.get(3)? })
}

const MESSAGES: &str =
    "SELECT a.name, m.uid, m.occurrence, m.kind, m.octets, m.digest, m.message_id, m.seen, m.done, m.deleted,
         m.sender, m.subject, m.date
     FROM message m JOIN account a ON a.id = m.account ORDER BY m.id";

fn message(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Message {
        account: row.get(0)?,
        uid: text::escape(unique_id(&row.get::<_, Vec<u8>>(1)?), 512),
        occurrence: row.get(2)?,
        kind: match row.get(3)? {
            kind::IGNORED => "ignored",
            kind::HEADER => "header",
            _ => "whole",
        },
        octets: row.get::<_, Option<i64>>(4)?.and_then(|octets| u64::try_from(octets).ok()),
        digest: row.get::<_, Option<Vec<u8>>>(5)?.map(|digest| text::hex(&digest)),
        message_id: row.get::<_, Option<String>>(6)?.map(|id| text::shown(id.as_bytes())),
        heading: headings::read(row, 10)?,
        seen: row.get(7)?,
        done: row.get(8)?,
        deleted_at: row.get(9)?,
    })
}

const DELIVERIES: &str =
    "SELECT a.name, m.uid, m.occurrence, p.destination, p.location, d.state, d.at, d.attempts, d.until, d.detail,
         p.recipient
     FROM delivery d JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
     JOIN place p ON p.id = d.place ORDER BY d.message, d.place";

fn delivery(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record::Delivery {
        account: row.get(0)?,
        uid: text::escape(unique_id(&row.get::<_, Vec<u8>>(1)?), 512),
        occurrence: row.get(2)?,
        destination: row.get(3)?,
        location: shown_location(row.get(4)?, row.get_ref(10)?.as_str()?),
        state: state_name(row.get(5)?),
        at: row.get(6)?,
        attempts: row.get(7)?,
        until: row.get(8)?,
        detail: row.get(9)?,
    })
}
