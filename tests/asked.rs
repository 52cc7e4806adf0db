//! Questions to a service or to its record are answered whatever is wrong with the configuration, and whether or
//! not the service runs.

#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

#[path = "asked/broken.rs"]
mod broken;
#[path = "asked/headings.rs"]
mod headings;
#[path = "asked/record.rs"]
mod record;
#[path = "asked/stray.rs"]
mod stray;
#[path = "asked/words.rs"]
mod words;

use std::time::Duration;

use serde_json::Value;
use support::*;

const LIMIT: Duration = Duration::from_secs(30);

/// One account that is polled when it is asked for, and after an hour.
fn account(server: &MailboxServer) -> String {
    let account = mailbox(server.port(), "one", "interval = \"1h\"\ndeliver = \"home\"");
    format!("{account}{}", maildir("home"))
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.text()))
}
