//! What is not delivered: read for `status`, and made due for `retry`.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, params};

use super::read::Reader;
use super::schema::{IN_INDEX, state};
use super::words::{Backlog, Undelivered};
use super::{StoreError, destination, file, open};
use crate::message::{Name, UnixTime, unique_id};
use crate::text;

/// The groups, each with its count and times, of what is still on the server; and the cause of the one that failed last.
pub(super) fn queries() -> [String; 2] {
    let of = |columns: &str| {
        format!(
            "SELECT a.name, p.destination, d.state, {columns}
             FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
             JOIN place p ON p.id = d.place
             WHERE d.state IN (4, 5) AND {IN_INDEX} AND m.absent = 0 AND instr(a.name, char(10)) = 0
             GROUP BY a.id, p.destination, d.state ORDER BY a.name, p.destination, d.state DESC"
        )
    };
    let since = "min(iif(d.state = 5, d.at, coalesce(d.since, m.ends_since, m.seen)))";
    [of(&format!("count(DISTINCT m.id), {since}, min(d.until)")), of("max(d.at), d.detail, m.uid")]
}

pub(super) fn backlog(connection: &Connection) -> rusqlite::Result<Backlog> {
    let mut totals: BTreeMap<Name, (u64, u64)> = BTreeMap::new();
    let mut find = connection.prepare_cached(&format!(
        "SELECT a.name, d.state, count(DISTINCT m.id)
         FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         WHERE d.state IN (4, 5) AND {IN_INDEX} AND m.absent = 0 GROUP BY a.id, d.state"
    ))?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let Some(name) = Name::new(&row.get::<_, String>(0)?) else { continue };
        let (deferred, quarantined) = totals.entry(name).or_default();
        let total = if row.get::<_, i64>(1)? == state::QUARANTINED { quarantined } else { deferred };
        *total += u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0);
    }
    Ok(Backlog { groups: undelivered(connection)?, totals, troubles: destination::troubles(connection)? })
}

fn undelivered(connection: &Connection) -> rusqlite::Result<Vec<Undelivered>> {
    let [groups, causes] = queries();
    let mut find = connection.prepare_cached(&causes)?;
    let causes = find.query_map([], |row| {
        let uid = text::escape(unique_id(row.get_ref(5)?.as_blob()?), 512);
        Ok((row.get::<_, Option<String>>(4)?, uid))
    })?;
    let causes = causes.collect::<rusqlite::Result<Vec<_>>>()?;
    let mut find = connection.prepare_cached(&groups)?;
    let groups = find.query_map([], |row| {
        let names = Name::new(&row.get::<_, String>(0)?).zip(Name::new(&row.get::<_, String>(1)?));
        let (quarantined, messages) = (row.get::<_, i64>(2)? == state::QUARANTINED, row.get::<_, i64>(3)?);
        let (since, until): (UnixTime, Option<UnixTime>) = (row.get(4)?, row.get(5)?);
        Ok(names.map(|(account, destination)| Undelivered {
            account,
            destination,
            quarantined,
            messages: u64::try_from(messages).unwrap_or(0),
            cause: None,
            uid: String::new(),
            since,
            next_try: until.filter(|_| !quarantined),
        }))
    })?;
    // Both have the same groups in the same order.
    let with_cause = |(group, (cause, uid)): (rusqlite::Result<Option<Undelivered>>, (Option<String>, String))| {
        group.map(|group| group.map(|group| Undelivered { cause, uid, ..group })).transpose()
    };
    groups.zip(causes).filter_map(with_cause).collect()
}

/// Makes deferred deliveries due; works beside a running service.  Returns the accounts concerned, each with the number
/// of its messages.
///
/// # Errors
/// The database cannot be written.
pub fn retry(dir: &Path, account: Option<&Name>, destination: Option<&Name>) -> Result<Vec<(Name, u64)>, StoreError> {
    let Some(connection) = open::open_beside(dir)? else { return Ok(Vec::new()) };
    let transact = || {
        let transaction = super::begin(&connection)?;
        let retried = make_due(&transaction, account, destination)?;
        transaction.commit()?;
        Ok(retried)
    };
    transact().map_err(|error| file::database_error(&file::path(dir), &error))
}

fn make_due(
    connection: &Connection,
    account: Option<&Name>,
    destination: Option<&Name>,
) -> rusqlite::Result<Vec<(Name, u64)>> {
    let deferred = format!(
        "FROM delivery d CROSS JOIN message m ON m.id = d.message JOIN account a ON a.id = m.account
         JOIN place p ON p.id = d.place
         WHERE d.state = {} AND {IN_INDEX} AND (?1 IS NULL OR a.name = ?1) AND (?2 IS NULL OR p.destination = ?2)",
        state::DEFERRED
    );
    let names = params![account.map(Name::as_str), destination.map(Name::as_str)];
    let mut find = connection.prepare(&format!(
        "SELECT substr(a.name, 1, instr(a.name || char(10), char(10)) - 1), count(DISTINCT m.id) {deferred} GROUP BY 1"
    ))?;
    let found = find.query_map(names, |row| {
        let messages = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        Ok(Name::new(&row.get::<_, String>(0)?).map(|name| (name, messages)))
    })?;
    let found = found.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<_>>>()?;
    for change in [
        format!("DELETE FROM quiet WHERE account IN (SELECT a.id {deferred})"),
        format!("UPDATE account SET revision = revision + 1 WHERE id IN (SELECT a.id {deferred})"),
        format!("UPDATE delivery SET until = 0 WHERE (message, place) IN (SELECT d.message, d.place {deferred})"),
    ] {
        connection.prepare(&change)?.execute(names)?;
    }
    // A destination that was left alone is tried, too.
    connection.execute("UPDATE destination SET until = 0 WHERE ?1 IS NULL OR name = ?1", [names[1]])?;
    Ok(found)
}

impl Reader {
    /// What is not delivered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(backlog).map(Option::unwrap_or_default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageKey;
    use crate::plan::{Patience, Place};
    use crate::store::words::{Ending, Settled};
    use crate::store::{schema, stage};

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn filled() -> Connection {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(schema::CREATE).expect("made");
        let settle = |account: &str, uid: &[u8], destination: &str, ending, now| {
            let place = Place::server(name(destination), "smtp", "mx:25", "a@x.org");
            let outcome = Settled { key: MessageKey::new(uid, 0).expect("a key"), place, ending };
            stage::settle(&connection, &name(account), &[outcome], &Patience::USUAL, now).expect("settled");
        };
        settle("a", b"1", "hub", Ending::Deferred("first".into()), 10);
        settle("a", b"2", "hub", Ending::Deferred("second".into()), 20);
        settle("a", b"3", "hub", Ending::Quarantined("spam".into()), 15);
        settle("a", b"4", "hub", Ending::Delivered("queued".into()), 15);
        settle("a", b"1", "other", Ending::Deferred("down".into()), 30);
        settle("b", b"1", "hub", Ending::Deferred("full".into()), 40);
        connection
    }

    #[test]
    fn what_is_not_delivered_is_grouped_by_account_and_destination_with_the_last_cause() {
        let found: Vec<_> = undelivered(&filled())
            .expect("read")
            .into_iter()
            .map(|one| {
                let Undelivered { account, destination, quarantined, messages, cause, since, next_try, .. } = one;
                (format!("{account} {destination} {}", cause.expect("a cause")), quarantined, messages, since, next_try)
            })
            .collect();
        let want = [
            ("a hub spam", true, 1, 15, None),
            ("a hub second", false, 2, 10, Some(310)),
            ("a other down", false, 1, 10, Some(330)),
            ("b hub full", false, 1, 40, Some(340)),
        ];
        assert_eq!(
            found,
            want.map(|(text, quarantined, messages, since, next)| (
                text.to_owned(),
                quarantined,
                messages,
                since,
                next
            ))
        );
    }

    #[test]
    fn only_what_was_asked_for_is_made_due() {
        for (account, destination, want, due) in [
            (None, None, &[("a", 2), ("b", 1)][..], 4),
            (Some("a"), None, &[("a", 2)], 3),
            (None, Some("hub"), &[("a", 2), ("b", 1)], 3),
            (Some("a"), Some("other"), &[("a", 1)], 1),
            (Some("b"), Some("other"), &[], 0),
        ] {
            let connection = filled();
            let (account, destination) = (account.map(name), destination.map(name));
            let retried = make_due(&connection, account.as_ref(), destination.as_ref()).expect("written");
            let want: Vec<_> = want.iter().map(|&(account, messages)| (name(account), messages)).collect();
            assert_eq!(retried, want);
            let count = "SELECT count(*) FROM delivery WHERE until = 0";
            assert_eq!(
                connection.query_row(count, [], |row| row.get::<_, i64>(0)),
                Ok(due),
                "{account:?} {destination:?}"
            );
        }
    }
}
