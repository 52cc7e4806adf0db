//! Messages at which sessions end.
//!
//! The first end counts for little: the line may have been the cause, so the message is only fetched last and alone from
//! then on.  From the second on it waits, and in the end it is left to the operator ([`Patience::ended`]), unless the server
//! hands out no other message either.

use rusqlite::{Connection, params};

use super::rows::{account_id, place_id};
use super::schema::{kind, state};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Next, Patience, Place};

/// The messages of an account at which the last session that tried them ended.
pub(super) fn suspects(connection: &Connection, account: &Name) -> rusqlite::Result<Vec<MessageKey>> {
    let mut find = connection.prepare_cached(
        "SELECT m.uid, m.occurrence FROM account a JOIN message m ON m.account = a.id
         WHERE a.name = ?1 AND m.ends > 0 AND m.done IS NULL ORDER BY m.id",
    )?;
    let keys =
        find.query_map([account.as_str()], |row| Ok(MessageKey::new(row.get_ref(0)?.as_blob()?, row.get(1)?)))?;
    keys.filter_map(Result::transpose).collect()
}

/// Counts a session that ended at each of these messages.
pub(super) fn count(
    connection: &Connection,
    account: &Name,
    keys: &[MessageKey],
    places: &[Place],
    cause: &str,
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    for key in keys {
        let (message, ends, since): (i64, u32, UnixTime) = connection
            .prepare_cached(
                "INSERT INTO message (account, uid, occurrence, seen, kind, ends, ends_since)
                 VALUES (?1, ?2, ?3, ?4, ?5, 1, ?4)
                 ON CONFLICT (account, uid, occurrence)
                     DO UPDATE SET ends = ends + 1, ends_since = coalesce(ends_since, ?4)
                 RETURNING id, ends, ends_since",
            )?
            .query_row(params![account, key.uid(), key.occurrence(), now, kind::WHOLE], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let (state, until) = match patience.ended(ends, since, now) {
            Next::Quarantine if hands_out_others(connection, account, since)? => (state::QUARANTINED, 0),
            Next::Quarantine => (state::DEFERRED, patience.retry_at(ends, now)),
            Next::Later(0) => continue,
            Next::Later(until) => (state::DEFERRED, until),
        };
        let why = format!("the session ends at this message ({ends} times): {cause}");
        for place in places {
            let place = place_id(connection, place)?;
            connection
                .prepare_cached(
                    "INSERT INTO delivery (message, place, state, at, attempts, until, detail)
                     SELECT id, ?2, ?3, ?4, 1, ?8, ?5 FROM message WHERE id = ?1 AND done IS NULL
                     ON CONFLICT (message, place) DO UPDATE SET
                         state = excluded.state, at = excluded.at, attempts = attempts + 1,
                         until = excluded.until, detail = excluded.detail
                     WHERE state IN (?6, ?7)",
                )?
                .execute(params![message, place, state, now, why, state::SENDING, state::DEFERRED, until])?;
        }
    }
    Ok(keys.len())
}

/// Seconds by which a message that came may be earlier than the end of a session of the same poll.
const SAME_POLL: i64 = 60;

/// Whether the account's server has handed out any message since then, or just before.
fn hands_out_others(connection: &Connection, account: i64, since: UnixTime) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE account = ?1 AND done >= ?2)")?
        .query_row([account, since.saturating_sub(SAME_POLL)], |row| row.get(0))
}

/// A session has not ended at a message that it asked for.
pub(super) fn forget(connection: &Connection, message: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE message SET ends = 0, ends_since = NULL WHERE id = ?1 AND ends > 0")?
        .execute([message])?;
    Ok(())
}
