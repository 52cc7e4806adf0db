//! What is remembered of accounts across restarts: when they may be polled, and how it went.

use rusqlite::{Connection, OptionalExtension, params};

use super::schema::IN_INDEX;
use super::write::account_id;
use crate::message::{Name, UnixTime};

/// What is remembered of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountMemory {
    /// Failed polls in a row.
    pub failures: u32,
    /// Refused logins in a row.
    pub refusals: u32,
    /// No poll before this.
    pub not_before: UnixTime,
    /// When its last poll ended well.
    pub last_success: Option<UnixTime>,
    /// What was wrong with its last poll.
    pub error: Option<String>,
    /// The kind of the error, as an exit code; 0: none.
    pub exit_code: u8,
    /// Tells, while its login is refused, whether the settings or the secret have changed since.
    pub refused: Option<[u8; 32]>,
    /// Messages delivered since a time that the caller chose; only read.
    pub delivered: u64,
    /// Messages in quarantine; only read.
    pub quarantined: u64,
}

/// What is known of the password that an account logged in with last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastLogin {
    /// Tells it from most others; `None`: none has worked yet, or the one that did is refused for good.
    pub mark: Option<u8>,
    /// So often in a row that very password was refused since.
    pub doubts: u32,
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

/// What was told once of mail that stays on the server for good.
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
                 last_success = coalesce(?5, last_success), error = ?6, exit_code = ?7, refused = ?8 WHERE id = ?1",
        )?
        .execute(params![
            id,
            memory.failures,
            memory.refusals,
            memory.not_before,
            memory.last_success,
            memory.error,
            memory.exit_code,
            memory.refused
        ])
}

pub(super) fn query() -> String {
    format!(
        "SELECT name, failures, refusals, not_before, last_success, error, exit_code, refused,
             (SELECT count(*) FROM message m WHERE m.account = a.id AND m.done >= ?1), coalesce(q.messages, 0)
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
        let memory = AccountMemory {
            failures: row.get(1)?,
            refusals: row.get(2)?,
            not_before: row.get(3)?,
            last_success: row.get(4)?,
            error: row.get(5)?,
            exit_code: row.get(6)?,
            refused: row.get::<_, Option<Vec<u8>>>(7)?.and_then(|digest| digest.try_into().ok()),
            delivered: u64::try_from(row.get::<_, i64>(8)?).unwrap_or(0),
            quarantined: u64::try_from(row.get::<_, i64>(9)?).unwrap_or(0),
        };
        Ok(Name::new(&row.get::<_, String>(0)?).map(|name| (name, memory)))
    })?;
    rows.filter_map(Result::transpose).collect()
}
