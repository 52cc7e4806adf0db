//! `postrider poll` and `postrider reload`: what the running service is asked to do.

use super::client;
use super::output;
use crate::config::Config;
use crate::control::Request;

/// Arguments of `poll`.
#[derive(Debug, clap::Args)]
pub(super) struct PollArguments {
    /// Accounts to poll [default: all, save those whose login was refused]
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
}

pub(super) fn poll(arguments: &PollArguments, config: &Config) -> u8 {
    request(config, &Request::Poll { accounts: arguments.accounts.clone() })
}

pub(super) fn reload(config: &Config) -> u8 {
    match request(config, &Request::Reload) {
        0 => {
            output::say("The configuration is in use.");
            0
        }
        code => code,
    }
}

fn request(config: &Config, request: &Request) -> u8 {
    client::one(config, request).err().unwrap_or(0)
}
