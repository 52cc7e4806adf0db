//! The messages that are on record, as the names of files in Maildirs tell them.

use std::collections::HashSet;

use rusqlite::Connection;

use super::schema::state;
use crate::message::{MessageKey, Name};

/// Tokens, as numbers: there may be millions.
#[derive(Debug, Default)]
pub struct Tokens(HashSet<u128>);

impl Tokens {
    /// Whether a message is on record.
    pub fn contains(&self, token: &str) -> bool {
        number(token).is_some_and(|number| self.0.contains(&number))
    }

    fn add(&mut self, token: &str) {
        self.0.extend(number(token));
    }
}

/// A token is 128 bits in hexadecimal; whatever is none is on no record.
fn number(token: &str) -> Option<u128> {
    u128::from_str_radix(token, 16).ok()
}

/// Tokens of everything on record: of messages, of files that were named before their message's
/// unique-id changed, and of those that are known only from a Maildir: their messages may be gone
/// from the server.
pub(super) fn tokens(
    connection: &Connection,
    of_message: fn(&Name, &MessageKey) -> String,
    of_file: fn(&str) -> Option<String>,
) -> rusqlite::Result<Tokens> {
    let mut tokens = Tokens::default();
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
