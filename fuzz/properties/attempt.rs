//! The file of the messages that a poll was at: any octets can be read, and what is written is read back.

use std::collections::BTreeSet;
use std::path::Path;

use postrider::testing::attempt::{Attempts, Death, Slot, forget, left};
use postrider::testing::message::{MessageKey, Name};

/// Octets that identify the boot: its UUID and two clocks.
const BOOT: usize = 36 + 16;

/// Octets of a slot: length, occurrence, unique-id.
const SLOT: usize = 2 + 4 + 512;

pub(super) fn holds(slots: &[u8]) {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().expect("a directory");
    }
    DIR.with(|dir| {
        let account = Name::new("work").expect("a name");
        let file = dir.path().join("attempts").join(account.as_str());
        let attempts = Attempts::begin(dir.path(), &account).expect("begun");
        attempts.enter(Slot::Receiving, &MessageKey::new(b"x", 0).expect("a key"), false);
        let begun = std::fs::read(&file).expect("the marks");
        drop(attempts);
        let boot = &begun[..BOOT];
        // Octets of another boot, or of anything.  The fuzzer has found out the name of this one.
        std::fs::write(&file, slots).expect("written");
        assert!(slots.starts_with(&boot[..36]) || left(dir.path(), &account).is_empty());
        std::fs::write(&file, [boot, &[1], slots].concat()).expect("written");
        let deaths = left(dir.path(), &account);
        assert_eq!(deaths, naive(slots));
        written(dir.path(), &account, &deaths);
        forget(dir.path(), &account);
        assert_eq!(left(dir.path(), &account), []);
    });
}

fn naive(slots: &[u8]) -> Vec<Death> {
    let deaths = slots.chunks(SLOT).filter(|slot| slot.len() >= 6).filter_map(|slot| {
        let again = slot[0] & 0x80 != 0;
        let length = usize::from(slot[0] & 0x7f) << 8 | usize::from(slot[1]);
        let occurrence = slot[2..6].iter().fold(0, |value, &octet| value << 8 | u32::from(octet));
        (length <= slot.len() - 6).then(|| MessageKey::new(&slot[6..6 + length], occurrence))?.map(|key| (key, again))
    });
    let deaths: BTreeSet<Death> = deaths.map(|(key, again)| Death { key, again }).collect();
    deaths.into_iter().collect()
}

/// The same messages, entered by a poll that panics.
fn written(dir: &Path, account: &Name, deaths: &[Death]) {
    let mut attempts = Attempts::begin(dir, account).expect("begun");
    for (slot, death) in deaths.iter().enumerate() {
        attempts.enter(Slot::Sending(slot), &death.key, death.again);
    }
    attempts.panicked();
    drop(attempts);
    assert_eq!(left(dir, account), deaths);
}
