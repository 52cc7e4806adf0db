//! What belongs to this machine, wherever the state itself is kept: the state directory with its lock, the word that
//! stands for the machine, and the folders of what is under way here (`crate::attempt`, `crate::spool`).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder for large messages on their way to a server.
const SPOOL: &str = "spool";

/// A state directory of this machine, held by its lock until the last clone is gone.
#[derive(Clone, Debug)]
pub struct Local {
    dir: Arc<Path>,
    instance: Arc<str>,
    _lock: Arc<File>,
}

impl Local {
    pub(super) fn new(dir: &Path, instance: &str, lock: Arc<File>) -> Self {
        Self { dir: dir.into(), instance: instance.into(), _lock: lock }
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The word that distinguishes what this state directory has made from what another has: in names of files in
    /// Maildirs, and in places ([`crate::plan::Place::machine`]).
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The folder for large messages on their way to a server; it may still have to be made.
    pub fn spool(&self) -> PathBuf {
        self.dir.join(SPOOL)
    }
}
