//! One process per state directory: a kernel lock, which ends with the process however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;
use crate::filesystem::{self, private};

/// Octets of the process id that a lock file tells.
const PID_LIMIT: u64 = 20;

/// Makes the directory (0700) where it is missing and takes its lock.
pub(super) fn acquire(dir: &Path) -> Result<File, StoreError> {
    make_directory(dir).map_err(|error| StoreError::directory(dir, &error))?;
    refuse_network_file_system(dir)?;
    let path = dir.join("lock");
    let opened = private::open(&path, OpenOptions::new().read(true).write(true).create(true).truncate(false));
    let mut file = opened.map_err(|error| StoreError::file(&path, &error))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = (&file).take(PID_LIMIT).read_to_string(&mut pid);
        return Err(StoreError::Locked { path: dir.to_owned(), pid: pid.trim().parse().ok() });
    }
    // Only for people: the lock is what counts.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Creates what is missing of the path, and makes that durable.
fn make_directory(dir: &Path) -> std::io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directory(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        Err(_) if !dir.is_dir() => return Err(std::io::ErrorKind::NotADirectory.into()),
        _ => {}
    }
    parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn refuse_network_file_system(dir: &Path) -> Result<(), StoreError> {
    match filesystem::network_kind(dir).map_err(|error| StoreError::directory(dir, &error))? {
        Some(kind) => Err(StoreError::NetworkFileSystem { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}
