//! `postrider retry`: what could not be delivered is tried now.

use super::accounts::hint;
use super::client::{self, Silence};
use super::output::{self, count};
use crate::config::Whereabouts;
use crate::control::Request;
use crate::message::Name;
use crate::process::status::State;
use crate::store::{self, Reader, StoreError};

/// Arguments of `retry`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this account's mail
    #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
    account: Option<Name>,
    /// Only what waits for this destination
    #[arg(long, value_name = "NAME", value_parser = super::accounts::name_of)]
    destination: Option<Name>,
}

pub(super) fn run(arguments: &Arguments, places: &Whereabouts) -> u8 {
    retry(arguments, places).unwrap_or_else(|error| output::complain_code(None, &error))
}

fn retry(arguments: &Arguments, places: &Whereabouts) -> Result<u8, StoreError> {
    let Arguments { account, destination } = arguments;
    let reader = Reader::open(&places.state_dir)?;
    if !super::accounts::is_known(account.as_ref(), &reader, places)? || !is_destination(destination.as_ref(), places) {
        return Ok(super::USAGE);
    }
    let retried = store::retry(&places.state_dir, account.as_ref(), destination.as_ref())?;
    if retried.is_empty() {
        output::say("Nothing waits to be tried again.");
        return Ok(0);
    }
    let messages = count(retried.iter().map(|(_, messages)| messages).sum(), "message");
    let accounts = retried.into_iter().map(|(name, _)| name.to_string()).collect();
    match poll(accounts, account.is_some(), places) {
        Ok(true) => output::say(&format!("{messages} due now; the service tries them.")),
        Ok(false) => output::say(&format!(
            "{messages} due now, but the service does not poll the account: it is disabled, or its login was refused."
        )),
        Err(Silence::Absent(_)) => output::say(&format!("{messages} due now, with the next poll.")),
        Err(silence) => return Ok(client::complain(&silence)),
    }
    Ok(0)
}

/// Has the service poll these accounts; one whose login was refused only if it was named.  Returns whether it polls any.
fn poll(mut accounts: Vec<String>, is_named: bool, places: &Whereabouts) -> Result<bool, Silence> {
    let (status, _) = client::status(places)?;
    let is_polled = |name: &String| {
        let mut found = status.accounts.iter().filter(|account| account.account == *name);
        found.any(|account| match account.state {
            State::Disabled => false,
            State::LoginRefused => is_named,
            _ => true,
        })
    };
    accounts.retain(is_polled);
    if accounts.is_empty() {
        return Ok(false);
    }
    client::one(places, &Request::Poll { accounts }).map(|_| true)
}

/// Whether there is such a destination; reports it if not.
fn is_destination(name: Option<&Name>, places: &Whereabouts) -> bool {
    let (Some(name), Ok(config)) = (name, &places.config) else { return true };
    let known: Vec<&str> = config.destinations.iter().map(|destination| destination.name.as_str()).collect();
    let is_known = known.contains(&name.as_str());
    if !is_known {
        let name = name.as_str();
        output::say(&format!("postrider: there is no destination {name:?}.  {}", hint(name, &known)));
    }
    is_known
}
