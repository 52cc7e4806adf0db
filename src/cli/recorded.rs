//! The recorded status of the accounts, for when no service can be asked: the results that `fetch`, or a service that
//! has ended, left in the state.

use std::collections::BTreeMap;

use super::output;
use crate::config::Whereabouts;
use crate::failure::Class;
use crate::message::Name;
use crate::process::privilege;
use crate::process::status::{AccountStatus, SCHEMA, State, Status};
use crate::store::{AccountMemory, Backlog, Reader, StoreError};

/// The recorded status, and an exit code.  Root reads as the state's owner.  A state that cannot be read is reported,
/// and the exit code is that of the error; else it is 0.
pub(super) fn status(places: &Whereabouts) -> (Status, u8) {
    let remembered = match privilege::act_for(&places.state_dir) {
        Ok(_) => remembered(places).map_err(|error| output::complain_code(None, &error)),
        Err(error) => Err(output::complain_code(None, &error)),
    };
    let (known, code) = remembered.map_or_else(|code| (Known::default(), code), |known| (known, 0));
    let mut status = Status {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        running: false,
        config_file: places.file.display().to_string(),
        state_dir: places.state_dir.display().to_string(),
        config_error: places.broken().map(|broken| broken.text.clone()),
        accounts: known.accounts,
        ..Status::default()
    };
    status.add(known.backlog);
    (status, code)
}

/// What is on record.
#[derive(Default)]
struct Known {
    accounts: Vec<AccountStatus>,
    backlog: Backlog,
}

/// The accounts of the configuration; if it is broken, those that are on record.
fn remembered(places: &Whereabouts) -> Result<Known, StoreError> {
    let midnight = jiff::ZonedDateTime::now().start_of_day().map_or(0, |start| start.timestamp().as_second());
    let reader = Reader::open(&places.state_dir)?;
    let mut memories: BTreeMap<Name, AccountMemory> = reader.remembered(midnight)?;
    let backlog = reader.backlog()?;
    let Ok(config) = &places.config else {
        let accounts = memories.into_iter().map(|(name, memory)| of_one(&name, memory)).collect();
        return Ok(Known { accounts, backlog });
    };
    let mut accounts: Vec<&_> = config.accounts.iter().collect();
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    let one = |account: &&std::sync::Arc<crate::account::Account>| {
        let status = of_one(&account.name, memories.remove(&account.name).unwrap_or_default());
        if account.enabled { status } else { AccountStatus { state: State::Disabled, ..status } }
    };
    Ok(Known { accounts: accounts.iter().map(one).collect(), backlog })
}

fn of_one(name: &Name, memory: AccountMemory) -> AccountStatus {
    let state = match (&memory.error, Class::of_exit_code(memory.exit_code)) {
        (None, _) => State::Idle,
        (Some(_), Some(Class::LoginRefused)) => State::LoginRefused,
        (Some(_), _) => State::BackingOff,
    };
    AccountStatus {
        account: name.to_string(),
        state,
        last_success: memory.last_success,
        new_today: memory.delivered,
        waiting: memory.waiting,
        too_large: memory.too_large,
        ignored: memory.ignored,
        quarantined: memory.quarantined,
        failures: memory.failures,
        error: memory.error,
        advice: memory.advice,
        exit_code: memory.exit_code,
        ..AccountStatus::default()
    }
}
