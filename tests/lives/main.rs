//! Random lives of a mailbox: mail arrives, other clients and the reader do what they do, days pass, the
//! configuration changes, polls are cut and killed, and the server's unique-ids are worth little.
//!
//! After each poll an oracle compares what was delivered and deleted with what may be.  It knows each message by
//! what it is, and nothing of unique-ids, the state or the plan:
//!
//! * nothing is deleted that was not delivered before, nor what the configuration leaves on the server;
//! * nothing comes more often than it has arrived at the server.  Of byte-identical messages no one can tell whether
//!   one of them has been moved out and back, so for them it is at least once;
//! * in the end everything that is on the server and within the limits has come.
//!
//! `cargo test --test lives` lives for a minute, the same lives each time.  `POSTRIDER_LIVES=2h` lives others, for
//! longer (`90s`, `10m`), `POSTRIDER_LIVES_FROM=1000` those from a seed on,
//! `POSTRIDER_LIVES_KIND=place` tries those whose kind has that word, and each life that went wrong is printed with
//! its story and the `POSTRIDER_LIVES_SEED` that lives it again alone.
//!
//! * [`nature`]: what is true of a server for a whole life.
//! * [`letter`], [`mailbox`]: messages, and what the server has of them under which unique-id.
//! * [`home`]: the Maildir, and what its reader does with it.
//! * [`wishes`]: the configuration.
//! * [`poll`]: a fetch that ends well, is cut, or is killed.
//! * [`oracle`]: what may have come of it.
//! * [`life`], [`run`]: one life, and many of them at a time.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod home;
mod letter;
mod life;
mod mailbox;
mod nature;
mod oracle;
mod poll;
mod run;
mod wishes;

#[test]
fn in_no_life_is_mail_lost_or_doubled() {
    run::lives();
}
