//! `postrider poll` and `postrider reload`: requests to the running service.

use super::accounts::hint;
use super::client::{self, Silence};
use super::output;
use crate::config::Whereabouts;
use crate::control::Request;
use crate::failure::Class;

/// Arguments of `poll`.
#[derive(Debug, clap::Args)]
pub(super) struct PollArguments {
    /// Accounts to poll [default: all, except those whose login was refused]
    #[arg(value_name = "ACCOUNT", add = super::completions::accounts())]
    accounts: Vec<String>,
}

pub(super) fn poll(arguments: &PollArguments, places: &Whereabouts) -> u8 {
    match order(arguments, places) {
        Ok(()) => 0,
        Err(Refusal::Silence(silence)) => client::complain(&silence),
        Err(Refusal::Unknown(name, known)) => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            output::say(&format!("postrider: the service has no account {name:?}.  {}", hint(&name, &known)));
            super::USAGE
        }
    }
}

/// Why nothing is polled.
enum Refusal {
    Silence(Silence),
    /// The name is not one of these accounts.
    Unknown(String, Vec<String>),
}

fn order(arguments: &PollArguments, places: &Whereabouts) -> Result<(), Refusal> {
    let accounts = &arguments.accounts;
    if !accounts.is_empty() {
        let (status, _) = client::status(places).map_err(Refusal::Silence)?;
        let known: Vec<String> = status.accounts.into_iter().map(|account| account.account).collect();
        if let Some(name) = accounts.iter().find(|name| !known.contains(name)) {
            return Err(Refusal::Unknown(name.clone(), known));
        }
    }
    client::one(places, &Request::Poll { accounts: accounts.clone() }).map(drop).map_err(Refusal::Silence)
}

pub(super) fn reload(places: &Whereabouts) -> u8 {
    match client::one(places, &Request::Reload) {
        Ok(_) => {
            output::say("The service has read its configuration and uses it now.");
            super::tell_of_broken(0, places)
        }
        // The error says what is wrong with the configuration.
        Err(Silence::Refused(error, code)) if code == Class::Configuration.exit_code() => {
            output::say(&format!(
                "postrider: the configuration is broken; the service uses the previous one:\n{error}"
            ));
            code
        }
        Err(silence) => super::tell_of_broken(client::complain(&silence), places),
    }
}
