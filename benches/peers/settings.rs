//! What the environment asks for.

use std::path::PathBuf;
use std::str::FromStr;

use crate::Fallible;
use crate::program::Program;
use crate::workload::{self, Workload};

/// What is run, and where.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `BENCH_RUNS`: rounds of each workload.
    pub(crate) runs: usize,
    /// `BENCH_WORKLOADS`: the workloads, by their names.
    pub(crate) workloads: Vec<Workload>,
    /// `BENCH_PROGRAMS`: the programs, as far as they are installed.
    pub(crate) programs: Vec<Program>,
    /// `BENCH_PERCENT`: how much of the mail.
    pub(crate) percent: usize,
    /// `BENCH_DIR`: a directory on the disk that is delivered to; by default cargo's target directory.
    pub(crate) disk: PathBuf,
    /// `BENCH_OUT`: where the report is written; by default `docs`, if the run is complete.
    pub(crate) out: Option<PathBuf>,
    /// `POSTRIDER`: the path of the program.
    pub(crate) postrider: PathBuf,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn read() -> Fallible<Self> {
        let postrider = PathBuf::from(text("POSTRIDER").ok_or("POSTRIDER must be the program's path: `make bench`")?);
        if !postrider.is_file() {
            return Err(format!("there is no {}", postrider.display()).into());
        }
        let percent = number("BENCH_PERCENT", 100)?;
        let workloads = chosen("BENCH_WORKLOADS", workload::all(percent), |workload| workload.name)?;
        let mut programs = chosen("BENCH_PROGRAMS", Program::ALL.to_vec(), |program| program.name())?;
        programs.retain(|program| *program == Program::Postrider || program.version().is_some());
        let is_whole = percent == 100 && ["BENCH_WORKLOADS", "BENCH_PROGRAMS"].iter().all(|name| text(name).is_none());
        let out = text("BENCH_OUT").map(PathBuf::from).or_else(|| is_whole.then(|| "docs".into()));
        Ok(Self {
            runs: number("BENCH_RUNS", 5)?,
            workloads,
            programs,
            percent,
            disk: text("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from),
            out,
            postrider,
        })
    }
}

/// A variable that is not empty.
fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str, default: usize) -> Fallible<usize> {
    let Some(value) = text(name) else { return Ok(default) };
    match usize::from_str(&value) {
        Ok(number @ 1..) => Ok(number),
        _ => Err(format!("{name} must be a number from 1, not {value}").into()),
    }
}

/// All, or those that a list names, in their own order.
fn chosen<T>(variable: &str, all: Vec<T>, name: fn(&T) -> &'static str) -> Fallible<Vec<T>> {
    let Some(list) = text(variable) else { return Ok(all) };
    let wanted: Vec<&str> = list.split(',').map(str::trim).collect();
    let known: Vec<&str> = all.iter().map(name).collect();
    if let Some(unknown) = wanted.iter().find(|wanted| !known.contains(wanted)) {
        return Err(format!("{variable}: there is no {unknown}, but {}", known.join(", ")).into());
    }
    Ok(all.into_iter().filter(|one| wanted.contains(&name(one))).collect())
}
