//! A disk that forgets: what was done to it, and what a loss of power leaves of that.
//!
//! The model is harsher than the journaling file systems of Linux:
//!
//! * Every effect is on its own.  An effect that no sync covers may reach the disk or not, in any
//!   order, whatever came before or after it.
//! * syncfs covers everything.  fsync and fdatasync of a file cover its content and its size, not
//!   its name; fsync of a directory covers the names in it.  Only calls that had ended when the
//!   sync began are covered, and only once it has ended.
//! * A rename is two effects, the new name and the loss of the old one: both names may be there,
//!   if only one of the directories was synced.  That neither is there is left out, since a
//!   rename that loses the file is a broken file system.
//! * Of a write that is not covered nothing may be left, or zeros of its length, or some of its
//!   sectors.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::fates::{Fate, Kind};
use super::image::{Entry, Image};
use super::operation::Operation;

/// Disks write a sector whole or not at all.
const SECTOR: u64 = 512;

/// The most effects that are described.
const TOLD: usize = 8;

/// One thing that is on the disk or not.
struct Effect {
    change: Change,
    /// The operation that it is of.
    by: usize,
    /// It cannot reach the disk without the effect right before it.
    needs_previous: bool,
    /// The call has ended.
    ended: bool,
    durable: bool,
}

enum Change {
    Name { path: Arc<Path>, entry: Option<Entry> },
    Write { file: u64, offset: u64, data: Vec<u8> },
    Resize { file: u64, octets: u64 },
}

impl fmt::Display for Change {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { path, entry: Some(_) } => write!(out, "the name {}", path.display()),
            Self::Name { path, entry: None } => write!(out, "{} has no name", path.display()),
            Self::Write { file, offset, data } => write!(out, "{} octets at {offset} of file {file}", data.len()),
            Self::Resize { file, octets } => write!(out, "file {file} has {octets} octets"),
        }
    }
}

/// A disk while a program runs on it.
pub struct Disk {
    /// What certainly is there, in so far as nothing uncertain came before it.
    settled: Image,
    effects: VecDeque<Effect>,
    /// Names as the program sees them.
    names: BTreeMap<PathBuf, Entry>,
    next_file: u64,
    /// The syncs that have begun, and the number of effects when they did.
    syncing: BTreeMap<usize, Vec<usize>>,
    /// Effects that have moved into `settled`.
    forgotten: usize,
}

impl Disk {
    /// A disk that holds something durable.
    pub fn new(start: Image) -> Self {
        let names = start.names.iter().map(|(path, entry)| (path.to_path_buf(), *entry)).collect();
        let next_file = start.files.keys().max().map_or(0, |number| number + 1);
        let (effects, syncing) = (VecDeque::new(), BTreeMap::new());
        Self { settled: start, effects, names, next_file, syncing, forgotten: 0 }
    }

    /// An operation begins: from now on its effects may be there.
    pub fn begin(&mut self, by: usize, operation: &Operation) {
        match operation {
            Operation::Create(path) => {
                let entry = Entry::File(self.next_file);
                self.next_file += 1;
                self.name(by, path, Some(entry), false);
            }
            Operation::MakeDirectory(path) => self.name(by, path, Some(Entry::Directory), false),
            Operation::Write { path, offset, data } => {
                let file = self.file(path);
                self.push(by, Change::Write { file, offset: *offset, data: data.clone() }, false);
            }
            Operation::Resize { path, octets } => {
                let file = self.file(path);
                self.push(by, Change::Resize { file, octets: *octets }, false);
            }
            Operation::Link { from, to } => {
                let entry = self.names.get(from).copied();
                self.name(by, to, entry, false);
            }
            Operation::Rename { from, to } => {
                let entry = self.names.get(from).copied();
                self.name(by, to, entry, false);
                self.name(by, from, None, true);
            }
            Operation::Remove(path) => self.name(by, path, None, false),
            Operation::Sync(path) => {
                let covered = self.covered(path);
                self.syncing.insert(by, covered);
            }
            Operation::SyncAll => {
                let covered = self.covered_by(|_| true);
                self.syncing.insert(by, covered);
            }
            Operation::Say(_) | Operation::Hear(_) => {}
        }
    }

    /// An operation has ended.
    pub fn end(&mut self, by: usize) {
        for effect in self.effects.iter_mut().filter(|effect| effect.by == by) {
            effect.ended = true;
        }
        for id in self.syncing.remove(&by).unwrap_or_default() {
            let Some(mut at) = id.checked_sub(self.forgotten) else { continue };
            self.effects[at].durable = true;
            // One that is forgotten is settled.
            while self.effects[at].needs_previous && at > 0 {
                at -= 1;
                self.effects[at].durable = true;
            }
        }
        while self.effects.front().is_some_and(|effect| effect.durable) {
            let effect = self.effects.pop_front().expect("just seen");
            apply(&mut self.settled, &effect.change, Fate::Kept);
            self.forgotten += 1;
        }
    }

    /// What kinds of effects may be lost now.
    pub fn pending(&self) -> Vec<Kind> {
        let pending = self.effects.iter().filter(|effect| !effect.durable);
        let kind = |effect: &Effect| match effect.change {
            Change::Write { .. } => Kind::Data,
            Change::Name { .. } | Change::Resize { .. } => Kind::Whole,
        };
        pending.map(kind).collect()
    }

    /// What becomes of the pending effects by these fates: the fewer of those that are kept or not.
    pub fn tell(&self, fates: &[Fate]) -> String {
        let pending = self.effects.iter().filter(|effect| !effect.durable).zip(fates);
        let (kept, other): (Vec<_>, Vec<_>) = pending.partition(|(_, fate)| **fate == Fate::Kept);
        let (rest, told) = if kept.len() < other.len() { ("lost", kept) } else { ("kept", other) };
        let count = told.len();
        let told = told.iter().take(TOLD).map(|(effect, fate)| format!("\n    {fate:?}: {}", effect.change));
        format!("{} pending, {rest} but for {count}:{}", fates.len(), told.collect::<String>())
    }

    /// What the disk holds if the pending effects have these fates.
    pub fn after(&self, fates: &[Fate]) -> Image {
        let mut image = self.settled.clone();
        let mut fates = fates.iter();
        let mut previous = Fate::Kept;
        for effect in &self.effects {
            let mut fate = if effect.durable { Fate::Kept } else { *fates.next().expect("a fate for each") };
            if effect.needs_previous && previous == Fate::Lost {
                fate = Fate::Lost;
            }
            apply(&mut image, &effect.change, fate);
            previous = fate;
        }
        image
    }

    /// The effects that a sync which begins now makes durable.
    fn covered(&self, path: &Path) -> Vec<usize> {
        let file = match self.names.get(path) {
            Some(Entry::File(number)) => Some(*number),
            _ => None,
        };
        let is_covered = |effect: &Effect| match &effect.change {
            Change::Name { path: name, .. } => file.is_none() && name.parent() == Some(path),
            Change::Write { file: of, .. } | Change::Resize { file: of, .. } => file == Some(*of),
        };
        self.covered_by(is_covered)
    }

    /// Those of them that were done when it began.
    fn covered_by(&self, is_covered: impl Fn(&Effect) -> bool) -> Vec<usize> {
        let effects = self.effects.iter().enumerate();
        let covered = effects.filter(|(_, effect)| effect.ended && !effect.durable && is_covered(effect));
        covered.map(|(at, _)| at + self.forgotten).collect()
    }

    fn file(&self, path: &Path) -> u64 {
        match self.names.get(path) {
            Some(Entry::File(number)) => *number,
            other => panic!("{} is {other:?}", path.display()),
        }
    }

    fn name(&mut self, by: usize, path: &Path, entry: Option<Entry>, needs_previous: bool) {
        match entry {
            Some(entry) => self.names.insert(path.to_owned(), entry),
            None => self.names.remove(path),
        };
        self.push(by, Change::Name { path: path.into(), entry }, needs_previous);
    }

    fn push(&mut self, by: usize, change: Change, needs_previous: bool) {
        self.effects.push_back(Effect { change, by, needs_previous, ended: false, durable: false });
    }
}

fn apply(image: &mut Image, change: &Change, fate: Fate) {
    if fate == Fate::Lost {
        return;
    }
    match change {
        Change::Name { path, entry: Some(entry) } => {
            image.names.insert(Arc::clone(path), *entry);
            if let Entry::File(number) = entry {
                image.files.entry(*number).or_default();
            }
        }
        Change::Name { path, entry: None } => {
            image.names.remove(path);
        }
        Change::Resize { file, octets } => {
            let content = Arc::make_mut(image.files.entry(*file).or_default());
            content.resize(usize::try_from(*octets).expect("a small file"), 0);
        }
        Change::Write { file, offset, data } => {
            write(Arc::make_mut(image.files.entry(*file).or_default()), *offset, data, fate);
        }
    }
}

fn write(content: &mut Vec<u8>, offset: u64, data: &[u8], fate: Fate) {
    let mut random = match fate {
        Fate::Torn(seed) => Some(fastrand::Rng::with_seed(seed)),
        _ => None,
    };
    let end = offset + data.len() as u64;
    let mut at = offset;
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if random.as_mut().is_none_or(|random| random.bool()) {
            let range = usize::try_from(at).expect("a small file")..usize::try_from(next).expect("a small file");
            if content.len() < range.end {
                content.resize(range.end, 0);
            }
            let from = usize::try_from(at - offset).expect("a small write");
            match fate {
                Fate::Zeroed => content[range].fill(0),
                _ => content[range.clone()].copy_from_slice(&data[from..from + range.len()]),
            }
        }
        at = next;
    }
}
