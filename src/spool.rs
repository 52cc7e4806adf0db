//! A message in transit: in memory while it is small, in an unlinked file when it is not.
//!
//! It is written once and read any number of times, in pieces.  However large it is, at most
//! [`MEMORY_LIMIT`] octets of it are in memory, and nothing of it is left when the process dies, or
//! at the latest when the next one begins.  Nothing is made durable here: a spool only bridges two servers.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::descriptors::Permit;
use crate::filesystem::make_unique;

/// Octets that are held in memory: most messages fit, and with dozens on their way at a time it
/// is still little.  A larger message is written in pieces of this size.
pub const MEMORY_LIMIT: usize = 256 * 1024;

/// Octets of a piece that is read.
pub const PIECE_LIMIT: usize = 64 * 1024;

/// The beginning of the file names, where files have a name.
const NAME: &str = "spool-";

/// Only this user may read it: it is private mail.
const MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The file of a message.
#[derive(Debug)]
enum Backing {
    /// Without a name, and open as long as the message is needed.
    Unlinked(File, Permit),
    /// Too many files are open: it has a name, and is opened when it is used.
    Named(PathBuf),
}

/// A message.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    /// The end of the message; all of it while there is no file.
    memory: Vec<u8>,
    file: Option<Backing>,
    /// Octets in the file.
    filed: u64,
    eight_bit: bool,
    /// Line ends that have no CR.
    lone_line_feeds: u64,
    last: u8,
    /// Something that was written is missing.
    torn: bool,
}

impl Spool {
    /// An empty spool.  A message that outgrows the memory goes to a file in `dir`, which has to
    /// exist by then.
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            memory: Vec::new(),
            file: None,
            filed: 0,
            eight_bit: false,
            lone_line_feeds: 0,
            last: 0,
            torn: false,
        }
    }

    /// Appends to the message.
    ///
    /// # Errors
    /// The file cannot be made or written.  The spool cannot be read any more then, so that a part of
    /// the message is never taken for the whole.
    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let written = self.append(octets);
        self.torn |= written.is_err();
        written
    }

    fn append(&mut self, octets: &[u8]) -> io::Result<()> {
        self.look_at(octets);
        let mut rest = octets;
        while self.memory.len() + rest.len() > MEMORY_LIMIT {
            let (now, later) = rest.split_at(MEMORY_LIMIT - self.memory.len());
            self.memory.extend_from_slice(now);
            self.flush()?;
            rest = later;
        }
        self.memory.extend_from_slice(rest);
        Ok(())
    }

    /// The size of the message.
    pub fn octets(&self) -> u64 {
        self.filed + self.memory.len() as u64
    }

    /// Its size with every line ended by CRLF.
    pub fn wire_octets(&self) -> u64 {
        self.octets() + self.lone_line_feeds
    }

    /// Whether an octet above 0x7F has been written.
    pub fn has_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Reads it from its beginning.
    pub fn pieces(&self) -> Pieces<'_> {
        Pieces { spool: self, at: 0, buffer: Vec::new(), opened: None }
    }

    /// The beginning of the message, at most `limit` octets.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn beginning(&self, limit: usize) -> io::Result<Vec<u8>> {
        let mut beginning = Vec::new();
        let mut pieces = self.pieces();
        while beginning.len() < limit
            && let Some(piece) = pieces.next_piece()?
        {
            beginning.extend_from_slice(&piece[..piece.len().min(limit - beginning.len())]);
        }
        Ok(beginning)
    }

    fn look_at(&mut self, octets: &[u8]) {
        self.eight_bit = self.eight_bit || !octets.is_ascii();
        for at in memchr::memchr_iter(b'\n', octets) {
            let before = at.checked_sub(1).map_or(self.last, |before| octets[before]);
            self.lone_line_feeds += u64::from(before != b'\r');
        }
        self.last = octets.last().copied().unwrap_or(self.last);
    }

    /// Moves the memory to the end of the file.
    fn flush(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(match Permit::take() {
                Some(permit) => Backing::Unlinked(unlinked_file(&self.dir)?, permit),
                None => named_file(&self.dir)?,
            });
        }
        match &self.file {
            Some(Backing::Unlinked(file, _)) => file.write_all_at(&self.memory, self.filed)?,
            Some(Backing::Named(path)) => {
                File::options().write(true).open(path)?.write_all_at(&self.memory, self.filed)?
            }
            None => {}
        }
        self.filed += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

/// One pass over a spool.
#[derive(Debug)]
pub struct Pieces<'a> {
    spool: &'a Spool,
    at: u64,
    buffer: Vec<u8>,
    /// The file, if it has a name.
    opened: Option<File>,
}

impl Pieces<'_> {
    /// The next octets, at most [`PIECE_LIMIT`]; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read, or something that was written is missing.
    pub fn next_piece(&mut self) -> io::Result<Option<&[u8]>> {
        let Spool { file, filed, memory, torn, .. } = self.spool;
        if *torn {
            return Err(io::Error::other("the message was not written as a whole"));
        }
        if let Some(left) = filed.checked_sub(self.at).filter(|&left| left > 0) {
            let length = usize::try_from(left).unwrap_or(PIECE_LIMIT).min(PIECE_LIMIT);
            self.buffer.resize(length, 0);
            if let (Some(Backing::Named(path)), None) = (file, &self.opened) {
                self.opened = Some(File::open(path)?);
            }
            let file = match (file, &self.opened) {
                (Some(Backing::Unlinked(file, _)), _) | (_, Some(file)) => file,
                _ => return Err(io::ErrorKind::NotFound.into()),
            };
            file.read_exact_at(&mut self.buffer, self.at)?;
            self.at += length as u64;
            return Ok(Some(&self.buffer));
        }
        let rest = usize::try_from(self.at - filed).ok().and_then(|at| memory.get(at..)).unwrap_or_default();
        let piece = &rest[..rest.len().min(PIECE_LIMIT)];
        self.at += piece.len() as u64;
        Ok((!piece.is_empty()).then_some(piece))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Some(Backing::Named(path)) = &self.file {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Removes the files with a name that a crash has left.  No other process may be using the folder.
pub fn remove_strays(dir: &Path) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(NAME) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// A file with a name.
fn named_file(dir: &Path) -> io::Result<Backing> {
    make_unique(|word| {
        let path = dir.join(format!("{NAME}{word}"));
        rustix::fs::open(&path, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, MODE)?;
        Ok(Backing::Named(path))
    })
}

/// A file without a name.  Not every file system can make one at once (overlayfs, NFS): there it
/// has a name for a moment.
fn unlinked_file(dir: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags | OFlags::TMPFILE, MODE) {
        Ok(file) => Ok(file.into()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR | rustix::io::Errno::INVAL) => created(dir, flags),
        Err(error) => Err(error.into()),
    }
}

fn created(dir: &Path, flags: OFlags) -> io::Result<File> {
    make_unique(|word| {
        let path = dir.join(format!("{NAME}{word}"));
        let file = rustix::fs::open(&path, flags | OFlags::CREATE | OFlags::EXCL, MODE)?;
        std::fs::remove_file(&path)?;
        Ok(file.into())
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(spool: &Spool) -> Vec<u8> {
        let (mut all, mut pieces) = (Vec::new(), spool.pieces());
        while let Some(piece) = pieces.next_piece().expect("readable") {
            assert!((1..=PIECE_LIMIT).contains(&piece.len()));
            all.extend_from_slice(piece);
        }
        all
    }

    fn entries(dir: &Path) -> usize {
        std::fs::read_dir(dir).expect("a directory").count()
    }

    #[test]
    fn what_is_written_is_read_as_often_as_wanted() {
        let dir = tempfile::tempdir().expect("a directory");
        let sizes = [0, 1, PIECE_LIMIT, MEMORY_LIMIT - 1, MEMORY_LIMIT, MEMORY_LIMIT + 1, 3 * MEMORY_LIMIT, 2_000_003];
        for size in sizes {
            let message: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            for step in [997, 70_001, usize::MAX] {
                let mut spool = Spool::new(dir.path());
                message.chunks(step.min(size.max(1))).for_each(|part| spool.write(part).expect("written"));
                assert_eq!(spool.octets(), size as u64);
                assert!(read(&spool) == message && read(&spool) == message, "{size} octets by {step}");
                assert_eq!(spool.beginning(100).expect("readable"), &message[..size.min(100)]);
            }
        }
    }

    #[test]
    fn a_large_message_is_in_a_private_file_without_a_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut spool = Spool::new(dir.path());
        for _ in 0..100 {
            spool.write(&[b'x'; 100_000]).expect("written");
            assert!(spool.memory.len() <= MEMORY_LIMIT && spool.memory.capacity() <= 2 * MEMORY_LIMIT);
        }
        assert_eq!(entries(dir.path()), 0);
        for file in [unlinked_file(dir.path()).expect("a file"), created(dir.path(), OFlags::RDWR).expect("a file")] {
            assert_eq!(file.metadata().expect("metadata").permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(entries(dir.path()), 0);
    }

    #[test]
    fn spools_of_one_instant_have_files_of_their_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let gate = std::sync::Barrier::new(16);
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    gate.wait();
                    for _ in 0..20 {
                        created(dir.path(), OFlags::RDWR).expect("a file");
                    }
                });
            }
        });
        assert_eq!(entries(dir.path()), 0);
    }

    #[test]
    fn a_message_whose_file_has_a_name_is_the_same_and_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let message: Vec<u8> = (0..2_000_003_u32).map(|at| (at % 251) as u8).collect();
        let mut spool = Spool::new(dir.path());
        spool.file = Some(named_file(dir.path()).expect("a file"));
        message.chunks(70_001).for_each(|part| spool.write(part).expect("written"));
        assert!(read(&spool) == message && read(&spool) == message);
        assert_eq!(entries(dir.path()), 1);
        drop(spool);
        assert_eq!(entries(dir.path()), 0);
        std::mem::forget(named_file(dir.path()).expect("a file"));
        std::fs::write(dir.path().join("other"), "").expect("written");
        remove_strays(dir.path());
        assert_eq!(entries(dir.path()), 1, "what a crash has left is gone, and nothing else");
    }

    #[test]
    fn a_small_message_needs_no_directory_and_a_large_one_says_that_it_is_missing() {
        let mut spool = Spool::new(Path::new("/nowhere"));
        spool.write(b"small").expect("in memory");
        let error = spool.write(&vec![0; MEMORY_LIMIT]).expect_err("no directory");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(spool.write(b"more").is_err() || spool.pieces().next_piece().is_err());
        assert!(spool.pieces().next_piece().is_err() && spool.beginning(1).is_err());
    }

    #[test]
    fn line_ends_and_eight_bit_octets_are_seen_across_writes() {
        let mut spool = Spool::new(Path::new("/nowhere"));
        spool.write(b"a\r").expect("in memory");
        spool.write(b"\nb\n\nc\r\n").expect("in memory");
        assert_eq!((spool.octets(), spool.wire_octets(), spool.has_eight_bit()), (9, 11, false));
        spool.write(b"\xe9").expect("in memory");
        assert!(spool.has_eight_bit());
    }
}
