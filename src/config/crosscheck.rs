//! Rules between accounts and destinations, and the files that they name.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::nearest::did_you_mean;
use super::parse::Placed;
use super::problems::Problems;
use crate::deliver::{Destination, Kind};
use crate::net::{NetError, TlsMode, Trust};
use crate::poll::Account;

/// Applies every rule.
pub(super) fn run(
    problems: &mut Problems<'_>,
    accounts: &[Placed<'_, Account>],
    destinations: &[Placed<'_, Destination>],
    defaults: Option<&DeTable<'_>>,
    check_files: &dyn Fn(&Trust) -> Result<(), NetError>,
) {
    let used = check_deliver(problems, accounts, destinations, defaults);
    for unused in destinations.iter().filter(|placed| !used.contains(placed.name.as_str())) {
        problems.warning(&unused.name_at, format!("no account delivers to `{}`", unused.name));
    }
    refuse_shared_maildirs(problems, destinations);
    warn_of_twins(problems, accounts);
    warn_of_clear_text(problems, accounts, defaults);
    let of_accounts = accounts.iter().filter_map(|placed| {
        let account = placed.value.as_ref()?;
        Some((&account.endpoint.trust, [Some(placed.table), defaults], &placed.name_at))
    });
    let of_destinations = destinations.iter().filter_map(|placed| match &placed.value.as_ref()?.kind {
        Kind::Smtp(settings) => Some((&settings.endpoint.trust, [Some(placed.table), None], &placed.name_at)),
        Kind::Maildir(_) => None,
    });
    let mut checked = HashSet::new();
    for (trust, tables, at) in of_accounts.chain(of_destinations) {
        // Ten thousand accounts share one file: it is read once.
        if checked.insert((&trust.ca_file, &trust.client_certificate)) {
            check_trust(problems, trust, tables, at, check_files);
        }
    }
}

/// Every name in `deliver` is a destination.  The names that are used.
fn check_deliver<'t>(
    problems: &mut Problems<'_>,
    accounts: &[Placed<'t, Account>],
    destinations: &[Placed<'t, Destination>],
    defaults: Option<&'t DeTable<'t>>,
) -> HashSet<&'t str> {
    let names: Vec<&str> = destinations.iter().map(|placed| placed.name.as_str()).collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    let mut used = HashSet::new();
    let tables = accounts.iter().map(|placed| (placed.table, Some(placed)));
    for (table, account) in tables.chain(defaults.map(|table| (table, None))) {
        let inherited = account.and(defaults);
        let value = table.get("deliver").or_else(|| inherited?.get("deliver"));
        let Some(value) = value else {
            if let Some(account) = account {
                problems.absence(Some(&account.name_at), without_deliver(account.name.as_str(), &names));
            }
            continue;
        };
        for (name, at) in strings(value) {
            if account.is_some() {
                used.insert(name);
            }
            if !known.contains(name) {
                let shown = problems.echo(&at, name, "this one");
                let hint = match names.is_empty() {
                    true => format!("; write a table [destinations.{}]", shown.trim_matches('`')),
                    false => did_you_mean(name, &names),
                };
                problems.absence(Some(&at), format!("there is no destination {shown}{hint}"));
            }
        }
    }
    used
}

fn without_deliver(account: &str, names: &[&str]) -> String {
    match names {
        [only] => format!("account `{account}` needs `deliver`: write deliver = \"{only}\""),
        _ => format!("account `{account}` needs `deliver`: the name of a destination"),
    }
}

fn strings<'t>(value: &'t Spanned<DeValue<'t>>) -> Vec<(&'t str, Range<usize>)> {
    match value.get_ref() {
        DeValue::String(text) => vec![(text.as_ref(), value.span())],
        DeValue::Array(items) => {
            items.iter().filter_map(|item| Some((item.get_ref().as_str()?, item.span()))).collect()
        }
        _ => Vec::new(),
    }
}

/// Two destinations in one folder would not know of each other's messages.
fn refuse_shared_maildirs(problems: &mut Problems<'_>, destinations: &[Placed<'_, Destination>]) {
    let mut folders: HashMap<&Path, &str> = HashMap::new();
    for placed in destinations {
        let Some(Destination { kind: Kind::Maildir(settings), .. }) = &placed.value else { continue };
        match folders.get(settings.path.as_path()) {
            Some(first) => {
                let at = placed.table.get("path").map_or(placed.name_at.clone(), Spanned::span);
                let message = format!("`{}` and `{first}` are the same folder; one destination is enough", placed.name);
                problems.error(&at, message);
            }
            None => {
                folders.insert(&settings.path, placed.name.as_str());
            }
        }
    }
}

/// Two accounts for one mailbox fetch everything twice.
fn warn_of_twins(problems: &mut Problems<'_>, accounts: &[Placed<'_, Account>]) {
    let mut mailboxes = HashMap::new();
    for placed in accounts {
        let Some(account) = &placed.value else { continue };
        let mailbox = (account.endpoint.host.to_lowercase(), account.endpoint.port, &account.username);
        match mailboxes.get(&mailbox) {
            Some(first) => {
                let message = format!("`{}` and `{first}` are the same mailbox, which is fetched twice", placed.name);
                problems.warning(&placed.name_at, message);
            }
            None => {
                mailboxes.insert(mailbox, &placed.name);
            }
        }
    }
}

fn warn_of_clear_text(problems: &mut Problems<'_>, accounts: &[Placed<'_, Account>], defaults: Option<&DeTable<'_>>) {
    for placed in accounts {
        let Some(account) = &placed.value else { continue };
        if account.endpoint.tls == TlsMode::None && !account.endpoint.is_loopback() {
            let clear = "with tls = \"none\" the password and the mail can be read on the way";
            let inherited = defaults.and_then(|table| table.get("tls"));
            match (placed.table.get("tls"), inherited) {
                (None, Some(tls)) => problems.warning(&tls.span(), format!("[defaults]: {clear}")),
                (own, _) => {
                    let at = own.map_or(placed.name_at.clone(), Spanned::span);
                    problems.warning(&at, format!("account `{}`: {clear}", placed.name));
                }
            }
        }
    }
}

fn check_trust(
    problems: &mut Problems<'_>,
    trust: &Trust,
    tables: [Option<&DeTable<'_>>; 2],
    otherwise: &Range<usize>,
    check_files: &dyn Fn(&Trust) -> Result<(), NetError>,
) {
    if trust.ca_file.is_none() && trust.client_certificate.is_none() {
        return;
    }
    let Err(error) = check_files(trust) else { return };
    let place = |name: &str| tables.iter().flatten().find_map(|table| Some(table.get(name)?.span()));
    // The error names a file, and that is how its key is found.
    let name = match (&error, &trust.client_certificate) {
        (NetError::File { path, .. }, Some((certificate, _))) if path == certificate => "tls-client-cert",
        (NetError::File { path, .. }, Some((_, key))) if path == key => "tls-client-key",
        _ => "tls-ca",
    };
    let at = place(name).unwrap_or_else(|| otherwise.clone());
    problems.error(&at, format!("`{name}`: {error}"));
}
