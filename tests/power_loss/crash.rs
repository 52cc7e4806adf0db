//! The worlds that a loss of power may leave, at every moment of recorded runs.

use std::collections::HashSet;

use super::disk::Disk;
use super::fates::fates;
use super::mailbox::Mailbox;
use super::operation::Operation;
use super::recording::{Run, World};
use super::trace::Moment;

/// A world after a loss of power.
#[derive(Clone, Debug)]
pub struct Crash {
    /// What is left.
    pub world: World,
    /// When it was and what became of what was pending.
    pub story: String,
}

/// What is remembered over all recordings.
pub struct Crashes {
    /// Combinations of a moment at most.
    most: usize,
    random: fastrand::Rng,
    /// Moments looked at.
    pub prefixes: usize,
    seen: HashSet<u64>,
}

impl Crashes {
    /// Nothing yet.  Of each moment at most so many combinations are looked at.
    pub fn new(most: usize, random: fastrand::Rng) -> Self {
        Self { most, random, prefixes: 0, seen: HashSet::new() }
    }

    /// The worlds that have not been seen yet, for each moment.
    pub fn of(&mut self, start: &World, runs: &[Run]) -> Vec<Vec<Crash>> {
        let mut disk = Disk::new(start.disk.clone());
        let mut gone = start.gone.clone();
        let mut all = Vec::new();
        // An operation's number over all runs.
        let mut first = 0;
        for run in runs {
            let mut mailbox = Mailbox::new(gone, run.listing.clone());
            for (at, moment) in run.moments.iter().enumerate() {
                let operation = match moment {
                    Moment::Begin(index) | Moment::End(index) => &run.operations[*index],
                };
                match (moment, operation) {
                    (Moment::Begin(_), Operation::Say(octets)) => mailbox.say(octets),
                    (Moment::End(_), Operation::Hear(octets)) => mailbox.hear(octets),
                    (Moment::Begin(index), _) => disk.begin(first + index, operation),
                    (Moment::End(index), _) => disk.end(first + index),
                }
                self.prefixes += 1;
                if is_nothing_new(*moment, operation) {
                    continue;
                }
                let what = format!("run with {} messages, moment {at}, {moment:?} {}", run.arrived, short(operation));
                let world = World { arrived: run.arrived, ..start.clone() };
                all.push(self.at(&disk, &mailbox, &world, &what));
            }
            gone = mailbox.possible().pop().expect("one at least");
            first += run.operations.len();
        }
        all
    }

    /// The new worlds at one moment.
    fn at(&mut self, disk: &Disk, mailbox: &Mailbox, world: &World, what: &str) -> Vec<Crash> {
        let mut crashes = Vec::new();
        for fates in fates(&disk.pending(), self.most, &mut self.random) {
            let image = disk.after(&fates);
            for gone in mailbox.possible() {
                let world = World { disk: image.clone(), gone, ..world.clone() };
                if self.seen.insert(world.digest()) {
                    crashes.push(Crash { story: format!("{what}\n  gone {:?}, fates {fates:?}", world.gone), world });
                }
            }
        }
        crashes
    }
}

/// Whether a moment leaves the same worlds possible as the one before it.
fn is_nothing_new(moment: Moment, operation: &Operation) -> bool {
    match operation {
        Operation::Sync(_) | Operation::Hear(_) => matches!(moment, Moment::Begin(_)),
        _ => matches!(moment, Moment::End(_)),
    }
}

fn short(operation: &Operation) -> String {
    let mut text = format!("{operation:?}");
    text.truncate(160);
    text
}
