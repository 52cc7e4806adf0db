//! Unix sockets with paths of any length, and connecting with a deadline.
//!
//! An address has room for 107 octets (unix(7)).  A longer path is addressed through its open folder,
//! which has a short name in `/proc/self/fd`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// The octets of a path that fit in an address with a NUL at the end.
const ADDRESS_LIMIT: usize = 107;

/// Connections that may wait to be accepted; the system's own limit may be lower.
const BACKLOG: i32 = 4096;

/// Connects, and waits at most that long while the other end's backlog is full.
///
/// # Errors
/// Nothing answers there, or too late.
pub fn connect(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(patience))?;
    match by_address(path, |address| retry_on_intr(|| rustix::net::connect(&socket, address))) {
        Ok(()) => Ok(socket.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::TimedOut, "the connection was not accepted in time"))
        }
        Err(error) => Err(error),
    }
}

/// Whether something answers, without waiting for it.
pub(super) fn is_answered(path: &Path) -> bool {
    let connected = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        .and_then(|socket| by_address(path, |address| rustix::net::connect(&socket, address)));
    // A listener that is too busy exists, and so does a socket of another type.
    let is_dead =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
    !connected.is_err_and(|error| is_dead(&error))
}

/// Makes a socket that listens.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    by_address(path, |address| rustix::net::bind(&socket, address))?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn by_address<T>(path: &Path, act: impl FnOnce(&SocketAddrUnix) -> Result<T, Errno>) -> io::Result<T> {
    if path.as_os_str().len() <= ADDRESS_LIMIT {
        return Ok(act(&SocketAddrUnix::new(path)?)?);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = rustix::fs::open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let short = by_descriptor(folder.as_raw_fd()).join(path.file_name().unwrap_or(OsStr::from_bytes(b".")));
    Ok(act(&SocketAddrUnix::new(&short)?)?)
}

/// A path that leads to an open descriptor.
pub(super) fn by_descriptor(descriptor: impl std::fmt::Display) -> PathBuf {
    format!("/proc/self/fd/{descriptor}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_of_any_length() {
        let dir = tempfile::tempdir().expect("a directory");
        for octets in [100, 106, 107, 108, 109, 200, 1000] {
            let mut folder = dir.path().join(octets.to_string());
            let left = |folder: &Path| octets - folder.as_os_str().len() - "/s".len();
            while left(&folder) > 200 {
                folder.push("f".repeat(100));
            }
            folder.push("f".repeat(left(&folder) - 1));
            std::fs::create_dir_all(&folder).expect("made");
            let path = folder.join("s");
            assert_eq!(path.as_os_str().len(), octets);
            assert!(!is_answered(&path));
            let listener = listen(&path).expect("bound");
            connect(&path, Duration::from_secs(1)).expect("connected");
            assert!(is_answered(&path) && listener.accept().is_ok());
            drop(listener);
            let refused = connect(&path, Duration::from_secs(1)).expect_err("nobody listens");
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
    }

    #[test]
    fn a_socket_of_another_type_is_not_a_dead_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let other = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
        assert!(is_answered(&path));
        drop(other);
        connect(&path, Duration::from_secs(1)).expect_err("nobody listens");
    }

    #[test]
    fn one_that_takes_no_connection_is_there_and_not_waited_for_without_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("s");
        let listener = listen(&path).expect("bound");
        // A second listen(2) changes the backlog.
        rustix::net::listen(&listener, 1).expect("lowered");
        let mut waiting = Vec::new();
        let late = loop {
            match connect(&path, Duration::from_millis(50)) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        assert!(is_answered(&path) && waiting.len() < 10);
    }
}
