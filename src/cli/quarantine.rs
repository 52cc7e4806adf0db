//! `postrider quarantine`: messages that were refused permanently, and the operator's decisions about them.

use std::path::PathBuf;

use super::choice::Choice;
use super::columns;
use super::output::{self, local_time};
use crate::clock::unix_now;
use crate::config::{Config, Whereabouts};
use crate::message::{MessageKey, Name};
use crate::plan::Place;
use crate::store::{QuarantinedDelivery, Reader, Release, StoreError, release, set_aside};

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
        #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
        account: Option<Name>,
        /// Write it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is known about messages in quarantine
    Show {
        #[command(flatten)]
        choice: Choice,
        /// Write it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Retrieve messages as they are on the server, without delivering them
    Export {
        #[command(flatten)]
        choice: Choice,
        /// Write each into a file of its own in this folder; without it a single one goes to
        /// standard output
        #[arg(short, long, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
    /// Put messages into quarantine that are not delivered: they are not tried again
    Add {
        /// The account
        #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
        account: Name,
        /// Unique-ids, as `list` shows them
        #[arg(value_name = "UNIQUE-ID", required = true)]
        uids: Vec<String>,
    },
    /// Try messages again with the next poll
    Retry(Choice),
    /// Give messages up: they count as done, and follow the account's retention
    Skip(Choice),
}

impl Arguments {
    /// Whether the command connects to a server, and so needs all settings.
    pub(super) fn needs_configuration(&self) -> bool {
        matches!(self.command, Command::Export { .. })
    }
}

/// Runs a command that connects to a server.
pub(super) fn run_with(arguments: &Arguments, config: &Config) -> u8 {
    match &arguments.command {
        Command::Export { choice, output } => super::export::run(choice, output.as_deref(), config),
        _ => 0,
    }
}

pub(super) fn run(arguments: &Arguments, places: &Whereabouts) -> u8 {
    in_state(arguments, places).unwrap_or_else(|error| output::complain_code(None, &error))
}

fn in_state(arguments: &Arguments, places: &Whereabouts) -> Result<u8, StoreError> {
    let reader = Reader::open(&places.state_dir)?;
    let account = match &arguments.command {
        Command::List { account, .. } => account.as_ref(),
        Command::Show { choice, .. } | Command::Retry(choice) | Command::Skip(choice) => Some(&choice.account),
        Command::Add { account, .. } => Some(account),
        Command::Export { .. } => None,
    };
    if !super::accounts::is_known(account, &reader, places)? {
        return Ok(super::USAGE);
    }
    match &arguments.command {
        Command::List { account, json } => list(account.as_ref(), *json, &reader, places).map(|()| 0),
        Command::Show { choice, json } => show(choice, *json, &reader),
        Command::Add { account, uids } => add(account, uids, &reader, places),
        Command::Retry(choice) => change(choice, Release::Retry, &reader, places),
        Command::Skip(choice) => change(choice, Release::Skip, &reader, places),
        Command::Export { .. } => Ok(0),
    }
}

fn list(account: Option<&Name>, json: bool, reader: &Reader, places: &Whereabouts) -> Result<(), StoreError> {
    let messages = reader.quarantined(account)?;
    if messages.is_empty() {
        super::accounts::say_nothing("The quarantine is empty.", json, reader, places);
    }
    if json {
        output::print_json(&messages);
    } else if !messages.is_empty() {
        let cells = messages.into_iter().map(|message| {
            let reason = message.reason.unwrap_or_default();
            let [from, subject] = columns::heading(&message.heading);
            [local_time(message.since), message.account, message.uid, from, subject, message.destination, reason]
        });
        output::print_table(["Since", "Account", "Unique-id", "From", "Subject", "Destination", "Reason"], cells);
    }
    Ok(())
}

fn show(choice: &Choice, json: bool, reader: &Reader) -> Result<u8, StoreError> {
    let keys = reader.quarantined_keys(&choice.account, &choice.uids)?;
    let mut deliveries = Vec::new();
    for key in &keys {
        deliveries.extend(reader.quarantined_deliveries(&choice.account, key)?);
    }
    if json {
        output::print_json(&deliveries);
    } else {
        deliveries.iter().for_each(show_one);
    }
    Ok(choice.check(keys.len()))
}

fn show_one(delivery: &QuarantinedDelivery) {
    let QuarantinedDelivery { event, first_seen, attempts, crashes, digest } = delivery;
    let line = |what: &str, value: &str| output::print(&format!("{:<14}{value}", format!("{what}:")));
    line("Account", &event.account);
    line("Unique-id", &event.uid);
    if event.occurrence > 0 {
        line("Copy", &(event.occurrence + 1).to_string());
    }
    line("Message-ID", event.message_id.as_deref().unwrap_or("-"));
    line("From", event.heading.from.as_deref().unwrap_or("-"));
    line("Subject", event.heading.subject.as_deref().unwrap_or("-"));
    line("Date", &event.heading.date.map_or_else(|| "-".into(), local_time));
    line("Size", &event.octets.map_or_else(|| "-".into(), output::size));
    line("BLAKE3", digest.as_deref().unwrap_or("-"));
    line("First seen", &local_time(*first_seen));
    line("Destination", &format!("{} ({})", event.destination, event.location));
    line("State", &format!("{} since {}", event.state, local_time(event.at)));
    line("Attempts", &attempts.to_string());
    if *crashes > 0 {
        line("Crashes", &crashes.to_string());
    }
    line("Reason", event.detail.as_deref().unwrap_or("-"));
    output::print("");
}

fn add(account: &Name, uids: &[String], reader: &Reader, places: &Whereabouts) -> Result<u8, StoreError> {
    let keys = reader.retried_keys(account, uids)?;
    let destinations = destinations_of(account, &reader.instance()?, places);
    let mut added = 0;
    for key in &keys {
        added += usize::from(set_aside(&places.state_dir, account, key, &destinations, unix_now())?);
    }
    output::say(&format!("{} put into quarantine.", output::count(added as u64, "message")));
    if added < uids.len() {
        output::say(
            "postrider: the others are not known as messages that could not be delivered; `postrider history` shows what \
             became of them",
        );
        return Ok(super::USAGE);
    }
    Ok(0)
}

/// Where the account's mail goes, by the configuration.
fn destinations_of(account: &Name, instance: &str, places: &Whereabouts) -> Vec<Place> {
    let Ok(config) = &places.config else { return Vec::new() };
    let deliver = config.accounts.iter().find(|one| one.name == *account).map_or(&[][..], |one| &one.deliver);
    let destinations = config.destinations.iter().filter(|one| deliver.contains(&one.name));
    destinations.map(|destination| destination.place(instance)).collect()
}

fn change(choice: &Choice, what: Release, reader: &Reader, places: &Whereabouts) -> Result<u8, StoreError> {
    // A unique-id is given as it is shown, escaped; the state has the octets.
    let keys: Vec<Option<MessageKey>> = if choice.all {
        vec![None]
    } else {
        let keys = reader.quarantined_keys(&choice.account, &choice.uids)?;
        keys.into_iter().map(Some).collect()
    };
    let mut released = 0;
    for key in keys {
        released += release(&places.state_dir, &choice.account, key, what, unix_now())?;
    }
    let code = choice.check(released);
    let done = match what {
        Release::Retry => "will be tried again with the next poll",
        Release::Skip => "given up",
    };
    output::say(&format!("{} {done}.", output::count(released as u64, "message")));
    Ok(code)
}
