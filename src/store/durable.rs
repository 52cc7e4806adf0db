//! Small files beside the database, each there whole or not at all, also after a power loss.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a file under a name of its own, syncs it, and puts it in the place of the one before.
pub(super) fn write(dir: &Path, name: &str, text: &str) -> io::Result<()> {
    let made = dir.join(format!("{name}.new"));
    let place = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&made)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&made, dir.join(name))
    };
    place().inspect_err(|_| drop(std::fs::remove_file(&made)))?;
    sync(dir)
}

/// Removes a file, if it is there, for good.
pub(super) fn remove(dir: &Path, name: &str) -> io::Result<()> {
    match std::fs::remove_file(dir.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync(dir),
    }
}

/// Makes the names of a directory durable.
pub(super) fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The size of a file; `None` if it is not there.
pub(super) fn size(path: &Path) -> io::Result<Option<u64>> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
