//! Trouble with the state: the database gone, cut off, changed, from another time.  Nothing is
//! lost, nothing comes twice, and nothing is fetched again without a word.  `state/` holds
//! damage of the file, what only the operator can decide, and the commands.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "state/asked.rs"]
mod asked;
#[path = "state/command.rs"]
mod command;
#[path = "state/damage.rs"]
mod damage;
#[path = "state/history.rs"]
mod history;
#[path = "state/renaming.rs"]
mod renaming;
mod support;
#[path = "state/trouble.rs"]
mod trouble;
#[path = "state/upgrade.rs"]
mod upgrade;

use std::path::PathBuf;

use support::*;

/// One account `a` of a mailbox in memory, delivered into the Maildir `home`.
fn program(server: &MailboxServer, lines: &str) -> Postrider {
    let lines = format!("deliver = \"home\"\n{lines}");
    Postrider::with_config(&[mailbox(server.port(), "a", &lines), maildir("home")].concat())
}

/// The database and what belongs to it are gone, as after `rm state.db*`.
fn lose_database(program: &Postrider) {
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(program.state_dir().join(name));
    }
}

/// A file of the state directory.
fn state_file(program: &Postrider, name: &str) -> PathBuf {
    program.state_dir().join(name)
}

/// Databases that were set aside.
fn set_aside(program: &Postrider) -> Vec<String> {
    let entries = std::fs::read_dir(program.state_dir()).expect("the state directory");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("state.db.") && !name.ends_with("-wal")).collect()
}

#[test]
fn a_deleted_database_brings_nothing_again_and_the_next_message_once() {
    let server = Dovecot::start();
    let count = std::env::var("POSTRIDER_TEST_MESSAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(1000);
    let mut wanted = server.fill("user1", &Fill::new(count, Mix::Tiny));
    let config = [pop3s(&server, "a", 1, "deliver = \"home\""), maildir("home")].concat();
    let program = Postrider::with_config(&config);
    program.run(&["fetch"]).assert_success();
    lose_database(&program);

    let run = program.run(&["fetch"]).assert_success();
    eprintln!("{count} messages: {:?}", run.elapsed);
    assert_eq!(run.stdout, "a: no new mail\n");
    assert!(run.stderr.contains("is gone") && run.stderr.contains(&format!("{count} messages")), "{}", run.stderr);
    wanted.verify(&program.path("home")).assert_exactly_once();

    wanted.merge(server.fill("user1", &Fill::new(1, Mix::Tiny).from(count + 1)));
    let run = program.run(&["fetch"]).assert_success();
    assert!(run.stdout.starts_with("a: 1 message delivered"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_deleted_database_of_an_account_that_deletes_loses_and_doubles_nothing() {
    let server = MailboxServer::start(Message::several(40, Mix::Edge));
    let mut wanted = server.manifest();
    // Half of it is delivered, and one of the deletions is not carried out.
    server.change(|behaviour| behaviour.answers.push(("DELE 3".to_owned(), "-ERR not now".to_owned())));
    let program = program(&server, "retention = \"delete\"\nmax-messages = 20");
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 21);
    server.change(|behaviour| behaviour.answers.clear());
    lose_database(&program);
    server.add(Message::generated(2, 1, Mix::Tiny));
    wanted.merge(server.manifest());
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_nothing_wrong();
    }
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn mail_that_was_read_flagged_or_filed_is_known_again() {
    let server = MailboxServer::start(Message::several(6, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    let home = program.path("home");
    for sub in [".Archive/cur", "Sorted/2026/new"] {
        std::fs::create_dir_all(home.join(sub)).expect("made");
    }
    let files: Vec<_> =
        std::fs::read_dir(home.join("new")).expect("new/").map(|file| file.expect("an entry")).collect();
    for (file, (sub, added)) in files.iter().zip([
        ("cur", ":2,S"),
        ("cur", ",S=500,W=512:2,FRS"),
        ("cur", ",U=12:2,"),
        (".Archive/cur", ":2,RS"),
        ("Sorted/2026/new", ""),
    ]) {
        let name = format!("{}{added}", file.file_name().to_string_lossy());
        std::fs::rename(file.path(), home.join(sub).join(name)).expect("moved");
    }
    lose_database(&program);
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!((run.stdout.as_str(), server.count("RETR")), ("a: no new mail\n", 6));
}

#[test]
fn a_state_directory_that_was_removed_is_no_reason_to_double_mail() {
    let server = MailboxServer::start(Message::several(9, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    std::fs::remove_dir_all(program.state_dir()).expect("removed");
    let wanted = server.manifest();
    server.add(Message::generated(2, 1, Mix::Tiny));
    let run = program.run(&["fetch"]).assert_success();
    assert!(run.stdout.starts_with("a: 1 message delivered"), "{}", run.stdout);
    assert_eq!(server.count("RETR"), 10);
    assert_eq!(wanted.verify(&program.path("home")).duplicate, Vec::<String>::new());
}

#[test]
fn a_message_in_one_of_two_destinations_is_neither_sent_again_nor_deleted() {
    let server = MailboxServer::start(Message::several(4, Mix::Tiny));
    let wanted = server.manifest();
    let keys = "retention = \"delete\"\ndeliver = [\"home\", \"archive\"]";
    let keep = keys.replace("delete", "keep");
    let destinations = maildir("home") + &maildir("archive");
    let program = Postrider::with_config(&[mailbox(server.port(), "a", &keep), destinations.clone()].concat());
    program.run(&["fetch"]).assert_success();
    // Its owner has deleted one in the archive, and a clean-up another in both.
    let first = |name: &str| {
        let mut files: Vec<_> = std::fs::read_dir(program.path(name).join("new")).expect("new/").collect();
        files.sort_by_key(|file| file.as_ref().expect("an entry").file_name());
        files.remove(0).expect("an entry").path()
    };
    std::fs::remove_file(first("archive")).expect("removed");
    lose_database(&program);
    program.config(&[mailbox(server.port(), "a", keys), destinations].concat());
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("RETR"), server.remaining()), (4, 1));
    let quarantine = program.run(&["quarantine", "list"]).assert_success().stdout;
    assert!(quarantine.contains("archive") && quarantine.contains("it is unknown whether"), "{quarantine}");

    program.run(&["quarantine", "retry", "a", "--all"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 0);
    for name in ["home", "archive"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
    }
}

#[test]
fn a_header_that_was_delivered_does_not_count_for_its_message() {
    let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Fixed(5000))]);
    let headers = "max-size = 1000\noversize = \"headers\"\nretention = \"delete\"";
    let program = program(&server, headers);
    program.run(&["fetch"]).assert_success();
    lose_database(&program);
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (1, 1));

    // With the setting changed as well, nobody can tell a header from a message without a body.
    lose_database(&program);
    program
        .config(&[mailbox(server.port(), "a", "deliver = \"home\"\nretention = \"delete\""), maildir("home")].concat());
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (1, 1));
    program.run(&["quarantine", "retry", "a", "--all"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (2, 0));
}

#[test]
fn a_server_that_only_claims_deletions_gets_nothing_delivered_again_after_the_loss() {
    let server = MailboxServer::start(Message::several(3, Mix::Edge));
    let program = program(&server, "retention = \"delete\"");
    server.change(|behaviour| behaviour.answers.push(("DELE".to_owned(), "+OK".to_owned())));
    program.run(&["fetch"]).assert_success();
    lose_database(&program);
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("home")).assert_exactly_once();
    }
}
