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

use crash::{Effort, Memory, Replay};
use operation::Operation;
use recording::{Run, World};
use recovery::Tally;

/// Messages that come before each of the recorded runs.
const ARRIVALS: [usize; 2] = [13, 5];

/// The server pauses before this one, so that the first run has two batches.
const PAUSE_AT: usize = 8;

/// How much is tried.
struct Plan {
    /// Of each record.
    first: Effort,
    /// So many recoveries from each record are recorded themselves.
    again: usize,
    /// Of each record of a recovery.
    second: Effort,
}

/// For every change of the code.
const SHORT: Plan =
    Plan { first: Effort { combinations: 8, worlds: 250 }, again: 2, second: Effort { combinations: 8, worlds: 50 } };

/// For a night.
const LONG: Plan = Plan {
    first: Effort { combinations: 64, worlds: 8000 },
    again: 10,
    second: Effort { combinations: 64, worlds: 400 },
};

#[test]
fn a_loss_of_power_at_any_moment_loses_and_doubles_nothing() {
    let plan = if std::env::var("POSTRIDER_TORTURE").is_ok_and(|how| how == "long") { LONG } else { SHORT };
    let seed = std::env::var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("power loss: POSTRIDER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut memory = Memory::new(random.fork());
    let mut tally = Tally::default();
    for retention in ["keep", "delete"] {
        let start = World::new(retention);
        let runs = start.record(&ARRIVALS, PAUSE_AT);
        assert!(has_two_batches(&runs[0]), "no message was begun after another was moved");
        let mut in_part = Vec::new();
        let crashes = Replay::new(&mut memory, plan.first, &start, &runs);
        tally.recover(crashes.inspect(|crash| {
            if is_in_part(&crash.world) {
                in_part.push(crash.world.clone());
            }
        }));
        for world in random.choose_multiple(in_part, if tally.is_clean() { plan.again } else { 0 }) {
            let runs = world.record(&[0], usize::MAX);
            tally.recover(Replay::new(&mut memory, plan.second, &world, &runs));
        }
    }
    println!(
        "torture: power loss | prefixes {}, states {} | {} lost, {} twice",
        memory.prefixes, tally.states, tally.lost, tally.twice
    );
    assert!(tally.is_clean(), "{tally}");
}

/// Whether a message was received after another was moved.
fn has_two_batches(run: &Run) -> bool {
    let is_move = |operation: &Operation| matches!(operation, Operation::Rename { .. } | Operation::Link { .. });
    let is_draft = |operation: &Operation| matches!(operation, Operation::Create(path) if path.starts_with("home/tmp"));
    let first = run.operations.iter().position(is_move);
    first.is_some_and(|first| run.operations[first..].iter().any(is_draft))
}

/// Whether a recovery has drafts to move or to remove.
fn is_in_part(world: &World) -> bool {
    world.disk.paths().iter().any(|path| path.starts_with("home/tmp"))
}
