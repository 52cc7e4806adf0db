//! The service under trouble for half an hour: 40 accounts at servers that drop, stall and are killed, a
//! configuration that is edited all the time, few threads and few open files, and twice the service itself is killed.
//!
//! In the end no message is lost or late and none is there twice, and what the process takes of memory, threads,
//! open files and disk is what it took in the beginning.  A table shows it over time.
//!
//! `make soak` runs it, and nothing else does.  `POSTRIDER_SOAK=1m` tries a short form, and
//! `POSTRIDER_TEST_SEED` repeats what was random.  As root it runs the service as another user, whose threads
//! can be limited.
//!
//! * [`accounts`]: the servers, their mail and their troubles.
//! * [`service`]: the process, its limits and its configuration.
//! * [`figures`]: what it takes, and whether that grows.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod figures;
mod service;

use accounts::Accounts;
use figures::Figures;
use service::Service;
use std::collections::BTreeSet;
use std::env::var;
use std::time::{Duration, Instant};
use support::Verdict;

/// How often something happens.
const TICK: Duration = Duration::from_millis(100);

/// Figures in the table.
const SAMPLES: u32 = 30;

/// The service is killed at these shares of the time; the figures of what follows are compared.
const KILLS: [f64; 2] = [0.15, 0.3];

/// Without trouble, everything has come after this time.
const PEACE: Duration = Duration::from_secs(180);

fn main() {
    let time = time();
    let seed = var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    println!("soak: {time:?}, POSTRIDER_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut accounts = Accounts::start();
    let mut service = Service::start(&accounts);
    let mut figures = Figures::default();
    let mut kills = KILLS.to_vec();
    let began = Instant::now();
    while began.elapsed() < time {
        let share = began.elapsed().as_secs_f64() / time.as_secs_f64();
        accounts.suffer(&mut random);
        service.edit(&accounts, &mut random);
        if kills.first().is_some_and(|&kill| share >= kill) {
            kills.remove(0);
            service.kill_and_start(&accounts);
            figures.begin_again();
        }
        if share * f64::from(SAMPLES) >= f64::from(figures.taken()) {
            figures.take(began.elapsed(), &mut service, &accounts);
        }
        // The rate of what happens, not something that is waited for.
        std::thread::sleep(TICK);
    }
    figures.take(began.elapsed(), &mut service, &accounts);
    accounts.come_to_peace();
    service.come_to_peace(&accounts);
    let wanted = accounts.manifest();
    let deadline = Instant::now() + PEACE;
    while service.delivered() < wanted.len() && Instant::now() < deadline {
        service.ask_for_polls();
        std::thread::sleep(TICK * 10);
    }
    service.end();
    let verdict = service.verify(wanted);
    figures.print();
    tell(&verdict, &accounts, &service);
    let complaints = service.complaints();
    complaints.iter().for_each(|complaint| println!("soak: {complaint}"));
    verdict.assert_exactly_once();
    assert!(complaints.is_empty(), "the service complained of itself");
    figures.assert_flat();
    println!("soak: passed");
}

/// What became of the mail; what is still on a server is late, and the rest of what is missing lost.
fn tell(verdict: &Verdict, accounts: &Accounts, service: &Service) {
    let remaining: BTreeSet<String> = accounts.remaining().into_iter().collect();
    let late: Vec<&String> = verdict.missing.iter().filter(|mark| remaining.contains(*mark)).collect();
    // The seed of an account's messages is its number and one.
    let seeds: BTreeSet<usize> = late.iter().filter_map(|mark| mark.split_once('-')?.0.parse().ok()).collect();
    for line in seeds.iter().flat_map(|seed| service.words_of(seed - 1)) {
        println!("soak: late: {line}");
    }
    let late = late.len();
    println!(
        "soak: {} messages, {} lost, {late} late, {} twice, {} harmed, {} left in tmp",
        verdict.expected,
        verdict.missing.len() - late,
        verdict.duplicate.len(),
        verdict.corrupt.len() + verdict.unknown.len(),
        verdict.left_in_tmp
    );
}

/// `POSTRIDER_SOAK`: a number with `s`, `m` or `h`.
fn time() -> Duration {
    let text = var("POSTRIDER_SOAK").unwrap_or_else(|_| "30m".to_owned());
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("POSTRIDER_SOAK is a time as 90s, 30m or 2h, and not {text}"),
    };
    Duration::from_secs(seconds * number.parse::<u64>().expect("POSTRIDER_SOAK begins with a number"))
}
