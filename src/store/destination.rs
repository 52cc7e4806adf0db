//! Destinations that do not work, and the messages that they refuse.

use rusqlite::{Connection, params};

use super::schema::{IN_INDEX, state};
use super::words::{DestinationTrouble, Doubted};
use crate::message::{MessageKey, Name};

/// Separates an error from its advice in the column `error`.
const BREAK: char = '\n';

pub(super) fn fails(connection: &Connection, trouble: &DestinationTrouble) -> rusqlite::Result<usize> {
    let error = trouble.error.replace(BREAK, " ");
    let error = trouble.advice.iter().fold(error, |error, advice| format!("{error}{BREAK}{advice}"));
    connection
        .prepare_cached(
            "INSERT INTO destination (name, settings, failures, since, until, error, exit_code, at_messages)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET settings = excluded.settings, failures = excluded.failures,
                 since = excluded.since, until = excluded.until, error = excluded.error,
                 exit_code = excluded.exit_code, at_messages = excluded.at_messages",
        )?
        .execute(params![
            trouble.name.as_str(),
            trouble.settings,
            trouble.failures,
            trouble.since,
            trouble.until,
            error,
            trouble.exit_code,
            trouble.at_messages
        ])
}

/// The destination works, or has other settings: what was put off there is tried again at once.
pub(super) fn works(connection: &Connection, name: &Name) -> rusqlite::Result<usize> {
    if connection.prepare_cached("DELETE FROM destination WHERE name = ?1")?.execute([name.as_str()])? == 0 {
        return Ok(0);
    }
    let there = format!(
        "d.state = {} AND {IN_INDEX} AND d.place IN (SELECT id FROM place WHERE destination = ?1)",
        state::DEFERRED
    );
    // A look at a listing was made with the old times, and a poll that is under way has seen them.
    let accounts = format!("SELECT m.account FROM delivery d CROSS JOIN message m ON m.id = d.message WHERE {there}");
    for change in [
        format!("DELETE FROM quiet WHERE account IN ({accounts})"),
        format!("UPDATE account SET revision = revision + 1 WHERE id IN ({accounts})"),
    ] {
        connection.prepare_cached(&change)?.execute([name.as_str()])?;
    }
    connection.prepare_cached(&format!("UPDATE delivery AS d SET until = 0 WHERE {there}"))?.execute([name.as_str()])
}

/// Nothing shows that the destination works, or that it does not.
pub(super) fn idle(connection: &Connection, name: &Name) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(&format!(
            "DELETE FROM destination WHERE name = ?1 AND NOT EXISTS (
                 SELECT 1 FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN place p ON p.id = d.place
                 WHERE d.state = {} AND {IN_INDEX} AND m.absent = 0 AND p.destination = ?1)",
            state::DEFERRED
        ))?
        .execute([name.as_str()])
}

pub(super) fn troubles(connection: &Connection) -> rusqlite::Result<Vec<DestinationTrouble>> {
    let mut find = connection.prepare_cached(
        "SELECT name, settings, failures, since, until, error, exit_code, at_messages FROM destination ORDER BY name",
    )?;
    let rows = find.query_map([], |row| {
        let stored: String = row.get(5)?;
        let (error, advice) = match stored.split_once(BREAK) {
            Some((error, advice)) => (error.to_owned(), Some(advice.to_owned())),
            None => (stored, None),
        };
        let trouble = |name| -> rusqlite::Result<DestinationTrouble> {
            Ok(DestinationTrouble {
                name,
                settings: row.get(1)?,
                error,
                advice,
                exit_code: row.get(6)?,
                failures: row.get(2)?,
                since: row.get(3)?,
                until: row.get(4)?,
                at_messages: row.get(7)?,
            })
        };
        Name::new(&row.get::<_, String>(0)?).map(trouble).transpose()
    })?;
    rows.filter_map(Result::transpose).collect()
}

/// The messages of an account that destinations have refused and that are still to be delivered.
pub(super) fn doubted(connection: &Connection, account: &Name) -> rusqlite::Result<Vec<Doubted>> {
    let mut find = connection.prepare_cached(
        "SELECT m.uid, m.occurrence, p.destination, p.used >= d.since
         FROM delivery d JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         JOIN place p ON p.id = d.place
         WHERE d.since IS NOT NULL AND d.state = ?2 AND a.name = ?1",
    )?;
    let rows = find.query_map(params![account.as_str(), state::DEFERRED], |row| {
        let key = MessageKey::new(row.get_ref(0)?.as_blob()?, row.get(1)?);
        let (destination, is_its_own) = (Name::new(&row.get::<_, String>(2)?), row.get(3)?);
        Ok(key.zip(destination).map(|(key, destination)| Doubted { key, destination, is_its_own }))
    })?;
    rows.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Patience, Place};
    use crate::store::words::{Ending, Settled};
    use crate::store::{schema, stage};

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn settle(connection: &Connection, uid: &[u8], ending: Ending, now: i64) {
        let place = Place::server(name("hub"), "smtp", "mx:25", "a@x.org");
        let outcome = Settled { key: MessageKey::new(uid, 0).expect("a key"), place, ending };
        stage::settle(connection, &name("a"), &[outcome], &Patience::USUAL, now).expect("settled");
    }

    #[test]
    fn a_message_that_is_refused_while_others_are_taken_is_known_to_be_the_cause() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        let doubts = || -> Vec<(Vec<u8>, bool)> {
            let doubted = doubted(&connection, &name("a")).expect("read");
            doubted.into_iter().map(|one| (one.key.uid().to_vec(), one.is_its_own)).collect()
        };
        settle(&connection, b"late", Ending::Deferred("greylisted".into()), 10);
        settle(&connection, b"bad", Ending::Suspect("no".into()), 10);
        assert_eq!(doubts(), [(b"bad".to_vec(), false)]);
        settle(&connection, b"good", Ending::Delivered("yes".into()), 20);
        settle(&connection, b"new", Ending::Doubted("no".into()), 30);
        assert_eq!(doubts(), [(b"bad".to_vec(), true), (b"new".to_vec(), false)]);
        settle(&connection, b"bad", Ending::Delivered("yes".into()), 40);
        assert_eq!(doubts(), [(b"new".to_vec(), true)]);
    }

    #[test]
    fn what_was_put_off_is_due_when_its_destination_works() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        let trouble = |failures, advice: Option<&str>| DestinationTrouble {
            name: name("hub"),
            settings: [7; 32],
            error: "full".into(),
            advice: advice.map(str::to_owned),
            exit_code: 75,
            failures,
            since: 5,
            until: 9,
            at_messages: true,
        };
        for trouble in [trouble(1, None), trouble(2, Some("Wait."))] {
            fails(&connection, &trouble).expect("written");
            assert_eq!(troubles(&connection).expect("read"), [trouble]);
        }
        settle(&connection, b"x", Ending::Deferred("full".into()), 10);
        let until = || connection.query_row("SELECT until FROM delivery", [], |row| row.get::<_, i64>(0));
        connection.execute("INSERT INTO quiet SELECT id, x'00', 1, 2, 3, 4, 5, 6 FROM account", []).expect("written");
        let quiet = || connection.query_row("SELECT count(*) FROM quiet", [], |row| row.get::<_, i64>(0));
        works(&connection, &name("other")).expect("written");
        assert!(until().expect("read") > 10 && quiet().expect("read") == 1);
        works(&connection, &name("hub")).expect("written");
        assert_eq!((until(), quiet(), troubles(&connection).map(|all| all.len())), (Ok(0), Ok(0), Ok(0)));
    }
}
