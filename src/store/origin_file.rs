//! The file `origins` beside the database: what stands for accounts in the names of files, where that is not their
//! name.  It outlives the database, so that after its loss a renamed account is still known by its files.
//!
//! A line for each such account, and for each mailbox that no account leads to now, with tabs between the fields: the
//! name, the origins with spaces between them, and the mailbox (host, port, username and perhaps the route).  In place
//! of its line breaks a freed name (mailbox.rs) has slashes.  The last line is a checksum: a name or an origin that is
//! wrong would bring mail twice, or hide it.
//!
//! The file is written before the database says the same ([`keep`]).  After a crash in between it is one step ahead,
//! and the database, as long as it is there, decides.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use super::{StoreError, mailbox, origin};
use crate::event::Event;
use crate::filesystem::private;
use crate::message::{Name, Origin};

/// The file's name.
const NAME: &str = "origins";

/// What it begins with.
const HEAD: &str = "# Written by postrider.  Keep it: without it renamed accounts do not know their files after a loss of \
                    state.db.\n";

/// What its last line begins with.
const END: &str = "# checksum ";

/// Most octets that are read: many accounts have a few hundred each.
const SIZE_LIMIT: u64 = 64 << 20;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// As in the column.
    name: String,
    origins: Vec<Origin>,
    /// As in the column; `None`: not known, or it cannot be written in a line.
    mailbox: Option<String>,
}

fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

/// The lines of the file; none if there is no file.
///
/// # Errors
/// It cannot be read, or is not what was written.
pub(super) fn read(dir: &Path) -> Result<Vec<Line>, StoreError> {
    let path = path(dir);
    let octets = match private::read(&path, SIZE_LIMIT) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        octets => octets.map_err(|error| StoreError::file(&path, &error))?,
    };
    parse(&octets).ok_or(StoreError::Origins { path })
}

/// Makes the file say what the database says, or is about to say.
///
/// # Errors
/// It cannot be written; it is as it was.
pub(super) fn keep(dir: &Path, connection: &Connection) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| super::file::database_error(&super::file::path(dir), &error);
    let lines = lines(connection).map_err(failed)?;
    let (path, text) = (path(dir), text(&lines));
    match private::read(&path, SIZE_LIMIT) {
        Err(error) if error.kind() == ErrorKind::NotFound && lines.is_empty() => return Ok(()),
        Ok(before) if before == text.as_bytes() => return Ok(()),
        // The database knows better.
        Ok(before) if parse(&before).is_none() => tell_of_fault(&StoreError::Origins { path: path.clone() }),
        Err(error) if error.kind() != ErrorKind::NotFound => tell_of_fault(&StoreError::file(&path, &error)),
        _ => {}
    }
    Ok(private::replace(&path, &dir.join(format!("{NAME}.new")), text.as_bytes())?)
}

fn tell_of_fault(fault: &StoreError) {
    Event::StateRebuilt { text: format!("{fault}; it is written again from the database") }.tell();
}

/// Whether the file can be read and is what was written.
///
/// # Errors
/// It is not.
pub fn check_origins(dir: &Path) -> Result<(), StoreError> {
    read(dir).map(|_| ())
}

fn lines(connection: &Connection) -> rusqlite::Result<Vec<Line>> {
    let mut find =
        connection.prepare_cached("SELECT name, origin, mailbox FROM account WHERE origin IS NOT NULL ORDER BY id")?;
    let line = |row: &rusqlite::Row<'_>| {
        let (name, column): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Line { origins: origin::of_row(&name, Some(&column)), name, mailbox: row.get(2)? })
    };
    find.query_map([], line)?.collect()
}

fn text(lines: &[Line]) -> String {
    let mut text = HEAD.to_owned();
    for Line { name, origins, mailbox } in lines {
        let origins: Vec<&str> = origins.iter().map(Origin::as_str).collect();
        text.push_str(&format!("{}\t{}", name.replace('\n', "/"), origins.join(" ")));
        if let Some(mailbox) = mailbox.as_ref().filter(|mailbox| !mailbox.contains(['\t', '\r'])) {
            text.push_str(&format!("\t{}", mailbox.replace('\n', "\t")));
        }
        text.push('\n');
    }
    text.push_str(&format!("{END}{}\n", checksum(&text)));
    text
}

fn checksum(text: &str) -> String {
    crate::text::hex(&blake3::hash(text.as_bytes()).as_bytes()[..16])
}

fn parse(octets: &[u8]) -> Option<Vec<Line>> {
    let text = std::str::from_utf8(octets).ok()?;
    let end = text.rfind(END)?;
    let (lines, end) = text.split_at(end);
    if end.strip_prefix(END)?.strip_suffix('\n')? != checksum(lines) {
        return None;
    }
    lines.strip_prefix(HEAD)?.lines().map(line).collect()
}

fn line(text: &str) -> Option<Line> {
    let mut fields = text.splitn(3, '\t');
    let (name, origins) = (fields.next()?.replace('/', "\n"), fields.next()?);
    let mailbox = fields.next().map(|mailbox| mailbox.replace('\t', "\n"));
    let origins = origins.split(' ').map(Origin::new).collect::<Option<Vec<_>>>()?;
    Name::new(name.split('\n').next()?)?;
    Some(Line { name, origins, mailbox })
}

/// Adds what the file says of mailboxes that an older database knows.  Returns whether that was news.
pub(super) fn complete(connection: &Connection, lines: &[Line]) -> rusqlite::Result<bool> {
    let mut is_news = false;
    for line in lines {
        let Some(mailbox) = &line.mailbox else { continue };
        let mut find = connection.prepare_cached("SELECT id FROM account WHERE mailbox = ?1")?;
        let rows = find.query_map([mailbox], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()?;
        for row in rows {
            let mut origins = origin::of(connection, row)?;
            let known = origins.len();
            origins.extend(line.origins.iter().filter(|origin| !origins.contains(origin)).cloned().collect::<Vec<_>>());
            if origins.len() > known {
                origin::put(connection, row, &origins)?;
                is_news = true;
            }
        }
    }
    Ok(is_news)
}

/// Puts what the file says into a database that was made anew: rows that are there get their origins, the others are
/// made, so that their mailboxes are known when an account leads there.
pub(super) fn restore(connection: &Connection, lines: &[Line]) -> rusqlite::Result<()> {
    let mut done = HashSet::new();
    for line in lines {
        let found = rows(connection, line)?.into_iter().find(|(row, _)| !done.contains(row));
        let (row, is_the_same) = match found {
            Some(found) => found,
            None => (make(connection, &line.name)?, false),
        };
        done.insert(row);
        let set = "UPDATE account SET mailbox = coalesce(mailbox, ?2) WHERE id = ?1";
        connection.prepare_cached(set)?.execute(params![row, line.mailbox])?;
        let mut origins = line.origins.clone();
        // A row that was read from the old database has its own.
        origins.extend(origin::of(connection, row)?.into_iter().filter(|_| is_the_same));
        origin::put(connection, row, &origins)?;
    }
    Ok(())
}

/// The rows that a line may be about, the likeliest first, and whether each is known to be of the same mailbox.
fn rows(connection: &Connection, line: &Line) -> rusqlite::Result<Vec<(i64, bool)>> {
    let mut find = connection.prepare_cached(
        "SELECT id, mailbox IS NOT NULL FROM account WHERE mailbox = ?2 OR (name = ?1 AND mailbox IS NULL)
         ORDER BY mailbox IS NULL, name <> ?1, instr(name, char(10)), id",
    )?;
    find.query_map(params![line.name, line.mailbox], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Makes a row of this name; if it is taken, the row gets a freed one.
fn make(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let taken = "SELECT EXISTS (SELECT 1 FROM account WHERE name = ?1)";
    let is_taken: bool = connection.prepare_cached(taken)?.query_row([name], |row| row.get(0))?;
    if !name.contains('\n') && !is_taken {
        return connection.prepare_cached("INSERT INTO account (name) VALUES (?1)")?.insert([name]);
    }
    let highest = "SELECT coalesce(max(id), 0) + 1 FROM account";
    let id: i64 = connection.prepare_cached(highest)?.query_row([], |row| row.get(0))?;
    connection
        .prepare_cached("INSERT INTO account (id, name) VALUES (?1, ?2)")?
        .insert(params![id, format!("{}\n\n{id}", mailbox::kept(name))])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::store::{Change, Condition, Possession, Store, file};

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    fn open(dir: &Path) -> (Store, Condition) {
        Possession::take(dir).and_then(|possession| possession.open()).expect("open")
    }

    async fn bind(store: &Store, account: &str, host: &str, others: &[(&str, &str)]) -> Result<usize, StoreError> {
        let mailbox = |host: &str| format!("{host}\n995\nalice");
        let others = others.iter().map(|(account, host)| (name(account), mailbox(host))).collect();
        let begin = Change::Begin { account: name(account), ignored: Vec::new() };
        let bind = Change::Bind { account: name(account), mailbox: mailbox(host), others };
        store.apply(vec![bind, begin], 1).await
    }

    async fn origins(store: &Store, account: &str) -> Vec<String> {
        let origins = store.origins(&name(account)).await.expect("read");
        origins.iter().map(|origin| origin.as_str().to_owned()).collect()
    }

    #[test]
    fn what_is_written_is_read_back_and_anything_else_is_not_taken_for_it() {
        let line = |name: &str, origins: &[&str], mailbox: Option<&str>| Line {
            name: name.to_owned(),
            origins: origins.iter().map(|origin| Origin::new(origin).expect("an origin")).collect(),
            mailbox: mailbox.map(str::to_owned),
        };
        let lines = [
            line("new", &["old"], Some("pop.example.org\n995\nalice smith")),
            line("a", &["a#x7", "a"], Some("pop\n995\nbob\nsocks5://proxy:1080")),
            line("a\n\n5", &["a"], None),
        ];
        let text = text(&lines);
        assert_eq!(parse(text.as_bytes()).expect("read"), lines);
        let unwritable = [line("b", &["c"], Some("pop\n995\na\tb"))];
        assert_eq!(parse(super::text(&unwritable).as_bytes()).expect("read"), [line("b", &["c"], None)]);
        for end in 0..text.len() {
            assert_eq!(parse(&text.as_bytes()[..end]), None, "cut off at {end}");
        }
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert_eq!(parse(&changed), None, "changed at {at}");
        }
    }

    #[tokio::test]
    async fn the_file_is_one_step_ahead_of_the_database_and_never_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = open(dir.path());
        bind(&store, "old", "one", &[]).await.expect("bound");
        assert!(!dir.path().join(NAME).exists(), "no account is called otherwise");
        let rename = |from: &str, to: &str| vec![Change::RenameAccount { from: name(from), to: name(to) }];
        // The file cannot be written: the database does not change either.
        let made = dir.path().join("origins.new");
        std::fs::create_dir(&made).expect("in the way");
        store.apply(rename("old", "new"), 1).await.expect_err("refused");
        assert_eq!(store.binding(&name("new")).await.expect("read").mailbox, None);
        std::fs::remove_dir(&made).expect("removed");
        assert_eq!(store.apply(rename("old", "new"), 1).await.expect("renamed"), 1);
        assert_eq!(origins(&store, "new").await, ["old"]);
        let metadata = dir.path().join(NAME).metadata().expect("there");
        assert_eq!(metadata.mode() & 0o7777, 0o600);
        // A crash comes after the file and before the database.
        let one_ahead = std::fs::read(dir.path().join(NAME)).expect("read");
        assert_eq!(store.apply(rename("new", "old"), 1).await.expect("renamed"), 1);
        drop(store);
        std::fs::write(dir.path().join(NAME), &one_ahead).expect("written");
        let (store, condition) = open_again(dir.path());
        assert_eq!(condition, Condition::Unsealed);
        assert_eq!(origins(&store, "old").await, ["old"]);
        assert_eq!(read(dir.path()).expect("read"), [], "the database decides");
    }

    /// Opens a state whose last handle was dropped a moment ago.
    fn open_again(dir: &Path) -> (Store, Condition) {
        loop {
            match Possession::take(dir).and_then(|possession| possession.open()) {
                Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                opened => return opened.expect("open"),
            }
        }
    }

    #[tokio::test]
    async fn a_mailbox_that_is_left_and_taken_again_keeps_what_stands_for_its_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, _) = open(dir.path());
        bind(&store, "a", "one", &[]).await.expect("bound");
        // Perhaps the same mailbox: its files may be of the old ones.
        bind(&store, "a", "two", &[("a", "two")]).await.expect("bound");
        let of_two = origins(&store, "a").await;
        assert!(of_two[0].starts_with("a#") && of_two[1..] == ["a"], "{of_two:?}");
        // It was another one, since an account leads to the former.
        bind(&store, "b", "one", &[("a", "two"), ("b", "one")]).await.expect("bound");
        assert_eq!((origins(&store, "a").await, origins(&store, "b").await), (of_two[..1].to_vec(), vec!["a".into()]));
        // A new account of a name that stands for another one's files.
        bind(&store, "c", "two", &[("c", "two"), ("b", "one")]).await.expect("bound");
        bind(&store, "a", "three", &[("c", "two"), ("b", "one"), ("a", "three")]).await.expect("bound");
        let of_three = origins(&store, "a").await;
        assert!(of_three.len() == 1 && of_three[0].starts_with("a#") && of_three != origins(&store, "c").await);
        // The same after the loss of the database.
        let mut before = Vec::new();
        for account in ["a", "b", "c"] {
            before.push((origins(&store, account).await, store.binding(&name(account)).await.expect("read").mailbox));
        }
        store.close().await.expect("closed");
        drop(store);
        for file in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(file));
        }
        let possession = Possession::take(dir.path()).expect("free");
        let renewal = possession.renew("damaged").expect("begun");
        renewal.finish(&[name("a"), name("b"), name("c")]).expect("made");
        let (store, _) = possession.open().expect("open");
        for (account, before) in ["a", "b", "c"].into_iter().zip(before) {
            let mailbox = store.binding(&name(account)).await.expect("read").mailbox;
            assert_eq!((origins(&store, account).await, mailbox), before, "{account}");
        }
    }

    #[tokio::test]
    async fn a_broken_file_is_written_again_and_keeps_a_lost_database_from_being_made_anew() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(NAME);
        let (store, _) = open(dir.path());
        bind(&store, "old", "one", &[]).await.expect("bound");
        bind(&store, "new", "one", &[("new", "one")]).await.expect("bound");
        drop(store);
        let whole = std::fs::read(&path).expect("there");
        std::fs::write(dir.path().join("precious"), "text").expect("written");
        for is_link in [false, true] {
            std::fs::remove_file(&path).expect("there");
            match is_link {
                true => symlink(dir.path().join("precious"), &path).expect("linked"),
                false => std::fs::write(&path, &whole[..whole.len() - 1]).expect("written"),
            }
            check_origins(dir.path()).expect_err("broken");
            let possession = loop {
                match Possession::take(dir.path()) {
                    Err(StoreError::Locked { .. }) => std::thread::yield_now(),
                    taken => break taken.expect("free"),
                }
            };
            possession.renew("damaged").expect_err("it is not known what stands for the accounts");
            assert!(file::path(dir.path()).exists(), "nothing was set aside");
            drop(possession.open().expect("the database is whole"));
            assert_eq!(std::fs::read(&path).expect("there"), whole);
            assert_eq!(std::fs::read(dir.path().join("precious")).expect("there"), b"text");
        }
    }
}
