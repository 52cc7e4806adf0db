//! Power that fails at any moment of a fetch: a plain rerun is all that is needed, nothing is lost
//! and nothing comes twice.
//!
//! A real fetch is recorded call by call.  Every prefix of the record is replayed onto a disk that
//! forgets what was not synced (`disk`), and the program recovers from what is left, for real.
//! Then power fails once more during such recoveries.
//!
//! What may be left is far more than can be tried.  It is chosen at random, evenly over the
//! prefixes; the seed is printed, and `POSTRIDER_TEST_SEED` chooses the same of the same record.
//! `POSTRIDER_TORTURE=long` tries much more.
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
mod model;
mod operation;
mod recording;
mod recovery;
#[path = "../support/mod.rs"]
mod support;
mod trace;

use crash::{Effort, Memory, Replay};
use operation::Operation;
use recording::{Run, World};
use recovery::Tally;

/// Messages that come before each of the recorded runs.
const ARRIVALS: [usize; 2] = [31, 5];

/// The server is slow from this one on, so that the first run has two batches.
const SLOW_FROM: usize = 8;

/// How much is tried.
struct Plan {
    /// Of each record.
    first: Effort,
    /// How many recoveries of a kind are recorded themselves.
    again: usize,
    /// Of each record of a recovery.
    second: Effort,
}

/// For every change of the code.
const SHORT: Plan =
    Plan { first: Effort { combinations: 8, worlds: 200 }, again: 1, second: Effort { combinations: 8, worlds: 40 } };

/// For about ten minutes.
const LONG: Plan = Plan {
    first: Effort { combinations: 64, worlds: 2500 },
    again: 3,
    second: Effort { combinations: 64, worlds: 400 },
};

#[test]
fn a_loss_of_power_at_any_moment_loses_and_doubles_nothing() {
    let is_long = std::env::var("POSTRIDER_TORTURE").is_ok_and(|how| how == "long");
    let plan = if is_long { LONG } else { SHORT };
    let seed = std::env::var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("power loss: POSTRIDER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut memory = Memory::new(random.fork());
    let mut tally = Tally::default();
    for retention in ["keep", "delete"] {
        let start = World::new(retention);
        let runs = start.record(&ARRIVALS, SLOW_FROM);
        assert!(has_two_batches(&runs[0]), "no record between two moves");
        let (mut in_a_move, mut with_drafts) = (Vec::new(), Vec::new());
        let crashes = Replay::new(&mut memory, plan.first, &start, &runs);
        tally.recover(crashes.inspect(|crash| match crash.world.drafts().is_empty() {
            true => {}
            false if crash.in_a_move => in_a_move.push(crash.world.clone()),
            false => with_drafts.push(crash.world.clone()),
        }));
        // What cannot recover need not be recorded.
        let again = if tally.is_clean() { plan.again } else { 0 };
        for worlds in [in_a_move, with_drafts] {
            for world in random.choose_multiple(worlds, again) {
                let runs = world.record(&[0], usize::MAX);
                tally.recover(Replay::new(&mut memory, plan.second, &world, &runs));
            }
        }
    }
    println!(
        "torture: power loss | prefixes {}, states {} | {} lost, {} twice",
        memory.prefixes, tally.states, tally.lost, tally.twice
    );
    if is_long {
        write_down(memory.prefixes, &tally);
    }
    assert!(tally.is_clean(), "{tally}");
}

/// Puts the counts of the long run below the table of the other faults.
fn write_down(prefixes: usize, tally: &Tally) {
    const HEADING: &str = "\n## Loss of power\n";
    let path = support::checkout("docs/torture.md");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let before = text.split(HEADING).next().unwrap_or_default();
    let Tally { states, lost, twice, wrong, stuck, .. } = tally;
    let text = format!(
        "{before}{HEADING}\nA fetch, and the recovery from a crash, are recorded call by call; each of {prefixes} prefixes \
         of these\nrecords is replayed onto a disk that forgets or keeps what was not synced.  From {states} different \
         disks\nthe program recovered, {lost} times with a message lost, {twice} with one delivered twice,\n{wrong} with anything else left wrong, {stuck} not at all.  What a disk may forget is in\n\
         `tests/power_loss/disk.rs`.\n"
    );
    std::fs::write(path, text).expect("docs/torture.md");
}

/// Whether something was recorded between two moves.
fn has_two_batches(run: &Run) -> bool {
    let is_move = |operation: &Operation| matches!(operation, Operation::Rename { .. } | Operation::Link { .. });
    let is_record =
        |operation: &Operation| matches!(operation, Operation::Write { path, .. } if path.ends_with("state.db-wal"));
    let mut operations = run.operations.iter();
    operations.any(is_move) && operations.any(is_record) && operations.any(is_move)
}
