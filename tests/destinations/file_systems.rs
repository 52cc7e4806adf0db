//! Maildirs on file systems that lack something, simulated by strace(1).

use std::path::Path;
use std::process::{Command, Stdio};

use super::support::*;

/// The errors of a file system that does not support a call or its flags.
const UNKNOWN: [&str; 4] = ["EINVAL", "EOPNOTSUPP", "ENOSYS", "EPERM"];

fn can_trace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).stderr(Stdio::null()).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        eprintln!("left out: strace cannot trace here");
    }
    can
}

/// Runs the program with these calls failing; only those about `paths`, if there are any.
fn run_with(program: &Postrider, faults: &[(&str, &str)], paths: &[&Path], arguments: &[&str]) -> Output {
    let mut command = Command::new("strace");
    let calls: Vec<&str> = faults.iter().map(|(call, _)| *call).collect();
    command.args(["-Df", "-qq", "-o", "/dev/null", "-e", &format!("trace={}", calls.join(","))]);
    for (call, error) in faults {
        command.arg(format!("--inject={call}:error={error}"));
    }
    paths.iter().for_each(|path| {
        command.arg("-P").arg(path);
    });
    command.arg(program.command().get_program()).arg("-c").arg(program.config_path()).args(arguments);
    program.prepare(&mut command);
    program.spawn_command(command).wait(std::time::Duration::from_secs(60))
}

fn home(server: &MailboxServer) -> Postrider {
    Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat())
}

#[test]
fn mail_arrives_where_a_rename_cannot_be_kept_from_replacing_and_there_are_no_links() {
    if !can_trace() {
        return;
    }
    for rename in UNKNOWN {
        for link in UNKNOWN.into_iter().chain(["EMLINK"]) {
            let server = MailboxServer::start(Message::several(2, Mix::Tiny));
            let program = home(&server);
            let faults = [("renameat2", rename), ("linkat", link)];
            let checked = run_with(&program, &faults, &[], &["check", "--connect"]).assert_success();
            assert!(checked.stdout.contains("by a plain rename after a look"), "{rename} {link}: {}", checked.stdout);
            run_with(&program, &faults, &[], &["fetch"]).assert_success();
            server.manifest().verify(&program.path("home")).assert_exactly_once();
        }
    }
}

#[test]
fn a_link_takes_the_place_of_a_rename_that_never_replaces() {
    if !can_trace() {
        return;
    }
    for rename in UNKNOWN {
        let server = MailboxServer::start(Message::several(2, Mix::Tiny));
        let program = home(&server);
        let checked = run_with(&program, &[("renameat2", rename)], &[], &["check", "--connect"]).assert_success();
        assert!(checked.stdout.contains("by a hard link"), "{rename}: {}", checked.stdout);
        run_with(&program, &[("renameat2", rename)], &[], &["fetch"]).assert_success();
        server.manifest().verify(&program.path("home")).assert_exactly_once();
        assert_eq!(std::fs::read_dir(program.path("home/tmp")).unwrap().count(), 0);
    }
}

#[test]
fn a_folder_that_knows_no_fsync_is_no_disk_that_has_failed() {
    if !can_trace() {
        return;
    }
    for (fsync, syncfs) in [("EINVAL", "EINVAL"), ("ENOSYS", "ENOSYS"), ("EOPNOTSUPP", "EINVAL")] {
        let server = MailboxServer::start(Message::several(2, Mix::Tiny));
        let program = home(&server);
        let (tmp, new) = (program.path("home/tmp"), program.path("home/new"));
        // strace knows a folder by its path only once it is there.
        program.run(&["check", "--connect"]).assert_success();
        let faults = [("fsync", fsync), ("syncfs", syncfs)];
        for arguments in [&["check", "--connect"][..], &["fetch"]] {
            run_with(&program, &faults, &[&tmp, &new], arguments).assert_success();
        }
        server.manifest().verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn a_step_of_a_delivery_that_fails_is_named_by_check_and_fails_every_poll() {
    if !can_trace() {
        return;
    }
    for (call, error, of, step) in [
        ("fsync", "EIO", "home/new", "new/ cannot be synced"),
        ("fsync", "EIO", "home/tmp", "tmp/ cannot be synced"),
        ("renameat2", "EDQUOT", "home/tmp", "a message cannot be moved to new/"),
        ("renameat2", "EXDEV", "home/tmp", "a message cannot be moved to new/"),
    ] {
        let server = MailboxServer::start(Message::several(2, Mix::Tiny));
        let program = home(&server);
        program.run(&["check", "--connect"]).assert_success();
        let of = program.path(of);
        for arguments in [&["check", "--connect"][..], &["fetch"], &["fetch"], &["fetch"]] {
            let output = run_with(&program, &[(call, error)], &[&of], arguments).assert_code(74);
            assert!(output.stderr.contains(step), "{call} {error} {arguments:?}: {}", output.stderr);
        }
        program.run(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("home")).assert_exactly_once();
        for sub in ["tmp", "new"] {
            let hidden = std::fs::read_dir(program.path("home").join(sub)).unwrap();
            let left = hidden.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
            assert_eq!(left.count(), 0, "{call} {error}: a probe is left in {sub}/");
        }
    }
}
