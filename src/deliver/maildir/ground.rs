//! The ground that a Maildir stands on: whose it is, whether it is there, and how it is made.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::{MaildirError, Matter, failure};
use crate::filesystem::owner;

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

/// Makes what is missing of it, if the folder above it exists, and that durable.
pub(super) fn make(path: &Path) -> Result<(), MaildirError> {
    let failed = |step| move |error: io::Error| failure(path, step, &error);
    let mut made = make_directory(path).map_err(|(step, error)| failed(step)(error))?;
    for part in FOLDERS {
        made |= make_directory(&path.join(part)).map_err(|(step, error)| failed(step)(error))?;
    }
    if made {
        // The names of new directories must outlive a crash as well.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        for dir in [path, parent.unwrap_or(Path::new("."))] {
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("cannot be made durable"))?;
        }
    }
    Ok(())
}

/// Makes one directory, 0700; `false` if it was there.
fn make_directory(path: &Path) -> Result<bool, (&'static str, io::Error)> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A read-only or foreign folder above says so before it says that all is there.
        Err(made) => match path.metadata() {
            Ok(metadata) if metadata.is_dir() => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(("cannot be looked into", error)),
            _ => Err(("cannot be made", made)),
        },
    }
}
