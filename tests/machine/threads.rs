//! Fewer threads than polls.

use std::process::{Command, Stdio};

use super::support::*;
use super::{Mailboxes, SOON, under};

/// Each thread of the program may begin thirteen others and no more: a dozen are left for the polls, which
/// the one thread of the runtime begins.
const FEW: [&str; 7] = [
    "strace",
    "-Df",
    "--seccomp-bpf",
    "-qq",
    "-e",
    "trace=clone,clone3",
    "--inject=clone,clone3:error=EAGAIN:when=14+",
];

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).stderr(Stdio::null()).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        eprintln!("left out: strace cannot trace here");
    }
    can
}

/// A disk on which each message needs 0.3 s to appear: polls that begin within seconds of each other
/// want their threads at the same time.
const SLOW_DISK: [&str; 2] = ["-e", "trace=clone,clone3,renameat2"];
const SLOW_RENAME: &str = "--inject=renameat2:delay_enter=300000";

/// The command line of strace, which tells the calls to nobody.
fn few() -> Vec<&'static str> {
    [&FEW[..], &["-o", "/dev/null"]].concat()
}

#[test]
fn a_fetch_of_more_mailboxes_than_threads_brings_all_mail() {
    if !can_trace() {
        return;
    }
    let mut mailboxes = Mailboxes::with_maildirs(1, 30, 20, "deadline = \"30s\"\nretention = \"delete\"", "");
    mailboxes.program.env("TOKIO_WORKER_THREADS", "1");
    under(&mailboxes.program, &few(), &["fetch"]).wait(SOON).assert_success();
    assert_eq!(mailboxes.arrived(), 600);
    assert!(mailboxes.servers.iter().all(|server| server.remaining() == 0));
}

#[test]
fn a_service_with_more_polls_than_threads_brings_all_mail_and_tells_what_is_short() {
    if !can_trace() {
        return;
    }
    let smtp_server = ScriptedSmtp::start();
    let top = smtp("mta", smtp_server.port());
    let keys = "deadline = \"30s\"\ninterval = \"10s\"";
    let mut mailboxes = Mailboxes::with_maildirs(1, 30, 10, keys, &format!("max-polls-per-host = 100\n{top}"));
    // All of it goes by SMTP as well.
    let config = std::fs::read_to_string(mailboxes.program.config_path()).expect("the configuration");
    mailboxes.program.raw_config(&config.replace("deliver = \"m0\"", "deliver = [\"m0\", \"mta\"]"), 0o600);
    mailboxes.program.env("TOKIO_WORKER_THREADS", "1");
    let slow = [&few()[..], &SLOW_DISK, &[SLOW_RENAME]].concat();
    let mut service = under(&mailboxes.program, &slow, &["run"]);
    service.wait_until("all mail", SOON, |_| mailboxes.arrived() == 300 && smtp_server.received().len() == 300);
    service.wait_until("the log", SOON, |service| service.stderr().contains("work waits its turn"));
    service.wait_until("a good end", SOON, |_| mailboxes.program.run(&["status"]).code == Some(0));
    service.sigterm();
    service.wait(SOON).assert_success();
    mailboxes.assert_exactly_once();
}

#[test]
fn a_system_that_gives_no_thread_is_told_at_the_start() {
    if !can_trace() {
        return;
    }
    let mailboxes = Mailboxes::start(1, 1, "", "");
    let none =
        ["strace", "-Df", "-qq", "-o", "/dev/null", "-e", "trace=clone,clone3", "--inject=clone,clone3:error=EAGAIN"];
    let output = under(&mailboxes.program, &none, &["fetch"]).wait(SOON).assert_code(71);
    assert!(output.stderr.contains("cannot start a thread"), "{}", output.stderr);
}

#[test]
fn a_command_for_which_there_is_no_process_is_tried_again() {
    if !can_trace() {
        return;
    }
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let account = mailbox(server.port(), "a", "deliver = \"home\"");
    let account = account.replace(
        &format!("password = \"{}\"", MailboxServer::PASSWORD),
        &format!("password-command = [\"echo\", \"{}\"]", MailboxServer::PASSWORD),
    );
    let program = Postrider::with_config(&(account + &maildir("home")));
    // A process, and not a thread: that is made by clone3 with CLONE_VFORK, or by vfork.
    let none =
        ["strace", "-Df", "-qq", "-o", "/dev/null", "-e", "trace=vfork,execve", "--inject=execve:error=EAGAIN:when=2+"];
    let output = under(&program, &none, &["fetch"]).wait(SOON).assert_code(75);
    assert!(output.stderr.contains("password command") && output.stderr.contains("TasksMax="), "{}", output.stderr);
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}
