//! The commands that a configuration names: they leave nothing behind, and they see the user's own
//! environment.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use support::*;

const LIMIT: Duration = Duration::from_secs(30);

/// A script that never prints anything, and starts children that hold its output; the file `children`
/// gets their numbers.
fn late_script(program: &Postrider, name: &str) -> String {
    let path = program.path(name);
    let children = program.path("children");
    let text = format!(
        "#!/bin/sh\ntrap '' TERM INT HUP\nsleep 86399 | cat &\n(echo $!; echo $$) >>'{}'\nwait\n",
        children.display()
    );
    std::fs::write(&path, text).expect("written");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).expect("its mode");
    path.display().to_string()
}

/// How many of the processes listed in a file still run; a dead one may wait for its parent.
fn running(file: &Path) -> usize {
    let numbers = std::fs::read_to_string(file).unwrap_or_default();
    let runs = |pid: &&str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    };
    numbers.lines().filter(runs).count()
}

/// An account whose command, by one key or the other, is late.
fn account(port: u16, key: &str, script: &str) -> String {
    let account = mailbox(port, "a", &format!("{key} = [\"{script}\"]\ndeadline = \"10s\"\ndeliver = \"home\""));
    let password = format!("password = \"{}\"\n", MailboxServer::PASSWORD);
    account.replace(&password, "") + &maildir("home")
}

#[test]
fn a_late_command_is_killed_with_its_children_whatever_it_is_asked_for() {
    let server = MailboxServer::start(Vec::new());
    std::thread::scope(|scope| {
        for key in ["password-command", "token-command"] {
            let server = &server;
            scope.spawn(move || {
                let program = Postrider::new();
                let script = late_script(&program, "late");
                program.config(&account(server.port(), key, &script));
                program.run(&["fetch"]).assert_code(75);
                let children = program.path("children");
                assert!(children.exists(), "{key}: the command has run");
                wait_until("their end", LIMIT, || running(&children) == 0);
            });
        }
    });
}

#[test]
fn no_command_outlives_the_program_however_it_is_asked_to_end() {
    let server = MailboxServer::start(Vec::new());
    let run = |arguments: &[&str], signals: &[&str], code: i32| {
        let program = Postrider::new();
        let script = late_script(&program, "late");
        program.config(&account(server.port(), "password-command", &script).replace("10s", "1h"));
        let children = program.path("children");
        let mut running_program = program.spawn(arguments);
        running_program.wait_until("the command", LIMIT, |_| running(&children) == 2);
        for signal in signals {
            running_program.signal(signal);
        }
        running_program.wait(LIMIT).assert_code(code);
        wait_until("their end", LIMIT, || running(&children) == 0);
    };
    std::thread::scope(|scope| {
        for (arguments, signal, code) in [
            (&["fetch"][..], "INT", 75),
            (&["run"], "TERM", 0),
            (&["check", "--connect"], "INT", 75),
            (&["check", "--connect"], "TERM", 75),
            (&["list", "a"], "INT", 75),
        ] {
            let run = &run;
            scope.spawn(move || run(arguments, &[signal], code));
        }
    });
}

#[test]
fn a_second_signal_leaves_no_command_behind_either() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    let script = late_script(&program, "late");
    program.config(&account(server.port(), "password-command", &script).replace("10s", "1h"));
    let children = program.path("children");
    let mut fetch = program.spawn(&["fetch"]);
    fetch.wait_until("the command", LIMIT, |_| running(&children) == 2);
    fetch.signal("INT");
    fetch.wait_until("the first signal", LIMIT, |fetch| fetch.stderr().contains("finishing what is in flight"));
    fetch.signal("INT");
    fetch.wait(LIMIT).assert_code(75);
    wait_until("their end", LIMIT, || running(&children) == 0);
}

#[test]
fn a_connection_by_a_command_that_ends_by_itself_leaves_nothing() {
    let program = Postrider::new();
    let children = program.path("children");
    let script = format!(
        "sleep 86399 <&- >&- 2>&- & echo $! >\"{}\"; printf \"+OK hello\\r\\n\"; read line; exit 3",
        children.display()
    );
    let account = mailbox(1, "a", &format!("connect-command = ['sh', '-c', '{script}']\ndeliver = \"home\""));
    program.config(&(account + &maildir("home")));
    let output = program.run(&["fetch"]);
    assert_ne!(output.code, Some(0), "{}", output.text());
    assert!(children.exists(), "the command has run");
    wait_until("its end", LIMIT, || running(&children) == 0);
}

#[test]
fn a_command_sees_the_authorities_of_its_user_and_not_what_we_have_set_for_ourselves() {
    let server = MailboxServer::start(Vec::new());
    for own in [None, Some("/etc/company.pem")] {
        for (key, answer) in [("password-command", MailboxServer::PASSWORD), ("connect-command", "")] {
            let mut program = Postrider::new();
            if let Some(own) = own {
                program.env("SSL_CERT_FILE", own);
            }
            let seen = program.path("seen");
            let script = format!("echo \"${{SSL_CERT_FILE-none}}\" >\"{}\"; echo {answer}", seen.display());
            let password = format!("password = \"{}\"\n", MailboxServer::PASSWORD);
            let account = mailbox(server.port(), "a", &format!("{key} = ['sh', '-c', '{script}']\ndeliver = \"home\""));
            let account = if answer.is_empty() { account } else { account.replace(&password, "") };
            program.config(&(account + &maildir("home")));
            let _ = program.run(&["fetch"]);
            let seen = std::fs::read_to_string(&seen).expect("the command has run");
            assert_eq!(seen.trim(), own.unwrap_or("none"), "{key}");
        }
    }
}
