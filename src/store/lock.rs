//! One process per state directory: a kernel lock, which ends with the process however it ends.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::StoreError;
use crate::filesystem::{self, private};

/// Most octets of the process id in a lock file.
const PID_LIMIT: u64 = 20;

/// The system's list of locks (proc_locks(5)), and how many times it is read.
const LOCKS: &str = "/proc/locks";
const LOOKS: usize = 5;

/// Makes the directory (0700) if it is missing, and takes its lock.
pub(super) fn acquire(dir: &Path) -> Result<File, StoreError> {
    private::make_folders(dir).map_err(|error| StoreError::directory(dir, &error))?;
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

/// The process that holds the lock of a directory, as far as the system shows it; the lock is not touched.
pub fn holder(dir: &Path) -> Option<u32> {
    let file = private::open(&dir.join("lock"), OpenOptions::new().read(true)).ok()?;
    let inode = file.metadata().ok()?.ino();
    let mut pid = String::new();
    file.take(PID_LIMIT).read_to_string(&mut pid).ok()?;
    let pid: u32 = pid.trim().parse().ok()?;
    // Reading all locks of the machine takes 10 ms, and usually the process has long ended.
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
    if test_kill_process(process) == Err(Errno::SRCH) {
        return None;
    }
    // The list may lack a line if other processes take or release locks meanwhile.
    let is_held = || std::fs::read(LOCKS).is_ok_and(|locks| has_lock(&String::from_utf8_lossy(&locks), pid, inode));
    (0..LOOKS).any(|_| is_held()).then_some(pid)
}

/// Whether a process has a lock on a file: `1: FLOCK  ADVISORY  WRITE 15305 fe:00:5390472 0 EOF`.
fn has_lock(locks: &str, pid: u32, inode: u64) -> bool {
    let (pid, inode) = (pid.to_string(), format!(":{inode}"));
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        words.get(1) == Some(&"FLOCK")
            && words.get(4) == Some(&&*pid)
            && words.get(5).is_some_and(|file| file.ends_with(&inode))
    })
}

pub(super) fn refuse_network_file_system(dir: &Path) -> Result<(), StoreError> {
    match filesystem::network_kind(dir).map_err(|error| StoreError::directory(dir, &error))? {
        Some(kind) => Err(StoreError::NetworkFileSystem { path: dir.to_owned(), kind }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_known_by_its_process_and_its_file() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 fe:00:9 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 15305 fe:00:5390472 0 EOF\n2: -> FLOCK ADVISORY WRITE 8 fe:00:8 0 EOF\n";
        assert!(has_lock(locks, 15305, 5_390_472));
        for (pid, inode) in [(15305, 390_472), (1530, 5_390_472), (7, 9), (8, 8)] {
            assert!(!has_lock(locks, pid, inode), "{pid} {inode}");
        }
    }
}
