//! The move from `tmp/` to `new/`, which never replaces a file, on file systems of every kind.
//!
//! 1. renameat2(2) with RENAME_NOREPLACE: most file systems of Linux have it.
//! 2. link(2) and unlink(2): a link never replaces either.  NFS has no flags for a rename.
//! 3. rename(2) after a look that nothing has the name: FAT over FUSE, sshfs, rclone and shared folders of
//!    virtual machines have neither.  Between the look and the move no other process makes that name: it contains
//!    the time, a process and a count, and the word of this state directory, which one process holds at a time.
//!
//! After a crash each of them looks the same: no file in `tmp/` means that it was moved.

use std::fmt;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, RenameFlags};
use rustix::io::Errno;

/// How messages get into `new/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By a rename that never replaces.
    Rename,
    /// By a hard link.
    Link,
    /// By a plain rename, after a look.
    Look,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Rename => "by a rename that never replaces a file",
            Way::Link => "by a hard link, since its file system has no rename that never replaces a file",
            Way::Look => {
                "by a plain rename after a look, since its file system has neither hard links nor a rename that never \
                 replaces a file"
            }
        })
    }
}

/// Whether a file system does not know a call or its flags.  EPERM may mean that, or that the move is forbidden:
/// then the next way fails with the same error.
fn is_unknown(error: Errno) -> bool {
    const UNKNOWN: [Errno; 5] = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM, Errno::NOTTY];
    UNKNOWN.contains(&error)
}

/// Moves `tmp/NAME` to `to`, a path from `root`.
///
/// # Errors
/// It cannot be moved, or something has that name.
pub(super) fn rename(tmp: &OwnedFd, name: &str, root: &OwnedFd, to: &str) -> Result<Way, Errno> {
    match rustix::fs::renameat_with(tmp, name, root, to, RenameFlags::NOREPLACE) {
        Err(error) if is_unknown(error) => {}
        result => return result.map(|()| Way::Rename),
    }
    match link_and_unlink(tmp, name, root, to) {
        // Some file systems without links report MLINK.
        Err(error) if is_unknown(error) || error == Errno::MLINK => {}
        result => return result.map(|()| Way::Link),
    }
    look_and_rename(tmp, name, root, to).map(|()| Way::Look)
}

pub(super) fn link_and_unlink(tmp: &OwnedFd, name: &str, root: &OwnedFd, to: &str) -> Result<(), Errno> {
    match rustix::fs::linkat(tmp, name, root, to, AtFlags::empty()) {
        // NFS may report EXIST although this very link was made: then both are the same file.
        Err(Errno::EXIST) if is_same(tmp, name, root, to)? => {}
        result => result?,
    }
    rustix::fs::unlinkat(tmp, name, AtFlags::empty())
}

pub(super) fn look_and_rename(tmp: &OwnedFd, name: &str, root: &OwnedFd, to: &str) -> Result<(), Errno> {
    match rustix::fs::statat(root, to, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST),
        Err(Errno::NOENT) => rustix::fs::renameat(tmp, name, root, to),
        Err(error) => Err(error),
    }
}

fn is_same(tmp: &OwnedFd, name: &str, root: &OwnedFd, to: &str) -> Result<bool, Errno> {
    let inode = |dir: &OwnedFd, name: &str| {
        rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| (stat.st_dev, stat.st_ino))
    };
    Ok(inode(tmp, name)? == inode(root, to)?)
}
