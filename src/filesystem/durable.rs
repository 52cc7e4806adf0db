//! Makes files and folders durable, on file systems of every kind.
//!
//! A file system may have no fsync(2) for folders (shared folders of virtual machines, some FUSE and network file
//! systems return EINVAL), or none at all.  Then syncfs(2) writes out the whole file system.  Where that is not
//! supported either, a folder's names are as durable as the file system makes them by itself.  Content that cannot
//! be made durable is a failure.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{fdatasync, fsync, syncfs};
use rustix::io::Errno;

/// Makes the content of a file durable.
///
/// # Errors
/// The disk failed, or the file system has no way to do it.
pub(crate) fn sync_content(file: impl AsFd) -> io::Result<()> {
    match fdatasync(&file) {
        Err(error) if is_unknown(error) => sync_file(file),
        result => Ok(result?),
    }
}

/// The same with all of the file's metadata.
///
/// # Errors
/// As [`sync_content`].
pub(crate) fn sync_file(file: impl AsFd) -> io::Result<()> {
    match fsync(&file).or_else(|error| otherwise(&file, error)) {
        Err(error) if is_unknown(error) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "its file system cannot make a file durable"))
        }
        result => Ok(result?),
    }
}

/// Makes the names in a folder durable, as far as its file system can.
///
/// # Errors
/// The disk failed.
pub(crate) fn sync_names(folder: impl AsFd) -> io::Result<()> {
    match fsync(&folder).or_else(|error| otherwise(&folder, error)) {
        Err(error) if is_unknown(error) => Ok(()),
        result => Ok(result?),
    }
}

/// The same for a folder by its path.
///
/// # Errors
/// It cannot be opened, or the disk failed.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    sync_names(File::open(path)?)
}

/// Writes out the whole file system, where it cannot do so for one file or folder.
fn otherwise(of: impl AsFd, error: Errno) -> Result<(), Errno> {
    if is_unknown(error) { syncfs(of) } else { Err(error) }
}

/// Whether the file system does not support the call.
fn is_unknown(error: Errno) -> bool {
    matches!(error, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_knows_no_fsync_is_no_disk_that_failed() {
        // A pipe supports neither, like a folder of such a file system.
        let (reader, _writer) = rustix::pipe::pipe().expect("a pipe");
        assert_eq!(fsync(&reader), Err(Errno::INVAL));
        let dir = tempfile::tempdir().expect("a directory");
        sync_folder(dir.path()).expect("synced");
        assert_eq!(otherwise(File::open(dir.path()).expect("open"), Errno::IO), Err(Errno::IO));
    }
}
