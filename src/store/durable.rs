//! Small files beside the database, each there whole or not at all, also after a power loss.

use std::io;
use std::path::Path;

use crate::filesystem::{FileError, private, sync_folder};

/// Octets that a small file may have: a line.
const SIZE_LIMIT: u64 = 4096;

/// Writes a file under a name of its own, syncs it, and puts it in the place of the one before.
pub(super) fn write(dir: &Path, name: &str, text: &str) -> Result<(), FileError> {
    private::replace(&dir.join(name), &dir.join(format!("{name}.new")), text.as_bytes())
}

/// Removes a file, if it is there, for good.
pub(super) fn remove(dir: &Path, name: &str) -> Result<(), FileError> {
    let path = dir.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::of(&path)(error)),
        Ok(()) => sync_folder(dir).map_err(FileError::of(dir)),
    }
}

/// Reads a file; what is no text counts as another text.
pub(super) fn read(dir: &Path, name: &str) -> io::Result<String> {
    private::read(&dir.join(name), SIZE_LIMIT).map(|octets| String::from_utf8_lossy(&octets).into_owned())
}
