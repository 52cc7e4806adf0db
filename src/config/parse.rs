//! Turns the texts of configuration files into a [`Config`], or into everything that is wrong with
//! them.
//!
//! The process and the file system are only seen through [`Context`], so that every rule can be
//! tested without them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use tracing::Level;

use super::context::Context;
use super::files::FOLDER;
use super::keys::Section;
use super::named::{self, Named, Placed};
use super::oauth::{self, Providers};
use super::paths::{self, Paths};
use super::problem::{ConfigError, Weight};
use super::problems::Problems;
use super::reader::Reader;
use super::table::{At, MAIN, Table};
use super::{Config, account, crosscheck, defaults, destination};
use crate::account::Account;
use crate::deliver::Destination;
use crate::filesystem::owner;
use crate::message::Name;

/// The words of `log-level`.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// One file of the configuration.
pub(super) struct File<'t> {
    /// The path as it is named in messages.
    pub(super) shown: PathBuf,
    /// The same, absolute.
    pub(super) path: PathBuf,
    /// Its content, or why it cannot be read.
    pub(super) text: Result<&'t str, String>,
    pub(super) access: Access,
}

/// Who owns a file, and who may read it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Access {
    /// The permission bits.
    pub(super) mode: u32,
    /// The user that owns it.
    pub(super) owner: u32,
}

/// Reads a configuration: the main file, and those that are read together with it.
pub(super) fn parse(main: &File<'_>, more: &[File<'_>], context: &Context<'_>) -> Result<Config, ConfigError> {
    let mut problems = Problems::default();
    let files = || std::iter::once(main).chain(more);
    let roots: Vec<_> = files().map(|file| open(&mut problems, file)).collect();
    let roots: Vec<_> = roots.iter().enumerate().map(|(n, root)| Table::new(n, root.get_ref())).collect();
    for (n, file) in files().enumerate() {
        refuse_readable_by_others(&mut problems, n, file.access);
    }
    let settings = read(&mut problems, &roots, context);
    let failed = problems.any_error();
    let list = problems.into_list();
    match settings {
        Some(config) if !failed => {
            let warnings = list.iter().filter(|problem| problem.weight == Weight::Warning);
            let warnings = warnings.map(super::Problem::on_one_line).collect();
            let files = files().map(|file| file.path.clone()).collect();
            Ok(Config { file: main.shown.clone(), files, warnings, ..config })
        }
        _ => Err(ConfigError::new(&main.shown, list)),
    }
}

fn open<'t>(problems: &mut Problems<'t>, file: &File<'t>) -> Spanned<DeTable<'t>> {
    match &file.text {
        Ok(text) => {
            let (root, errors) = DeTable::parse_recoverable(text);
            problems.file(&file.shown, text, root.get_ref(), &errors);
            root
        }
        Err(message) => {
            problems.unreadable_file(&file.shown, message);
            Spanned::new(0..0, DeTable::new())
        }
    }
}

/// Refuses a file with a password that others may read.
fn refuse_readable_by_others(problems: &mut Problems<'_>, file: usize, access: Access) {
    let Access { mode, owner } = access;
    if let (Some(at), true) = (problems.first_password(file), owner::is_open_to_others(mode, owner)) {
        let path = problems.path(file);
        let mut message =
            format!("the file holds a password, but is open to others (mode {:04o}): chmod 600 {path}", mode & 0o7777);
        if owner == 0 && path.starts_with("/etc/") {
            // With 600 the system's service could not read it.
            let _ = write!(message, ", or for the system's service: chgrp postrider {path}; chmod 640 {path}");
        }
        problems.error(&at, message);
    }
}

fn read(problems: &mut Problems<'_>, roots: &[Table<'_>], context: &Context<'_>) -> Option<Config> {
    let paths = Paths::new(context.folder, context.environment);
    let file = context.folder.join(problems.name(MAIN));
    let (main, more) = roots.split_first()?;
    for root in more {
        top(problems, &paths, *root).refuse_unknown();
    }
    let mut top = top(problems, &paths, *main);
    top.refuse_unknown();
    let concurrent = top.integer("max-concurrent-polls", 1..=10_000).and_then(|n| usize::try_from(n).ok());
    let per_host = top.integer("max-polls-per-host", 1..=1000).and_then(|n| usize::try_from(n).ok());
    let record_headers = top.boolean("record-headers");
    let log_level = top.word("log-level", &LEVELS);
    let state_dir = top.path("state-dir").or_else(|| paths::default_state_dir(&file, context.environment));
    let runtime_dir = top.path("runtime-dir");
    if state_dir.is_none() {
        let message = "`state-dir` is needed: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is set";
        top.problems.nowhere(None, message);
    }
    let providers = providers(problems, &paths, roots, state_dir.clone());
    let defaults = defaults(problems, &paths, *main, &providers.0);
    let accounts = accounts(problems, &paths, roots, defaults, &providers.0);
    let destinations = destinations(problems, &paths, roots);
    crosscheck::run(problems, &accounts, &destinations, defaults, context);
    crosscheck::providers(problems, &providers, context.check_files);
    let state_dir = state_dir?;
    Some(Config {
        file: PathBuf::new(),
        files: Vec::new(),
        digests: BTreeMap::new(),
        folder: context.folder.join(FOLDER),
        accounts: values(accounts),
        destinations: values(destinations),
        runtime_dir: runtime_dir.unwrap_or_else(|| paths::default_runtime_dir(&file, &state_dir, context.environment)),
        state_dir,
        max_concurrent_polls: concurrent.unwrap_or(defaults::MAX_CONCURRENT_POLLS),
        max_polls_per_host: per_host.unwrap_or(defaults::MAX_POLLS_PER_HOST),
        log_level: log_level.unwrap_or(Level::INFO),
        record_headers: record_headers.unwrap_or(defaults::RECORD_HEADERS),
        warnings: Vec::new(),
    })
}

fn top<'r, 't, 's>(problems: &'r mut Problems<'s>, paths: &'r Paths, root: Table<'t>) -> Reader<'r, 't, 's> {
    let nowhere = At { file: MAIN, octets: 0..0 };
    Reader::new(problems, paths, ("the file".into(), nowhere), &[Section::Top], root)
}

fn values<T>(placed: Vec<Placed<'_, T>>) -> Vec<Arc<T>> {
    placed.into_iter().filter_map(|placed| placed.value).map(Arc::new).collect()
}

/// `[defaults]`, which is also checked by itself: a fault in it is reported even if there is no account.
fn defaults<'t>(
    problems: &mut Problems<'_>,
    paths: &Paths,
    root: Table<'t>,
    providers: &Providers,
) -> Option<Table<'t>> {
    let entry = root.entry("defaults")?;
    let Some(table) = entry.table() else {
        problems.error(&entry.key_at(), "`defaults` must be a table: [defaults]");
        return None;
    };
    let stand_in = Name::new("defaults")?;
    let what = ("[defaults]".to_owned(), entry.key_at());
    let mut reader = Reader::new(problems, paths, what, &[Section::Account], table).partial();
    account::read(&mut reader, &stand_in, providers);
    Some(table)
}

fn accounts<'t>(
    problems: &mut Problems<'_>,
    paths: &Paths,
    roots: &[Table<'t>],
    defaults: Option<Table<'t>>,
    providers: &Providers,
) -> Vec<Placed<'t, Account>> {
    let tables = named::tables(problems, roots, named::ACCOUNTS);
    let read = |Named { name, name_at, table, again }: Named<'t>| {
        let what = (format!("account `{name}`"), name_at.clone());
        let mut reader = Reader::new(problems, paths, what, &[Section::Account], table).inherit(defaults);
        let value = account::read(&mut reader, &name, providers).filter(|_| !again);
        Placed { name, name_at, table, value }
    };
    tables.into_iter().map(read).collect()
}

/// The providers of OAuth 2.0, and where their tables are.
fn providers<'t>(
    problems: &mut Problems<'_>,
    paths: &Paths,
    roots: &[Table<'t>],
    state_dir: Option<PathBuf>,
) -> (Providers, Vec<Placed<'t, ()>>) {
    let (mut known, mut places) = (BTreeMap::new(), Vec::new());
    for Named { name, name_at, table, again } in named::tables(problems, roots, named::PROVIDERS) {
        let what = (format!("provider `{name}`"), name_at.clone());
        let mut reader = Reader::new(problems, paths, what, &[Section::OAuth], table);
        let provider = oauth::read(&mut reader, &name).map(Arc::new);
        if !again {
            known.insert(name.to_string(), provider);
            places.push(Placed { name, name_at, table, value: None });
        }
    }
    (Providers { known, state_dir, used: RefCell::default() }, places)
}

fn destinations<'t>(problems: &mut Problems<'_>, paths: &Paths, roots: &[Table<'t>]) -> Vec<Placed<'t, Destination>> {
    let tables = named::tables(problems, roots, named::DESTINATIONS);
    let read = |Named { name, name_at, table, again }: Named<'t>| {
        let what = || (format!("destination `{name}`"), name_at.clone());
        let mut reader = Reader::new(problems, paths, what(), &[Section::Destination], table);
        let value = destination::sections(&mut reader).and_then(|sections| {
            let mut reader = Reader::new(problems, paths, what(), sections, table);
            destination::read(&mut reader, &name, sections)
        });
        Placed { name, name_at, table, value: value.filter(|_| !again) }
    };
    tables.into_iter().map(read).collect()
}
