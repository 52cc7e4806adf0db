//! The accounts that a command line names.

use std::sync::Arc;

use super::output;
use crate::account::Account;
use crate::config::{Config, Whereabouts};
use crate::message::Name;
use crate::store::{Reader, StoreError};

/// A name from the command line, to be looked up in the state; an account that is no longer in the
/// configuration may still have a history.
pub(super) fn name_of(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| "not a possible name".to_owned())
}

/// The accounts that are named, or all that are enabled.
///
/// # Errors
/// A name is not an account.  It has been reported; the error is the exit code.
pub(super) fn choose<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a Arc<Account>>, u8> {
    if names.is_empty() {
        return Ok(config.accounts.iter().filter(|account| account.enabled).collect());
    }
    let find = |name: &String| {
        let found = config.accounts.iter().find(|account| account.name.as_str() == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
            let file = config.file.display();
            output::say(&format!("postrider: {file} has no account {name:?}.  {}", hint(name, &known)));
            super::USAGE
        })
    };
    names.iter().map(find).collect()
}

/// Whether the configuration or the state knows an account.  Reports it if neither does.  True if that cannot be
/// decided, because the configuration is broken and nothing is on record.
pub(super) fn is_known(name: Option<&Name>, reader: &Reader, places: &Whereabouts) -> Result<bool, StoreError> {
    let Some(name) = name else { return Ok(true) };
    let on_record = reader.accounts()?;
    let mut known: Vec<&str> = places.accounts().collect();
    known.extend(on_record.iter().map(String::as_str).filter(|name| !places.accounts().any(|known| known == *name)));
    if known.contains(&name.as_str()) || (known.is_empty() && places.broken().is_some()) {
        return Ok(true);
    }
    output::say(&format!("postrider: there is no account {:?}.  {}", name.as_str(), hint(name.as_str(), &known)));
    Ok(false)
}

/// Says that nothing is in the state, or that the state may be somewhere else; with `json` only the latter.
pub(super) fn say_nothing(nothing: &str, json: bool, reader: &Reader, places: &Whereabouts) {
    if places.is_guess && reader.is_absent() {
        output::say(&format!(
            "postrider: cannot tell where the state is: the configuration does not say, and there is none in {}",
            places.state_dir.display()
        ));
    } else if !json {
        output::say(nothing);
    }
}

/// Suggests an account that may have been meant.
pub(super) fn hint(name: &str, known: &[&str]) -> String {
    /// How similar a name must be to count as a misspelling.
    const ALIKE: f64 = 0.75;
    /// How many names are shown.
    const SHOWN: usize = 10;
    let likeness = |known: &&&str| strsim::jaro_winkler(known, name);
    match known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        None => "It has none at all.".to_owned(),
        Some(nearest) if likeness(&nearest) > ALIKE => format!("Did you mean {nearest:?}?"),
        Some(_) => {
            let more = if known.len() > SHOWN { ", ..." } else { "" };
            format!("It has: {}{more}.", known[..known.len().min(SHOWN)].join(", "))
        }
    }
}
