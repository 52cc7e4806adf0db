//! The named tables `[accounts.NAME]`, `[destinations.NAME]` and `[oauth.NAME]` of all files: each
//! name once.

use std::collections::HashMap;

use super::keys;
use super::problems::Problems;
use super::table::{At, Entry, Table};
use crate::message::Name;

/// A group of named tables.
#[derive(Clone, Copy)]
pub(super) struct Group {
    /// The key of the table that holds them.
    pub(super) key: &'static str,
    /// What one of them is called.
    pub(super) kind: &'static str,
    /// Whether there must be at least one.
    needed: bool,
}

/// `[accounts.NAME]`.
pub(super) const ACCOUNTS: Group = Group { key: "accounts", kind: "account", needed: true };
/// `[destinations.NAME]`.
pub(super) const DESTINATIONS: Group = Group { key: "destinations", kind: "destination", needed: true };
/// `[oauth.NAME]`.
pub(super) const PROVIDERS: Group = Group { key: "oauth", kind: "provider", needed: false };

/// An account or destination with the places that the checks between several tables need.
pub(super) struct Placed<'t, T> {
    pub(super) name: Name,
    pub(super) name_at: At,
    pub(super) table: Table<'t>,
    /// `None` if it is not usable, which has been reported.
    pub(super) value: Option<T>,
}

/// A table with its name.
pub(super) struct Named<'t> {
    pub(super) name: Name,
    pub(super) name_at: At,
    pub(super) table: Table<'t>,
    /// Whether an earlier table has the name, which has been reported.
    pub(super) again: bool,
}

/// The tables of a group, in the order of the files.
pub(super) fn tables<'t>(problems: &mut Problems<'_>, roots: &[Table<'t>], group: Group) -> Vec<Named<'t>> {
    let groups: Vec<Entry<'t>> = roots.iter().filter_map(|root| root.entry(group.key)).collect();
    let mut entries = Vec::new();
    for entry in &groups {
        match entry.table() {
            Some(table) => entries.extend(table.entries()),
            None => problems.error(&entry.key_at(), format!("`{0}` must hold tables: [{0}.NAME]", group.key)),
        }
    }
    if group.needed && entries.is_empty() && groups.iter().all(|entry| entry.table().is_some()) {
        let at = groups.first().map(Entry::key_at);
        problems.nowhere(at.as_ref(), format!("there is no {}: write a table [{}.NAME]", group.kind, group.key));
    }
    let mut first: HashMap<Name, At> = HashMap::new();
    let named = entries.into_iter().filter_map(|entry| {
        let (name, table) = named(problems, entry, group)?;
        let name_at = entry.key_at();
        let again = first.get(&name);
        if let Some(other) = again {
            let message = format!("{} `{name}` is already defined at {}", group.kind, problems.place(other));
            problems.error(&name_at, message);
        }
        let again = again.is_some();
        if !again {
            first.insert(name.clone(), name_at.clone());
        }
        Some(Named { name, name_at, table, again })
    });
    named.collect()
}

fn named<'t>(problems: &mut Problems<'_>, entry: Entry<'t>, group: Group) -> Option<(Name, Table<'t>)> {
    let at = entry.key_at();
    let Some(table) = entry.table() else {
        let shown = problems.echo(&at, entry.name(), "this key");
        let message = if keys::is_known(entry.name()) {
            format!("{shown} belongs in a table [{}.NAME]", group.key)
        } else {
            format!("{shown} must be a table: [{}.NAME]", group.key)
        };
        problems.unknown_key(&at, message, false);
        return None;
    };
    let name = Name::new(entry.name());
    if name.is_none() {
        let shown = problems.echo(&at, entry.name(), "this key");
        let message = format!(
            "{shown} cannot be the name of the {}: a name has 1 to 64 letters, digits or . _ @ + - and begins with \
             neither . nor -",
            group.kind
        );
        problems.error(&at, message);
    }
    Some((name?, table))
}
