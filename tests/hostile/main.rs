//! A corpus of hostile servers: whatever a server says, or does not say, it does no harm.
//!
//! The cases are in `corpus/`, a file for each family.  A case is a heading with its number and its
//! name, and lines:
//!
//! ```text
//! == 210 a line of UIDL without a number
//! on UIDL: '+OK' 'x u1' '.'          what the server does when it hears UIDL
//! code: 76                           the exit code that the account ends with
//! says: UIDL: the answer is none     words of its error
//! ```
//!
//! Where no rule says otherwise the server is honest, and has three messages.
//!
//! * `on TRIGGER: ACTIONS`.  A trigger is a command as it is sent (`RETR 2`, `UIDL`, `STLS`), or with
//!   `*` at its end (`RETR *`); USER, PASS, AUTH whatever follows them; `greeting`; `handshake`, instead
//!   of the one of TLS.  `UIDL 1` is the question by which the program sees whether messages have ended
//!   where they seemed to: one after the first message, one after the next two.  `clear CAPA` is
//!   the one before STLS; without the word it is never that one.  `CAPA #2` is only the second one.
//! * Actions: `'a line'` (with CRLF), `"octets"`, `repeat 5 'x{n}'`, `endless 'x{n}'`, `drip 50 "slow"`
//!   (milliseconds for each octet), `flow 10 endless 'x'` (16 KiB each time), `pause 50`, `body 2` (message 2 and
//!   its final dot), `honest` (what an honest server would answer), `hear` (one more line), `await` (something
//!   from the client), `upgrade` (to TLS), `update` (delete what is marked), and the ends `stall`, `close`, `cut`
//!   (without the close_notify of TLS), `reset`.
//! * `delivered: 1 3`, `deleted: all`, `then: all`: the messages that are in the Maildir, that are gone
//!   from the server, and that are in the Maildir once the server has become honest.  Without these lines
//!   they are none, none, and all.  `code`, `says` and these may name a transport: `code stls: 69`.
//! * `message 2: "octets"`, `messages: 5`, `unstuffed`: what is sent; `stored 2: "octets"`: what is stored
//!   of it, where it is not the same with LF.
//! * `keys: auth = "plain"`: for the configuration; `capa: PIPELINING`: more for the answer to CAPA;
//!   `transports: tls stls`; `certificate: stranger` (or `elsewhere`); `slow`: the case waits for `timeout`
//!   or `deadline`; `heavy`: it needs longer than others; `never: AUTH`: no line of the client may begin like
//!   this; `no-login`: the password must not be sent at all.
//! * `open: why`: the program is known to fail the case; the test fails as soon as it does not.
//! * `each: a | b`: a case for each such line, numbered from the heading's on; `{0}` is a, `{1}` is b.
//!
//! A case that is `slow` or `heavy`, and fails, is tried once more with five times the patience: on a busy
//! machine three seconds may be over before the server has had its turn.
//!
//! `POSTRIDER_HOSTILE_CASE=210` runs one case alone; `make hostile` writes `target/hostile.md`.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod action;
mod case;
mod certificates;
mod channel;
mod corpus;
mod honest;
mod literal;
mod report;
mod secrets;
mod server;
mod trial;

use case::{Case, Transport};
use certificates::Certificates;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use trial::Row;

/// The variable that chooses a case.
const CHOICE: &str = "POSTRIDER_HOSTILE_CASE";

/// Processes at the same time: most of them wait.
const PROCESSES: usize = 6;

/// How many times longer a case waits when it is tried again.
const PATIENCE: u32 = 5;

/// The number of the case in which the server is honest.
const HONEST: usize = 1;

#[test]
fn whatever_a_server_does_nobody_is_hurt() {
    let cases = corpus::read();
    let honest = cases.iter().find(|case| case.number == HONEST).expect("the honest case");
    let chosen = std::env::var(CHOICE).ok();
    let is_chosen =
        |case: &&Case| chosen.as_ref().is_none_or(|chosen| chosen.split(',').any(|one| one == case.number.to_string()));
    let mut trials: Vec<(&Case, Transport)> = Vec::new();
    for case in cases.iter().filter(is_chosen) {
        trials.extend(case.expected.keys().map(|&transport| (case, transport)));
    }
    // Those that take their time begin first, and wait together.
    trials.sort_by_key(|(case, _)| (!case.heavy, !case.slow));
    let certificates = Certificates::make();
    let mut rows = run(&trials, honest, &certificates, 1);
    // A busy machine may be too slow for a case's patience; with more of it the outcome is the same.
    let is_late = |row: &Row| !row.faults.is_empty() && !row.is_grave() && row.number != HONEST;
    let late: BTreeSet<_> = rows.iter().filter(|row| is_late(row)).map(|row| (row.number, row.transport)).collect();
    trials.retain(|(case, transport)| {
        case.open.is_none() && (case.slow || case.heavy) && late.contains(&(case.number, *transport))
    });
    for row in run(&trials, honest, &certificates, PATIENCE) {
        rows.retain(|before| row.number == HONEST || (before.number, before.transport) != (row.number, row.transport));
        rows.push(row);
    }
    rows.sort_by_key(|row| (row.number, row.transport));
    let is_open = |number: usize| cases.iter().any(|case| case.number == number && case.open.is_some());
    let is_failed = |row: &&Row| !row.faults.is_empty() && !is_open(row.number);
    let mut failed: Vec<String> = rows.iter().filter(is_failed).map(|row| told(row, &cases)).collect();
    for case in cases.iter().filter(|case| case.open.is_some()).filter(is_chosen) {
        if rows.iter().all(|row| row.number != case.number || row.faults.is_empty()) {
            failed.push(format!("case {} ({}) is mended: it is not `open` any more", case.number, case.name));
        }
    }
    report::write(&cases, &rows);
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// Runs the trials, several processes side by side.
fn run(trials: &[(&Case, Transport)], honest: &Case, certificates: &Certificates, patience: u32) -> Vec<Row> {
    let groups: Vec<_> = trials.chunks(trial::ACCOUNTS).collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..PROCESSES {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ended = trial::run(group, honest, certificates, patience);
                    rows.lock().expect("no panic while locked").extend(ended);
                }
            });
        }
    });
    rows.into_inner().expect("no panic while locked")
}

fn told(row: &Row, cases: &[Case]) -> String {
    let name = cases.iter().find(|case| case.number == row.number).map_or("", |case| &case.name);
    format!("case {} by {} ({name}):\n    {}", row.number, row.transport.name(), row.faults.join("\n    "))
}

#[test]
fn the_corpus_is_as_large_as_it_is_said_to_be() {
    assert!(corpus::read().len() >= 300);
}
