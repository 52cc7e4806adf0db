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

/// `home` can be written; `hub` cannot, since the folder above it is missing.
fn broken_hub() -> String {
    maildir("home") + "[destinations.hub]\ntype = \"maildir\"\npath = \"missing/hub\"\n"
}

#[test]
fn a_destination_that_is_renamed_or_removed_settles_what_was_owed_to_it() {
    for (now, reaches) in [("[\"home\", \"relay\"]", Some("relay")), ("\"home\"", None)] {
        let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Tiny)]);
        let manifest = server.manifest();
        let keys = "retention = \"delete\"\ndeliver = [\"home\", \"hub\"]";
        let program = Postrider::with_config(&config(&server, keys, &broken_hub()));
        program.run(&["fetch"]).assert_code(74);
        assert_eq!((server.remaining(), server.count("DELE")), (1, 0));

        let keys = format!("retention = \"delete\"\ndeliver = {now}");
        program.config(&config(&server, &keys, &(maildir("home") + &maildir("relay"))));
        program.run(&["fetch"]).assert_success();
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.remaining(), 0, "{now}");
        for name in ["home"].into_iter().chain(reaches) {
            manifest.verify(&program.path(name)).assert_exactly_once();
        }
    }
}

#[test]
fn a_header_goes_only_to_those_who_lack_it_and_the_whole_to_all() {
    let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Fixed(5000))]);
    let manifest = server.manifest();
    let headers = "retention = \"delete\"\nmax-size = 1000\noversize = \"headers\"\n";
    let before = format!("{headers}deliver = [\"home\", \"hub\"]");
    let program = Postrider::with_config(&config(&server, &before, &broken_hub()));
    program.run(&["fetch"]).assert_code(74);
    let count = |name: &str| support::count_messages(&program.path(name));
    assert_eq!(count("home"), 1);

    let destinations = maildir("home") + &maildir("relay");
    let both = "deliver = [\"home\", \"relay\"]";
    program.config(&config(&server, &format!("{headers}{both}"), &destinations));
    program.run(&["fetch"]).assert_success();
    assert_eq!((count("home"), count("relay"), server.remaining()), (1, 1, 1));

    program.config(&config(&server, &format!("retention = \"delete\"\n{both}"), &destinations));
    program.run(&["fetch"]).assert_success();
    for name in ["home", "relay"] {
        let verdict = manifest.verify(&program.path(name));
        // The header is there, too, and differs.
        assert_eq!((verdict.found, verdict.corrupt.len()), (2, 1), "{name}: {verdict}");
    }
    assert_eq!(server.remaining(), 0);
}

/// A marked message with a unique-id of its own choice.
fn with_uid(uid: &str, index: usize) -> Message {
    Message::text(uid, &support::message(1, index, Mix::Tiny))
}

#[test]
fn a_unique_id_that_is_used_again_after_a_deletion_is_new_mail() {
    let server = MailboxServer::start(vec![with_uid("x", 1)]);
    let mut manifest = server.manifest();
    let keys = "retention = \"delete\"\ndeliver = \"home\"";
    let program = Postrider::with_config(&config(&server, keys, &maildir("home")));
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 0);
    for index in 2..4 {
        server.add(with_uid("x", index));
        manifest.merge(server.manifest());
        program.run(&["fetch"]).assert_success();
        manifest.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.remaining(), 0);
    }
}

#[test]
fn a_message_that_the_server_only_claims_to_have_deleted_is_not_delivered_again() {
    let server = MailboxServer::start(vec![with_uid("x", 1)]);
    server.change(|behaviour| behaviour.answers.push(("DELE".to_owned(), "+OK".to_owned())));
    let keys = "retention = \"delete\"\ndeliver = \"home\"";
    let program = Postrider::with_config(&config(&server, keys, &maildir("home")));
    for polls in 1..4 {
        program.run(&["fetch"]).assert_success();
        assert_eq!((server.count("DELE"), server.remaining()), (polls, 1));
        server.manifest().verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn messages_that_share_a_unique_id_are_all_delivered_before_one_is_deleted() {
    let server = MailboxServer::start((1..4).map(|index| with_uid("x", index)).collect());
    let manifest = server.manifest();
    let keys = "retention = \"delete\"\nmax-messages = 1\ndeliver = \"home\"";
    let program = Postrider::with_config(&config(&server, keys, &maildir("home")));
    for _ in 0..4 {
        program.run(&["fetch"]).assert_success();
    }
    manifest.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_message_that_is_larger_than_listed_is_not_fetched_for_ever() {
    let large = Message::large("large", 1, 300_000).listed(500);
    let server = MailboxServer::start(vec![large, Message::generated(1, 2, Mix::Tiny)]);
    let keys = "max-size = 100000\ndeliver = \"home\"";
    let program = Postrider::with_config(&config(&server, keys, &maildir("home")));
    let run = program.run(&["fetch"]).assert_code(75);
    assert!(run.stderr.contains("max-size"), "{}", run.stderr);
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.count("RETR 1"), 1);
    assert_eq!((support::count_messages(&program.path("home")), server.remaining()), (1, 2));
}
