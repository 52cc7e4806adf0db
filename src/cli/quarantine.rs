//! `postrider quarantine`: messages that were refused for good, and what the operator does.

use super::output::{self, local_time};
use crate::config::Config;
use crate::message::{MessageKey, Name};
use crate::poll::unix_now;
use crate::store::{Reader, Release, StoreError, release};

/// Arguments of `quarantine`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show the messages in quarantine
    List {
        /// Only this account
        #[arg(value_name = "ACCOUNT", value_parser = super::name_of)]
        account: Option<Name>,
        /// Write it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Try messages again with the next poll
    Retry(Choice),
    /// Give messages up: they count as done, and follow the account's retention
    Skip(Choice),
}

/// Which messages.
#[derive(Debug, clap::Args)]
struct Choice {
    /// The account
    #[arg(value_name = "ACCOUNT", value_parser = super::name_of)]
    account: Name,
    /// Unique-ids, as `list` shows them
    #[arg(value_name = "UNIQUE-ID", required_unless_present = "all")]
    uids: Vec<String>,
    /// All of the account
    #[arg(long, conflicts_with = "uids")]
    all: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let result = match &arguments.command {
        Command::List { account, json } => list(account.as_ref(), *json, config).map(|()| 0),
        Command::Retry(choice) => change(choice, Release::Retry, config),
        Command::Skip(choice) => change(choice, Release::Skip, config),
    };
    result.unwrap_or_else(|error| output::complain_code(None, &error))
}

fn list(account: Option<&Name>, json: bool, config: &Config) -> Result<(), StoreError> {
    let messages = Reader::open(&config.state_dir)?.quarantined(account)?;
    if json {
        output::print_json(&messages);
    } else if messages.is_empty() {
        output::say("The quarantine is empty.");
    } else {
        let cells = messages.into_iter().map(|message| {
            let reason = message.reason.unwrap_or_default();
            [local_time(message.since), message.account, message.uid, message.destination, reason]
        });
        output::print_table(["Since", "Account", "Unique-id", "Destination", "Reason"], cells);
    }
    Ok(())
}

fn change(choice: &Choice, what: Release, config: &Config) -> Result<u8, StoreError> {
    // A unique-id is given as it is shown, escaped; the state has the octets.
    let keys: Vec<Option<MessageKey>> = match choice.all {
        true => vec![None],
        false => Reader::open(&config.state_dir)?.quarantined_keys(&choice.account, &choice.uids)?,
    };
    let mut released = 0;
    for key in keys {
        released += release(&config.state_dir, &choice.account, key, what, unix_now())?;
    }
    let wanted = if choice.all { 0 } else { choice.uids.len() };
    if released < wanted {
        output::say("postrider: not all of the unique-ids are in quarantine; `postrider quarantine list` shows them");
    }
    let done = match what {
        Release::Retry => "will be tried again with the next poll",
        Release::Skip => "given up",
    };
    output::say(&format!("{} {done}.", output::count(released as u64, "message")));
    Ok(if released < wanted { super::USAGE } else { 0 })
}
