//! Destinations that fail: they delay no other, nothing is fetched for them, nothing is lost.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

#[path = "destinations/file_systems.rs"]
mod file_systems;
#[path = "destinations/modes.rs"]
mod modes;
#[path = "destinations/stuck.rs"]
mod stuck;

use std::time::Duration;

use support::*;

const SOON: Duration = Duration::from_secs(40);

/// A Maildir below a folder that is not there.
const HUB: &str = "[destinations.hub]\ntype = \"maildir\"\npath = \"missing/hub\"\n";

#[test]
fn a_destination_that_fails_does_not_slow_down_the_others() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let keys = "deliver = [\"home\", \"hub\"]\ninterval = \"10s\"\nretention = \"delete\"";
    let program = Postrider::with_config(&[&mailbox(server.port(), "a", keys), &maildir("home"), HUB].concat());
    let home = program.path("home");
    let mut running = program.spawn(&["run"]);
    running.wait_until("the first poll", SOON, |_| count_messages(&home) == 2);
    let mut wanted = server.manifest();
    for index in 3..=4 {
        // A back-off of the whole account would have begun by now.
        let message = Message::generated(1, index, Mix::Tiny);
        server.add(message);
        running.wait_until("another poll", SOON, |_| count_messages(&home) == index);
    }
    wanted.merge(server.manifest());
    let status = program.run(&["status"]).assert_code(74);
    assert!(status.stdout.contains("hub") && status.stdout.contains("missing"), "{}", status.stdout);
    assert_eq!(server.remaining(), 4, "nothing is deleted before all have it");
    let retrieved = server.count("RETR");
    // The operator fixes it and asks for a poll.
    std::fs::create_dir(program.path("missing")).unwrap();
    set_deferrals_due(&program);
    program.run(&["poll"]).assert_success();
    running.wait_until("the mended destination", SOON, |_| server.remaining() == 0);
    for name in ["home", "missing/hub"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
    }
    assert_eq!(server.count("RETR"), retrieved + 4, "each was retrieved once for the others, once for this one");
    running.sigterm();
    running.wait(SOON).assert_success();
}

#[test]
fn accounts_that_share_a_maildir_do_not_get_in_each_others_way() {
    const ACCOUNTS: usize = 10;
    let servers: Vec<_> = (0..ACCOUNTS).map(|_| MailboxServer::start(Vec::new())).collect();
    let account = |(index, server): (usize, &MailboxServer)| {
        mailbox(server.port(), &format!("a{index}"), "deliver = [\"home\", \"mirror\"]\nretention = \"delete\"")
    };
    let accounts: String = servers.iter().enumerate().map(account).collect();
    let program = Postrider::with_config(&[accounts, maildir("home"), maildir("mirror")].concat());
    let mut wanted = Manifest::default();
    for round in 1..=4 {
        for (index, server) in servers.iter().enumerate() {
            server.add(Message::generated(index as u64 + 1, round, Mix::Tiny));
            wanted.merge(server.manifest());
        }
        program.run(&["fetch"]).assert_success();
        assert!(servers.iter().all(|server| server.remaining() == 0));
    }
    for name in ["home", "mirror"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
        assert_eq!(std::fs::read_dir(program.path(name).join("tmp")).unwrap().count(), 0);
    }
}

#[test]
fn nothing_is_fetched_for_a_maildir_that_cannot_be_written() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    program.run(&["fetch"]).assert_success();
    server.add(Message::generated(1, 3, Mix::Tiny));
    // As on a disk that has turned read-only: the folders are there and nothing can be made.
    let tmp = program.path("home/tmp");
    std::fs::remove_dir(&tmp).unwrap();
    std::os::unix::fs::symlink("/proc", &tmp).unwrap();
    program.run(&["fetch"]).assert_code(74);
    assert_eq!(server.count("RETR"), 2);
    std::fs::remove_file(&tmp).unwrap();
    std::fs::create_dir(&tmp).unwrap();
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

/// A server that deletes at QUIT what was retrieved, as it says with EXPIRE 0.
fn popping() -> MailboxServer {
    let mut capabilities = Behaviour::default().capabilities.unwrap();
    capabilities.push("EXPIRE 0".to_owned());
    MailboxServer::start_with(
        Message::several(5, Mix::Tiny),
        Behaviour { capabilities: Some(capabilities), pops: true, ..Behaviour::default() },
    )
}

#[test]
fn a_server_that_deletes_what_was_retrieved_keeps_what_is_not_delivered() {
    let server = popping();
    let wanted = server.manifest();
    let keys = "deliver = [\"home\", \"hub\"]\nretention = \"delete\"";
    let program = Postrider::with_config(&[&mailbox(server.port(), "a", keys), &maildir("home"), HUB].concat());
    program.run(&["fetch"]).assert_code(74);
    assert_eq!((server.remaining(), server.count("QUIT")), (5, 0));
    // A session without anything retrieved may end well.
    program.run(&["fetch"]).assert_code(74);
    assert_eq!((server.remaining(), server.count("QUIT")), (5, 1));
    std::fs::create_dir(program.path("missing")).unwrap();
    set_deferrals_due(&program);
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.remaining(), server.count("QUIT")), (0, 2));
    for name in ["home", "missing/hub"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
    }
}

#[test]
fn that_a_server_deletes_what_was_retrieved_may_be_announced_after_the_login() {
    let server = popping();
    server.change(|behaviour| {
        behaviour.capabilities_after_login = behaviour.capabilities.take();
        behaviour.capabilities = Some(["UIDL", "TOP", "USER", "EXPIRE NEVER USER"].map(str::to_owned).to_vec());
    });
    let program = Postrider::with_config(
        &[&mailbox(server.port(), "a", "deliver = [\"home\", \"hub\"]"), &maildir("home"), HUB].concat(),
    );
    program.run(&["fetch"]).assert_code(74);
    assert_eq!((server.remaining(), server.count("QUIT"), server.count("CAPA")), (5, 0, 2));
}

#[test]
fn a_server_that_deletes_what_was_retrieved_keeps_it_when_one_message_fails() {
    let server = popping();
    let wanted = server.manifest();
    // Aborted because of its size while it is retrieved: LIST had said less.
    server.replace(
        (1..=5)
            .map(|index| match index {
                3 => Message::generated(1, 3, Mix::Fixed(50_000)).listed(100),
                _ => Message::generated(1, index, Mix::Tiny),
            })
            .collect(),
    );
    let keys = "deliver = \"home\"\nretention = \"delete\"\nmax-size = 10000";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", keys), maildir("home")].concat());
    program.run(&["fetch"]).assert_code(75);
    assert_eq!((server.remaining(), server.count("QUIT")), (5, 0), "the delivered ones wait with it");
    // The next session retrieves nothing, and deletes them.
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.remaining_uids(), server.count("QUIT")), (vec!["uid-1-3".to_owned()], 1));
    wanted.verify(&program.path("home")).assert_nothing_wrong();
    assert_eq!(count_messages(&program.path("home")), 4);
}
