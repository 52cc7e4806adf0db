//! The rows of messages that are gone from their server, and their removal.
//!
//! A Maildir's files outlive the rows of their deliveries.  So that they do not make this database look like
//! an older copy of itself, `meta` keeps the time up to which there may be such files: a copy that was put
//! back has forgotten no message that is younger than itself.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::account_id;
use super::schema::state;
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::Prune;

/// Since when the server has not had the message of a row of `message`; NULL while it has it, for a message that was
/// left alone at the first poll, which it is for ever, and where a clock was wrong.
pub(super) const GONE: &str = "iif(kind <> 1 AND max(seen, coalesce(done, 0)) <= coalesce(deleted, absent),
     coalesce(deleted, nullif(absent, 0)), NULL)";

/// The row of `meta`.
const FORGOTTEN: &str = "forgotten";

/// Forgets messages that are gone and have no open delivery, except for `listed` ones, which the server still lists.
pub(super) fn prune(
    connection: &Connection,
    account: &Name,
    prune: Prune,
    listed: &[MessageKey],
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let listed: HashSet<(&[u8], u32)> = listed.iter().map(|key| (key.uid(), key.occurrence())).collect();
    let mut find = connection.prepare_cached(&format!(
        "SELECT id, uid, occurrence,
             max(seen, coalesce(done, 0), coalesce((SELECT max(at) FROM delivery WHERE message = m.id), 0))
         FROM message m WHERE account = ?1 AND {GONE} < ?2
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message = m.id AND d.state NOT IN (?3, ?4))
         ORDER BY {GONE}"
    ))?;
    let mut rows = find.query(params![account, prune.before, state::DELIVERED, state::SKIPPED])?;
    let (mut ids, mut youngest) = (Vec::new(), None);
    while ids.len() < prune.messages
        && let Some(row) = rows.next()?
    {
        let key = (row.get_ref(1)?.as_blob().unwrap_or_default(), row.get::<_, u32>(2)?);
        if !listed.contains(&key) {
            ids.push(row.get::<_, i64>(0)?);
            youngest = youngest.max(Some(row.get::<_, UnixTime>(3)?));
        }
    }
    drop(rows);
    let mut mark = connection.prepare_cached(
        "UPDATE place SET used = 1 WHERE used = 0 AND id IN (SELECT place FROM delivery WHERE message = ?1 AND state = ?2)",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM message WHERE id = ?1")?;
    for id in &ids {
        mark.execute(params![id, state::DELIVERED])?;
        delete.execute([id])?;
    }
    let youngest = youngest.max(forgotten(connection)?);
    if let (Some(youngest), false) = (youngest, ids.is_empty()) {
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
            .execute(params![FORGOTTEN, youngest.to_string()])?;
    }
    Ok(ids.len())
}

/// The time after which no file of a forgotten message was made; `None`: no message is forgotten.
pub(super) fn forgotten(connection: &Connection) -> rusqlite::Result<Option<UnixTime>> {
    let mut find = connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
    let value: Option<String> = find.query_row([FORGOTTEN], |row| row.get(0)).optional()?;
    Ok(value.and_then(|value| value.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{lookup, schema};

    const DAY: i64 = 86_400;
    /// A message of account 1 that was done on day 1, with one delivery: its unique-id, `deleted`, `absent`, its
    /// delivery's state.
    type Row = (&'static str, Option<i64>, i64, i64);

    fn database(rows: &[Row]) -> Connection {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON; INSERT INTO account (id, name) VALUES (1, 'a'), (2, 'b');
                 INSERT INTO meta VALUES ('instance', 'machine');
                 INSERT INTO place (id, destination, kind, location, machine)
                     VALUES (1, 'home', 'maildir', x'2f61', 'machine'), (2, 'else', 'maildir', x'2f62', 'machine');",
            )
            .expect("filled");
        for (uid, deleted, absent, delivery) in rows {
            let id = connection
                .prepare(
                    "INSERT INTO message (account, uid, occurrence, seen, kind, done, deleted, absent)
                     VALUES (1, ?1, 0, 80000, 0, 86400, ?2, ?3)",
                )
                .and_then(|mut insert| insert.insert(params![uid.as_bytes(), deleted, absent]))
                .expect("inserted");
            connection
                .execute("INSERT INTO delivery (message, place, state, at) VALUES (?1, 1, ?2, 86401)", [id, *delivery])
                .expect("inserted");
        }
        connection
    }

    fn left(connection: &Connection) -> Vec<String> {
        let mut find = connection.prepare("SELECT CAST(uid AS TEXT) FROM message ORDER BY uid").expect("a query");
        find.query_map([], |row| row.get(0)).expect("read").collect::<rusqlite::Result<_>>().expect("read")
    }

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn only_what_is_gone_and_has_come_to_its_end_is_forgotten() {
        let connection = database(&[
            ("absent", None, 5 * DAY, state::DELIVERED),
            ("absent-since", None, 9 * DAY, state::DELIVERED),
            ("deferred", None, 5 * DAY, state::DEFERRED),
            ("deleted", Some(5 * DAY), 0, state::SKIPPED),
            ("deleted-and-listed", Some(5 * DAY), 0, state::DELIVERED),
            ("deleted-since", Some(9 * DAY), 0, state::DELIVERED),
            ("quarantined", None, 5 * DAY, state::QUARANTINED),
            ("there", None, 0, state::DELIVERED),
            ("when the clock was wrong", None, DAY / 2, state::DELIVERED),
        ]);
        connection
            .execute(
                "INSERT INTO message (account, uid, occurrence, seen, kind, absent) VALUES (1, x'7a', 0, 1, 1, 9)",
                [],
            )
            .expect("one that was left alone");
        let listed = [MessageKey::new(b"deleted-and-listed", 0).expect("a key")];
        let wish = Prune { messages: 100, before: 6 * DAY };
        assert_eq!(prune(&connection, &name("b"), wish, &[]).expect("pruned"), 0, "another account's");
        assert_eq!(forgotten(&connection).expect("read"), None);
        assert_eq!(prune(&connection, &name("a"), wish, &listed).expect("pruned"), 2);
        let others = ["absent-since", "deferred", "deleted-and-listed", "deleted-since", "quarantined", "there"];
        assert_eq!(left(&connection), [&others[..], &["when the clock was wrong", "z"]].concat());
        assert_eq!(forgotten(&connection).expect("read"), Some(DAY + 1));
        let deliveries: i64 =
            connection.query_row("SELECT count(*) FROM delivery", [], |row| row.get(0)).expect("counted");
        assert_eq!(deliveries, 7);
    }

    #[test]
    fn the_oldest_are_forgotten_first_and_their_maildir_stays_known() {
        let rows = [("b", None, 3 * DAY, state::DELIVERED), ("a", Some(4 * DAY), 0, state::DELIVERED)];
        let connection = database(&rows);
        let mut wish = Prune { messages: 1, before: 6 * DAY };
        assert_eq!(prune(&connection, &name("a"), wish, &[]).expect("pruned"), 1);
        assert_eq!(left(&connection), ["a"]);
        wish.messages = 100;
        assert_eq!(prune(&connection, &name("a"), wish, &[]).expect("pruned"), 1);
        assert!(lookup::knows(&connection, std::path::Path::new("/a")).expect("read"));
        assert!(!lookup::knows(&connection, std::path::Path::new("/b")).expect("read"));
    }
}
