//! The control socket: which clients it accepts, which wait, where it is found, and which services clients trust.

#![expect(clippy::expect_used, clippy::print_stderr, reason = "helpers of tests")]

mod support;

#[path = "control/clients.rs"]
mod clients;
#[path = "control/foreign.rs"]
mod foreign;
#[path = "control/found.rs"]
mod found;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use support::*;

const LIMIT: Duration = Duration::from_secs(30);

/// One account that is polled when it is asked for, and after an hour.
fn account(server: &MailboxServer) -> String {
    let account = mailbox(server.port(), "one", "interval = \"1h\"\ndeliver = \"home\"");
    format!("{account}{}", maildir("home"))
}

/// A configuration whose runtime directory depends on the session.
fn of_the_session(program: &Postrider, text: &str) {
    program.raw_config(&format!("state-dir = \"{}\"\n{text}", program.state_dir().display()), 0o600);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode");
}

/// Whether this test can act as another user; says so if not.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("not tested: only root can be somebody else");
    }
    is_root
}
