//! A listening socket in a folder: replaces a dead one, and checks whether its file is still there.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};

use super::address;
use crate::filesystem::owner;

/// A socket, and the file that leads to it.
#[derive(Debug)]
pub(super) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// The file itself, even if its path leads to another one by now.
    file: OwnedFd,
}

impl Door {
    /// Makes the socket of a folder, 0660, in place of one that a dead process has left, or of a link
    /// if `has_links`.
    ///
    /// # Errors
    /// The folder cannot be made or used, root would work in another user's folder, or a process answers there.
    pub(super) fn open(folder: &Path, has_links: bool) -> io::Result<Self> {
        if let Some(foreign) = owner::foreign(folder)? {
            // Its owner could make root remove or open any socket of the machine.
            return Err(io::Error::other(foreign.to_string()));
        }
        match DirBuilder::new().mode(0o755).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let path = super::socket_path(folder);
        match std::fs::symlink_metadata(&path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_socket() => {
                if address::is_answered(&path) {
                    return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there"));
                }
                std::fs::remove_file(&path)?;
            }
            Ok(kind) if kind.is_symlink() && has_links => std::fs::remove_file(&path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is not a socket")),
            Err(_) => {}
        }
        let listener = UnixListener::from_std(address::listen(&path)?)?;
        let file = rustix::fs::open(&path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let mode = || Permissions::from_mode(0o660);
        // By its path only if there is no /proc: if others may write to the folder, that may be another file.
        std::fs::set_permissions(address::by_descriptor(file.as_raw_fd()), mode())
            .or_else(|_| std::fs::set_permissions(&path, mode()))?;
        Ok(Self { listener, path, file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }

    /// Whether the path still leads to the socket.
    pub(super) fn is_there(&self) -> bool {
        let (Ok(named), Ok(own)) = (std::fs::symlink_metadata(&self.path), rustix::fs::fstat(&self.file)) else {
            return false;
        };
        (named.dev(), named.ino()) == (own.st_dev, own.st_ino)
    }

    /// Whether only the socket's owner, its group and root can have connected.  The kernel has then
    /// checked all groups of the peer, which we cannot do if /proc is hidden and users are mapped.
    pub(super) fn is_closed_to_others(&self) -> bool {
        rustix::fs::fstat(&self.file).is_ok_and(|stat| !Mode::from_raw_mode(stat.st_mode).intersects(Mode::WOTH))
    }

    /// Removes the file, unless the path leads to another one.
    pub(super) fn close(self) {
        if self.is_there() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
