//! What is remembered of accounts across restarts: when they may be polled, and how their polls went.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use super::read::Reader;
use super::rows::account_id;
use super::schema::IN_INDEX;
use super::words::{AccountMemory, LastLogin};
use crate::message::{Name, UnixTime};

/// Separates an error from its advice in the column `error`.
const BREAK: char = '\n';

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// An error and its advice as they are stored: one line each.
fn stored(memory: &AccountMemory) -> Option<String> {
    let error = memory.error.as_ref()?.replace(BREAK, " ");
    Some(match &memory.advice {
        Some(advice) => format!("{error}{BREAK}{advice}"),
        None => error,
    })
}

/// What is known of the account's last login.
pub(super) fn last_login(connection: &Connection, account: &Name) -> rusqlite::Result<LastLogin> {
    let mut find = connection.prepare_cached("SELECT worked, doubts FROM account WHERE name = ?1")?;
    let login = |row: &rusqlite::Row<'_>| Ok(LastLogin { mark: row.get(0)?, doubts: row.get(1)? });
    Ok(find.query_row([account.as_str()], login).optional()?.unwrap_or_default())
}

pub(super) fn worked(connection: &Connection, account: &Name, login: LastLogin) -> rusqlite::Result<usize> {
    let id = account_id(connection, account)?;
    connection.prepare_cached("UPDATE account SET worked = ?2, doubts = ?3 WHERE id = ?1")?.execute(params![
        id,
        login.mark,
        login.doubts
    ])
}

/// The marks of mail that stays on the server for good and was reported already.
pub(super) fn told(connection: &Connection, account: &Name) -> rusqlite::Result<Option<String>> {
    let mut find = connection.prepare_cached("SELECT told FROM account WHERE name = ?1")?;
    Ok(find.query_row([account.as_str()], |row| row.get(0)).optional()?.flatten())
}

pub(super) fn tell(connection: &Connection, account: &Name, told: &str) -> rusqlite::Result<usize> {
    let id = account_id(connection, account)?;
    connection.prepare_cached("UPDATE account SET told = ?2 WHERE id = ?1")?.execute(params![id, told])
}

pub(super) fn remember(connection: &Connection, account: &Name, memory: &AccountMemory) -> rusqlite::Result<usize> {
    let id = account_id(connection, account)?;
    connection
        .prepare_cached(
            "UPDATE account SET failures = ?2, refusals = ?3, not_before = ?4,
                 waiting = ?9, too_large = ?10, ignored = ?11, last_success = coalesce(?5, last_success), error = ?6, exit_code = ?7, refused = ?8 WHERE id = ?1",
        )?
        .execute(params![
            id,
            memory.failures,
            memory.refusals,
            memory.not_before,
            memory.last_success,
            stored(memory),
            memory.exit_code,
            memory.refused,
            count(memory.waiting),
            count(memory.too_large),
            count(memory.ignored)
        ])
}

pub(super) fn query() -> String {
    format!(
        "SELECT name, failures, refusals, not_before, last_success, error, exit_code, refused,
             a.waiting, a.too_large, a.ignored, (SELECT count(*) FROM message m WHERE m.account = a.id AND m.done >= ?1), coalesce(q.messages, 0)
         FROM account a LEFT JOIN
             (SELECT m.account AS account, count(DISTINCT d.message) AS messages
              FROM delivery d CROSS JOIN message m ON m.id = d.message
              WHERE d.state = 5 AND {IN_INDEX} GROUP BY m.account) q ON q.account = a.id"
    )
}

/// What is remembered of all accounts; deliveries are counted from `since` on.
pub(super) fn remembered(connection: &Connection, since: UnixTime) -> rusqlite::Result<Vec<(Name, AccountMemory)>> {
    let mut find = connection.prepare(&query())?;
    let rows = find.query_map([since], |row| {
        let stored: Option<String> = row.get(5)?;
        let (error, advice) = match stored.as_deref().map(|text| text.split_once(BREAK).ok_or(text)) {
            None => (None, None),
            Some(Ok((error, advice))) => (Some(error.to_owned()), Some(advice.to_owned())),
            Some(Err(error)) => (Some(error.to_owned()), None),
        };
        let memory = AccountMemory {
            failures: row.get(1)?,
            refusals: row.get(2)?,
            not_before: row.get(3)?,
            last_success: row.get(4)?,
            error,
            advice,
            exit_code: row.get(6)?,
            refused: row.get::<_, Option<Vec<u8>>>(7)?.and_then(|digest| digest.try_into().ok()),
            waiting: number(row.get(8)?),
            too_large: number(row.get(9)?),
            ignored: number(row.get(10)?),
            delivered: number(row.get(11)?),
            quarantined: number(row.get(12)?),
        };
        Ok(Name::new(&row.get::<_, String>(0)?).map(|name| (name, memory)))
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// Whether no account is on record.
pub(super) fn is_none_known(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM account)", [], |row| row.get(0))
}

impl Reader {
    /// What is remembered of all accounts; deliveries are counted from `since` on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn remembered(&self, since: UnixTime) -> Result<BTreeMap<Name, AccountMemory>, StoreError> {
        let read = |connection: &Connection| remembered(connection, since);
        Ok(self.read(read)?.unwrap_or_default().into_iter().collect())
    }

    /// The names of all accounts on record.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn accounts(&self) -> Result<Vec<String>, StoreError> {
        let read = |connection: &Connection| {
            connection.prepare("SELECT name FROM account ORDER BY name")?.query_map([], |row| row.get(0))?.collect()
        };
        self.read(read).map(Option::unwrap_or_default)
    }
}
