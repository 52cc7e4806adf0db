//! The worlds that a loss of power may leave, at every moment of recorded runs.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::disk::Disk;
use super::fates::fates;
use super::mailbox::Mailbox;
use super::operation::Operation;
use super::recording::{Run, World};
use super::support::Manifest;
use super::trace::Moment;

/// A world after a loss of power.
#[derive(Clone, Debug)]
pub struct Crash {
    /// What is left.
    pub world: World,
    /// What the Maildir must hold in the end.
    pub wanted: Arc<Manifest>,
    /// Whether it was while drafts were moved, and some were not yet.
    pub in_a_move: bool,
    /// When it was and what became of what was pending.
    pub story: String,
}

/// How much is tried of what may be left.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Combinations of what is pending, at each moment.
    pub combinations: usize,
    /// Worlds of a record; the moments share them.
    pub worlds: usize,
}

/// What is remembered over all records.
pub struct Memory {
    /// Moments that have been looked at.
    pub prefixes: usize,
    random: fastrand::Rng,
    seen: HashSet<u64>,
}

impl Memory {
    /// Nothing yet.
    pub fn new(random: fastrand::Rng) -> Self {
        Self { prefixes: 0, random, seen: HashSet::new() }
    }
}

/// Goes through a record, and returns worlds that have not been seen yet.
pub struct Replay<'a> {
    memory: &'a mut Memory,
    effort: Effort,
    start: &'a World,
    runs: &'a [Run],
    disk: Disk,
    mailbox: Mailbox,
    /// The run, the moment in it, and the number of operations before the run.
    place: (usize, usize, usize),
    /// Worlds that each moment adds to those that may be returned.
    share: f64,
    /// How many may be returned now.
    allowance: f64,
    found: Vec<Crash>,
}

impl<'a> Replay<'a> {
    /// At the record's beginning.
    pub fn new(memory: &'a mut Memory, effort: Effort, start: &'a World, runs: &'a [Run]) -> Self {
        let moments = runs.iter().flat_map(|run| &run.moments).count();
        #[expect(clippy::cast_precision_loss, reason = "nobody tries so many")]
        let share = effort.worlds as f64 / moments as f64;
        let disk = Disk::new(start.disk.clone());
        let mailbox = Mailbox::new(start.gone.clone(), runs[0].listing.clone());
        let (place, allowance, found) = ((0, 0, 0), 0.0, Vec::new());
        Self { memory, effort, start, runs, disk, mailbox, place, share, allowance, found }
    }

    /// Goes to the next moment; `None` at the end.
    fn step(&mut self) -> Option<()> {
        let (of_run, at, before) = self.place;
        let run = self.runs.get(of_run)?;
        let Some(moment) = run.moments.get(at) else {
            self.place = (of_run + 1, 0, before + run.operations.len());
            if let Some(next) = self.runs.get(of_run + 1) {
                let gone = self.mailbox.possible().pop().expect("one at least");
                self.mailbox = Mailbox::new(gone, next.listing.clone());
            }
            return Some(());
        };
        self.place.1 += 1;
        self.memory.prefixes += 1;
        self.allowance += self.share;
        let (Moment::Begin(index) | Moment::End(index)) = *moment;
        let operation = &run.operations[index];
        match (moment, operation) {
            (Moment::Begin(_), Operation::Say(octets)) => self.mailbox.say(octets),
            (Moment::End(_), Operation::Hear(octets)) => self.mailbox.hear(octets),
            (Moment::Begin(_), _) => self.disk.begin(before + index, operation),
            (Moment::End(_), _) => self.disk.end(before + index),
        }
        let is_new = match operation {
            Operation::Sync(_) | Operation::Hear(_) => matches!(moment, Moment::End(_)),
            _ => matches!(moment, Moment::Begin(_)),
        };
        if is_new && self.allowance >= 1.0 {
            let end = if matches!(moment, Moment::End(_)) { "after" } else { "in" };
            self.find(run, operation, &format!("run {}, moment {at}: {end} {operation}", of_run + 1));
        }
        Some(())
    }

    /// Finds what may be left at this moment.
    fn find(&mut self, run: &Run, operation: &Operation, what: &str) {
        let possible: Vec<BTreeSet<usize>> = self.mailbox.possible();
        let mut fates = fates(&self.disk.pending(), self.effort.combinations, &mut self.memory.random);
        self.memory.random.shuffle(&mut fates);
        for fates in fates {
            let disk = self.disk.after(&fates);
            for gone in &possible {
                if self.allowance < 1.0 {
                    return;
                }
                let (disk, gone) = (disk.clone(), gone.clone());
                let world = World { arrived: run.arrived, disk, gone, ..self.start.clone() };
                if self.memory.seen.insert(world.digest()) {
                    self.allowance -= 1.0;
                    let story = format!("{what}\n  gone {:?}; {}", world.gone, self.disk.tell(&fates));
                    let in_a_move = matches!(operation, Operation::Rename { .. } | Operation::Link { .. })
                        && world.drafts().iter().any(|name| !world.has_moved(name));
                    self.found.push(Crash { world, wanted: Arc::clone(&run.wanted), in_a_move, story });
                }
            }
        }
    }
}

impl Iterator for Replay<'_> {
    type Item = Crash;

    fn next(&mut self) -> Option<Crash> {
        while self.found.is_empty() {
            self.step()?;
        }
        self.found.pop()
    }
}
