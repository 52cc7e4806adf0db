//! Messages that are on their way into a Maildir and do not get there.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::SOON;
use super::support::*;

/// A program whose Maildir `home` is `nobody`'s; `None`: this is not root, who alone can give it away.
fn of_nobody(server: &MailboxServer, deliver: &str) -> Option<Postrider> {
    let keys = format!("deliver = {deliver}\ninterval = \"10s\"");
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", &keys), maildir("home"), maildir("hub")].concat());
    let maildirs = ["home", "home/tmp", "home/new", "home/cur", "hub", "hub/tmp", "hub/new", "hub/cur"];
    program.share_with_nobody(&[&["state", "run"][..], &maildirs].concat()).then_some(program)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn check_and_every_poll_fail_as_long_as_one_folder_of_a_maildir_cannot_be_written() {
    for (closed, step) in [("new", "new/"), ("tmp", "tmp/")] {
        let server = MailboxServer::start(Message::several(3, Mix::Tiny));
        let Some(program) = of_nobody(&server, "\"home\"") else { return };
        let folder = program.path("home").join(closed);
        set_mode(&folder, 0o555);
        for arguments in [&["check", "--connect"][..], &["fetch"], &["fetch"], &["fetch"]] {
            let output = program.run_as_nobody(arguments).assert_code(74);
            assert!(output.stderr.contains(step) && output.stderr.contains("(mode 0555)"), "{}", output.stderr);
        }
        assert_eq!(server.count("RETR"), 0, "nothing is fetched that cannot be delivered");
        set_mode(&folder, 0o755);
        program.run_as_nobody(&["check", "--connect"]).assert_success();
        program.run_as_nobody(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn what_is_stuck_in_tmp_fails_every_poll_until_it_is_moved() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = Postrider::with_config(
        &[mailbox(server.port(), "a", "deliver = \"home\"\ninterval = \"10s\""), maildir("home")].concat(),
    );
    program.run(&["fetch"]).assert_success();
    // As left by a process that died between the record and the moves, one of which is no longer possible.
    let file = std::fs::read_dir(program.path("home/new")).unwrap().next().unwrap().unwrap().file_name();
    State::of(&program).stage_again(file.to_str().unwrap());
    std::fs::write(program.path("home/tmp").join(&file), "the message").unwrap();
    server.add(Message::generated(1, 4, Mix::Tiny));
    for _ in 0..2 {
        let output = program.run(&["fetch"]).assert_code(74);
        assert!(output.stderr.contains("moved to new/") && output.stderr.contains("exists"), "{}", output.stderr);
    }
    assert_eq!(count_messages(&program.path("home")), 4, "it holds up no other");
}

#[test]
fn a_poll_fails_as_long_as_a_message_waits_for_a_maildir_that_cannot_be_written() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let Some(program) = of_nobody(&server, "[\"home\", \"hub\"]") else { return };
    // Both can be opened, and one cannot be written.
    set_mode(&program.path("hub/new"), 0o555);
    for _ in 0..3 {
        let output = program.run_as_nobody(&["fetch"]).assert_code(74);
        assert!(output.stderr.contains("hub/new"), "{}", output.stderr);
    }
    server.manifest().verify(&program.path("home")).assert_exactly_once();
    set_mode(&program.path("hub/new"), 0o755);
    set_deferrals_due(&program);
    program.run_as_nobody(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("hub")).assert_exactly_once();
}

#[test]
fn the_services_status_tells_of_a_maildir_that_cannot_be_written_poll_after_poll() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let keys = "deliver = \"home\"\ninterval = \"10s\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", keys), maildir("home")].concat());
    program.run(&["check", "--connect"]).assert_success();
    // In the place of new/ there is something that no message can be moved to, not even by root.
    std::fs::remove_dir(program.path("home/new")).unwrap();
    std::os::unix::fs::symlink("/proc/self", program.path("home/new")).unwrap();
    let mut service = program.spawn(&["run"]);
    service.wait_until("a poll that fails", SOON, |service| service.stderr().contains("new/"));
    for _ in 0..2 {
        program.run(&["poll"]);
        let status = program.run(&["status"]).assert_code(74);
        assert!(status.stdout.contains("new/"), "{}", status.stdout);
    }
    service.sigterm();
    service.wait(SOON).assert_success();
}
