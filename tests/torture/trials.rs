//! Trials of one fault: counted, and continued after a failure, so that one run finds them all.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::report::{self, Row};
use super::scale;

/// This many failures are enough.
const ENOUGH: usize = 10;

/// Trials of one fault.
pub(crate) struct Trials {
    row: Row,
    only: Option<String>,
}

impl Trials {
    /// No trials of a fault yet.
    pub(crate) fn of(fault: &'static str) -> Self {
        Self { row: Row::new(fault), only: scale::single() }
    }

    /// Tries one point.  `trial` says whether the fault came about; only then it counts.  Returns
    /// that, and `true` for a point that is left out.
    pub(crate) fn run(&mut self, point: impl Display, trial: impl FnOnce() -> bool) -> bool {
        let point = point.to_string();
        if self.only.as_ref().is_some_and(|only| *only != point) {
            return true;
        }
        match catch_unwind(AssertUnwindSafe(trial)) {
            Ok(came_about) => {
                self.row.trials += usize::from(came_about);
                came_about
            }
            Err(_) => {
                eprintln!("torture: FAILED: {}: POSTRIDER_TORTURE_POINT='{point}'", self.row.fault);
                self.row.trials += 1;
                self.row.failures += 1;
                assert!(self.row.failures < ENOUGH, "{}: {ENOUGH} failures are enough", self.row.fault);
                true
            }
        }
    }

    /// One point alone is wanted: a sweep must end by itself somewhere.
    pub(crate) fn is_single(&self) -> bool {
        self.only.is_some()
    }

    /// Puts it on record.
    ///
    /// # Panics
    /// There were failures.
    pub(crate) fn finish(self) {
        let Row { fault, failures, trials, .. } = self.row;
        report::add(self.row);
        assert!(failures == 0, "{fault}: {failures} of {trials} trials failed");
    }

    /// What cannot be tried here, and why: reported in the short run, a failure in the long one.
    pub(crate) fn give_up(self, why: &str) {
        eprintln!("torture: not tried: {}: {why}", self.row.fault);
        assert!(!scale::is_long(), "{}: {why}", self.row.fault);
    }
}
