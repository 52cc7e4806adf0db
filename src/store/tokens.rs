//! The messages on record, by the tokens in the names of files in Maildirs.

use std::collections::HashMap;

use rusqlite::Connection;

use super::origin;
use super::schema::state;
use super::words::DeliveryTokens;
use crate::message::{MessageKey, Origin};

/// Tokens of everything on record: of messages, of files that were named before their message's
/// unique-id changed, and of files that are known only from a Maildir, whose messages may be gone
/// from the server.
pub(super) fn tokens(
    connection: &Connection,
    of_message: fn(&Origin, &MessageKey) -> String,
    of_file: fn(&str) -> Option<String>,
) -> rusqlite::Result<DeliveryTokens> {
    let mut tokens = DeliveryTokens::default();
    let mut find = connection.prepare(
        "SELECT m.account, m.uid, m.occurrence FROM message m UNION ALL
         SELECT m.account, f.uid, f.occurrence FROM former f JOIN message m ON m.id = f.message",
    )?;
    let origins = origins(connection)?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let Some(key) = MessageKey::new(row.get_ref(1)?.as_blob().unwrap_or_default(), row.get(2)?) else { continue };
        for origin in origins.get(&row.get(0)?).into_iter().flatten() {
            tokens.add(&of_message(origin, &key));
        }
    }
    let mut find = connection.prepare("SELECT detail FROM delivery WHERE state IN (?1, ?2) AND detail IS NOT NULL")?;
    let mut rows = find.query([state::STAGED, state::DELIVERED])?;
    while let Some(row) = rows.next()? {
        if let Some(token) = row.get_ref(0)?.as_str().ok().and_then(of_file) {
            tokens.add(&token);
        }
    }
    let mut find = connection.prepare("SELECT token FROM salvaged")?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        tokens.add(row.get_ref(0)?.as_str().unwrap_or_default());
    }
    Ok(tokens)
}

/// The origins of all accounts, by their rows.
fn origins(connection: &Connection) -> rusqlite::Result<HashMap<i64, Vec<Origin>>> {
    let mut find = connection.prepare("SELECT id, name, origin FROM account")?;
    let of_one = |row: &rusqlite::Row<'_>| {
        let column: Option<String> = row.get(2)?;
        Ok((row.get(0)?, origin::of_row(row.get_ref(1)?.as_str()?, column.as_deref())))
    };
    find.query_map([], of_one)?.collect()
}
