//! What the operator decides beside a running service.

use std::path::Path;

use rusqlite::params;

use super::words::{Change, Lost, Release};
use super::{StoreError, file, open, quiet, write};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::Patience;

/// Records what the operator decides about a lost account; works beside a running service.
/// Returns whether the account is lost at all.
///
/// # Errors
/// The database cannot be written.
pub fn decide(dir: &Path, account: &Name, decision: Lost) -> Result<bool, StoreError> {
    let Some(connection) = open::open_beside(dir)? else { return Ok(false) };
    let transact = || {
        let transaction = super::begin(&connection)?;
        let changed = transaction.execute(
            "UPDATE account SET lost = ?2 WHERE name = ?1 AND lost <> 0",
            params![account.as_str(), decision.number()],
        )?;
        quiet::raise_revision(&transaction, account)?;
        transaction.commit()?;
        Ok(changed > 0)
    };
    transact().map_err(|error| file::database_error(&file::path(dir), &error))
}

/// Tries quarantined messages again or gives them up; works beside a running service.  Returns the
/// number of messages.
///
/// # Errors
/// The database cannot be written.
pub fn release(
    dir: &Path,
    account: &Name,
    key: Option<MessageKey>,
    release: Release,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let Some(connection) = open::open_beside(dir)? else { return Ok(0) };
    let change = Change::Release { account: account.clone(), key, release };
    let transact = || {
        let transaction = super::begin(&connection)?;
        let messages = write::apply(&transaction, &change, &Patience::USUAL, now)?;
        quiet::raise_revision(&transaction, account)?;
        transaction.commit()?;
        Ok(messages)
    };
    transact().map_err(|error| file::database_error(&file::path(dir), &error))
}
