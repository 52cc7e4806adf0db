//! The results of the runs of a workload.

use crate::program::Program;
use crate::workload::Workload;

/// A program that needs more seconds than this is not run again.
pub(crate) const ONCE_ABOVE: f64 = 40.0;

/// The runs of one workload.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The workload.
    pub(crate) workload: Workload,
    /// One for each program that can do it.
    pub(crate) rows: Vec<Row>,
}

/// The runs of one program.
#[derive(Debug)]
pub(crate) struct Row {
    /// The program.
    pub(crate) program: Program,
    /// Its runs, at least one.
    pub(crate) samples: Vec<Sample>,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Wall-clock seconds.
    pub(crate) wall: f64,
    /// CPU seconds.
    pub(crate) cpu: f64,
    /// Peak memory in MiB.
    pub(crate) peak_mib: f64,
    /// What was wrong with it.
    pub(crate) fault: Option<String>,
}

/// Minimum, median and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Row {
    /// A program that has not run yet.
    pub(crate) fn new(program: Program) -> Self {
        Self { program, samples: Vec::new() }
    }

    /// Whether one run of it was enough.
    pub(crate) fn is_slow(&self) -> bool {
        self.samples.iter().any(|sample| sample.wall > ONCE_ABOVE)
    }

    /// The spread of one quantity over its runs.
    pub(crate) fn spread(&self, of: fn(&Sample) -> f64) -> Spread {
        let mut values: Vec<f64> = self.samples.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Spread { least: values[0], median, most: values[values.len() - 1] }
    }

    /// The spread of its wall-clock seconds.
    pub(crate) fn wall(&self) -> Spread {
        self.spread(|sample| sample.wall)
    }

    /// What was wrong with the first bad run.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.samples.iter().find_map(|sample| sample.fault.as_deref())
    }
}

impl Outcome {
    /// How a program's time compares with that of the best other one that did it right.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        let others = self.rows.iter().filter(|other| other.program != row.program && other.fault().is_none());
        let best = others.map(|other| other.wall().median).min_by(f64::total_cmp)?;
        Some(row.wall().median / best)
    }
}
