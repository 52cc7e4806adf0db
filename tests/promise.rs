//! The promise under changes that nobody announces: a disk that is gone, a destination renamed,
//! unique-ids that come back, limits that move.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::{MailboxServer, Message, Mix, Postrider};

/// A program for this server: keys of the account, and what follows it.
fn config(server: &MailboxServer, keys: &str, destinations: &str) -> String {
    format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"{}\"\npassword = \"{}\"\n\
         {keys}\n{destinations}",
        server.port(),
        MailboxServer::USER,
        MailboxServer::PASSWORD
    )
}

fn maildir(name: &str) -> String {
    format!("[destinations.{name}]\ntype = \"maildir\"\npath = \"{name}\"\n")
}

#[test]
fn never_makes_a_maildir_again_that_was_there() {
    let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Tiny)]);
    let program = Postrider::with_config(&config(&server, "deliver = \"home\"", &maildir("home")));
    program.run(&["fetch"]).assert_success();

    // The disk is not mounted: the folder above is there, the Maildir is not.
    std::fs::rename(program.path("home"), program.path("elsewhere")).unwrap();
    server.add(Message::generated(1, 2, Mix::Tiny));
    for command in [&["check", "--connect"][..], &["fetch"], &["fetch"]] {
        let run = program.run(command).assert_code(74);
        assert!(run.stderr.contains("mounted"), "{}", run.stderr);
        assert!(!program.path("home").exists());
    }
    assert_eq!(server.count("RETR"), 1);

    std::fs::rename(program.path("elsewhere"), program.path("home")).unwrap();
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}
