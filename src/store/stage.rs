//! Messages on their way: what is staged, and how each delivery ends.
//!
//! A batch is one change: rows of places are looked up once, statements are prepared once, and the
//! usual case, a new message that is then delivered, takes the fewest of them.

use rusqlite::{Connection, OptionalExtension, params};

use super::ends;
use super::headings;
use super::rows::{account_id, finish, message_id, place, place_id};
use super::schema::{kind, state};
use super::words::{Ending, Settled, Stage, TargetState};
use crate::header::Heading;
use crate::message::{Name, UnixTime};
use crate::plan::{Next, Patience, Place};

/// The rows of places, each looked up once in a change.
struct Places<'a> {
    connection: &'a Connection,
    known: Vec<(&'a Place, i64)>,
    used: Vec<i64>,
}

impl<'a> Places<'a> {
    fn new(connection: &'a Connection) -> Self {
        Self { connection, known: Vec::new(), used: Vec::new() }
    }

    fn id(&mut self, place: &'a Place) -> rusqlite::Result<i64> {
        // An account has few.
        if let Some((_, id)) = self.known.iter().find(|(known, _)| *known == place) {
            return Ok(*id);
        }
        let id = place_id(self.connection, place)?;
        self.known.push((place, id));
        Ok(id)
    }

    /// Records when mail has come to this place (`lookup::knows`, `destination::doubted`).
    fn mark_used(&mut self, place: i64, now: UnixTime) -> rusqlite::Result<()> {
        if !self.used.contains(&place) {
            let mark = "UPDATE place SET used = max(?2, 1) WHERE id = ?1 AND used <> max(?2, 1)";
            self.connection.prepare_cached(mark)?.execute([place, now])?;
            self.used.push(place);
        }
        Ok(())
    }
}

pub(super) fn stage(
    connection: &Connection,
    account: &Name,
    messages: &[Stage],
    present: &[Place],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut places = Places::new(connection);
    let none = (headings::setting(connection)? != Some(true)).then(Heading::default);
    let mut insert = connection.prepare_cached(
        "INSERT INTO message (account, uid, occurrence, octets, digest, message_id, seen, kind, head, listed, sender,
                              subject, date)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
    )?;
    let mut deliver = connection.prepare_cached(
        "INSERT INTO delivery (message, place, state, at, attempts, until, detail)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)
         ON CONFLICT (message, place) DO UPDATE SET
             state = excluded.state, at = excluded.at, attempts = attempts + 1,
             until = excluded.until, detail = excluded.detail",
    )?;
    for stage in messages {
        let heading = none.as_ref().unwrap_or(&stage.heading);
        let is_new = insert.execute(params![
            account,
            stage.key.uid(),
            stage.key.occurrence(),
            i64::try_from(stage.octets).unwrap_or(i64::MAX),
            stage.digest,
            stage.message_id,
            now,
            if stage.header_only { kind::HEADER } else { kind::WHOLE },
            stage.fingerprint,
            stage.listed.and_then(|octets| i64::try_from(octets).ok()),
            heading.from,
            heading.subject,
            heading.date
        ])? > 0;
        let id = match is_new {
            true => connection.last_insert_rowid(),
            false => stage_again(connection, account, stage, heading)?,
        };
        for target in &stage.targets {
            let place = places.id(&target.place)?;
            if !is_new {
                leave_elsewhere(connection, id, &target.place, present)?;
            }
            let (state, detail) = match &target.state {
                TargetState::Staged(name) => (state::STAGED, Some(name)),
                TargetState::Sending => (state::SENDING, None),
                TargetState::Deferred(why) => (state::DEFERRED, Some(why)),
            };
            let until = matches!(target.state, TargetState::Deferred(_)).then_some(0);
            deliver.execute(params![id, place, state, now, until, detail])?;
        }
    }
    Ok(messages.len())
}

/// Updates the row of a message to what has come now; returns its number.
fn stage_again(connection: &Connection, account: i64, stage: &Stage, heading: &Heading) -> rusqlite::Result<i64> {
    let id = message_id(connection, account, &stage.key)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    connection
        .prepare_cached(
            "UPDATE message SET octets = ?2, digest = ?3, message_id = ?4, kind = ?5, head = ?6, listed = ?7,
                 sender = ?8, subject = ?9, date = ?10,
                 done = NULL, deleted = NULL, absent = 0, proof = 0, ends = 0, ends_since = NULL WHERE id = ?1",
        )?
        .execute(params![
            id,
            i64::try_from(stage.octets).unwrap_or(i64::MAX),
            stage.digest,
            stage.message_id,
            if stage.header_only { kind::HEADER } else { kind::WHOLE },
            stage.fingerprint,
            stage.listed.and_then(|octets| i64::try_from(octets).ok()),
            heading.from,
            heading.subject,
            heading.date
        ])?;
    Ok(id)
}

/// Removes what is owed at places that the same destination led to when this message was tried before.
fn leave_elsewhere(connection: &Connection, message: i64, target: &Place, present: &[Place]) -> rusqlite::Result<()> {
    let mut find = connection.prepare_cached(
        "SELECT p.id, p.destination, p.kind, p.location, p.recipient, p.machine
         FROM delivery d JOIN place p ON p.id = d.place WHERE d.message = ?1 AND d.state <> ?2 AND p.destination = ?3",
    )?;
    let rows = find.query_map(params![message, state::DELIVERED, target.destination.as_str()], |row| {
        Ok((row.get::<_, i64>(0)?, place(row, 1)?))
    })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut delete = connection.prepare_cached("DELETE FROM delivery WHERE message = ?1 AND place = ?2")?;
    for (id, place) in rows {
        if place.is_none_or(|place| place != *target && !present.contains(&place)) {
            delete.execute([message, id])?;
        }
    }
    Ok(())
}

pub(super) fn settle(
    connection: &Connection,
    account: &Name,
    outcomes: &[Settled],
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    let mut places = Places::new(connection);
    let mut deliver = connection.prepare_cached(
        "UPDATE delivery SET state = ?3, at = ?4, until = NULL, detail = ?5 WHERE message = ?1 AND place = ?2",
    )?;
    for outcome in outcomes {
        let place = places.id(&outcome.place)?;
        let message = message_id(connection, account, &outcome.key)?;
        if matches!(outcome.ending, Ending::Delivered(_)) {
            places.mark_used(place, now)?;
        }
        // Usually it was staged before, and is delivered now.
        if let (Ending::Delivered(detail), Some(message)) = (&outcome.ending, message)
            && deliver.execute(params![message, place, state::DELIVERED, now, detail])? > 0
        {
            finish(connection, message, now)?;
            continue;
        }
        let message = match message {
            Some(message) => message,
            // A message that could not even be retrieved has no row yet.
            None => connection
                .prepare_cached(
                    "INSERT INTO message (account, uid, occurrence, seen, kind) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .insert(params![account, outcome.key.uid(), outcome.key.occurrence(), now, kind::WHOLE])?,
        };
        end(connection, message, place, &outcome.ending, patience, now)?;
    }
    Ok(outcomes.len())
}

/// The attempts of a delivery after this one, and since when the message itself is the cause of its failures: only those
/// are counted from then on.
fn counted(before: Option<(u32, Option<UnixTime>)>, ending: &Ending, now: UnixTime) -> (u32, Option<UnixTime>) {
    let since = before.and_then(|(_, since)| since);
    // Staging has counted this attempt; what was never staged is counted here.
    let tried = match (before, ending) {
        (before, Ending::NotRetrieved(_) | Ending::NotNow(_)) => before.map_or(0, |(attempts, _)| attempts) + 1,
        (before, Ending::NotTried(_)) => before.map_or(1, |(attempts, _)| attempts.saturating_sub(1).max(1)),
        (before, _) => before.map_or(1, |(attempts, _)| attempts),
    };
    let is_its_own = matches!(ending, Ending::NotRetrieved(_) | Ending::Suspect(_));
    match (is_its_own, since) {
        (true, None) => (1, Some(now)),
        (false, None) if matches!(ending, Ending::Doubted(_)) => (1, Some(now)),
        (false, Some(_)) => (tried.saturating_sub(1).max(1), since),
        (true, Some(_)) | (false, None) => (tried, since),
    }
}

/// Seconds by which a message that was accepted may be earlier than one that was refused in the same poll.
const SAME_POLL: i64 = 60;

/// Whether a place has accepted mail since then, or just before.
fn takes_others(connection: &Connection, place: i64, since: UnixTime) -> rusqlite::Result<bool> {
    let used: UnixTime =
        connection.prepare_cached("SELECT used FROM place WHERE id = ?1")?.query_row([place], |row| row.get(0))?;
    Ok(used.saturating_add(SAME_POLL) >= since)
}

/// What becomes of a delivery after this ending, `None` if it is delivered; and what is recorded of it in words.
fn next<'e>(
    connection: &Connection,
    place: i64,
    ending: &'e Ending,
    (attempts, since): (u32, Option<UnixTime>),
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<(Option<Next>, &'e String)> {
    Ok(match ending {
        Ending::Delivered(detail) => (None, detail),
        Ending::Quarantined(why) => (Some(Next::Quarantine), why),
        Ending::NotRetrieved(why) => (Some(patience.failed(attempts, since.unwrap_or(now), now)), why),
        Ending::Suspect(why) => {
            let next = match takes_others(connection, place, since.unwrap_or(now))? {
                true => patience.failed(attempts, since.unwrap_or(now), now),
                false => Next::Later(patience.retry_at(attempts, now)),
            };
            (Some(next), why)
        }
        Ending::NotTried(why) => (Some(Next::Later(0)), why),
        Ending::Deferred(why) | Ending::NotNow(why) | Ending::Doubted(why) => {
            (Some(Next::Later(patience.retry_at(attempts, now))), why)
        }
    })
}

/// Records how a delivery ended, whether it has a row or not.
fn end(
    connection: &Connection,
    message: i64,
    place: i64,
    ending: &Ending,
    patience: &Patience,
    now: UnixTime,
) -> rusqlite::Result<()> {
    let before: Option<(u32, Option<UnixTime>)> = connection
        .prepare_cached("SELECT attempts, since FROM delivery WHERE message = ?1 AND place = ?2")?
        .query_row([message, place], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if matches!(ending, Ending::NotRetrieved(_) | Ending::NotNow(_)) {
        // The server says that it does not hand it out, and goes on.
        ends::forget(connection, message)?;
    }
    let (attempts, since) = counted(before, ending, now);
    let (next, detail) = next(connection, place, ending, (attempts, since), patience, now)?;
    let (state, until) = match next {
        None => (state::DELIVERED, None),
        Some(Next::Quarantine) => (state::QUARANTINED, None),
        Some(Next::Later(until)) => (state::DEFERRED, Some(until)),
    };
    connection
        .prepare_cached(
            "INSERT INTO delivery (message, place, state, at, attempts, until, detail, since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (message, place) DO UPDATE SET
                 state = excluded.state, at = excluded.at, attempts = excluded.attempts,
                 until = excluded.until, detail = excluded.detail, since = excluded.since",
        )?
        .execute(params![
            message,
            place,
            state,
            now,
            attempts,
            until,
            detail,
            since.filter(|_| state != state::DELIVERED)
        ])?;
    match state {
        state::DELIVERED => finish(connection, message, now),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::message::MessageKey;
    use crate::plan::Standing;
    use crate::store::{Target, lookup, schema};

    #[test]
    fn only_failures_that_are_the_messages_own_count_towards_giving_it_up() {
        let why = String::new;
        for (before, ending, want) in [
            (None, Ending::NotRetrieved(why()), (1, Some(9))),
            (None, Ending::NotNow(why()), (1, None)),
            (None, Ending::Deferred(why()), (1, None)),
            (Some((1, None)), Ending::Suspect(why()), (1, Some(9))),
            // The destination was down for long.
            (Some((50, None)), Ending::Deferred(why()), (50, None)),
            (Some((51, None)), Ending::Suspect(why()), (1, Some(9))),
            (Some((2, Some(3))), Ending::Suspect(why()), (2, Some(3))),
            (Some((3, Some(3))), Ending::Deferred(why()), (2, Some(3))),
            (Some((2, Some(3))), Ending::NotNow(why()), (2, Some(3))),
            (Some((4, None)), Ending::NotTried(why()), (3, None)),
            (Some((4, None)), Ending::Doubted(why()), (1, Some(9))),
            (Some((4, Some(3))), Ending::Doubted(why()), (3, Some(3))),
            (Some((2, Some(3))), Ending::NotRetrieved(why()), (3, Some(3))),
        ] {
            assert_eq!(counted(before, &ending, 9), want, "{before:?} {ending:?}");
        }
    }

    #[test]
    fn a_message_that_is_staged_for_one_recipient_is_still_owed_to_the_others() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        let (account, key) = (Name::new("a").expect("a name"), MessageKey::new(b"x", 0).expect("a key"));
        let hub = |location: &str, who| Place::server(Name::new("hub").expect("a name"), "lmtp", location, who);
        let present = ["a", "b"].map(|who| hub("mx:24", who));
        let stage = |place: Place, state| {
            let (message_id, fingerprint, targets) = (None, None, vec![Target { place, state }]);
            let (octets, digest, listed, header_only, key) = (1, [0; 32], None, false, key.clone());
            let heading = Heading::default();
            let message = Stage { key, octets, digest, listed, message_id, fingerprint, heading, header_only, targets };
            super::stage(&connection, &account, &[message], &present, 1).expect("staged");
        };
        let waits = || TargetState::Deferred("full".into());
        stage(hub("old:24", "b"), waits());
        stage(hub("mx:24", "c"), waits());
        stage(hub("mx:24", "b"), waits());
        stage(hub("mx:24", "a"), TargetState::Sending);
        let Some(Standing::Open(left)) = lookup::standing(&connection, &account, &key).expect("read") else {
            panic!("it is open")
        };
        let left: Vec<Place> = left.into_iter().map(|delivery| delivery.place).collect();
        assert_eq!(left, [hub("mx:24", "b"), hub("mx:24", "a")], "what was tried elsewhere is owed here");
    }

    #[test]
    fn where_mail_has_come_to_is_known_without_a_look_at_its_deliveries() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        connection.execute("INSERT INTO meta VALUES ('instance', 'machine')", []).expect("named");
        let account = Name::new("a").expect("a name");
        let end = |at: &str, ending| {
            let place = Place::maildir(Name::new("home").expect("a name"), at, "machine");
            let outcome = Settled { key: MessageKey::new(b"x", 0).expect("a key"), place, ending };
            settle(&connection, &account, &[outcome], &Patience::USUAL, 1).expect("settled");
        };
        let knows = |at: &str| lookup::knows(&connection, Path::new(at)).expect("read");
        end("/a", Ending::Deferred("full".into()));
        assert!(!knows("/a"));
        end("/a", Ending::Delivered("file".into()));
        connection.execute("DELETE FROM delivery", []).expect("deleted");
        assert!(knows("/a"));
        assert!(!knows("/b"));
        // A place that is not marked yet is known by a staged delivery.
        end("/b", Ending::Deferred("full".into()));
        connection.execute("UPDATE delivery SET state = ?1", [state::STAGED]).expect("changed");
        assert!(knows("/b"));
    }
}
