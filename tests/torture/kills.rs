//! SIGKILL: at every system call of a fetch, of the rerun after a kill, and at random moments.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::gate::{self, CANNOT_TRACE, End, can_trace};
use super::ground::{Emptied, Kept, Trial};
use super::scale;
use super::support::*;
use super::trials::Trials;

/// Messages of a mailbox: nearly a whole batch of 64.
const MESSAGES: usize = 60;

/// In the short run, one in this many calls.
const STEP: usize = 75;

/// Kills at one call after the other, until a run ends before its kill.
fn sweep(fault: &'static str, step: usize, mut trial: impl FnMut(usize) -> End) {
    let mut trials = Trials::of(fault);
    if !can_trace() {
        return trials.give_up(CANNOT_TRACE);
    }
    let mut calls: BTreeMap<String, usize> = BTreeMap::new();
    let mut unharmed = 0;
    for point in scale::points(fault, step) {
        let killed = trials.run(point, || match trial(point) {
            End::Killed(call) => {
                *calls.entry(call).or_default() += 1;
                true
            }
            End::Unharmed(made) => {
                eprintln!("torture: {fault}: it ended unharmed after {made} calls");
                false
            }
        });
        // Threads wait for each other more often in one run than in another.
        unharmed += usize::from(!killed);
        if unharmed == scale::count(1, 5) || trials.is_single() && point > 10_000 {
            break;
        }
    }
    let kinds: Vec<String> = calls.iter().map(|(call, count)| format!("{call} {count}")).collect();
    eprintln!("torture: {fault}: {} kinds of calls: {}", kinds.len(), kinds.join(", "));
    trials.finish();
}

/// One kill, and all that must hold after it.
fn kill_and_rerun(trial: &Trial<'_>, point: usize) -> End {
    let end = gate::kill_at_call(&trial.program, None, point);
    trial.check_fault();
    trial.check_rerun();
    end
}

#[test]
fn a_kill_at_any_call_of_a_fetch_that_keeps_is_mended_by_a_rerun() {
    let mailbox = Kept::start(MESSAGES);
    sweep("SIGKILL at every system call, mail is kept", STEP, |point| kill_and_rerun(&mailbox.trial(), point));
}

#[test]
fn a_kill_at_any_call_of_a_fetch_that_deletes_is_mended_by_a_rerun() {
    sweep("SIGKILL at every system call, mail is deleted", STEP, |point| {
        kill_and_rerun(&Trial::scripted(MESSAGES, "delete", Behaviour::default()), point)
    });
}

#[test]
fn a_kill_at_any_call_of_the_rerun_after_a_kill_is_mended_by_another_rerun() {
    let fault = "SIGKILL at every system call of the rerun after a SIGKILL";
    sweep(fault, STEP, |point| {
        let trial = Trial::scripted(20, "delete", Behaviour::default());
        let mut random = scale::random(&format!("{fault} {point}"));
        // In the middle of the moves: some messages are staged, some are moved and not yet recorded.
        gate::kill_at_call(&trial.program, Some("renameat2"), random.usize(1..=20));
        trial.check_fault();
        kill_and_rerun(&trial, point)
    });
}

/// Kills a fetch at a random moment of the time that it takes; says whether it was in time.
fn kill_at_random(trial: &Trial<'_>, random: &mut fastrand::Rng, whole: &mut Duration) -> bool {
    let moment = Instant::now() + whole.mul_f64(random.f64());
    let mut running = trial.program.spawn(&["fetch"]);
    while running.is_running() && Instant::now() < moment {
        // Nothing is waited for: the moment itself is the fault.
        std::thread::sleep(Duration::from_micros(200));
    }
    let output = running.kill();
    let killed = output.signal.is_some();
    // Other work on the machine makes it longer or shorter.
    *whole = if killed { whole.mul_f64(1.05) } else { output.elapsed };
    trial.check_fault();
    killed
}

/// Kills this many fetches at random moments; one in three has its rerun killed as well.
fn kills_at_random(
    fault: &'static str,
    kills: usize,
    mut trial: impl FnMut(&mut dyn FnMut(&Trial<'_>) -> bool) -> bool,
) {
    let mut trials = Trials::of(fault);
    let mut whole = Duration::from_millis(100);
    let mut killed = 0;
    for number in 1.. {
        let mut random = scale::random(&format!("{fault} {number}"));
        killed += usize::from(trials.run(number, || {
            trial(&mut |trial| {
                let mut killed = kill_at_random(trial, &mut random, &mut whole);
                if killed && random.u8(..3) == 0 {
                    killed |= kill_at_random(trial, &mut random, &mut whole);
                }
                trial.check_rerun();
                killed
            })
        }));
        if killed >= kills {
            break;
        }
    }
    trials.finish();
}

#[test]
fn a_kill_at_any_moment_of_a_fetch_that_keeps_is_mended_by_a_rerun() {
    let mailbox = Kept::start(130);
    kills_at_random("SIGKILL at random moments, mail is kept", scale::count(10, 1000), |kill| kill(&mailbox.trial()));
}

#[test]
fn a_kill_at_any_moment_of_a_fetch_that_deletes_is_mended_by_a_rerun() {
    let mut mailbox = Emptied::start();
    kills_at_random("SIGKILL at random moments, mail is deleted", scale::count(10, 1000), |kill| {
        kill(&mailbox.trial(130))
    });
}
