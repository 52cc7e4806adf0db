//! One process per state directory: a kernel lock, which ends with the process however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

/// Magic numbers of statfs(2) for file systems whose locks and memory maps other machines do not
/// see.
const NETWORK_FILE_SYSTEMS: [(i64, &str); 6] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
];

/// Makes the directory (0700) where it is missing and takes its lock.
pub(super) fn acquire(dir: &Path) -> Result<File, StoreError> {
    make_directory(dir).map_err(|error| StoreError::directory(dir, &error))?;
    refuse_network_file_system(dir)?;
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(|error| StoreError::directory(dir, &error))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
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
        _ => {}
    }
    parent.map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn refuse_network_file_system(dir: &Path) -> Result<(), StoreError> {
    let stat = rustix::fs::statfs(dir).map_err(|error| StoreError::directory(dir, &error.into()))?;
    #[allow(clippy::allow_attributes, clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    let magic = stat.f_type as i64 & 0xffff_ffff;
    match NETWORK_FILE_SYSTEMS.iter().find(|(known, _)| *known == magic) {
        Some((_, kind)) => Err(StoreError::NetworkFileSystem { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}
