//! Rules between accounts and destinations, and the files that they name.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use toml::de::DeValue;

use super::context::Context;
use super::named::Placed;
use super::nearest::did_you_mean;
use super::oauth::Providers;
use super::problems::Problems;
use super::table::{At, Entry, Table};
use crate::account::Account;
use crate::deliver::Destination;
use crate::filesystem::Folder;
use crate::net::{NetError, TlsMode, Trust};

/// Applies every rule.
pub(super) fn run(
    problems: &mut Problems<'_>,
    accounts: &[Placed<'_, Account>],
    destinations: &[Placed<'_, Destination>],
    defaults: Option<Table<'_>>,
    context: &Context<'_>,
) {
    let used = check_deliver(problems, accounts, destinations, defaults);
    for unused in destinations.iter().filter(|placed| !used.contains(placed.name.as_str())) {
        problems.warning(&unused.name_at, format!("no account delivers to `{}`", unused.name));
    }
    refuse_shared_maildirs(problems, destinations, context.folders_of);
    warn_of_twins(problems, accounts);
    warn_of_clear_text(problems, accounts, defaults);
    let of_accounts = accounts.iter().filter_map(|placed| {
        let account = placed.value.as_ref()?;
        Some((&account.endpoint.trust, [Some(placed.table), defaults], &placed.name_at))
    });
    let of_destinations = destinations.iter().filter_map(|placed| {
        let endpoint = placed.value.as_ref()?.endpoint()?;
        Some((&endpoint.trust, [Some(placed.table), None], &placed.name_at))
    });
    let mut checked = HashSet::new();
    for (trust, tables, at) in of_accounts.chain(of_destinations) {
        // Ten thousand accounts may share one file, which is read once.
        if checked.insert((&trust.ca_file, &trust.client_certificate)) {
            check_trust(problems, trust, tables, at, context.check_files);
        }
    }
}

/// The rules for providers: each is used, and the file with its authorities can be read.
pub(super) fn providers(
    problems: &mut Problems<'_>,
    (providers, places): &(Providers, Vec<Placed<'_, ()>>),
    check_files: &dyn Fn(&Trust) -> Result<(), NetError>,
) {
    let used = providers.used.borrow();
    for Placed { name, name_at, table, .. } in places {
        if !used.contains(name.as_str()) {
            problems.warning(name_at, format!("no account signs in at `{name}` (oauth = \"{name}\")"));
        }
        let provider = providers.known.get(name.as_str()).and_then(Option::as_ref);
        if let Some(ca_file) = provider.and_then(|provider| provider.ca_file.clone()) {
            let trust = Trust { ca_file: Some(ca_file), ..Trust::default() };
            check_trust(problems, &trust, [Some(*table), None], name_at, check_files);
        }
    }
}

/// Checks that every name in `deliver` is a destination.  Returns the names that are used.
fn check_deliver<'t>(
    problems: &mut Problems<'_>,
    accounts: &[Placed<'t, Account>],
    destinations: &[Placed<'t, Destination>],
    defaults: Option<Table<'t>>,
) -> HashSet<&'t str> {
    let names: Vec<&str> = destinations.iter().map(|placed| placed.name.as_str()).collect();
    let known: HashSet<&str> = names.iter().copied().collect();
    let mut used = HashSet::new();
    let inherited = defaults.and_then(|table| table.entry("deliver"));
    for account in accounts {
        match account.table.entry("deliver").or(inherited) {
            Some(entry) => used.extend(strings(&entry).into_iter().map(|(name, _)| name)),
            None => problems.absence(&account.name_at, without_deliver(account.name.as_str(), &names)),
        }
    }
    // An inherited `deliver` is checked once.
    let own = accounts.iter().filter_map(|account| account.table.entry("deliver"));
    for (name, at) in own.chain(inherited).flat_map(|entry| strings(&entry)) {
        // Ten thousand names are not compared with ten thousand others for problems that are not shown.
        if !known.contains(name) {
            let shown = problems.echo(&at, name, "NAME");
            let hint = match names.is_empty() {
                true => format!("; write a table [destinations.{}]", shown.trim_matches('`')),
                false if problems.are_many() => String::new(),
                false => did_you_mean(name, &names),
            };
            problems.nowhere(Some(&at), format!("there is no destination {shown}{hint}"));
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

fn strings<'t>(entry: &Entry<'t>) -> Vec<(&'t str, At)> {
    match entry.value() {
        DeValue::String(text) => vec![(text.as_ref(), entry.at())],
        _ => {
            let items = entry.items().unwrap_or_default().into_iter();
            items.filter_map(|(item, at)| Some((item.as_str()?, at))).collect()
        }
    }
}

/// Two destinations in one folder would not know about each other's messages.
fn refuse_shared_maildirs(
    problems: &mut Problems<'_>,
    destinations: &[Placed<'_, Destination>],
    folders_of: &dyn Fn(&[&Path]) -> Vec<Folder>,
) {
    let maildirs = destinations.iter().filter_map(|placed| Some((placed, placed.value.as_ref()?.writes_to()?)));
    let maildirs: Vec<_> = maildirs.collect();
    let paths: Vec<&Path> = maildirs.iter().map(|(_, path)| *path).collect();
    let mut folders: HashMap<Folder, &str> = HashMap::new();
    for ((placed, _), folder) in maildirs.into_iter().zip(folders_of(&paths)) {
        match folders.get(&folder) {
            Some(first) => {
                let at = placed.table.entry("path").map_or(placed.name_at.clone(), |entry| entry.at());
                let message = format!("`{}` and `{first}` are the same folder; one destination is enough", placed.name);
                problems.error(&at, message);
            }
            None => {
                folders.insert(folder, placed.name.as_str());
            }
        }
    }
}

/// Warns of two accounts for one mailbox, which fetch everything twice.
fn warn_of_twins(problems: &mut Problems<'_>, accounts: &[Placed<'_, Account>]) {
    let mut mailboxes = HashMap::new();
    for placed in accounts {
        let Some(account) = &placed.value else { continue };
        let endpoint = &account.endpoint;
        // By another route, the same name may be another server.
        let mailbox = (endpoint.host.to_lowercase(), endpoint.port, &endpoint.route, &account.username);
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

fn warn_of_clear_text(problems: &mut Problems<'_>, accounts: &[Placed<'_, Account>], defaults: Option<Table<'_>>) {
    for placed in accounts {
        let Some(account) = &placed.value else { continue };
        if account.endpoint.tls == TlsMode::None && !account.endpoint.is_private() {
            let clear = "with tls = \"none\" the password and the mail can be read on the way";
            let inherited = defaults.and_then(|table| table.entry("tls"));
            match (placed.table.entry("tls"), inherited) {
                (None, Some(tls)) => problems.warning(&tls.at(), format!("[defaults]: {clear}")),
                (own, _) => {
                    let at = own.map_or(placed.name_at.clone(), |entry| entry.at());
                    problems.warning(&at, format!("account `{}`: {clear}", placed.name));
                }
            }
        }
    }
}

fn check_trust(
    problems: &mut Problems<'_>,
    trust: &Trust,
    tables: [Option<Table<'_>>; 2],
    otherwise: &At,
    check_files: &dyn Fn(&Trust) -> Result<(), NetError>,
) {
    if trust.ca_file.is_none() && trust.client_certificate.is_none() {
        return;
    }
    let Err(error) = check_files(trust) else { return };
    let place = |name: &str| tables.iter().flatten().find_map(|table| Some(table.entry(name)?.at()));
    // The key is found by the file that the error names.
    let name = match (&error, &trust.client_certificate) {
        (NetError::File { path, .. }, Some((certificate, _))) if path == certificate => "tls-client-cert",
        (NetError::File { path, .. }, Some((_, key))) if path == key => "tls-client-key",
        _ => "tls-ca",
    };
    let at = place(name).unwrap_or_else(|| otherwise.clone());
    problems.error(&at, format!("`{name}`: {error}"));
}
