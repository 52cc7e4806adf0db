//! `postrider state rename`: another name for an account, with all that is known of it.

use super::super::{USAGE, accounts, completions, output};
use crate::account::Account;
use crate::attempt;
use crate::clock::unix_now;
use crate::config::{Config, Whereabouts};
use crate::failure::{Failure, describe};
use crate::message::Name;
use crate::oauth::Vault;
use crate::poll;
use crate::store::{Change, Holding, Reader, Store, StoreError};

/// The names of an account.
#[derive(Debug, clap::Args)]
pub(super) struct Names {
    /// Its name in the state
    #[arg(value_name = "OLD", value_parser = accounts::name_of)]
    old: Name,
    /// Its name from now on
    #[arg(value_name = "NEW", value_parser = accounts::name_of, add = completions::accounts())]
    new: Name,
}

/// Says that a service makes a renaming by itself.
pub(super) fn explain_lock() {
    output::say(
        "postrider: a running service needs no `state rename`: it takes over what is known of an account when the \
         account is renamed in the configuration",
    );
}

/// Renames an account in an open state.  Returns the exit code.
pub(super) async fn rename(names: &Names, config: &Config, store: &Store) -> Result<u8, StoreError> {
    let Names { old, new } = names;
    let reader = Reader::open(&config.state_dir)?;
    let (held, there) = (reader.holding(old)?, reader.holding(new)?);
    let stands_for_files = held.is_none() && there.as_ref().is_some_and(|there| there.is_blank && there.is_lost);
    if !stands_for_files {
        let Some(held) = &held else {
            if accounts::is_known(Some(old), &reader, &Whereabouts::from(config.clone()))? {
                output::say(&format!("postrider: nothing is known of account {old}: there is nothing to rename"));
            }
            return Ok(USAGE);
        };
        if let Some(refusal) = refusal(names, config, held, there.as_ref()) {
            output::say(&format!("postrider: {refusal}"));
            return Ok(USAGE);
        }
    }
    let takes_sign_in = match Vault::new(&config.state_dir, old).hand_to(new).await {
        Ok(takes_sign_in) => takes_sign_in,
        Err(error) => {
            output::say(&format!("postrider: nothing was renamed: {}", describe(&error)));
            return Ok(error.class().exit_code());
        }
    };
    attempt::rename(&config.state_dir, old, new);
    store.apply(vec![Change::RenameAccount { from: old.clone(), to: new.clone() }], unix_now()).await?;
    match held {
        None => {
            output::print(&format!("files that were delivered to {old} count as those of {new} at its next poll"));
        }
        Some(held) => {
            let messages = output::count(held.messages, "message");
            let sign_in = if takes_sign_in { ", and its sign-in" } else { "" };
            output::print(&format!("account {old} is called {new} now, with {messages} on record{sign_in}"));
            if let Some(note) = note(names, config, &held) {
                output::say(&format!("note: {note}"));
            }
        }
    }
    Ok(0)
}

/// The account of a name in the configuration.
fn configured<'a>(name: &Name, config: &'a Config) -> Option<&'a Account> {
    config.accounts.iter().map(AsRef::as_ref).find(|account| account.name == *name)
}

/// Why an account cannot be renamed.
fn refusal(Names { old, new }: &Names, config: &Config, held: &Holding, there: Option<&Holding>) -> Option<String> {
    let file = config.file.display();
    if old == new {
        return Some(format!("account {old} has that name"));
    }
    // One that leads elsewhere now is another account, and only its name is the same.
    let is_the_same = |account: &Account| held.mailbox.as_ref().is_none_or(|held| *held == poll::mailbox(account));
    if configured(old, config).is_some_and(is_the_same) {
        return Some(format!("{file} still has account {old}, with the same mailbox: rename it there first"));
    }
    let there = there.filter(|there| !there.is_blank)?;
    Some(format!(
        "{} of account {new} on record already, and two accounts are not made one: give {old} another name",
        match there.messages {
            1 => "1 message is".to_owned(),
            many => format!("{many} messages are"),
        }
    ))
}

/// What is to be done, or will happen, after a renaming.
fn note(Names { old, new }: &Names, config: &Config, held: &Holding) -> Option<String> {
    let file = config.file.display();
    match configured(new, config) {
        None => Some(format!("{file} has no account {new} yet: give it that name there before its next poll")),
        Some(account) if held.mailbox.as_ref().is_some_and(|held| *held != poll::mailbox(account)) => Some(format!(
            "in {file}, account {new} has another host, port, username or route than {old} had: its next poll compares \
             its mail with what is known"
        )),
        Some(_) => None,
    }
}
