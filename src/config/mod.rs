//! The configuration: reads all its files at once, and reports everything that is wrong with them.
//!
//! It is one main file, and every `conf.d/*.toml` beside it, sorted by name.  Any of them may hold
//! accounts and destinations, each name once; the keys at the top and `[defaults]`, which apply to
//! all, are only in the main file.  Relative paths begin at the main file's folder, in every file.
//!
//! The path of a file through the modules: [`find_file`] finds the main one, `files` the others,
//! `load` reads them, `parse` walks their tables, a `reader` for each table takes the keys that
//! [`KEYS`] lists, `account` and `destination` turn them into settings, `crosscheck` holds the
//! rules between several tables, and `problems` collects what is wrong.  A fault never ends the
//! reading, so that all files can be corrected in one go.
//!
//! What is refused: an unknown key (a misspelled `retention` must not mean "keep"), and a
//! password in a file that others may read.  What is never shown: a line that may hold a password
//! (`hidden`).

mod account;
mod context;
mod crosscheck;
mod defaults;
mod destination;
mod endpoint;
mod files;
mod find;
mod hidden;
mod hint;
mod host;
mod keys;
mod load;
mod named;
mod nearest;
mod oauth;
mod parse;
mod password;
mod paths;
mod problem;
mod problems;
mod reader;
mod route;
mod source;
mod stray;
mod table;
#[cfg(test)]
mod tests;
mod units;
mod whereabouts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::account::Account;
use crate::deliver::Destination;

pub use files::{files_of, folder_of, fragments_of};
pub use find::{FindError, find_file};
pub use keys::{Absent, KEYS, Key, Section};
pub use problem::{ConfigError, Position, Problem, Weight};
pub use stray::{Stray, stray_state};
pub use whereabouts::{Broken, Whereabouts};

/// A whole configuration, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The main file, as it was named.
    pub file: PathBuf,
    /// Every file that was read, the main one first; absolute.
    pub files: Vec<PathBuf>,
    /// The digest of each file that was read and is a regular file ([`crate::filesystem::digest`]).
    pub digests: BTreeMap<PathBuf, [u8; 32]>,
    /// `conf.d` beside the main file, whether or not it exists; absolute.
    pub folder: PathBuf,
    /// The accounts, in the order of the files.
    pub accounts: Vec<Arc<Account>>,
    /// The destinations, in the order of the files.
    pub destinations: Vec<Arc<Destination>>,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Where sockets are made.
    pub runtime_dir: PathBuf,
    /// Polls that may run at the same time.
    pub max_concurrent_polls: usize,
    /// Polls of accounts at the same host that may run at the same time.
    pub max_polls_per_host: usize,
    /// What the service logs: this level and the more severe ones.
    pub log_level: tracing::Level,
    /// Whether From, Subject and Date of messages are kept in the state.
    pub record_headers: bool,
    /// Warnings about what is allowed but probably not meant, for `check`: each on one line, with its
    /// place.
    pub warnings: Vec<String>,
}
