//! Small files beside the database; each is there whole or not at all, even after a power loss.

use std::io;
use std::path::Path;

use crate::filesystem::{FileError, private, sync_folder};

/// Most octets of a small file, which holds one line.
const SIZE_LIMIT: u64 = 4096;

/// Writes a file under a temporary name, syncs it, and renames it over the old one.
pub(super) fn write(dir: &Path, name: &str, text: &str) -> Result<(), FileError> {
    private::replace(&dir.join(name), &dir.join(format!("{name}.new")), text.as_bytes())
}

/// Removes a file durably, if it is there.
pub(super) fn remove(dir: &Path, name: &str) -> Result<(), FileError> {
    let path = dir.join(name);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::of(&path)(error)),
        Ok(()) => sync_folder(dir).map_err(FileError::of(dir)),
    }
}

/// Reads a file; what is not UTF-8 becomes U+FFFD, so that it is not what was written.
pub(super) fn read(dir: &Path, name: &str) -> io::Result<String> {
    private::read(&dir.join(name), SIZE_LIMIT).map(|octets| String::from_utf8_lossy(&octets).into_owned())
}
