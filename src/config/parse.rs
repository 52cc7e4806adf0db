//! The text of a configuration file to a [`Config`], or to everything that is wrong with it.
//!
//! The process and the file system are only seen through [`Context`], so that every rule is tested
//! without them.

use std::ffi::OsString;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use tracing::Level;

use super::hidden::Hidden;
use super::keys::Section;
use super::paths::{self, Paths};
use super::problem::{ConfigError, Weight};
use super::problems::Problems;
use super::reader::Reader;
use super::source::Source;
use super::{Config, account, crosscheck, destination};
use crate::deliver::Destination;
use crate::message::Name;
use crate::net::{NetError, Trust};
use crate::poll::Account;

/// Polls at the same time, unless `max-concurrent-polls` says so.
const CONCURRENT_POLLS: usize = 50;

/// Those at one host, unless `max-polls-per-host` says so: fewer than servers commonly allow.
const POLLS_PER_HOST: usize = 10;

/// The words of `log-level`.
const LEVELS: [(&str, Level); 5] = [
    ("error", Level::ERROR),
    ("warn", Level::WARN),
    ("info", Level::INFO),
    ("debug", Level::DEBUG),
    ("trace", Level::TRACE),
];

/// Who owns the file, and who may read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// The permission bits.
    pub(super) mode: u32,
    /// The user that it belongs to.
    pub(super) owner: u32,
    /// The user that we are.
    pub(super) user: u32,
}

/// What a configuration depends on besides its text.
pub(super) struct Context<'c> {
    /// The file as it is named in messages.
    pub(super) file: &'c Path,
    /// Its folder, absolute.
    pub(super) folder: &'c Path,
    /// The environment.
    pub(super) environment: &'c dyn Fn(&str) -> Option<OsString>,
    /// The file's own access rights.
    pub(super) access: Access,
    /// Looks at files of certificates and keys.
    pub(super) check_files: &'c dyn Fn(&Trust) -> Result<(), NetError>,
}

/// An account or destination with the places that checks between several of them need.
pub(super) struct Placed<'t, T> {
    pub(super) name: Name,
    pub(super) name_at: Range<usize>,
    pub(super) table: &'t DeTable<'t>,
    /// `None` if it is not usable, which has been reported.
    pub(super) value: Option<T>,
}

/// Reads a configuration.
pub(super) fn parse(text: &str, context: &Context<'_>) -> Result<Config, ConfigError> {
    let source = Source::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    let hidden = Hidden::find(&source, root.get_ref(), !errors.is_empty());
    let mut problems = Problems::new(context.file, &source, hidden);
    errors.iter().for_each(|error| problems.syntax(error));
    refuse_readable_by_others(&mut problems, context);
    let config = read(&mut problems, root.get_ref(), context);
    let failed = problems.any_error();
    let list = problems.into_list();
    match config {
        Some(config) if !failed => {
            let warnings = list.iter().filter(|problem| problem.weight == Weight::Warning);
            Ok(Config { warnings: warnings.map(super::Problem::on_one_line).collect(), ..config })
        }
        _ => Err(ConfigError::new(context.file, list)),
    }
}

/// A password must not be for everybody.  The group may read a file of root's: that is how a
/// service's configuration is kept from the service's own hands (root:postrider 0640).
fn refuse_readable_by_others(problems: &mut Problems<'_>, context: &Context<'_>) {
    let Access { mode, owner, user } = context.access;
    let open = mode & 0o077;
    let service = open == 0o040 && owner == 0 && user != 0;
    if let (Some(at), false) = (problems.first_password(), open == 0 || service) {
        let file = context.file.display();
        let message =
            format!("the file holds a password, but is open to others (mode {:04o}): chmod 600 {file}", mode & 0o7777);
        problems.error(&at, message);
    }
}

fn read(problems: &mut Problems<'_>, root: &DeTable<'_>, context: &Context<'_>) -> Option<Config> {
    let paths = Paths::new(context.folder, context.environment);
    let mut top = Reader::new(problems, &paths, ("the file".into(), 0..0), &[Section::Top], root);
    top.refuse_unknown();
    let concurrent = top.integer("max-concurrent-polls", 1..=10_000).and_then(|n| usize::try_from(n).ok());
    let per_host = top.integer("max-polls-per-host", 1..=1000).and_then(|n| usize::try_from(n).ok());
    let log_level = top.word("log-level", &LEVELS);
    let state_dir = top.path("state-dir").or_else(|| paths::default_state_dir(context.environment));
    let runtime_dir = top.path("runtime-dir");
    if state_dir.is_none() {
        let message = "`state-dir` is needed: neither $STATE_DIRECTORY, $XDG_STATE_HOME nor $HOME is set";
        top.problems.absence(None, message);
    }
    let defaults = defaults(problems, &paths, root);
    let accounts = accounts(problems, &paths, root, defaults);
    let destinations = destinations(problems, &paths, root);
    crosscheck::run(problems, &accounts, &destinations, defaults, context.check_files);
    let state_dir = state_dir?;
    Some(Config {
        file: context.file.to_owned(),
        accounts: values(accounts),
        destinations: values(destinations),
        runtime_dir: runtime_dir.unwrap_or_else(|| paths::default_runtime_dir(&state_dir, context.environment)),
        state_dir,
        max_concurrent_polls: concurrent.unwrap_or(CONCURRENT_POLLS),
        max_polls_per_host: per_host.unwrap_or(POLLS_PER_HOST),
        log_level: log_level.unwrap_or(Level::INFO),
        warnings: Vec::new(),
    })
}

fn values<T>(placed: Vec<Placed<'_, T>>) -> Vec<Arc<T>> {
    placed.into_iter().filter_map(|placed| placed.value).map(Arc::new).collect()
}

/// `[defaults]`, which is judged by itself too: a fault in it is a fault without any account.
fn defaults<'t>(problems: &mut Problems<'_>, paths: &Paths, root: &'t DeTable<'t>) -> Option<&'t DeTable<'t>> {
    let (key, value) = root.get_key_value("defaults")?;
    let Some(table) = value.get_ref().as_table() else {
        problems.error(&key.span(), "`defaults` must be a table: [defaults]");
        return None;
    };
    let stand_in = Name::new("defaults")?;
    let what = ("[defaults]".to_owned(), key.span());
    account::read(&mut Reader::new(problems, paths, what, &[Section::Account], table).partial(), &stand_in);
    Some(table)
}

fn accounts<'t>(
    problems: &mut Problems<'_>,
    paths: &Paths,
    root: &'t DeTable<'t>,
    defaults: Option<&'t DeTable<'t>>,
) -> Vec<Placed<'t, Account>> {
    let tables = named_tables(problems, root, "accounts", "account");
    let read = |(name, name_at, table): (Name, Range<usize>, &'t DeTable<'t>)| {
        let what = (format!("account `{name}`"), name_at.clone());
        let mut reader = Reader::new(problems, paths, what, &[Section::Account], table).inherit(defaults);
        let value = account::read(&mut reader, &name);
        Placed { name, name_at, table, value }
    };
    tables.into_iter().map(read).collect()
}

fn destinations<'t>(problems: &mut Problems<'_>, paths: &Paths, root: &'t DeTable<'t>) -> Vec<Placed<'t, Destination>> {
    let tables = named_tables(problems, root, "destinations", "destination");
    let read = |(name, name_at, table): (Name, Range<usize>, &'t DeTable<'t>)| {
        let what = || (format!("destination `{name}`"), name_at.clone());
        let mut reader = Reader::new(problems, paths, what(), &[Section::Destination], table);
        let value = destination::sections(&mut reader).and_then(|sections| {
            let mut reader = Reader::new(problems, paths, what(), sections, table);
            destination::read(&mut reader, &name, sections)
        });
        Placed { name, name_at, table, value }
    };
    tables.into_iter().map(read).collect()
}

/// The tables of `[accounts]` or `[destinations]`, in the order of the file.
fn named_tables<'t>(
    problems: &mut Problems<'_>,
    root: &'t DeTable<'t>,
    key: &str,
    kind: &str,
) -> Vec<(Name, Range<usize>, &'t DeTable<'t>)> {
    let Some((group, value)) = root.get_key_value(key) else {
        problems.absence(None, format!("there is no {kind}: write a table [{key}.NAME]"));
        return Vec::new();
    };
    let Some(table) = value.get_ref().as_table() else {
        problems.error(&group.span(), format!("`{key}` must hold tables: [{key}.NAME]"));
        return Vec::new();
    };
    if table.is_empty() {
        problems.absence(Some(&group.span()), format!("there is no {kind}: write a table [{key}.NAME]"));
    }
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().filter_map(|(name, value)| named_table(problems, name, value, (key, kind))).collect()
}

fn named_table<'t>(
    problems: &mut Problems<'_>,
    key: &Spanned<DeString<'_>>,
    value: &'t Spanned<DeValue<'t>>,
    (group, kind): (&str, &str),
) -> Option<(Name, Range<usize>, &'t DeTable<'t>)> {
    let at = key.span();
    let shown = problems.echo(&at, key.get_ref(), "this key");
    let Some(table) = value.get_ref().as_table() else {
        let message = match super::keys::is_known(key.get_ref()) {
            true => format!("{shown} belongs into a table [{group}.NAME]"),
            false => format!("{shown} must be a table: [{group}.NAME]"),
        };
        problems.unknown_key(&at, message, false);
        return None;
    };
    let Some(name) = Name::new(key.get_ref()) else {
        let message = format!(
            "{shown} cannot be the name of the {kind}: a name has 1 to 64 letters, digits or . _ @ + - and begins with \
             neither . nor -"
        );
        problems.error(&at, message);
        return None;
    };
    Some((name, at, table))
}
