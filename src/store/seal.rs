//! The seal: a note beside the database, `clean`, of how an orderly end has left it.
//!
//! While it fits, the database was not written since, no bit of the file has changed, it was not
//! replaced by a copy, and its write-ahead log was empty: nothing needs to be checked.  It is broken
//! after the first commit, before that commit is answered, and made again at the next orderly end.
//!
//! It must be compared and made while this process does not have the database open: closing any
//! other descriptor of the file would release SQLite's locks (fcntl(2)).

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::durable;
use crate::filesystem::{FileError, private};

/// The note's name.
const NAME: &str = "clean";

/// How a database was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal {
    /// How many times it was closed in order; also kept in the database.
    pub(super) generation: i64,
    size_octets: u64,
    crc32: u32,
    /// Seconds and nanoseconds of its inode's last change, which no copy can keep.
    changed: (i64, i64),
}

/// How a database has changed since its seal was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Not at all.
    Whole,
    /// It has the same octets, but was copied, or has a write-ahead log now.
    Touched,
    /// It has other octets.
    Changed,
}

impl Seal {
    /// The seal of a database as it is now.
    pub(super) fn of(path: &Path, generation: i64) -> io::Result<Self> {
        let mut file = private::open(path, OpenOptions::new().read(true))?;
        let mut hash = crc32fast::Hasher::new();
        let mut piece = vec![0; 1 << 17];
        let mut size_octets = 0;
        loop {
            let read = file.read(&mut piece)?;
            if read == 0 {
                break;
            }
            hash.update(&piece[..read]);
            size_octets += read as u64;
        }
        let metadata = file.metadata()?;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Ok(Self { generation, size_octets, crc32: hash.finalize(), changed })
    }

    /// The note; `None` if it is missing or cannot be read.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let text = durable::read(dir, NAME).ok()?;
        let [generation, size, crc32, seconds, nanoseconds] = text.split_ascii_whitespace().collect::<Vec<_>>()[..]
        else {
            return None;
        };
        Some(Self {
            generation: generation.parse().ok()?,
            size_octets: size.parse().ok()?,
            crc32: u32::from_str_radix(crc32, 16).ok()?,
            changed: (seconds.parse().ok()?, nanoseconds.parse().ok()?),
        })
    }

    /// Puts the note beside the database.
    pub(super) fn write(&self, dir: &Path) -> Result<(), FileError> {
        let Self { generation, size_octets, crc32, changed: (seconds, nanoseconds) } = self;
        durable::write(dir, NAME, &format!("{generation} {size_octets} {crc32:08x} {seconds} {nanoseconds}\n"))
    }

    /// Compares it with the database.
    pub(super) fn fit(&self, path: &Path, has_log: bool) -> io::Result<Fit> {
        let now = Self::of(path, self.generation)?;
        Ok(match now == *self && !has_log {
            true => Fit::Whole,
            false if (now.size_octets, now.crc32) == (self.size_octets, self.crc32) => Fit::Touched,
            false => Fit::Changed,
        })
    }
}

/// Removes the note: the database is going to differ from it.
pub(super) fn break_seal(dir: &Path) -> Result<(), FileError> {
    durable::remove(dir, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_tells_a_changed_bit_from_a_copy_and_both_from_the_file_it_was_made_of() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, copy) = (dir.path().join("state.db"), dir.path().join("copy"));
        std::fs::write(&path, [7; 300_000]).expect("written");
        Seal::of(&path, 3).expect("read").write(dir.path()).expect("written");
        let seal = Seal::read(dir.path()).expect("a seal");
        assert_eq!((seal.generation, seal.fit(&path, false).expect("read")), (3, Fit::Whole));
        assert_eq!(seal.fit(&path, true).expect("read"), Fit::Touched);
        std::fs::copy(&path, &copy).expect("copied");
        std::fs::rename(&copy, &path).expect("restored");
        assert_eq!(seal.fit(&path, false).expect("read"), Fit::Touched);
        let mut octets = vec![7; 300_000];
        octets[200_000] = 6;
        std::fs::write(&path, octets).expect("written");
        assert_eq!(seal.fit(&path, false).expect("read"), Fit::Changed);
        break_seal(dir.path()).expect("removed");
        assert_eq!(Seal::read(dir.path()), None);
    }

    proptest::proptest! {
        // Each case waits for the disk.
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

        #[test]
        fn a_note_is_read_as_it_was_written_and_any_other_text_is_none_or_a_note(
            numbers in proptest::array::uniform4(proptest::num::i64::ANY),
            crc32 in proptest::num::u32::ANY,
            text in "[0-9a-f -]{0,60}|(?s).{0,60}",
        ) {
            let dir = tempfile::tempdir().expect("a directory");
            let [generation, size, seconds, nanoseconds] = numbers;
            let size_octets = size.unsigned_abs();
            let seal = Seal { generation, size_octets, crc32, changed: (seconds, nanoseconds) };
            seal.write(dir.path()).expect("written");
            proptest::prop_assert_eq!(Seal::read(dir.path()), Some(seal));
            std::fs::write(dir.path().join(NAME), &text).expect("written");
            let read = Seal::read(dir.path());
            proptest::prop_assert!(read.is_none() || text.split_ascii_whitespace().count() == 5);
        }
    }
}
