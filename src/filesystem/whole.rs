//! Reads a file that a person has named: only a regular one, whole, and within a time limit.
//!
//! Opening anything else may block for ever (a FIFO), have an effect (a tape rewinds), or bring octets
//! without end (`/dev/zero`).

use std::fs::{File, FileType, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::late::{Late, NoThread, PATIENCE, in_time, in_time_async};
use super::owner;

/// Time for the writer of a pipe, who may have to unlock a key store.
const PIPE_PATIENCE: Duration = Duration::from_secs(60);

/// Pause before opening a file again on which a process holds a lease (fcntl(2), `F_SETLEASE`).
const LEASE_PAUSE: Duration = Duration::from_millis(20);

/// What a name may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Accepts {
    /// A regular file.
    File,
    /// A pipe as well, as `-c <(...)` makes it.
    FileOrPipe,
    /// The same, for a caller that can do without it: a pipe without a writer is waited for less long.
    FileOrPromptPipe,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Content {
    /// Its octets, wiped when they are dropped; one more than the limit if there are more.
    pub octets: Zeroizing<Vec<u8>>,
    /// Of the file that was read: its name may lead to another one by now.
    pub metadata: Metadata,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not a file.
    #[error("is a {0}, not a file")]
    Kind(&'static str),
    /// It is closed to this user: the system's error, and the owner.
    #[error("cannot be read: {0}")]
    Closed(String),
    /// The system refuses it.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl ReadError {
    /// Whether it took too long, and may succeed the next time without anybody doing anything.
    pub fn is_late(&self) -> bool {
        let ReadError::Io(error) = self else { return false };
        error.get_ref().is_some_and(|cause| cause.is::<Late>() || cause.is::<NoThread>())
    }
}

/// Reads at most `limit` octets of a file, and one more to tell that there are more.
///
/// # Errors
/// It is not a file, cannot be read, or does not come in time.
pub(crate) fn read(path: &Path, limit: u64, accepts: Accepts) -> Result<Content, ReadError> {
    let own = path.to_owned();
    in_time(path, patience(accepts), move || read_or_explain(&own, limit, accepts))?
}

/// The same without blocking the caller's thread.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_async(path: &Path, limit: u64) -> Result<Content, ReadError> {
    let own = path.to_owned();
    in_time_async(path, PATIENCE, move || read_or_explain(&own, limit, Accepts::File)).await?
}

fn patience(accepts: Accepts) -> Duration {
    match accepts {
        Accepts::File | Accepts::FileOrPromptPipe => PATIENCE,
        Accepts::FileOrPipe => PIPE_PATIENCE,
    }
}

fn read_or_explain(path: &Path, limit: u64, accepts: Accepts) -> Result<Content, ReadError> {
    read_now(path, limit, accepts).map_err(|error| match error {
        ReadError::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            ReadError::Closed(owner::explained(path, &error))
        }
        error => error,
    })
}

fn read_now(path: &Path, limit: u64, accepts: Accepts) -> Result<Content, ReadError> {
    // Checked before it is opened, and again afterwards: the name may lead to another file by then.
    let is_pipe = check(&std::fs::metadata(path)?, accepts)?;
    let file = open(path, is_pipe)?;
    let metadata = file.metadata()?;
    if !check(&metadata, accepts)? {
        rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(io::Error::from)?;
    }
    // With room for all of it: a vector that grows leaves copies of a secret behind.
    let room = metadata.len().min(limit).saturating_add(1);
    let mut octets = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0)));
    file.take(limit.saturating_add(1)).read_to_end(&mut octets)?;
    Ok(Content { octets, metadata })
}

/// A digest that shows whether a file has changed.  Owner and mode are a part of it, since they decide
/// whether the file is used; for an empty one it is the digest of nothing.
pub(crate) fn digest(octets: &[u8], mode: u32, owner: u32) -> [u8; 32] {
    let mut digest = Sha256::new_with_prefix(octets);
    if !octets.is_empty() {
        digest.update((mode & 0o7777).to_be_bytes());
        digest.update(owner.to_be_bytes());
    }
    digest.finalize().into()
}

/// Opens a file without waiting, except for the writer of a pipe.
fn open(path: &Path, is_pipe: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if !is_pipe {
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && std::time::Instant::now() < until => {
                std::thread::sleep(LEASE_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Whether it is a pipe; fails if its kind is not accepted.
fn check(metadata: &Metadata, accepts: Accepts) -> Result<bool, ReadError> {
    let kind = metadata.file_type();
    match accepts {
        _ if kind.is_file() => Ok(false),
        Accepts::FileOrPipe | Accepts::FileOrPromptPipe if kind.is_fifo() => Ok(true),
        _ => Err(ReadError::Kind(name(kind))),
    }
}

fn name(kind: FileType) -> &'static str {
    match kind {
        _ if kind.is_dir() => "folder",
        _ if kind.is_fifo() => "FIFO",
        _ if kind.is_socket() => "socket",
        _ => "device",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn told(path: &Path) -> String {
        read(path, 9, Accepts::File).expect_err("not a file").to_string()
    }

    #[test]
    fn nothing_but_a_file_is_opened() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), rustix::fs::Mode::RUSR).expect("a FIFO");
        let _socket = UnixListener::bind(at("socket")).expect("a socket");
        std::os::unix::fs::symlink("/dev/zero", at("zero")).expect("a link");
        assert_eq!(told(&at("fifo")), "is a FIFO, not a file");
        assert_eq!(told(&at("socket")), "is a socket, not a file");
        assert_eq!(told(&at("zero")), "is a device, not a file");
        assert_eq!(told(dir.path()), "is a folder, not a file");
        assert_eq!(told(&at("none")), "cannot be read: No such file or directory (os error 2)");
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_one_octet_more() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let file = File::create(&path).expect("made");
        file.set_len(1 << 40).expect("a file of a terabyte");
        let read = |limit| read(&path, limit, Accepts::File).expect("read").octets.len();
        assert_eq!((read(0), read(9)), (1, 10));
        std::fs::write(&path, "abc").expect("written");
        assert_eq!((read(3), read(2), read(u64::MAX)), (3, 3, 3));
    }

    #[test]
    fn a_pipe_is_read_where_it_may_be_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).expect("a FIFO");
        let writer = std::thread::spawn({
            let path = path.clone();
            move || std::fs::write(path, "abc").expect("written")
        });
        let content = read(&path, 9, Accepts::FileOrPipe).expect("read");
        writer.join().expect("written");
        assert_eq!(content.octets.as_slice(), b"abc");
    }
}
