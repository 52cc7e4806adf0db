//! What commands leave behind is collected where this process inherits it: as process 1 of a container, and as
//! a subreaper; and how its own commands end is still known.

#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use support::*;

const LIMIT: Duration = Duration::from_secs(60);

/// An account whose password comes from a script.
fn with_script(server: &MailboxServer, script: &str, keys: &str) -> Postrider {
    let program = Postrider::new();
    std::fs::write(program.path("password"), format!("#!/bin/sh\n{script}\n")).expect("a script");
    std::fs::set_permissions(program.path("password"), PermissionsExt::from_mode(0o700)).expect("its mode");
    let password = format!("password-command = [\"{}\"]", program.path("password").display());
    let account = mailbox(server.port(), "one", &format!("interval = \"1h\"\ndeliver = \"home\"\n{keys}"));
    let account = account.replace(&format!("password = \"{}\"", MailboxServer::PASSWORD), &password);
    program.config(&format!("{account}{}", maildir("home")));
    program
}

/// What stays behind of a command whose output was read.
const LEAVES_ONE: &str = "(sleep 0.05 >/dev/null 2>&1 &)\nexec echo secret";

#[expect(unsafe_code, reason = "what is done between fork and exec")]
fn as_subreaper(mut command: Command) -> Command {
    let me = rustix::process::getpid();
    // SAFETY: one system call, and no allocation.
    unsafe {
        command.pre_exec(move || rustix::process::set_child_subreaper(Some(me)).map_err(Into::into));
    }
    command
}

/// The states of a process's children.
fn children(parent: u32) -> Vec<char> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else { continue };
        let mut words = rest.split(' ');
        if let (Some(state), Some(of)) = (words.next(), words.next())
            && of.parse() == Ok(parent)
        {
            found.extend(state.chars().next());
        }
    }
    found
}

fn run(program: &Postrider) -> Command {
    let mut command = program.command();
    command.arg("-c").arg(program.config_path()).arg("run");
    command
}

fn poll_often(program: &Postrider, server: &MailboxServer, service: u32) {
    for _ in 0..5 {
        let before = server.logins();
        program.run(&["poll", "one"]).assert_success();
        wait_until("a poll", LIMIT, || server.logins() > before);
    }
    wait_until("all that was left behind to be gone", LIMIT, || children(service).is_empty());
}

#[test]
fn a_subreaper_collects_what_its_commands_leave_behind() {
    let server = MailboxServer::start(Vec::new());
    let program = with_script(&server, &LEAVES_ONE.replace("secret", MailboxServer::PASSWORD), "");
    let mut service = program.spawn_command(as_subreaper(run(&program)));
    service.wait_until("the first poll", LIMIT, |_| server.logins() > 0);
    poll_often(&program, &server, service.pid());
    service.sigterm();
    service.wait(LIMIT).assert_success();
}

#[test]
fn process_one_of_a_container_collects_what_it_inherits() {
    let namespace = ["--pid", "--fork", "--kill-child"];
    let can = Command::new("unshare").args(namespace).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        eprintln!("not tested: this system allows no process namespace");
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = with_script(&server, &LEAVES_ONE.replace("secret", MailboxServer::PASSWORD), "");
    let own = run(&program);
    let mut command = Command::new("unshare");
    program.prepare(&mut command);
    command.args(namespace).arg(own.get_program()).args(own.get_args());
    let mut outer = program.spawn_command(command);
    outer.wait_until("the first poll", LIMIT, |_| server.logins() > 0);
    let list = format!("/proc/{0}/task/{0}/children", outer.pid());
    let inner = std::fs::read_to_string(list).expect("its child");
    poll_often(&program, &server, inner.trim().parse().expect("one child"));
}

#[test]
fn how_a_command_ends_is_known_to_who_inherits_orphans() {
    let server = MailboxServer::start(Vec::new());
    for (script, words) in [
        (&*format!("(sleep 0.01 >/dev/null 2>&1 &)\necho {}", MailboxServer::PASSWORD), &["one: no new mail"][..]),
        ("(true &)\n(true &)\necho wrong >&2\nexit 3", &["ended with exit code 3"]),
    ] {
        let program = with_script(&server, script, "");
        for _ in 0..5 {
            let mut command = program.command();
            command.arg("-c").arg(program.config_path()).arg("fetch");
            let fetched = program.spawn_command(as_subreaper(command)).wait(LIMIT);
            for word in words {
                assert!(fetched.text().contains(word), "{word}: {}", fetched.text());
            }
        }
    }
}
