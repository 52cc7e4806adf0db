//! What is remembered of servers, for all accounts that log in there.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use super::words::{Host, HostMemory};
use crate::message::UnixTime;

pub(super) fn find(connection: &Connection, host: &Host) -> rusqlite::Result<HostMemory> {
    let mut find = connection.prepare_cached(
        "SELECT capabilities, asked, lock_step_until, lessons, lessons_until, replies FROM host WHERE name = ?1 AND port = ?2 AND encrypted = ?3",
    )?;
    let found = find.query_row(params![host.name, host.port, host.is_encrypted], |row| {
        let (lines, asked): (Option<String>, UnixTime) = (row.get(0)?, row.get(1)?);
        let capabilities = lines.map(|lines| (lines.lines().map(str::to_owned).collect(), asked));
        Ok(HostMemory {
            capabilities,
            lock_step_until: row.get(2)?,
            lessons: (row.get(3)?, row.get(4)?),
            replies: text(row.get_ref(5)?),
        })
    });
    Ok(found.optional()?.unwrap_or_default())
}

/// A text, whatever type it has in the database.
fn text(value: ValueRef<'_>) -> Option<String> {
    value.as_str_or_null().ok().flatten().map(str::to_owned)
}

/// The later `lock_step_until` stays: another account may have learnt it meanwhile.
pub(super) fn remember(connection: &Connection, host: &Host, memory: &HostMemory) -> rusqlite::Result<usize> {
    let lines = memory.capabilities.as_ref().map(|(lines, _)| lines.join("\n"));
    let asked = memory.capabilities.as_ref().map_or(0, |&(_, asked)| asked);
    connection
        .prepare_cached(
            "INSERT INTO host (name, port, encrypted, capabilities, asked, lock_step_until, lessons, lessons_until,
                 replies)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT DO UPDATE SET capabilities = excluded.capabilities, asked = excluded.asked,
                 lock_step_until = max(lock_step_until, excluded.lock_step_until), 
                 lessons = excluded.lessons, lessons_until = excluded.lessons_until,
                 replies = excluded.replies",
        )?
        .execute(params![
            host.name,
            host.port,
            host.is_encrypted,
            lines,
            asked,
            memory.lock_step_until,
            memory.lessons.0,
            memory.lessons.1,
            memory.replies
        ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, Possession};

    #[tokio::test]
    async fn each_server_has_a_memory_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let host = |port| Host { name: "h".to_owned(), port, is_encrypted: true };
        let memory = |lines: &[&str], lock_step_until| HostMemory {
            capabilities: Some((lines.iter().map(|&line| line.to_owned()).collect(), 7)),
            lock_step_until,
            lessons: (0, 0),
            replies: None,
        };
        let first = [memory(&["SASL PLAIN", "UIDL"], 0), memory(&[], 5)];
        for (port, memory) in (1..).zip(&first) {
            let change = Change::Host { host: host(port), memory: memory.clone() };
            store.apply(vec![change], 1).await.expect("written");
        }
        let forgotten =
            HostMemory { capabilities: None, lock_step_until: 9, lessons: (2, 7), replies: Some("?".into()) };
        store.apply(vec![Change::Host { host: host(2), memory: forgotten.clone() }], 1).await.expect("written");
        for (port, want) in [(1, first[0].clone()), (2, forgotten), (3, HostMemory::default())] {
            assert_eq!(store.host(host(port)).await.expect("read"), want, "{port}");
        }
        let slower = HostMemory { lock_step_until: 3, ..first[0].clone() };
        store.apply(vec![Change::Host { host: host(2), memory: slower }], 1).await.expect("written");
        let learnt = store.host(host(2)).await.expect("read");
        assert_eq!((learnt.lock_step_until, learnt.lessons), (9, (0, 0)));
        let clear = Host { is_encrypted: false, ..host(1) };
        assert_eq!(store.host(clear).await.expect("read"), HostMemory::default());
    }
}
