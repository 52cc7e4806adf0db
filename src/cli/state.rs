//! `postrider state`: checks, rebuilds or exports the state, or gives an account another name in it.

mod rename;

use std::collections::BTreeSet;

use super::output::{self, count};
use crate::clock::unix_now;
use crate::config::{Config, Whereabouts};
use crate::engine::scope;
use crate::failure::Class;
use crate::filesystem::owner;
use crate::message::Name;
use crate::rebuild;
use crate::store::{Lost, Reader, Store, StoreError, check_origins, decide};

/// Arguments of `state`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Read the whole state and say whether it is in order
    Check,
    /// Rebuild the state from what can be read of it and from the Maildirs
    Rebuild(Decisions),
    /// Give an account another name, with all that is known of its mail
    Rename(rename::Names),
    /// Write everything that is on record, one JSON object a line
    Export,
}

/// The operator's decisions about accounts whose state was lost.
#[derive(Debug, clap::Args)]
struct Decisions {
    /// Treat mail that is on this account's server now as delivered before, or not wanted
    #[arg(long, value_name = "ACCOUNT", value_parser = super::accounts::name_of)]
    seen: Vec<Name>,
    /// Fetch mail that is on this account's server and in none of its Maildirs
    #[arg(long, value_name = "ACCOUNT", value_parser = super::accounts::name_of)]
    fetch_again: Vec<Name>,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let result = match &arguments.command {
        Command::Check => check(config),
        Command::Rebuild(Decisions { seen, fetch_again }) if seen.is_empty() && fetch_again.is_empty() => {
            super::runtime::block_on(again(config))
        }
        Command::Rebuild(decisions) => super::runtime::block_on(decide_all(decisions, config)),
        Command::Rename(names) => super::runtime::block_on(rename(names, config)),
        Command::Export => return export(config),
    };
    result.unwrap_or_else(|error| output::complain_code(None, &error))
}

fn check(config: &Config) -> Result<u8, StoreError> {
    let Some(inspection) = Reader::open(&config.state_dir)?.inspect()? else {
        output::print("ok: there is no state yet");
        return Ok(0);
    };
    let mut faults = inspection.faults;
    faults.extend(check_origins(&config.state_dir).err().map(|error| error.to_string()));
    let maildirs: BTreeSet<_> = inspection.staged.iter().map(|delivery| &delivery.maildir).collect();
    for maildir in maildirs {
        let tmp = maildir.join("tmp");
        let fault = match tmp.metadata() {
            Ok(metadata) if metadata.is_dir() => continue,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                format!("cannot be examined: {}", owner::explained(&tmp, &error))
            }
            _ => "is not there".to_owned(),
        };
        let open = inspection.staged.iter().filter(|delivery| delivery.maildir == *maildir).count();
        faults.push(format!(
            "Maildir {} {fault}; {} cannot be finished before it can be read",
            maildir.display(),
            deliveries(open as u64)
        ));
    }
    for (account, lost) in inspection.lost {
        let what = match lost {
            Lost::Seen => "what is on the server will count as delivered",
            Lost::FetchAgain => "what is in no Maildir will be fetched",
            _ => "what is in its Maildirs will count as delivered",
        };
        output::say(&format!("note: account {account}: its state was lost; with its next poll {what}"));
    }
    for fault in &faults {
        output::print(fault);
    }
    if !faults.is_empty() {
        return Ok(Class::LocalIo.exit_code());
    }
    let (accounts, messages) = (count(inspection.accounts, "account"), count(inspection.messages, "message"));
    output::print(&format!("ok: {accounts}, {messages}, {}", deliveries(inspection.deliveries)));
    Ok(0)
}

fn deliveries(number: u64) -> String {
    match number {
        1 => "1 delivery".to_owned(),
        many => format!("{many} deliveries"),
    }
}

async fn again(config: &Config) -> Result<u8, StoreError> {
    let (store, report) = rebuild::again(&config.state_dir, &scope(config))?;
    store.close().await?;
    output::say(&format!("postrider: {report}"));
    // Accounts that deliver to a Maildir that cannot be read wait for it.
    let is_whole = report.scanned.iter().all(|scanned| scanned.files.is_ok());
    Ok(if is_whole { 0 } else { Class::LocalIo.exit_code() })
}

async fn decide_all(decisions: &Decisions, config: &Config) -> Result<u8, StoreError> {
    match open(config).await {
        Ok(store) => store.close().await?,
        // The service has opened, and if necessary rebuilt, the database; a decision can be written beside it.
        Err(StoreError::Locked { .. }) => {}
        Err(error) => return Err(error),
    }
    let seen = decisions.seen.iter().map(|name| (name, Lost::Seen));
    let again = decisions.fetch_again.iter().map(|name| (name, Lost::FetchAgain));
    let places = Whereabouts::from(config.clone());
    let mut code = 0;
    for (account, decision) in seen.chain(again) {
        if !decide(&config.state_dir, account, decision)? {
            if super::accounts::is_known(Some(account), &Reader::open(&config.state_dir)?, &places)? {
                let nothing = "is not lost: there is nothing to decide";
                output::say(&format!("postrider: the state of account {account} {nothing}"));
            }
            code = super::USAGE;
        }
    }
    Ok(code)
}

async fn rename(names: &rename::Names, config: &Config) -> Result<u8, StoreError> {
    let store = open(config).await.inspect_err(|error| {
        if matches!(error, StoreError::Locked { .. }) {
            rename::explain_lock();
        }
    })?;
    let renamed = rename::rename(names, config, &store).await;
    store.close().await?;
    renamed
}

/// Opens the state; one that is missing or damaged is rebuilt before anything is decided about it.
async fn open(config: &Config) -> Result<Store, StoreError> {
    let (store, report) = rebuild::open(&config.state_dir, &scope(config), unix_now()).await?;
    if let Some(report) = report {
        output::say(&format!("postrider: {report}"));
    }
    Ok(store)
}

fn export(config: &Config) -> u8 {
    let each = |record: &_| match serde_json::to_string(record) {
        Ok(line) => output::print_as_it_is(&line),
        Err(_) => true,
    };
    match Reader::open(&config.state_dir).and_then(|reader| reader.export(each)) {
        Ok(()) => 0,
        Err(error) => output::complain_code(None, &error),
    }
}
