//! A state directory that this process holds, whatever is in it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::open::{self, Condition};
use super::{Renewal, Store, StoreError, lock};

/// The lock of a state directory, held until the last clone and the last [`Store`] are gone.
#[derive(Clone, Debug)]
pub struct Possession {
    dir: PathBuf,
    lock: Arc<File>,
}

impl Possession {
    /// Takes the directory's lock; makes the directory if it is missing.
    ///
    /// # Errors
    /// Another process holds it; the directory cannot be used.
    pub fn take(dir: &Path) -> Result<Self, StoreError> {
        Ok(Self { dir: dir.to_owned(), lock: Arc::new(lock::acquire(dir)?) })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Opens the database, or makes it if there never was one; also returns how it was found.
    ///
    /// # Errors
    /// It is gone or damaged ([`Possession::renew`]), or cannot be used.
    pub fn open(&self) -> Result<(Store, Condition), StoreError> {
        let opened = open::open(&self.dir)?;
        let condition = opened.condition.clone();
        Ok((Store::serve(&self.dir, opened, Arc::clone(&self.lock))?, condition))
    }

    /// Begins a new database; the old one, if it is there, is set aside under a name with `label`.
    /// No [`Store`] of this directory may be open.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn renew(&self, label: &str) -> Result<Renewal, StoreError> {
        Renewal::begin(&self.dir, label)
    }
}
