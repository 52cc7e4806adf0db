//! Accounts that may be the same as one that is not polled any more: perhaps only its name, port, route or host has changed.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt as _;

use rusqlite::{Connection, params};

use super::mailbox::row;
use super::rows::message_id;
use crate::message::{MessageKey, Name};
use crate::plan::Place;

/// The account of an unused name, if there is one, that had the same host and username: perhaps only the port or the
/// route has changed with its name.  It may as well be another mailbox; so its mail must have gone to the same
/// destinations, if these are given: then what it knows is there.  `None` also where the state knows mail of the account
/// itself.
pub(super) fn alike(
    connection: &Connection,
    account: &Name,
    mailbox: &str,
    others: &[(Name, String)],
    deliver: Option<&[Place]>,
) -> rusqlite::Result<Option<String>> {
    if row(connection, account.as_str())?.is_some_and(|own| !own.is_blank) {
        return Ok(None);
    }
    let ours = (host(mailbox), user(mailbox));
    let unused = unused(connection, others, deliver)?;
    Ok(unused.into_iter().find(|row| (host(&row.mailbox), user(&row.mailbox)) == ours).map(|row| row.name))
}

/// The account of an unused name, if there is one, that had the same username and the same destinations, and knows more
/// than half of a listing's unique-ids: perhaps only the host is called otherwise.
pub(super) fn familiar(
    connection: &Connection,
    mailbox: &str,
    others: &[(Name, String)],
    deliver: &[Place],
    keys: &[Option<MessageKey>],
) -> rusqlite::Result<Option<String>> {
    for row in unused(connection, others, Some(deliver))? {
        if user(&row.mailbox) != user(mailbox) {
            continue;
        }
        let mut known = 0;
        for key in keys.iter().flatten() {
            known += usize::from(message_id(connection, row.id, key)?.is_some());
        }
        if known * 2 > keys.len() {
            return Ok(Some(row.name));
        }
    }
    Ok(None)
}

/// An account that is known, and no longer polled.
struct Unused {
    id: i64,
    name: String,
    mailbox: String,
    deliver: String,
}

/// Accounts of which mail is known and whose names are none of these, the last that was polled first; with `deliver`,
/// only those whose mail went to these destinations.
fn unused(
    connection: &Connection,
    others: &[(Name, String)],
    deliver: Option<&[Place]>,
) -> rusqlite::Result<Vec<Unused>> {
    let mut find = connection.prepare_cached(
        "SELECT id, name, mailbox, coalesce(deliver, '') FROM account WHERE mailbox IS NOT NULL AND instr(name, char(10)) = 0
         ORDER BY last_success DESC, id",
    )?;
    let rows = find.query_map([], |row| {
        Ok(Unused { id: row.get(0)?, name: row.get(1)?, mailbox: row.get(2)?, deliver: row.get(3)? })
    })?;
    let mut unused = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    let used: HashSet<&str> = others.iter().map(|(name, _)| name.as_str()).collect();
    unused.retain(|row| !used.contains(row.name.as_str()));
    if let Some(places) = deliver {
        let names: BTreeSet<&str> = places.iter().map(|place| place.destination.as_str()).collect();
        unused.retain(|row| names == row.deliver.lines().collect());
        for place in places {
            if !is_used(connection, place)? {
                return Ok(Vec::new());
            }
        }
    }
    Ok(unused)
}

/// Whether mail has come to a place.
fn is_used(connection: &Connection, place: &Place) -> rusqlite::Result<bool> {
    let find = "SELECT EXISTS (SELECT 1 FROM place WHERE destination = ?1 AND kind = ?2 AND location = ?3
        AND recipient = ?4 AND machine = ?5 AND used <> 0)";
    connection.prepare_cached(find)?.query_row(
        params![
            place.destination.as_str(),
            place.kind,
            place.location.as_os_str().as_bytes(),
            place.recipient,
            place.machine
        ],
        |row| row.get(0),
    )
}

fn host(mailbox: &str) -> Option<&str> {
    mailbox.split('\n').next()
}

fn user(mailbox: &str) -> Option<&str> {
    mailbox.split('\n').nth(2)
}
