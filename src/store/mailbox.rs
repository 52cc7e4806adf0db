//! Which mailbox an account's part of the state belongs to.
//!
//! A name is what a person calls an account; what was seen belongs to a mailbox.  When the account of a mailbox is
//! renamed, what is known of the mailbox moves along.  An account that leads to another mailbox begins with a copy of
//! what it knew, in which no unique-id is trusted: messages are recognised by header or content.  The original stays
//! beside it, under a name that no account can have (`a` and a line break).  What stands for a mailbox in the names
//! of files moves along with it (origin.rs).

use rusqlite::{Connection, OptionalExtension, params};

use super::origin::{self, BLANK};
use super::quiet::raise_revision;
use super::rows::account_id;
use super::schema::{kind, state};
use super::words::{Binding, Holding};
use crate::message::{CONTENT_UID_PREFIX, MessageKey, Name, Origin, UnixTime};

/// The row of an account: of the one that is bound, or of another that may hand its mailbox over.
pub(super) struct Row {
    id: i64,
    name: String,
    mailbox: Option<String>,
    /// No mail is known: only how its polls went is recorded, or that its state was lost.
    pub(super) is_blank: bool,
}

/// Characters of a name that are kept when no account leads to its mailbox.
const KEPT_CHARACTERS: usize = 40;

pub(super) fn find(connection: &Connection, account: &Name) -> rusqlite::Result<Binding> {
    let mut find = connection.prepare_cached("SELECT mailbox, deliver, by_size FROM account WHERE name = ?1")?;
    let binding = find.query_row([account.as_str()], |row| {
        let deliver: Option<String> = row.get(1)?;
        let deliver = deliver.map(|names| names.lines().map(str::to_owned).collect());
        Ok(Binding { mailbox: row.get(0)?, deliver, by_size: row.get(2)? })
    });
    Ok(binding.optional()?.unwrap_or_default())
}

/// The name under which the state knows the mailbox that an account leads to now: the account's own, or that of an
/// account that no longer leads there.  `None`: the mailbox is not known, and the account's row, if there is one,
/// belongs to another mailbox.
pub(super) fn known_as(
    connection: &Connection,
    account: &Name,
    mailbox: &str,
    others: &[(Name, String)],
) -> rusqlite::Result<Option<String>> {
    let own = row(connection, account.as_str())?.filter(|own| !own.is_blank);
    match own {
        Some(Row { mailbox: None, .. }) => return Ok(Some(account.to_string())),
        Some(Row { mailbox: Some(own), .. }) if own == mailbox => return Ok(Some(account.to_string())),
        _ => {}
    }
    let mut find =
        connection.prepare_cached("SELECT name FROM account WHERE mailbox = ?1 ORDER BY last_success DESC, id")?;
    let names = find.query_map([mailbox], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let is_taken = |name: &String| others.iter().any(|(other, at)| other.as_str() == name && at == mailbox);
    Ok(names.into_iter().find(|name| !is_taken(name)))
}

/// Binds an account to what the state knows of its mailbox.  Returns the number of messages whose unique-ids are no
/// longer trusted.
pub(super) fn bind(
    connection: &Connection,
    account: &Name,
    mailbox: &str,
    others: &[(Name, String)],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let own = row(connection, account.as_str())?;
    let known_as = known_as(connection, account, mailbox, others)?;
    let (id, rows) = match (own, known_as) {
        (own, Some(name)) if name != account.as_str() => {
            let Some(found) = row(connection, &name)? else { return Ok(0) };
            take_over(connection, account, own, found, now)?
        }
        (Some(own), None) if own.mailbox.as_ref().is_some_and(|before| before != mailbox) => {
            leave_behind(connection, &own, now)?
        }
        (Some(Row { id, .. }), _) => (id, 0),
        (None, _) => (account_id(connection, account)?, 0),
    };
    connection.prepare_cached("UPDATE account SET mailbox = ?2 WHERE id = ?1")?.execute(params![id, mailbox])?;
    connection.prepare_cached("DELETE FROM quiet WHERE account = ?1")?.execute([id])?;
    origin::claim(connection, id)?;
    Ok(rows)
}

/// Gives an account, which may have a row of its own, the row of the mailbox that it leads to now.  Returns that row
/// and the number of messages copied.
fn take_over(
    connection: &Connection,
    account: &Name,
    own: Option<Row>,
    found: Row,
    now: UnixTime,
) -> rusqlite::Result<(i64, usize)> {
    let own = match own {
        Some(own) if own.is_blank => {
            drop_blank(connection, &own, found.id)?;
            None
        }
        Some(own) => {
            park(connection, &own, false)?;
            Some(own.id)
        }
        None => None,
    };
    rename(connection, found.id, account.as_str())?;
    let mut origins = origin::of(connection, found.id)?;
    if let (Some(first), true) = (origins.first(), found.name.contains('\n')) {
        origin::withdraw(connection, found.id, first)?;
    }
    // It leads back to where it was: what came meanwhile may be from the same mailbox under another name.
    let was_ours = found.name.starts_with(&format!("{}\n\n", kept(account.as_str())));
    let Some(own) = own.filter(|_| was_ours) else { return Ok((found.id, 0)) };
    origins.extend(origin::of(connection, own)?);
    origin::put(connection, found.id, &origins)?;
    let rows = copy_apart(connection, own, found.id, now)?;
    if rows > 0 {
        connection.prepare_cached("UPDATE account SET migrating = 1 WHERE id = ?1")?.execute([found.id])?;
    }
    Ok((found.id, rows))
}

/// Removes the row of an account of which no mail is known.  What the operator has decided about its lost state
/// holds for the row in its place.
fn drop_blank(connection: &Connection, row: &Row, instead: i64) -> rusqlite::Result<usize> {
    connection
        .prepare_cached(
            "UPDATE account SET lost = (SELECT lost FROM account WHERE id = ?1) WHERE id = ?2 AND lost <> 0
             AND (SELECT lost FROM account WHERE id = ?1) <> 0",
        )?
        .execute([row.id, instead])?;
    connection.prepare_cached("DELETE FROM account WHERE id = ?1")?.execute([row.id])
}

/// Gives an account, and all that is known of its mail, another name.  Returns 0 if there is no such account, or mail
/// is known under the new name already.
pub(super) fn rename_account(connection: &Connection, from: &str, to: &Name) -> rusqlite::Result<usize> {
    let found = match (row(connection, from)?, row(connection, to.as_str())?) {
        (None, Some(own)) if own.is_blank => return stand_for(connection, own.id, from),
        (None, _) => return Ok(0),
        (Some(_), Some(own)) if !own.is_blank => return Ok(0),
        (Some(found), own) => {
            own.map_or(Ok(0), |own| drop_blank(connection, &own, found.id))?;
            found.id
        }
    };
    let rows = rename(connection, found, to.as_str())?;
    raise_revision(connection, to)?;
    origin::claim(connection, found)?;
    Ok(rows)
}

/// Lets the files of an account whose state was lost be known by the name that it had when they were delivered.
fn stand_for(connection: &Connection, account: i64, name: &str) -> rusqlite::Result<usize> {
    let is_lost = connection
        .prepare_cached("SELECT lost <> 0 FROM account WHERE id = ?1")?
        .query_row([account], |row| row.get::<_, bool>(0))?;
    let Some(former) = Origin::new(name).filter(|_| is_lost) else { return Ok(0) };
    let rows = origin::put(connection, account, &[former])?;
    origin::claim(connection, account)?;
    Ok(rows)
}

/// What is known under a name, for somebody who wants to give it another one.
pub(super) fn holding(connection: &Connection, name: &Name) -> rusqlite::Result<Option<Holding>> {
    let Some(row) = row(connection, name.as_str())? else { return Ok(None) };
    let count = "SELECT count(*), (SELECT lost <> 0 FROM account WHERE id = ?1) FROM message WHERE account = ?1";
    let holding = |counted: &rusqlite::Row<'_>| {
        let messages = u64::try_from(counted.get::<_, i64>(0)?).unwrap_or(0);
        Ok(Holding { mailbox: row.mailbox, messages, is_blank: row.is_blank, is_lost: counted.get(1)? })
    };
    connection.prepare_cached(count)?.query_row([row.id], holding).map(Some)
}

/// Records the destinations that the account's mail is decided for from now on.  What was still owed to a destination
/// when it was removed is owed again when it is back.
pub(super) fn decide_for(
    connection: &Connection,
    account_name: &Name,
    deliver: &[Name],
    now: UnixTime,
) -> rusqlite::Result<usize> {
    let account = account_id(connection, account_name)?;
    let mut is_news = false;
    let names: Vec<&str> = deliver.iter().map(Name::as_str).collect();
    let mut find = connection.prepare_cached(
        "SELECT d.message, d.place FROM delivery d JOIN message m ON m.id = d.message JOIN place p ON p.id = d.place
         WHERE m.account = ?1 AND m.deleted IS NULL AND d.state = ?2 AND d.until IS NOT NULL AND p.destination = ?3",
    )?;
    let mut revive = connection
        .prepare_cached("UPDATE delivery SET state = ?3, at = ?4, until = 0 WHERE message = ?1 AND place = ?2")?;
    let mut reopen = connection.prepare_cached("UPDATE message SET done = NULL WHERE id = ?1")?;
    for name in &names {
        let rows = find.query_map(params![account, state::SKIPPED, name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        for (message, place) in rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()? {
            revive.execute(params![message, place, state::DEFERRED, now])?;
            reopen.execute([message])?;
            is_news = true;
        }
    }
    if is_news {
        // A reload changes this, perhaps while the account is polled.
        raise_revision(connection, account_name)?;
    }
    connection
        .prepare_cached("UPDATE account SET deliver = ?2 WHERE id = ?1")?
        .execute(params![account, names.join("\n")])
}

/// Records that the server's lack of TOP was reported.
pub(super) fn tell_by_size(connection: &Connection, account: &Name) -> rusqlite::Result<usize> {
    let account = account_id(connection, account)?;
    connection.prepare_cached("UPDATE account SET by_size = 1 WHERE id = ?1")?.execute([account])
}

/// The number of messages that the server had at the last listing, that were delivered everywhere, and that were
/// never meant for this destination.
pub(super) fn never_meant_for(connection: &Connection, account: &Name, destination: &str) -> rusqlite::Result<u64> {
    let mut count = connection.prepare_cached(
        "SELECT count(*) FROM message m JOIN account a ON a.id = m.account
         WHERE a.name = ?1 AND m.done IS NOT NULL AND m.deleted IS NULL AND m.absent = 0 AND m.kind = ?3
         AND NOT EXISTS (SELECT 1 FROM delivery d JOIN place p ON p.id = d.place
                         WHERE d.message = m.id AND p.destination = ?2 AND (d.state = ?4 OR d.until IS NOT NULL))",
    )?;
    let key = params![account.as_str(), destination, kind::WHOLE, state::DELIVERED];
    let messages: i64 = count.query_row(key, |row| row.get(0))?;
    Ok(u64::try_from(messages).unwrap_or(0))
}

pub(super) fn row(connection: &Connection, name: &str) -> rusqlite::Result<Option<Row>> {
    let find = format!("SELECT id, name, mailbox, {BLANK} FROM account a WHERE name = ?1");
    let mut find = connection.prepare_cached(&find)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row { id: row.get(0)?, name: row.get(1)?, mailbox: row.get(2)?, is_blank: row.get(3)? })
    };
    find.query_row([name], row).optional()
}

fn rename(connection: &Connection, account: i64, name: &str) -> rusqlite::Result<usize> {
    connection.prepare_cached("DELETE FROM quiet WHERE account = ?1")?.execute([account])?;
    let origins = origin::of(connection, account)?;
    connection.prepare_cached("UPDATE account SET name = ?2 WHERE id = ?1")?.execute(params![account, name])?;
    origin::put(connection, account, &origins)
}

/// Leaves what is known of the account's former mailbox as it is, for the next account that leads there.  The account
/// begins with a copy of it, in which no unique-id is trusted: perhaps only the server's name has changed.  Its new files
/// are told from those of the former mailbox.  Returns the account's row and the number of messages copied.
fn leave_behind(connection: &Connection, row: &Row, now: UnixTime) -> rusqlite::Result<(i64, usize)> {
    park(connection, row, true)?;
    let begin = "INSERT INTO account (name, first_poll, failures, refusals, not_before, last_success, error, exit_code,
                                      refused, migrating, lost, deliver, by_size, folder)
                 SELECT ?2, first_poll, failures, refusals, not_before, last_success, error, exit_code,
                        refused, 1, lost, deliver, 0, folder FROM account WHERE id = ?1";
    let account = connection.prepare_cached(begin)?.insert(params![row.id, row.name])?;
    let mut origins = origin::of(connection, row.id)?;
    if let Some(first) = origins.first() {
        origins.insert(0, origin::another(first));
        origin::put(connection, account, &origins)?;
    }
    let copied = copy_apart(connection, row.id, account, now)?;
    Ok((account, copied))
}

/// Copies what is known of messages, except of those that `account` knows by their content.  Returns their number.
fn copy_apart(connection: &Connection, from: i64, account: i64, now: UnixTime) -> rusqlite::Result<usize> {
    let mut find = connection.prepare_cached(
        "SELECT id, uid, occurrence, kind FROM message m WHERE account = ?1 AND NOT EXISTS
             (SELECT 1 FROM message o WHERE o.account = ?2 AND substr(o.digest, 1, 8) = substr(m.digest, 1, 8)
              AND o.digest = m.digest AND o.kind = m.kind)",
    )?;
    let messages = find.query_map([from, account], |row| {
        let key = MessageKey::new(row.get_ref(1)?.as_blob()?, row.get(2)?);
        Ok((row.get::<_, i64>(0)?, key, row.get::<_, i64>(3)?))
    })?;
    let mut copy = connection.prepare_cached(
        "INSERT INTO message (account, uid, occurrence, octets, message_id, seen, kind, done, deleted, head, proof,
                              crashes, absent, digest, listed, sender, subject, date, ends, ends_since,
                              routed)
         SELECT ?2, ?3, ?4, octets, message_id, seen, kind, done, deleted, head, proof, crashes,
                iif(absent, absent, ?5), digest, listed, sender, subject, date, ends, ends_since, routed
         FROM message WHERE id = ?1 ON CONFLICT DO NOTHING",
    )?;
    let mut deliveries = connection.prepare_cached(
        "INSERT INTO delivery (message, place, state, at, attempts, until, detail, mark, prefix, since)
         SELECT ?2, place, state, at, attempts, until, detail, mark, prefix, since FROM delivery WHERE message = ?1",
    )?;
    // A header's file is named after the unique-id that its message had.
    let mut former = connection
        .prepare_cached("INSERT INTO former (message, uid, occurrence) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    let mut copied = 0;
    for message in messages.collect::<rusqlite::Result<Vec<_>>>()? {
        let (id, Some(key), kind) = message else { continue };
        // A message that is known by its content is known by it in any mailbox.
        let stays = key.is_apart() || key.uid().starts_with(CONTENT_UID_PREFIX);
        // Other code that sets messages apart draws a number.
        let to = if stays { key.clone() } else { key.apart(id.cast_unsigned()) };
        if copy.execute(params![id, account, to.uid(), to.occurrence(), now])? == 0 {
            continue;
        }
        let new = connection.last_insert_rowid();
        deliveries.execute([id, new])?;
        if kind == kind::HEADER {
            former.execute(params![new, key.uid(), key.occurrence()])?;
        }
        copied += 1;
    }
    Ok(copied)
}

/// Frees a name; what is known stays, and is found by its mailbox alone.  If it `is_copied`, the copy is shown.
fn park(connection: &Connection, row: &Row, is_copied: bool) -> rusqlite::Result<usize> {
    let mark = if is_copied { "\n\n" } else { "\n" };
    rename(connection, row.id, &format!("{}{mark}{}", kept(&row.name), row.id))
}

pub(super) fn kept(name: &str) -> String {
    name.chars().take_while(|c| *c != '\n').take(KEPT_CHARACTERS).collect()
}
