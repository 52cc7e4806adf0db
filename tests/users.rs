//! Other users of the machine: whose links are not followed, whose files are not obeyed, and whose folders root
//! leaves alone.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

#[path = "users/configuration.rs"]
mod configuration;
#[path = "users/links.rs"]
mod links;
#[path = "users/messages.rs"]
mod messages;
#[path = "users/root.rs"]
mod root;
#[path = "users/socket.rs"]
mod socket;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use support::*;

/// An account `a` at a mailbox, which delivers to the Maildir `home`.
fn config(server: &MailboxServer, lines: &str) -> String {
    [&mailbox(server.port(), "a", &format!("deliver = \"home\"\n{lines}")), &*maildir("home")].concat()
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
}

#[track_caller]
fn assert_says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} is not in: {}", output.text());
    }
}

/// Everything below a folder, with its owner; links are not followed.
fn owners(folder: &Path) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let metadata = path.symlink_metadata().expect("its metadata");
        found.push((path.display().to_string(), metadata.uid()));
        if metadata.is_dir() {
            found.extend(owners(&path));
        }
    }
    found
}

/// Says that a test needs root.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("not tested: only root can be somebody else");
    }
    is_root
}
