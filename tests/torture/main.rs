//! Every fault that can be made, at every point that can be named: kills, failing calls, cut
//! connections, full disks.  After each one a plain rerun is all that is needed: every message
//! is in the Maildir once, octet for octet, nothing is left in `tmp/`, nothing is staged, and
//! the server has lost nothing that had not arrived.
//!
//! `cargo test --test torture` tries some points, evenly spread from a random start; `make
//! torture` tries all of them, prints what it did and writes `docs/torture.md`.  A failure
//! names its fault and its point: `POSTRIDER_TORTURE_POINT=POINT` tries that point alone, and
//! `POSTRIDER_TEST_SEED` repeats what was random.
//!
//! * [`trials`], [`report`], [`scale`]: counting, the table, how much is tried.
//! * [`ground`]: a mailbox, a program, and what must hold after a fault and after the rerun.
//! * [`gate`], [`inject`]: strace as the hand that kills, and the one that makes calls fail.
//! * [`kills`], [`errors`], [`cuts`], [`disks`]: the faults.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod disks;
mod errors;
mod gate;
mod ground;
mod inject;
mod kills;
mod report;
mod scale;
mod trials;
