//! The ground that a Maildir stands on: whose it is, whether it is there, and how it is made.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::error::{MaildirError, Matter, failure};
use crate::filesystem::{owner, sync_folder};

/// The mode of a folder that is for its owner alone.
const OWNERS: u32 = 0o700;

/// What a Maildir consists of.
const FOLDERS: [&str; 3] = ["tmp", "new", "cur"];

/// Refuses a Maildir of somebody else to root: its owner may have laid links in it, could not read
/// what root leaves there, and must not have root write anywhere else.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), MaildirError> {
    let failed = |error: io::Error| failure(path, "cannot be looked at", &error);
    for part in FOLDERS {
        if let Some(foreign) = owner::foreign(&path.join(part)).map_err(failed)? {
            let cause = io::Error::new(io::ErrorKind::PermissionDenied, foreign.to_string());
            let error = failure(path, "root delivers into no folder of others", &cause);
            return Err(MaildirError { matter: Matter::Foreign(foreign), ..error });
        }
    }
    Ok(())
}

/// Refuses one that is not there whole.  One that cannot be looked into is not gone.
pub(super) fn refuse_gone(path: &Path) -> Result<(), MaildirError> {
    for part in FOLDERS {
        if !path.join(part).try_exists().map_err(|error| failure(path, "cannot be looked into", &error))? {
            let cause = io::Error::new(io::ErrorKind::NotFound, format!("{part} does not exist"));
            let error = failure(path, "is not there any more, though mail was delivered to it", &cause);
            return Err(MaildirError { matter: Matter::Gone, ..error });
        }
    }
    Ok(())
}

/// Makes what is missing of it with this mode, if the folder above it exists, and that durable.
pub(super) fn make(path: &Path, mode: u32) -> Result<(), MaildirError> {
    let failed = |step| move |error: io::Error| failure(path, step, &error);
    let mut made = make_directory(path, mode).map_err(|(step, error)| failed(step)(error))?;
    for part in FOLDERS {
        made |= make_directory(&path.join(part), mode).map_err(|(step, error)| failed(step)(error))?;
    }
    if made {
        // The names of new directories must outlive a crash as well.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        for dir in [path, parent.unwrap_or(Path::new("."))] {
            sync_folder(dir).map_err(failed("cannot be made durable"))?;
        }
    }
    Ok(())
}

/// Makes one directory; `false` if it was there: then its mode is somebody's wish, and stays.
fn make_directory(path: &Path, mode: u32) -> Result<bool, (&'static str, io::Error)> {
    match std::fs::DirBuilder::new().mode(OWNERS).create(path) {
        Ok(()) if mode == OWNERS => Ok(true),
        Ok(()) => match open_up(path, mode) {
            Ok(()) => Ok(true),
            Err(error) => {
                // Found there by the next poll, it would keep the mode that nobody wants.
                let _ = std::fs::remove_dir(path);
                Err(("cannot be given its mode", error))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A read-only or foreign folder above says so before it says that all is there.
        Err(made) => match path.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(("cannot be looked into", error)),
            _ => Err(("cannot be made", made)),
        },
    }
}

/// Gives a new folder its mode, whatever the umask is.  A group that it has by the folder above goes on
/// being that of what is made in it.
fn open_up(path: &Path, mode: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    let own = Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode) & Mode::SGID;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode) | own).map_err(without_modes)
}

/// What a file system says that keeps no permission bits (FAT, some network disks).
pub(super) fn without_modes(error: Errno) -> io::Error {
    match error {
        Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
            io::Error::new(io::ErrorKind::Unsupported, "its file system does not keep permission bits")
        }
        error => error.into(),
    }
}
