//! Files that are for this program alone: no link is followed, no open blocks on something other
//! than a file, and nothing is truncated before it was checked.
//!
//! Whoever may write the folder may put a link or a FIFO in it; through the link, any file of the
//! machine would be opened.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::durable::{sync_file, sync_folder};

/// An error and the file that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// The system's error.
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`.
    pub fn of(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self { path: path.to_owned(), source }
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        error.source
    }
}

/// Opens a file; a new one gets mode 0600.
///
/// # Errors
/// It is a link or not a file, or cannot be opened.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without O_NONBLOCK, opening a FIFO blocks; the flag has no effect on a file.
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| what_it_is(path).unwrap_or(error))?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(what_it_is(path).unwrap_or_else(|| io::Error::other("is not a file")))
    }
}

/// Opens a file for writing, made where it is missing, and empties it.
///
/// # Errors
/// As [`open`].
pub(crate) fn empty(path: &Path) -> io::Result<File> {
    let file = open(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    file.set_len(0)?;
    Ok(file)
}

/// Makes a new file, in place of what a crash has left there.
///
/// # Errors
/// It cannot be made.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    open(path, OpenOptions::new().write(true).create_new(true))
}

/// Replaces a file, atomically and durably: the content is written under the name `made`, in the same folder,
/// synced and renamed.
///
/// # Errors
/// It cannot be written; the old file is unchanged, unless only the folder could not be synced.
pub(crate) fn replace(path: &Path, made: &Path, content: &[u8]) -> Result<(), FileError> {
    let place = || {
        let mut file = create(made)?;
        file.write_all(content)?;
        sync_file(&file)?;
        std::fs::rename(made, path)
    };
    place().inspect_err(|_| drop(std::fs::remove_file(made))).map_err(FileError::of(made))?;
    let folder = path.parent().unwrap_or(path);
    sync_folder(folder).map_err(FileError::of(folder))
}

/// Reads a file, up to a limit.
///
/// # Errors
/// As [`open`].
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(limit).read_to_end(&mut octets)?;
    Ok(octets)
}

/// Whether there is anything of that name, even a dangling link.
///
/// # Errors
/// It cannot be determined.
pub(crate) fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The size of a file; `None` if it is not there.
///
/// # Errors
/// It is a link or not a file, or cannot be looked at.
pub(crate) fn size(path: &Path) -> io::Result<Option<u64>> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
        Ok(_) => Err(what_it_is(path).unwrap_or_else(|| io::Error::other("is not a file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder, 0700; `false` if it was there.
///
/// # Errors
/// Something there is a link or not a folder, or it cannot be made.
pub(crate) fn make_folder(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Err(_) => match path.symlink_metadata()?.file_type() {
            kind if kind.is_dir() => Ok(false),
            kind if kind.is_symlink() => Err(a_link()),
            _ => Err(io::Error::new(ErrorKind::NotADirectory, "is not a folder")),
        },
    }
}

/// Makes the missing folders of a path, 0700, durably.  Links on the way are followed.
///
/// # Errors
/// One cannot be made, or is not a folder.
pub(crate) fn make_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_folders(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Err(_) if !path.is_dir() => return Err(ErrorKind::NotADirectory.into()),
        _ => {}
    }
    parent.map_or(Ok(()), sync_folder)
}

/// The error about something that should be a file; `None` if it is one, or is not there.
fn what_it_is(path: &Path) -> Option<io::Error> {
    let kind = path.symlink_metadata().ok()?.file_type();
    match () {
        () if kind.is_symlink() => Some(a_link()),
        () if kind.is_dir() => Some(io::Error::new(ErrorKind::IsADirectory, "is a folder, not a file")),
        () if !kind.is_file() => Some(io::Error::new(ErrorKind::InvalidInput, "is not a file")),
        () => None,
    }
}

fn a_link() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "is a symbolic link, and postrider follows none here")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_a_fifo_and_a_folder_are_no_file_and_what_a_link_leads_to_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("precious"), "text").expect("written");
        symlink(at("precious"), at("link")).expect("linked");
        symlink(at("nowhere"), at("dangling")).expect("linked");
        std::fs::create_dir(at("folder")).expect("made");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, mode, 0).expect("made");
        for (name, want) in [
            ("link", "is a symbolic link, and postrider follows none here"),
            ("dangling", "is a symbolic link, and postrider follows none here"),
            ("fifo", "is not a file"),
            ("folder", "is a folder, not a file"),
        ] {
            let path = at(name);
            let errors = [
                empty(&path).map(|_| ()),
                read(&path, 9).map(|_| ()),
                size(&path).map(|_| ()),
                open(&path, OpenOptions::new().read(true).write(true)).map(|_| ()),
            ];
            for error in errors {
                assert_eq!(error.expect_err(name).to_string(), want, "{name}");
            }
            assert!(is_there(&path).expect("said"));
        }
        for name in ["link", "dangling", "fifo", "precious"] {
            make_folder(&at(name)).expect_err("no folder");
        }
        assert!(!make_folder(&at("folder")).expect("there"));
        // What is made takes the link's place.
        create(&at("link")).expect("made");
        assert_eq!(std::fs::read(at("precious")).expect("there"), b"text");
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn what_is_made_is_for_its_owner_alone_and_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, folder) = (dir.path().join("file"), dir.path().join("folder"));
        assert_eq!((size(&file).expect("said"), is_there(&file).expect("said")), (None, false));
        empty(&file).and_then(|mut file| io::Write::write_all(&mut file, b"text")).expect("written");
        assert_eq!(read(&file, 2).expect("read"), b"te");
        assert_eq!(size(&file).expect("said"), Some(4));
        empty(&file).expect("emptied");
        assert_eq!(size(&file).expect("said"), Some(0));
        assert!(make_folder(&folder).expect("made"));
        make_folders(&dir.path().join("a/b")).expect("made");
        let mode = |path: &Path| path.metadata().expect("there").permissions().mode() & 0o7777;
        assert_eq!((mode(&file) & 0o077, mode(&folder)), (0, 0o700));
        assert_eq!((mode(&dir.path().join("a")), mode(&dir.path().join("a/b"))), (0o700, 0o700));
    }

    #[test]
    fn a_file_takes_the_place_of_the_one_before_or_leaves_it_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, made) = (dir.path().join("file"), dir.path().join("file.new"));
        for content in ["one", "2"] {
            replace(&path, &made, content.as_bytes()).expect("replaced");
            assert_eq!(read(&path, 9).expect("read"), content.as_bytes());
            assert!(!made.exists());
        }
        std::fs::create_dir(&made).expect("in the way");
        assert_eq!(replace(&path, &made, b"three").expect_err("refused").path, made);
        assert_eq!(read(&path, 9).expect("read"), b"2");
    }
}
