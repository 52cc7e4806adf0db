//! What a terminal shows, and what becomes of output that cannot be written.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

#[path = "output/check.rs"]
mod check;

use std::fs::OpenOptions;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::*;

const SOON: Duration = Duration::from_secs(40);

fn home(server: &MailboxServer) -> Postrider {
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    program.run(&["fetch"]).assert_success();
    program
}

/// Every command that writes to standard output.
const WRITING: [&[&str]; 13] = [
    &["--help"],
    &["--version"],
    &["fetch", "--help"],
    &["completions", "bash"],
    &["check"],
    &["check", "--connect"],
    &["fetch"],
    &["fetch", "--json"],
    &["list", "a"],
    &["list", "--json", "a"],
    &["history", "--json"],
    &["state", "check"],
    &["state", "export"],
];

#[test]
fn output_that_cannot_be_written_is_a_failure_with_its_cause() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = home(&server);
    for arguments in WRITING {
        let command = |sink: Stdio| {
            let mut command = program.command();
            command.arg("-c").arg(program.config_path()).args(arguments).stdin(Stdio::null()).stdout(sink);
            command.stderr(Stdio::piped()).output().expect("a run")
        };
        let full = command(OpenOptions::new().write(true).open("/dev/full").unwrap().into());
        let told = String::from_utf8_lossy(&full.stderr).into_owned();
        assert_eq!(full.status.code(), Some(74), "{arguments:?}: {told}");
        assert!(told.contains("cannot be written: No space left on device"), "{arguments:?}: {told}");
        let mut closed = Command::new("sh");
        program.prepare(&mut closed);
        closed.args(["-c", "exec \"$@\" >&-", "sh"]).arg(program.command().get_program());
        let closed = program.spawn_command({
            closed.arg("-c").arg(program.config_path()).args(arguments);
            closed
        });
        let closed = closed.wait(SOON).assert_code(74);
        assert!(closed.stderr.contains("cannot be written: Bad file descriptor"), "{arguments:?}: {}", closed.stderr);
        assert_eq!(command(Stdio::null()).status.code(), Some(0), "{arguments:?} into /dev/null");
    }
}

#[test]
fn a_reader_that_has_had_enough_is_no_failure() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = home(&server);
    for arguments in WRITING {
        let mut command = Command::new("sh");
        program.prepare(&mut command);
        // The reader is gone before anything is written.
        let script = "{ sleep 0.2; \"$@\"; echo $? >code; } | true; wait; cat code";
        command.args(["-c", script, "sh"]).arg(program.command().get_program());
        command.arg("-c").arg(program.config_path()).args(arguments);
        let output = program.spawn_command(command).wait(SOON).assert_success();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("0\n", ""), "{arguments:?}");
    }
}

#[test]
fn a_status_that_is_watched_ends_with_its_reader() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = home(&server);
    let mut service = program.start_service(SOON);
    for arguments in ["", "--json"] {
        let mut command = Command::new("sh");
        program.prepare(&mut command);
        let script = "{ \"$@\"; echo $? >code; } | head -1 >/dev/null; wait; cat code";
        command.args(["-c", script, "sh"]).arg(program.command().get_program());
        command.arg("-c").arg(program.config_path()).args(["status", "--watch"]);
        if !arguments.is_empty() {
            command.arg(arguments);
        }
        let output = program.spawn_command(command).wait(SOON).assert_success();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("0\n", ""), "{arguments}");
    }
    service.sigterm();
    service.wait(SOON).assert_success();
}

/// Runs the program on a terminal with this many columns; returns all that it has written there.
fn on_terminal(program: &Postrider, columns: usize, arguments: &str) -> Option<String> {
    let mut command = Command::new("script");
    program.prepare(&mut command);
    let name = program.command().get_program().to_string_lossy().into_owned();
    let line = format!("stty cols {columns} rows 24; {name} -c {} {arguments}", program.config_path().display());
    command.args(["-qec", &line, "/dev/null"]);
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The rows of a text without control sequences.
fn rows(text: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut after = text.chars();
    while let Some(c) = after.next() {
        match c {
            '\u{1b}' => while after.next().is_some_and(|c| !c.is_ascii_alphabetic()) {},
            c => plain.push(c),
        }
    }
    plain.split(['\n', '\r']).map(str::to_owned).filter(|row| !row.trim().is_empty()).collect()
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let server = MailboxServer::start(Message::several(30, Mix::Tiny));
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    for columns in [40, 60, 80, 120, 200] {
        for arguments in ["fetch", "history", "list a", "check --connect"] {
            let Some(text) = on_terminal(&program, columns, arguments) else {
                eprintln!("left out: there is no script(1) here");
                return;
            };
            let wide = rows(&text).into_iter().find(|row| row.chars().count() > columns);
            assert_eq!(wide, None, "{columns} {arguments}:\n{text}");
        }
        // The next round fetches again.
        std::fs::remove_dir_all(program.state_dir()).unwrap();
        std::fs::remove_dir_all(program.path("home")).unwrap();
    }
}
