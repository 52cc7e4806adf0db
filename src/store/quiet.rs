//! Accounts whose listing was looked at and left nothing to do: while neither it nor anything else
//! has changed, the next poll need not look again.
//!
//! Every change that concerns an account drops the record of such a look in the same transaction ([`forget`]), also a
//! change by another process.  A change between the look and its record is noticed by the account's revision, which
//! every change beside the account's poll raises ([`raise_revision`]); a poll does not raise it by its own changes, or
//! it could never record its look.

use rusqlite::{Connection, OptionalExtension, params};

use super::rows::account_id;
use super::words::{Change, Concern, Quiet};
use crate::message::{Name, UnixTime};
use crate::plan::Left;

/// The number that every change to an account's part of the state beside its poll raises; 0 if it has none.
fn revision(connection: &Connection, account: &Name) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT revision FROM account WHERE name = ?1")?;
    Ok(find.query_row([account.as_str()], |row| row.get(0)).optional()?.unwrap_or_default())
}

/// Makes a look at an account's listing that is not recorded yet out of date.
pub(super) fn raise_revision(connection: &Connection, account: &Name) -> rusqlite::Result<usize> {
    connection.prepare_cached("UPDATE account SET revision = revision + 1 WHERE name = ?1")?.execute([account.as_str()])
}

/// What was left on the server by the last look, when that was, and when time alone may have changed it.
pub(super) fn find(
    connection: &Connection,
    account: &Name,
    digest: &[u8; 32],
) -> rusqlite::Result<Option<(Left, UnixTime, UnixTime)>> {
    let mut find = connection.prepare_cached(
        "SELECT q.at, q.until, q.too_large, q.quarantined, q.deferred, q.ignored FROM quiet q JOIN account a ON a.id = q.account
         WHERE a.name = ?1 AND q.digest = ?2 AND a.lost = 0 AND a.migrating = 0",
    )?;
    let found = find.query_row(params![account.as_str(), digest], |row| {
        let count = |index| row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or(0));
        let left = Left {
            too_large: count(2)?,
            quarantined: count(3)?,
            deferred: count(4)?,
            ignored: count(5)?,
            ..Left::default()
        };
        Ok((left, row.get(0)?, row.get(1)?))
    });
    found.optional()
}

/// Most messages whose sizes cost little.
const FEW: i64 = 2000;

/// Whether the next listing is likely to have something new, and is not large: nothing is known of it,
/// or the last poll has changed something.
pub(super) fn expects_news(connection: &Connection, account: &Name) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT NOT EXISTS (SELECT 1 FROM quiet WHERE account = a.id)
                 AND (SELECT count(*) FROM (SELECT 1 FROM message WHERE account = a.id LIMIT ?2 + 1)) <= ?2
             FROM (SELECT (SELECT id FROM account WHERE name = ?1) AS id) a",
        )?
        .query_row(params![account.as_str(), FEW], |row| row.get(0))
}

/// Records a look, unless the state was changed since.
pub(super) fn record(connection: &Connection, account: &Name, quiet: &Quiet, now: UnixTime) -> rusqlite::Result<usize> {
    if revision(connection, account)? != quiet.revision {
        return Ok(0);
    }
    let Quiet { digest, until, left: Left { too_large, quarantined, deferred, ignored, .. }, .. } = quiet;
    let [too_large, quarantined, deferred, ignored] =
        [too_large, quarantined, deferred, ignored].map(|&count| i64::try_from(count).unwrap_or(i64::MAX));
    let account = account_id(connection, account)?;
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO quiet (account, digest, at, until, too_large, quarantined, deferred, ignored)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![account, digest, now, until, too_large, quarantined, deferred, ignored])
}

/// Drops the looks that a change may have made untrue.
pub(super) fn forget(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change.concern() {
        Concern::Nothing => Ok(0),
        Concern::Account(name) => connection
            .prepare_cached("DELETE FROM quiet WHERE account = (SELECT id FROM account WHERE name = ?1)")?
            .execute([name.as_str()]),
        Concern::All => connection.prepare_cached("DELETE FROM quiet")?.execute([]),
    }
    .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageKey;
    use crate::store::{AccountMemory, Lost, LostChange, Possession, Release, Store, decide, release};

    const NOW: UnixTime = 1_000_000;

    fn name(name: &str) -> Name {
        Name::new(name).expect("a name")
    }

    fn quiet(revision: i64) -> Quiet {
        let left = Left { too_large: 1, quarantined: 2, deferred: 3, ..Left::default() };
        Quiet { digest: [7; 32], until: NOW + 60, left, revision }
    }

    async fn record(store: &Store, account: &str, revision: i64) {
        let change = Change::Quiet { account: name(account), quiet: quiet(revision) };
        store.apply(vec![change], NOW).await.expect("written");
    }

    async fn is_quiet(store: &Store, account: &str) -> bool {
        store.quiet(&name(account), [7; 32], NOW).await.expect("read").is_some()
    }

    async fn revision(store: &Store) -> i64 {
        store.known(&name("a"), Vec::new().into(), NOW).await.expect("read").revision
    }

    #[tokio::test]
    async fn a_look_is_found_by_its_digest_while_it_holds() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let left = quiet(revision(&store).await).left;
        record(&store, "a", revision(&store).await).await;
        for (account, digest, now, want) in [
            ("a", 7, NOW, Some(left)),
            ("a", 7, NOW + 59, Some(left)),
            ("a", 7, NOW + 60, None),
            ("a", 7, NOW - 1, None),
            ("a", 8, NOW, None),
            ("b", 7, NOW, None),
        ] {
            assert_eq!(store.quiet(&name(account), [digest; 32], now).await.expect("read"), want, "{account} {now}");
        }
    }

    #[tokio::test]
    async fn every_change_of_an_account_forgets_its_look_and_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let (account, keys) = (name("a"), || vec![MessageKey::new(b"u", 0).expect("a key")]);
        let changes = [
            Change::Begin { account: account.clone(), ignored: Vec::new() },
            Change::Settle { account: account.clone(), outcomes: Vec::new() },
            Change::Close { account: account.clone(), keys: keys() },
            Change::Delete { account: account.clone(), keys: keys() },
            Change::Ignore { account: account.clone(), keys: keys() },
            Change::Sight { account: account.clone(), keys: keys(), listed: true },
            Change::Rename { account: account.clone(), renamed: Vec::new() },
            Change::Confirm { account: account.clone(), keys: keys(), same: true },
            Change::Migrate { account: account.clone(), migrating: false },
            Change::Retrieved { account: account.clone(), keys: keys() },
            Change::Reappear { account: account.clone(), keys: keys() },
            Change::Crash { account: account.clone(), deaths: Vec::new(), places: Vec::new() },
            Change::Release { account: account.clone(), key: None, release: Release::Retry },
        ];
        for change in changes {
            let what = format!("{change:?}");
            for account in ["a", "b"] {
                record(&store, account, revision(&store).await).await;
            }
            store.apply(vec![change], NOW).await.expect("written");
            assert_eq!((is_quiet(&store, "a").await, is_quiet(&store, "b").await), (false, true), "{what}");
        }
        let all = [Change::Resolve(Vec::new()), Change::Lost(LostChange::Mark { accounts: vec![], lost: Lost::No })];
        for change in all {
            record(&store, "a", revision(&store).await).await;
            store.apply(vec![change], NOW).await.expect("written");
            assert!(!is_quiet(&store, "a").await && !is_quiet(&store, "b").await);
        }
        record(&store, "a", revision(&store).await).await;
        let memory = AccountMemory { failures: 1, ..AccountMemory::default() };
        store.apply(vec![Change::Remember { account, memory }], NOW).await.expect("written");
        assert!(is_quiet(&store, "a").await, "how a poll went says nothing about messages");
    }

    #[tokio::test]
    async fn what_another_process_changes_is_not_overlooked() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        // After the record.
        record(&store, "a", revision(&store).await).await;
        release(dir.path(), &name("a"), None, Release::Retry, NOW).expect("written");
        assert!(!is_quiet(&store, "a").await);
        // Between the look and its record.
        let before = revision(&store).await;
        release(dir.path(), &name("a"), None, Release::Retry, NOW).expect("written");
        record(&store, "a", before).await;
        assert!(!is_quiet(&store, "a").await);
        let before = revision(&store).await;
        decide(dir.path(), &name("a"), Lost::Seen).expect("written");
        record(&store, "a", before).await;
        assert!(!is_quiet(&store, "a").await);
        // What concerns another account does not count.
        let before = revision(&store).await;
        release(dir.path(), &name("b"), None, Release::Retry, NOW).expect("written");
        record(&store, "a", before).await;
        assert!(is_quiet(&store, "a").await);
    }

    #[tokio::test]
    async fn news_are_expected_of_what_is_not_quiet_and_not_large() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let expects = async || store.expects_news(&name("a")).await.expect("read");
        assert!(expects().await, "nothing is known of it");
        record(&store, "a", revision(&store).await).await;
        assert!(!expects().await);
        let some = (0..FEW).map(|number| MessageKey::new(&number.to_le_bytes(), 0).expect("a key")).collect();
        store.apply(vec![Change::Begin { account: name("a"), ignored: some }], NOW).await.expect("written");
        assert!(expects().await, "it has changed");
        let keys = vec![MessageKey::new(b"one more", 0).expect("a key")];
        store.apply(vec![Change::Ignore { account: name("a"), keys }], NOW).await.expect("written");
        assert!(!expects().await, "it is large");
    }

    #[tokio::test]
    async fn a_lost_or_migrating_account_is_never_quiet() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let mark = |lost| Change::Lost(LostChange::Mark { accounts: vec![name("a")], lost });
        let migrate = |migrating| Change::Migrate { account: name("a"), migrating };
        for (before, after) in [(mark(Lost::Lost), mark(Lost::No)), (migrate(true), migrate(false))] {
            store.apply(vec![before], NOW).await.expect("written");
            record(&store, "a", revision(&store).await).await;
            assert!(!is_quiet(&store, "a").await);
            store.apply(vec![after], NOW).await.expect("written");
        }
    }
}
