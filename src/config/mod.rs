//! The configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use crate::deliver::Destination;
use crate::poll::Account;

/// A whole configuration, valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The accounts, in the order of the file.
    pub accounts: Vec<Arc<Account>>,
    /// The destinations, in the order of the file.
    pub destinations: Vec<Arc<Destination>>,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Where sockets are made.
    pub runtime_dir: PathBuf,
    /// Polls that may run at the same time.
    pub max_concurrent_polls: usize,
    /// What is allowed but worth a word, for `check`.
    pub warnings: Vec<String>,
}
