//! Messages that cannot be handled: tried again, then set aside, visible, and never in the way.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use support::*;

fn program(server: &MailboxServer, keys: &str) -> Postrider {
    let keys = format!("deliver = \"home\"\n{keys}");
    Postrider::with_config(&[mailbox(server.port(), "a", &keys), maildir("home")].concat())
}

/// Starts a fetch, and kills it in the middle of the message on which the server falls silent,
/// when so many others are delivered.
fn die(program: &Postrider, server: &MailboxServer, delivered: usize) {
    let before = server.count("RETR");
    let mut running = program.spawn(&["fetch"]);
    let marks = program.state_dir().join("attempts/a");
    running.wait_until("the message is being handled", Duration::from_secs(60), |_| {
        server.count("RETR") > before
            && std::fs::read(&marks).is_ok_and(|marks| marks.windows(7).any(|seven| seven == b"uid-1-2"))
            && std::fs::read_dir(program.path("home/new")).is_ok_and(|new| new.count() == delivered)
    });
    running.kill();
}

#[test]
fn a_message_that_is_died_of_twice_is_set_aside_and_the_rest_delivered() {
    // In the middle of a body, small or large.
    for (mix, octets) in [(Mix::Tiny, 20), (Mix::Fixed(500_000), 300_000)] {
        let server = MailboxServer::start_with(
            Message::several(4, mix),
            Behaviour { hang_in_retr: Some((2, octets)), ..Behaviour::default() },
        );
        let wanted = server.manifest();
        let program = program(&server, "retention = \"delete\"");
        die(&program, &server, 1);
        // Now the others come first.
        die(&program, &server, 3);
        let output = program.run(&["fetch"]).assert_success();
        assert!(output.stdout.contains("1 in quarantine"), "{}", output.stdout);
        let list = program.run(&["quarantine", "list"]).assert_success().stdout;
        assert!(list.contains("uid-1-2") && list.contains("died") && list.contains("2 of 2"), "{list}");
        assert_eq!(server.remaining_uids(), ["uid-1-2"]);
        // Once what killed it is mended, the operator lets it through.
        server.change(|behaviour| behaviour.hang_in_retr = None);
        program.run(&["quarantine", "retry", "a", "uid-1-2"]).assert_success();
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.remaining(), 0);
    }
}

#[test]
fn a_message_that_is_died_of_once_is_tried_again_at_once() {
    let server = MailboxServer::start_with(
        Message::several(3, Mix::Tiny),
        Behaviour { hang_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    die(&program, &server, 1);
    server.change(|behaviour| behaviour.hang_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn what_the_server_breaks_off_is_not_died_of() {
    let server = MailboxServer::start_with(
        Message::several(3, Mix::Tiny),
        Behaviour { cut_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    for _ in 0..3 {
        program.run(&["fetch"]).assert_code(69);
    }
    server.change(|behaviour| behaviour.cut_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}
