//! The messages on record, by the tokens in the names of files in Maildirs.

use rusqlite::Connection;

use super::schema::state;
use super::words::DeliveryTokens;
use crate::message::{MessageKey, Name};

/// Tokens of everything on record: of messages, of files that were named before their message's
/// unique-id changed, and of files that are known only from a Maildir, whose messages may be gone
/// from the server.
pub(super) fn tokens(
    connection: &Connection,
    of_message: fn(&Name, &MessageKey) -> String,
    of_file: fn(&str) -> Option<String>,
) -> rusqlite::Result<DeliveryTokens> {
    let mut tokens = DeliveryTokens::default();
    let mut find = connection.prepare(
        "SELECT a.name, m.uid, m.occurrence FROM message m JOIN account a ON a.id = m.account UNION ALL
         SELECT a.name, f.uid, f.occurrence FROM former f JOIN message m ON m.id = f.message JOIN account a ON a.id = m.account",
    )?;
    let mut rows = find.query([])?;
    while let Some(row) = rows.next()? {
        let key = MessageKey::new(row.get_ref(1)?.as_blob().unwrap_or_default(), row.get(2)?);
        if let (Some(account), Some(key)) = (Name::new(&row.get::<_, String>(0)?), key) {
            tokens.add(&of_message(&account, &key));
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
