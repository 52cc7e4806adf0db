//! Which messages are being handled right now: recorded before the handling begins, so that the next
//! process knows what the last one crashed on.
//!
//! One small file for each account that is being polled, `STATE-DIR/attempts/ACCOUNT`.  It is not
//! synced: it has to outlive the process, not the machine.  After a loss of power it may be an old
//! file whose removal was lost, and no message is to blame anyway; so it names the boot that it was
//! written in (`attempt/boot.rs`), and a file of another boot is ignored.
//!
//! Only a crash of the process itself counts: a panic, or a crash signal, whose handler writes to
//! `STATE-DIR/attempts/.died` ([`death_note`]).  SIGKILL comes from outside, and may hit any message.

mod boot;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use boot::Boot;

use crate::filesystem::{FileError, private};
use crate::message::{MessageKey, Name, UNIQUE_ID_LIMIT};

/// Octets before the flag.
const BOOT_OCTETS: usize = boot::OCTETS;

/// Octets before the first slot: the boot, and whether the poll has panicked.
const HEAD_OCTETS: usize = BOOT_OCTETS + 1;

/// Whether the process before this one has crashed.
static CRASHED: AtomicBool = AtomicBool::new(false);

/// The descriptor that this process writes to when it crashes; -1: none.
static DEATH_NOTE: AtomicI32 = AtomicI32::new(-1);

/// Octets of a slot: length and occurrence of a unique-id, and the unique-id.
const SLOT_OCTETS: usize = 2 + 4 + UNIQUE_ID_LIMIT;

/// Octets of marks that are read: more slots than any poll has.
const SIZE_LIMIT: u64 = 4096 * SLOT_OCTETS as u64;

/// A bit of the length: the message was a suspect already.
const SUSPECT: u16 = 1 << 15;

/// A message that a poll crashed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Death {
    /// The message.
    pub key: MessageKey,
    /// The poll before had crashed on it, too, and so it was handled last.
    pub again: bool,
}

/// Where a message is marked: each part of a poll handles one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// It is being received.
    Receiving,
    /// Its header is read and its files are written.
    Staging,
    /// It is sent by SMTP, on the connection with this number.
    Sending(usize),
}

impl Slot {
    /// Its position among the file's slots.
    fn index(self) -> usize {
        match self {
            Slot::Receiving => 0,
            Slot::Staging => 1,
            Slot::Sending(lane) => 2 + lane,
        }
    }
}

/// The marks of one poll.
#[derive(Debug)]
pub struct Attempts {
    file: File,
    path: PathBuf,
    panicked: bool,
}

/// Finds out how the last process ended, and opens the file that this one writes to if it crashes.
/// Called once, before the first poll.
///
/// # Errors
/// The state directory cannot be written.
pub fn watch(state_dir: &Path) -> Result<(), FileError> {
    make_directory(state_dir)?;
    let path = state_dir.join("attempts/.died");
    CRASHED.store(private::size(&path).is_ok_and(|octets| octets > Some(0)), Ordering::Relaxed);
    let note = private::empty(&path).map_err(FileError::of(&path))?;
    // It stays open as long as the process runs.
    DEATH_NOTE.store(std::os::fd::IntoRawFd::into_raw_fd(note), Ordering::Relaxed);
    Ok(())
}

/// The descriptor that the handler of crash signals writes to; -1: none.
pub fn death_note() -> i32 {
    DEATH_NOTE.load(Ordering::Relaxed)
}

fn make_directory(state_dir: &Path) -> Result<(), FileError> {
    let folder = state_dir.join("attempts");
    private::make_folder(&folder).map(|_| ()).map_err(FileError::of(&folder))
}

/// The messages that an earlier poll of the account crashed on.
pub fn left(state_dir: &Path, account: &Name) -> Vec<Death> {
    let left = private::read(&path(state_dir, account), SIZE_LIMIT).unwrap_or_default();
    let Some((boot, rest)) = left.split_first_chunk::<BOOT_OCTETS>() else { return Vec::new() };
    let Some((panicked, slots)) = rest.split_first() else { return Vec::new() };
    let died = *panicked != 0 || CRASHED.load(Ordering::Relaxed);
    let is_of_this_boot = Boot::decoded(boot).is_some_and(|boot| Boot::current().is_same(&boot));
    if !is_of_this_boot || !died {
        return Vec::new();
    }
    // A message may be in several slots.
    let deaths: BTreeSet<Death> = slots.chunks(SLOT_OCTETS).filter_map(death).collect();
    deaths.into_iter().collect()
}

/// Forgets the messages that an earlier poll of the account crashed on.
pub fn forget(state_dir: &Path, account: &Name) {
    let _ = std::fs::remove_file(path(state_dir, account));
}

/// The account has another name now.
pub fn rename(state_dir: &Path, from: &Name, to: &Name) {
    let _ = std::fs::rename(path(state_dir, from), path(state_dir, to));
}

fn path(state_dir: &Path, account: &Name) -> PathBuf {
    state_dir.join("attempts").join(account.as_str())
}

impl Attempts {
    /// Begins a poll's marks.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn begin(state_dir: &Path, account: &Name) -> Result<Self, FileError> {
        let path = path(state_dir, account);
        make_directory(state_dir)?;
        let file = private::empty(&path).map_err(FileError::of(&path))?;
        // Errors are ignored as in `write`: without the head, the marks are not used.
        let mut head = [0; HEAD_OCTETS];
        head[..BOOT_OCTETS].copy_from_slice(&Boot::current().encoded());
        let _ = file.write_all_at(&head, 0);
        Ok(Self { file, path, panicked: false })
    }

    /// A message is going to be handled; `again`: the last poll crashed on it.  At most one at a
    /// time in each slot.
    pub fn enter(&self, slot: Slot, key: &MessageKey, again: bool) {
        let uid = key.uid();
        let mut mark = Vec::with_capacity(6 + uid.len());
        let length = u16::try_from(uid.len()).unwrap_or(0) | if again { SUSPECT } else { 0 };
        mark.extend_from_slice(&length.to_be_bytes());
        mark.extend_from_slice(&key.occurrence().to_be_bytes());
        mark.extend_from_slice(uid);
        self.write(slot, &mark);
    }

    /// It has been handled.
    pub fn leave(&self, slot: Slot) {
        self.write(slot, &[0; 2]);
    }

    /// A part of the poll has panicked.
    pub fn panicked(&mut self) {
        self.panicked = true;
    }

    /// A mark that cannot be written protects no message, and delays none.
    fn write(&self, slot: Slot, mark: &[u8]) {
        let _ = self.file.write_all_at(mark, (HEAD_OCTETS + slot.index() * SLOT_OCTETS) as u64);
    }
}

impl Drop for Attempts {
    /// The poll has ended, well or not: nothing crashed, unless this is a panic.
    fn drop(&mut self) {
        if self.panicked || std::thread::panicking() {
            let _ = self.file.write_all_at(&[1], BOOT_OCTETS as u64);
        } else {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The message that a slot names.
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
        let mut marks = Attempts::begin(dir.path(), &account).expect("begun");
        assert_eq!(left(dir.path(), &account), []);
        let long = key(&[b'x'; UNIQUE_ID_LIMIT], 7);
        marks.enter(Slot::Receiving, &key(b"one", 0), false);
        marks.enter(Slot::Sending(0), &long, true);
        marks.enter(Slot::Receiving, &key(b"2", 1), false);
        marks.enter(Slot::Sending(1), &key(b"2", 1), false);
        marks.enter(Slot::Staging, &key(b"three", 0), true);
        marks.leave(Slot::Staging);
        // A process that was killed crashed on nothing.
        assert_eq!(left(dir.path(), &account), []);
        marks.panicked();
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
        let mut marks = Attempts::begin(dir.path(), &account).expect("begun");
        marks.enter(Slot::Receiving, &MessageKey::new(b"one", 0).expect("a key"), false);
        marks.panicked();
        drop(marks);
        assert_eq!(left(dir.path(), &account).len(), 1);
        let other = b"00000000-0000-4000-8000-000000000000";
        let file = File::options().write(true).open(path(dir.path(), &account)).expect("the marks");
        file.write_all_at(other, 0).expect("written");
        assert_eq!(left(dir.path(), &account), []);
    }
}
