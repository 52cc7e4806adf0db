//! What was tried and the outcome: a line for each fault, and the table of the long run.

use std::fmt::Write as _;
use std::sync::Mutex;

use super::scale;
use super::support::checkout;

/// The faults and the promise that each one is about, in the table's order.
const FAULTS: [(&str, &str); 15] = [
    ("SIGKILL at every system call, mail is kept", ARRIVES),
    ("SIGKILL at every system call, mail is deleted", DELETES),
    ("SIGKILL at every system call of the rerun after a SIGKILL", DELETES),
    ("SIGKILL at random moments, mail is kept", ARRIVES),
    ("SIGKILL at random moments, mail is deleted", DELETES),
    ("an error from the N-th call of each kind, mail is kept", SPEAKS),
    ("an error from the N-th call of each kind, mail is deleted", SPEAKS),
    ("connection cut after every octet, mail is kept", ARRIVES),
    ("connection cut after every octet, mail is deleted", DELETES),
    ("connection cut after every command", DELETES),
    ("Maildir on a disk that fills up", SPEAKS),
    ("Maildir on a disk that runs out of inodes", SPEAKS),
    ("state on a disk that fills up", SPEAKS),
    ("Maildir or state read-only", SPEAKS),
    ("Maildir missing", SPEAKS),
];

const ARRIVES: &str = "each message arrives, once";
const DELETES: &str = "nothing is deleted that has not arrived";
const SPEAKS: &str = "the same, and the failure is told in words";

/// The outcome of the trials of one fault.
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) trials: usize,
    pub(crate) failures: usize,
}

impl Row {
    pub(crate) fn new(fault: &'static str) -> Self {
        assert!(FAULTS.iter().any(|(known, _)| *known == fault), "{fault} has a place in the table");
        Self { fault, trials: 0, failures: 0 }
    }

    /// Nothing in n trials means less than 3/n, with 95 % confidence.
    fn result(&self) -> String {
        match (self.failures, self.trials) {
            (0, 0) => "not tried".to_owned(),
            (0, 1..30) => "no failure".to_owned(),
            (0, trials) => format!("no failure: fewer than {}", percent(3.0 / trials as f64)),
            (failures, _) => format!("**{failures} failures**"),
        }
    }
}

static ROWS: Mutex<Vec<Row>> = Mutex::new(Vec::new());

/// Prints the line of a fault; the last one of a long run writes the table.
pub(crate) fn add(row: Row) {
    eprintln!("torture: {}: {} trials, {}", row.fault, row.trials, row.result());
    let mut rows = ROWS.lock().expect("no panic while locked");
    rows.push(row);
    if scale::is_long() && scale::single().is_none() && rows.len() == FAULTS.len() {
        std::fs::write(checkout("docs/torture.md"), table(&rows)).expect("docs/torture.md");
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for (fault, promise) in FAULTS {
        for row in rows.iter().filter(|row| row.fault == fault) {
            writeln!(text, "| {promise} | {fault} | {} | {} |", row.trials, row.result()).expect("a String");
        }
    }
    let trials: usize = rows.iter().map(|row| row.trials).sum();
    let failures: usize = rows.iter().map(|row| row.failures).sum();
    let all = Row { fault: "", trials, failures }.result();
    writeln!(text, "\n{trials} trials in all: {all}.").expect("a String");
    text + TAIL
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

const HEAD: &str = "# Torture

`make torture` writes this table.  Each trial begins with a new state and an empty Maildir, makes
one fault, and then runs `postrider fetch` again, plainly.  The trial fails unless that succeeds,
every message is in the Maildir once and octet for octet, `tmp/` is empty, the state calls every
message delivered and none staged, and nothing was deleted on the server, or asked to be, before
it was in `new/`.

| promise | fault | trials | result |
|---|---|---:|---|
";

const TAIL: &str = "
\"Fewer than p\" is the upper end of the 95 % confidence interval, 3/n after n trials without a failure.  It is
a bound for faults like those that were tried, on a machine that goes on running.

`write` is not made to fail by strace, which cannot tell a file from the descriptor that wakes a
thread; disks that fill up do that.  Calls are counted over all threads for SIGKILL, and for each thread for errors, as strace does.
";
