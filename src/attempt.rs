//! Which messages are being handled right now: written down before it begins, so that the next
//! process knows what the last one died of.
//!
//! One small file for each account that is being polled, `STATE-DIR/attempts/ACCOUNT`.  It is not
//! synced: it has to outlive the process, not the machine.  After a loss of power it may be an old
//! one whose removal was lost, and no message is to blame in any case; so it names the boot that it
//! is of, and one of another boot tells nothing.

use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::message::{MessageKey, Name, UNIQUE_ID_LIMIT};

/// Changes with every start of the machine (proc_sys_kernel(5)): a UUID of 36 characters.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Octets before the first slot.
const BOOT_OCTETS: usize = 36;

/// Octets of a slot: length and occurrence of a unique-id, and the unique-id.
const SLOT_OCTETS: usize = 2 + 4 + UNIQUE_ID_LIMIT;

/// A bit of the length: the message was a suspect already.
const SUSPECT: u16 = 1 << 15;

/// A message that a poll has died of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Death {
    /// The message.
    pub key: MessageKey,
    /// It was handled last, since the poll before had died of it too.
    pub again: bool,
}

/// The marks of one poll.
#[derive(Debug)]
pub struct Attempts {
    file: File,
    path: PathBuf,
}

/// The messages that an earlier poll of the account has died of.
pub fn left(state_dir: &Path, account: &Name) -> Vec<Death> {
    let left = std::fs::read(path(state_dir, account)).unwrap_or_default();
    let Some((boot, slots)) = left.split_first_chunk::<BOOT_OCTETS>() else { return Vec::new() };
    if *boot != this_boot() {
        return Vec::new();
    }
    // A message may be in the hands of several.
    let deaths: BTreeSet<Death> = slots.chunks(SLOT_OCTETS).filter_map(death).collect();
    deaths.into_iter().collect()
}

/// Forgets them.
pub fn forget(state_dir: &Path, account: &Name) {
    let _ = std::fs::remove_file(path(state_dir, account));
}

/// Zeros where the system has none.
fn this_boot() -> [u8; BOOT_OCTETS] {
    let id = std::fs::read(BOOT_ID).unwrap_or_default();
    id.first_chunk().copied().unwrap_or([0; BOOT_OCTETS])
}

fn path(state_dir: &Path, account: &Name) -> PathBuf {
    state_dir.join("attempts").join(account.as_str())
}

impl Attempts {
    /// Begins a poll's marks.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn begin(state_dir: &Path, account: &Name) -> io::Result<Self> {
        let path = path(state_dir, account);
        match DirBuilder::new().mode(0o700).create(state_dir.join("attempts")) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        // As below: without it the marks tell nothing.
        let _ = file.write_all_at(&this_boot(), 0);
        Ok(Self { file, path })
    }

    /// A message is going to be handled; `again`: the last poll has died of it.  At most one at a
    /// time in each slot.
    pub fn enter(&self, slot: usize, key: &MessageKey, again: bool) {
        let uid = key.uid();
        let mut mark = Vec::with_capacity(6 + uid.len());
        let length = u16::try_from(uid.len()).unwrap_or(0) | if again { SUSPECT } else { 0 };
        mark.extend_from_slice(&length.to_be_bytes());
        mark.extend_from_slice(&key.occurrence().to_be_bytes());
        mark.extend_from_slice(uid);
        self.write(slot, &mark);
    }

    /// It has been handled.
    pub fn leave(&self, slot: usize) {
        self.write(slot, &[0; 2]);
    }

    /// The poll has ended, well or not: nothing was died of.
    pub fn end(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// A mark that cannot be made protects nobody, and holds up nobody.
    fn write(&self, slot: usize, mark: &[u8]) {
        let _ = self.file.write_all_at(mark, (BOOT_OCTETS + slot * SLOT_OCTETS) as u64);
    }
}

/// What a slot tells.
fn death(slot: &[u8]) -> Option<Death> {
    let (length, rest) = slot.split_first_chunk::<2>()?;
    let (occurrence, uid) = rest.split_first_chunk::<4>()?;
    let length = u16::from_be_bytes(*length);
    let key = MessageKey::new(uid.get(..usize::from(length & !SUSPECT))?, u32::from_be_bytes(*occurrence))?;
    Some(Death { key, again: length & SUSPECT != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_entered_and_not_left_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let account = Name::new("a").expect("a name");
        let key = |uid: &[u8], occurrence| MessageKey::new(uid, occurrence).expect("a key");
        let marks = Attempts::begin(dir.path(), &account).expect("begun");
        assert_eq!(left(dir.path(), &account), []);
        let long = key(&[b'x'; UNIQUE_ID_LIMIT], 7);
        marks.enter(0, &key(b"one", 0), false);
        marks.enter(2, &long, true);
        marks.enter(0, &key(b"2", 1), false);
        marks.enter(3, &key(b"2", 1), false);
        marks.enter(1, &key(b"three", 0), true);
        marks.leave(1);
        // As after a death: nothing is ended.
        drop(marks);
        let deaths = [Death { key: key(b"2", 1), again: false }, Death { key: long, again: true }];
        assert_eq!(left(dir.path(), &account), deaths);
        forget(dir.path(), &account);
        assert_eq!(left(dir.path(), &account), []);
    }

    #[test]
    fn no_message_is_to_blame_for_a_loss_of_power() {
        let dir = tempfile::tempdir().expect("a directory");
        let account = Name::new("a").expect("a name");
        let marks = Attempts::begin(dir.path(), &account).expect("begun");
        marks.enter(0, &MessageKey::new(b"one", 0).expect("a key"), false);
        assert_eq!(left(dir.path(), &account).len(), 1);
        let other = b"00000000-0000-4000-8000-000000000000";
        marks.file.write_all_at(other, 0).expect("written");
        assert_eq!(left(dir.path(), &account), []);
    }
}
