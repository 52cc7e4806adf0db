//! The folders of a Maildir: whose they are, whether they are there, and how they are made.

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

/// As root, refuses a Maildir of another user: its owner may have put links into it, could not read
/// what root leaves there, and must not make root write anywhere else.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), MaildirError> {
    let failed = |error: io::Error| failure(path, "cannot be looked at", &error);
    for part in FOLDERS {
        if let Some(foreign) = owner::foreign(&path.join(part)).map_err(failed)? {
            let cause = io::Error::new(io::ErrorKind::PermissionDenied, foreign.to_string());
            let error = failure(path, "root does not deliver into folders of others", &cause);
            return Err(MaildirError { matter: Matter::Foreign(foreign), ..error });
        }
    }
    Ok(())
}

/// Refuses a Maildir that is not completely there.  One that cannot be looked into is not gone.
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

/// Makes the missing folders with this mode, if the folder above exists, and makes them durable.
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

/// Makes one directory; `false` if it was there: then somebody has chosen its mode, and it stays.
fn make_directory(path: &Path, mode: u32) -> Result<bool, (&'static str, io::Error)> {
    match std::fs::DirBuilder::new().mode(OWNERS).create(path) {
        Ok(()) if mode == OWNERS => Ok(true),
        Ok(()) => match open_up(path, mode) {
            Ok(()) => Ok(true),
            Err(error) => {
                // The next poll would find it there, and it would keep the wrong mode.
                let _ = std::fs::remove_dir(path);
                Err(("cannot be given its mode", error))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // If the folder above is read-only or foreign, that is reported even if the directory exists.
        Err(made) => match path.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(("cannot be looked into", error)),
            _ => Err(("cannot be made", made)),
        },
    }
}

/// Gives a new folder its mode, whatever the umask is.  If it has its group from the folder above, it still
/// passes that group on to what is made in it.
fn open_up(path: &Path, mode: u32) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = rustix::fs::open(path, flags, Mode::empty())?;
    let own = Mode::from_raw_mode(rustix::fs::fstat(&folder)?.st_mode) & Mode::SGID;
    rustix::fs::fchmod(&folder, Mode::from_raw_mode(mode) | own).map_err(without_modes)
}

/// Explains the error of a file system that keeps no permission bits (FAT, some network disks).
pub(super) fn without_modes(error: Errno) -> io::Error {
    match error {
        Errno::PERM | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
            io::Error::new(io::ErrorKind::Unsupported, "its file system does not keep permission bits")
        }
        error => error.into(),
    }
}
