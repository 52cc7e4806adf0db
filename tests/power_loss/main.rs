//! Power that fails at any moment of a fetch: a plain rerun is all that is needed, nothing is lost
//! and nothing comes twice.
//!
//! A real fetch is recorded call by call.  Every prefix of the record is replayed onto a disk that
//! forgets what was not synced (`disk`), in every way that it may, and the program recovers from
//! what is left, for real.  Then power fails once more during such recoveries.
//!
//! The combinations are random where not all can be tried; the seed is printed, and
//! `POSTRIDER_TEST_SEED` repeats a run.  `POSTRIDER_TORTURE=long` tries all of them.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a failure here is a failure of the test"
)]

mod crash;
mod disk;
mod fates;
mod image;
mod mailbox;
mod operation;
mod recording;
mod recovery;
#[path = "../support/mod.rs"]
mod support;
mod trace;

use crash::{Crash, Crashes};
use operation::Operation;
use recording::{MAILDIR, Run, World};
use recovery::Tally;

/// Messages that come before each of the recorded runs.
const ARRIVALS: [usize; 2] = [13, 5];

/// The server pauses before this one, so that the first run has two batches.
const PAUSE_AT: usize = 8;

/// How much is tried.
struct Effort {
    /// Combinations of what is pending at a moment.
    combinations: usize,
    /// Recoveries of each recording; the moments take turns.
    states: usize,
    /// Recoveries during which power fails again.
    again: usize,
    /// Recoveries of each of those.
    states_again: usize,
}

const SHORT: Effort = Effort { combinations: 8, states: 300, again: 2, states_again: 60 };

const LONG: Effort = Effort { combinations: 256, states: usize::MAX, again: 12, states_again: usize::MAX };

#[test]
fn a_loss_of_power_at_any_moment_loses_and_doubles_nothing() {
    let effort = if std::env::var("POSTRIDER_TORTURE").is_ok_and(|how| how == "long") { LONG } else { SHORT };
    let seed = std::env::var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("power loss: POSTRIDER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut crashes = Crashes::new(effort.combinations, random.fork());
    let mut tally = Tally::default();
    for retention in ["keep", "delete"] {
        let start = World::new(retention);
        let runs = start.record(&ARRIVALS, PAUSE_AT);
        assert!(batches(&runs[0]) >= 2, "the first run had {} batches", batches(&runs[0]));
        let chosen = choose(crashes.of(&start, &runs), effort.states, &mut random);
        tally.recover(&chosen);
        for again in random.choose_multiple(chosen.iter().filter(|crash| is_in_part(&crash.world)), effort.again) {
            let runs = again.world.record(&[0], usize::MAX);
            tally.recover(&choose(crashes.of(&again.world, &runs), effort.states_again, &mut random));
        }
    }
    println!(
        "torture: power loss | prefixes {}, states {} | {} lost, {} twice",
        crashes.prefixes, tally.states, tally.lost, tally.twice
    );
    assert!(tally.is_clean(), "{tally:#?}\n{}", tally.stories.join("\n"));
}

/// How often deliveries were made durable.
fn batches(run: &Run) -> usize {
    let new = std::path::Path::new(MAILDIR).join("new");
    run.operations.iter().filter(|operation| matches!(operation, Operation::Sync(path) if *path == new)).count()
}

/// Whether a recovery has drafts to move or to remove.
fn is_in_part(world: &World) -> bool {
    world.disk.paths().iter().any(|path| path.starts_with("home/tmp"))
}

/// At most so many, from each moment in turn.
fn choose(mut by_moment: Vec<Vec<Crash>>, most: usize, random: &mut fastrand::Rng) -> Vec<Crash> {
    by_moment.iter_mut().for_each(|crashes| random.shuffle(crashes));
    random.shuffle(&mut by_moment);
    let mut chosen = Vec::new();
    while chosen.len() < most && by_moment.iter().any(|crashes| !crashes.is_empty()) {
        let room = most - chosen.len();
        chosen.extend(by_moment.iter_mut().filter_map(Vec::pop).take(room));
    }
    chosen
}
