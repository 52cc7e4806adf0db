//! Connections that end after any octet and after any command of a session with three messages.

use super::ground::Trial;
use super::scale;
use super::support::*;
use super::trials::Trials;

const MESSAGES: usize = 3;

/// In the short run, one in this many octets.
const STEP: usize = 90;

/// After this many sessions that end well, no cut hits any more: the reply to QUIT has nine octets,
/// and without it all is well too.
const BEYOND: usize = 12;

/// Fetches over a connection that is cut, and then without a cut.  Returns whether the cut was reported.
fn cut(retention: &str, behaviour: Behaviour) -> bool {
    let trial = Trial::scripted(MESSAGES, retention, Behaviour { faulty_connections: 1, ..behaviour });
    let output = trial.program.run(&["fetch"]);
    trial.check_words(&output);
    trial.check_rerun();
    output.code != Some(0)
}

/// Cuts at one point after the other, until it makes no difference any more.
fn sweep(trials: &mut Trials, name: &str, points: impl Iterator<Item = usize>, cut: impl Fn(usize) -> bool) {
    let mut well = 0;
    for point in points {
        well = if trials.run(format!("{name}{point}"), || cut(point)) { 0 } else { well + 1 };
        if well == scale::count(1, BEYOND) || trials.is_single() && point > 10_000 {
            break;
        }
    }
}

fn after_octets(at: usize) -> Behaviour {
    Behaviour { cut_after_octets: Some(at as u64), ..Behaviour::default() }
}

#[test]
fn a_cut_after_any_octet_of_a_session_that_keeps_is_mended_by_a_rerun() {
    let fault = "connection cut after every octet, mail is kept";
    let mut trials = Trials::of(fault);
    // In lock-step.
    let behaviour = |at| Behaviour { capabilities: None, ..after_octets(at) };
    sweep(&mut trials, "", scale::points(fault, STEP), |at| cut("keep", behaviour(at)));
    trials.finish();
}

#[test]
fn a_cut_after_any_octet_of_a_session_that_deletes_is_mended_by_a_rerun() {
    let fault = "connection cut after every octet, mail is deleted";
    let mut trials = Trials::of(fault);
    sweep(&mut trials, "", scale::points(fault, STEP), |at| cut("delete", after_octets(at)));
    trials.finish();
}

#[test]
fn a_cut_after_any_command_of_a_session_is_mended_by_a_rerun() {
    let mut trials = Trials::of("connection cut after every command");
    for retention in ["keep", "delete"] {
        for (name, capabilities) in [("pipelining", Behaviour::default().capabilities), ("lock-step", None)] {
            let behaviour =
                |nth| Behaviour { drop_at_nth: Some(nth), capabilities: capabilities.clone(), ..Behaviour::default() };
            sweep(&mut trials, &format!("{retention} {name} "), 1.., |nth| cut(retention, behaviour(nth)));
        }
    }
    trials.finish();
}
