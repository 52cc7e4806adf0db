//! The whole program compared with the other fetchers that are installed, against a private Dovecot.
//!
//! `make bench` runs it, and CONTRIBUTING.md says how.  Each run has a destination of its own and,
//! except where all mail has been seen before, a state of its own; what was delivered is counted.
//! Programs take turns within each round.  Nothing is removed between the runs: ext4 passes over
//! inodes that were freed within the last minutes, and would make the next run slower.
#![allow(
    clippy::allow_attributes,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a benchmark says is printed; what is shared with the tests is only partly used"
)]

mod configuration;
mod ground;
mod mailboxes;
mod mda;
mod measure;
mod outcome;
mod plot;
mod program;
mod relay;
mod seen;
mod settings;
mod sink;
mod table;
mod trial;
mod workload;

#[path = "../../tests/support/mail.rs"]
#[allow(dead_code, unreachable_pub, clippy::expect_used, reason = "made for the tests")]
mod mail;

use std::process::ExitCode;

use settings::Settings;
use trial::Bench;

/// Any error is printed and ends the benchmark.
type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let result = match args.next().as_deref().and_then(std::ffi::OsStr::to_str) {
        Some(measure::VERB) => measure::measure(args),
        Some(mda::VERB) => mda::deliver(args),
        Some("--bench") => compare(),
        // As `cargo test --all-targets` starts it.
        _ => {
            println!("nothing is measured: `make bench` does that");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Fallible<()> {
    let settings = Settings::read()?;
    let mut bench = Bench::prepare(&settings)?;
    let mut outcomes = Vec::new();
    if settings.percent != 100 {
        println!("Only {} % of the mail:\n", settings.percent);
    }
    for workload in &settings.workloads {
        let outcome = bench.run(workload)?;
        println!("{}", table::of_workload(&outcome));
        outcomes.push(outcome);
    }
    if let Some(dir) = &settings.out {
        std::fs::create_dir_all(dir)?;
        std::fs::write(dir.join("bench.txt"), table::report(&settings, &outcomes))?;
        std::fs::write(dir.join("bench.svg"), plot::svg(&outcomes, settings.percent))?;
        println!("wrote {}, and bench.svg beside it", dir.join("bench.txt").display());
    }
    Ok(())
}
