//! Whether a state can be kept in a directory, found out without leaving anything there.

use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};

use super::{StoreError, lock};
use crate::filesystem::{FileError, Person, make_unique, private, sync_file};

/// What was found in place of a state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The directory is there, and belongs to this person.
    There(Person),
    /// The directory is missing, and will be made.
    Missing,
}

/// Checks whether a state can be made, read and written in a directory.
///
/// # Errors
/// The reason why it cannot.
pub fn look_at(dir: &Path) -> Result<Ground, StoreError> {
    let failed = |error: io::Error| StoreError::directory(dir, &error);
    match dir.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            lock::refuse_network_file_system(dir)?;
            try_file(dir).map_err(failed)?;
            ["lock", "state.db", "state.db-wal", "state.db-shm", "origins"]
                .iter()
                .try_for_each(|name| try_open(&dir.join(name)))?;
            Ok(Ground::There(Person(metadata.uid())))
        }
        Ok(_) => Err(failed(ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let above =
                dir.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
            let access = Access::WRITE_OK | Access::EXEC_OK;
            let may = match above.metadata() {
                Ok(metadata) if metadata.is_dir() => rustix::fs::accessat(CWD, above, access, AtFlags::EACCESS),
                Ok(_) => Err(rustix::io::Errno::NOTDIR),
                Err(error) => return Err(failed(error)),
            };
            may.map_err(|error| StoreError::directory(dir, &error.into()))?;
            lock::refuse_network_file_system(above)?;
            Ok(Ground::Missing)
        }
        Err(error) => Err(failed(error)),
    }
}

/// Makes a file, writes it, makes it durable and removes it.
fn try_file(dir: &Path) -> io::Result<()> {
    let (path, mut file) = make_unique(|word| {
        let path = dir.join(format!("check-{word}"));
        private::create(&path).map(|file| (path, file))
    })?;
    let written = file.write_all(b"x").and_then(|()| sync_file(&file));
    std::fs::remove_file(path)?;
    written
}

/// Checks that a file, if it is there, may be read and written.
fn try_open(path: &Path) -> Result<(), StoreError> {
    match private::open(path, std::fs::OpenOptions::new().read(true).write(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        opened => opened.map(|_| ()).map_err(|error| FileError::of(path)(error).into()),
    }
}
