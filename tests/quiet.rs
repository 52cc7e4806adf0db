//! A poll without news asks only for the listing; everything that is news is still seen.
//!
//! Each mailbox has one message that is too large, so that a poll that looks asks for sizes: LIST
//! tells whether it has looked.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::*;

const MAX_SIZE: &str = "max-size = \"100KB\"\n";

/// Two small messages and one that is too large.
fn server() -> MailboxServer {
    let large = vec![Message::large("large", 3, 300_000)];
    MailboxServer::start([Message::several(2, Mix::Tiny), large].concat())
}

fn configure(program: &Postrider, server: &MailboxServer, keys: &str) {
    let destinations = ["home", "archive", "third"].map(maildir).concat();
    program.config(&[mailbox(server.port(), "a", keys), destinations].concat());
}

/// Polls until a poll does not look; returns the last one's output.
#[track_caller]
fn settle(program: &Postrider, server: &MailboxServer, code: i32) -> String {
    let mut looks = server.count("LIST");
    for _ in 0..4 {
        let output = program.run(&["fetch"]).assert_code(code);
        if server.count("LIST") == looks {
            return output.stdout;
        }
        looks = server.count("LIST");
    }
    panic!("each poll looks at everything: {:?}", server.commands());
}

/// A mailbox in which nothing is to be done.
#[track_caller]
fn settled(keys: &str) -> (MailboxServer, Postrider) {
    let (server, program) = (server(), Postrider::new());
    configure(&program, &server, &format!("{MAX_SIZE}{keys}"));
    assert_eq!(settle(&program, &server, 0), "a: no new mail, 1 left because of their size\n");
    assert_eq!(count_messages(&program.path("home")), 2);
    (server, program)
}

#[test]
fn a_poll_without_news_asks_for_the_listing_and_tells_the_same() {
    let (server, program) = settled("deliver = \"home\"");
    let before = server.commands().len();
    let said = program.run(&["fetch"]).assert_success();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("a: no new mail, 1 left because of their size\n", ""));
    let asked = server.commands()[before..].to_vec();
    assert!(asked.iter().all(|command| !command.starts_with("LIST") && !command.starts_with("RETR")), "{asked:?}");
    assert!(asked.iter().any(|command| command == "UIDL") && asked.iter().any(|command| command == "QUIT"));
    let json = program.run(&["fetch", "--json"]).assert_success().stdout;
    assert!(json.contains("\"listed\": 3") && json.contains("\"too-large\": 1"), "{json}");
    // A command that asks what is there gets each message.
    let listed = program.run(&["list", "a"]).assert_success().stdout;
    assert!(listed.contains("above max-size") && listed.matches("retention is keep").count() == 2, "{listed}");
}

#[test]
fn what_is_new_or_gone_is_seen() {
    let (server, program) = settled("deliver = \"home\"");
    server.add(Message::generated(1, 4, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 3);
    settle(&program, &server, 0);
    // One is replaced by another under its number.
    server.replace([Message::several(1, Mix::Tiny), vec![Message::generated(2, 9, Mix::Tiny)]].concat());
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 4);
}

#[test]
fn a_raised_max_size_is_obeyed_at_once() {
    let (server, program) = settled("deliver = \"home\"");
    configure(&program, &server, "max-size = \"1MB\"\ndeliver = \"home\"");
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.starts_with("a: 1 message delivered"), "{}", output.stdout);
    assert_eq!(count_messages(&program.path("home")), 3);
}

#[test]
fn another_retention_is_obeyed_at_once() {
    let (server, program) = settled("deliver = \"home\"");
    configure(&program, &server, &format!("{MAX_SIZE}retention = \"delete\"\ndeliver = \"home\""));
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining_uids(), ["large"]);
}

#[test]
fn a_retention_that_is_over_is_seen_at_the_next_poll() {
    let (server, program) = settled("deliver = \"home\"\nretention = \"2h\"");
    for (passed, left) in [(3600, 3), (3000, 3), (600, 1)] {
        let_pass(&program, passed);
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.remaining(), left);
    }
}

#[test]
fn nothing_is_believed_for_longer_than_a_day_nor_of_a_time_to_come() {
    let (server, program) = settled("deliver = \"home\"");
    for (passed, looks) in [(24 * 3600 - 60, 0), (60, 1), (-3600, 1), (0, 0)] {
        let before = server.count("LIST");
        let_pass(&program, passed);
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.count("LIST") - before, looks, "{passed}");
    }
}

/// An account of whose destinations one does not work.  While it does not, each poll looks, and fails.
fn half_delivered(retention: &str) -> (MailboxServer, Postrider) {
    let (server, program) = (server(), Postrider::new());
    std::fs::write(program.path("archive"), "a file stands where it should be").unwrap();
    configure(&program, &server, &format!("{MAX_SIZE}deliver = [\"home\", \"archive\"]\n{retention}"));
    for _ in 0..3 {
        program.run(&["fetch"]).assert_code(74);
    }
    assert_eq!(count_messages(&program.path("home")), 2);
    (server, program)
}

#[test]
fn a_delivery_whose_destination_works_again_is_tried_at_once() {
    let (server, program) = half_delivered("");
    std::fs::remove_file(program.path("archive")).unwrap();
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), count_messages(&program.path("archive"))), (2, 2));
    settle(&program, &server, 0);
}

#[test]
fn another_destination_gets_what_is_open_at_once() {
    let (server, program) = half_delivered("");
    configure(&program, &server, &format!("{MAX_SIZE}deliver = [\"home\", \"third\"]"));
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), count_messages(&program.path("third"))), (2, 2));
}

#[test]
fn a_destination_that_waits_is_not_forgotten_when_another_has_got_its_mail() {
    let (server, program) = (server(), Postrider::new());
    for name in ["archive", "third"] {
        std::fs::write(program.path(name), "a file stands where it should be").unwrap();
    }
    configure(&program, &server, &format!("{MAX_SIZE}deliver = [\"home\", \"archive\", \"third\"]"));
    for _ in 0..3 {
        program.run(&["fetch"]).assert_code(74);
    }
    for (name, code) in [("archive", 74), ("third", 0)] {
        std::fs::remove_file(program.path(name)).unwrap();
        set_deferrals_due(&program);
        program.run(&["fetch"]).assert_code(code);
        assert_eq!(count_messages(&program.path(name)), 2, "{name}");
    }
}

#[test]
fn without_the_destination_that_failed_the_messages_are_done() {
    let (server, program) = half_delivered("retention = \"delete\"");
    configure(&program, &server, &format!("{MAX_SIZE}deliver = \"home\"\nretention = \"delete\""));
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(server.remaining_uids(), ["large"]);
}

#[test]
fn what_is_released_from_quarantine_is_tried_at_the_next_poll() {
    let answers = vec![("RETR 2".to_owned(), "-ERR no such message".to_owned())];
    let large = vec![Message::large("large", 3, 300_000)];
    let messages = [Message::several(2, Mix::Tiny), large].concat();
    let server = MailboxServer::start_with(messages, Behaviour { answers, ..Behaviour::default() });
    let program = Postrider::new();
    configure(&program, &server, &format!("{MAX_SIZE}deliver = \"home\""));
    for _ in 0..5 {
        program.run(&["fetch"]).assert_code(75);
        let_pass(&program, 7 * 3600);
    }
    assert_eq!(settle(&program, &server, 0), "a: no new mail, 1 left because of their size, 1 in quarantine\n");
    server.change(|behaviour| behaviour.answers.clear());
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 1);
    program.run(&["quarantine", "retry", "a", "--all"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 2);
}

#[test]
fn a_maildir_that_is_gone_is_told_of_by_a_poll_without_news() {
    let (server, program) = settled("deliver = \"home\"");
    std::fs::rename(program.path("home"), program.path("elsewhere")).unwrap();
    let output = program.run(&["fetch"]).assert_code(74);
    assert!(output.stderr.contains("home"), "{}", output.stderr);
    std::fs::rename(program.path("elsewhere"), program.path("home")).unwrap();
    assert_eq!(settle(&program, &server, 0), "a: no new mail, 1 left because of their size\n");
}

#[test]
fn a_state_that_was_lost_is_made_out_before_anything_is_quiet() {
    let (server, program) = settled("deliver = \"home\"");
    std::fs::remove_file(program.state_dir().join("state.db")).unwrap();
    program.run(&["fetch"]).assert_success();
    assert_eq!(settle(&program, &server, 0), "a: no new mail, 1 left because of their size\n");
    assert_eq!(count_messages(&program.path("home")), 2);
}
