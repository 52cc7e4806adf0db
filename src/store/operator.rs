//! What the operator decides beside a running service.

use std::path::Path;

use rusqlite::params;

use super::words::{Change, Ending, Lost, Release, Settled};
use super::{StoreError, file, lookup, open, quiet, write};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{Patience, Place};

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

/// Puts a message that is not delivered into quarantine; `places` are its account's destinations.  Works beside a
/// running service.  Returns whether there was anything to put there.
///
/// # Errors
/// The database cannot be written.
pub fn set_aside(
    dir: &Path,
    account: &Name,
    key: &MessageKey,
    places: &[Place],
    now: UnixTime,
) -> Result<bool, StoreError> {
    let Some(connection) = open::open_beside(dir)? else { return Ok(false) };
    let outcome = |place: &Place| Settled {
        key: key.clone(),
        place: place.clone(),
        ending: Ending::Quarantined("set aside by the operator".to_owned()),
    };
    let transact = || {
        let transaction = super::begin(&connection)?;
        // The service may have delivered it meanwhile.
        let open = lookup::open_places(&transaction, account, key)?;
        let open = open.unwrap_or_else(|| places.to_vec());
        let outcomes: Vec<Settled> = open.iter().map(outcome).collect();
        let is_any = !outcomes.is_empty();
        let change = Change::Settle { account: account.clone(), outcomes };
        write::apply(&transaction, &change, &Patience::USUAL, now)?;
        quiet::raise_revision(&transaction, account)?;
        transaction.commit()?;
        Ok(is_any)
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
