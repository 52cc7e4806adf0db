//! Unique-ids as servers really treat them: they vanish for a while, change all at once, repeat,
//! are used again, are of any shape, or do not exist.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::*;

fn program(server: &MailboxServer, keys: &str) -> Postrider {
    Postrider::with_config(
        &[mailbox(server.port(), "a", &format!("deliver = \"home\"\n{keys}")), maildir("home")].concat(),
    )
}

/// The same mail after the server has moved: every unique-id is another.
fn renamed(messages: Vec<Message>) -> Vec<Message> {
    messages
        .into_iter()
        .enumerate()
        .map(|(index, message)| message.named(format!("moved.{index}").as_bytes()))
        .collect()
}

fn without(capability: &str) -> Option<Vec<String>> {
    let all = Behaviour::default().capabilities.expect("some");
    Some(all.into_iter().filter(|one| one != capability).collect())
}

/// 7 messages are there, all unique-ids change while 2 more come: exactly those 2 are delivered.
#[track_caller]
fn assert_only_new_mail_comes_after_a_move(
    behaviour: Behaviour,
    keys: &str,
    retrieved: usize,
) -> (MailboxServer, Postrider) {
    let server = MailboxServer::start_with(Message::several(7, Mix::Tiny), behaviour);
    let program = program(&server, keys);
    program.run(&["fetch"]).assert_success();
    server.replace(renamed(Message::several(9, Mix::Tiny)));
    let before = server.count("RETR");
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.count("RETR") - before, retrieved);
    let before = (server.count("RETR"), server.count("TOP"));
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("RETR"), server.count("TOP")), before, "it is matched once and for all");
    (server, program)
}

#[test]
fn when_all_unique_ids_change_mail_is_known_by_its_header() {
    let (server, _) = assert_only_new_mail_comes_after_a_move(Behaviour::default(), "", 2);
    assert_eq!(server.count("DELE"), 0);
}

#[test]
fn a_server_without_top_has_it_known_by_its_content() {
    let behaviour = Behaviour { capabilities: without("TOP"), ..Behaviour::default() };
    let (server, _) = assert_only_new_mail_comes_after_a_move(behaviour, "", 9);
    assert_eq!(server.count("TOP"), 0);
    let behaviour = Behaviour { answers: vec![("TOP".into(), "-ERR no".into())], ..Behaviour::default() };
    assert_only_new_mail_comes_after_a_move(behaviour, "", 9);
}

#[test]
fn a_move_that_is_interrupted_goes_on() {
    let server = MailboxServer::start_with(
        Message::several(200, Mix::Tiny),
        Behaviour { capabilities: without("TOP"), ..Behaviour::default() },
    );
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    server.replace(renamed(Message::several(203, Mix::Tiny)));
    server.change(|behaviour| behaviour.drop_at = Some("RETR 150".into()));
    program.run(&["fetch"]).assert_code(69);
    // Most of it is known again: what is left must be matched all the same.
    server.change(|behaviour| behaviour.drop_at = None);
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn ten_thousand_messages_may_be_moved() {
    let server = MailboxServer::start(Message::several(10_000, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    server.replace(renamed(Message::several(10_005, Mix::Tiny)));
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.contains("a: 5 messages delivered"), "{}", output.stdout);
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn an_empty_listing_before_the_move_makes_no_difference() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    server.replace(Vec::new());
    program.run(&["fetch"]).assert_success();
    server.replace(renamed(Message::several(6, Mix::Tiny)));
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn what_is_missing_for_a_while_is_not_forgotten() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    for hidden in [vec!["uid-1-2"], vec!["uid-1-1", "uid-1-2", "uid-1-3", "uid-1-4", "uid-1-5"], vec![]] {
        server.change(|behaviour| behaviour.hidden = hidden.iter().map(|uid| (*uid).to_owned()).collect());
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(server.count("RETR"), 5);
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn nothing_is_deleted_because_its_header_is_the_same() {
    let original = b"Message-ID: <1@x>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nthe text\r\n";
    let changed = b"Message-ID: <1@x>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0000\r\n\r\nTHE TEXT\r\n";
    for (text, copies) in [(&original[..], 1), (changed, 2)] {
        let server = MailboxServer::start(vec![Message::wire("old", original)]);
        let program = program(&server, "retention = \"keep\"");
        program.run(&["fetch"]).assert_success();
        server.replace(vec![Message::wire("new", text)]);
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.count("RETR"), 1, "it is known by its header");
        // Its retention is over; whether this is what was delivered, only its content tells.
        program.config(
            &[mailbox(server.port(), "a", "deliver = \"home\"\nretention = \"delete\""), maildir("home")].concat(),
        );
        for _ in 0..2 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!((server.remaining(), server.count("RETR")), (0, copies + 1), "another message is delivered, too");
        assert_eq!(count_messages(&program.path("home")), copies);
    }
}

#[test]
fn mail_that_the_first_poll_left_alone_is_left_alone_after_the_move() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "initial = \"none\"");
    program.run(&["fetch"]).assert_success();
    let today = Message::text("today", &message_of_today(1, 6));
    server.replace(renamed([Message::several(5, Mix::Tiny), vec![today]].concat()));
    State::of(&program).first_polled_earlier(100_000);
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.contains("a: 1 message delivered"), "{}", output.stdout);
}

#[test]
fn a_unique_id_that_is_given_to_another_message_does_not_hide_it() {
    let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Tiny).named(b"1")]);
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    let mut wanted = server.manifest();
    server.replace(Vec::new());
    program.run(&["fetch"]).assert_success();
    server.replace(vec![Message::generated(1, 2, Mix::Tiny).named(b"1")]);
    wanted.merge(server.manifest());
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn messages_that_share_a_unique_id_are_all_delivered() {
    // Two of the same content, one of another.
    let text = b"Subject: twin\r\n\r\ntwin\r\n";
    let shared =
        || vec![Message::wire("u", text), Message::wire("u", text), Message::wire("u", b"Subject: other\r\n\r\n")];
    for (retention, left) in [("keep", 3), ("delete", 0)] {
        let server = MailboxServer::start(shared());
        let program = program(&server, &format!("retention = \"{retention}\""));
        for _ in 0..3 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!((count_messages(&program.path("home")), server.remaining()), (3, left), "{retention}");
    }
}

#[test]
fn unique_ids_of_any_shape_are_kept_apart_and_a_bad_one_concerns_its_message_alone() {
    let long = vec![b'x'; 5000];
    let uids: [&[u8]; 7] =
        [&[b'n'; 90], b"with spaces  in it", b"\x01\x1b[2J\x7f", b"\xff\xfe", b"ordinary", b"", &long];
    let mailbox = || {
        let messages = uids.iter().enumerate();
        messages.map(|(index, uid)| Message::generated(1, index + 1, Mix::Tiny).named(uid)).collect::<Vec<_>>()
    };
    let server = MailboxServer::start(mailbox());
    let keeping = program(&server, "");
    for _ in 0..2 {
        let output = keeping.run(&["fetch"]).assert_success();
        assert!(!output.text().contains('\x1b'));
    }
    assert_eq!((count_messages(&keeping.path("home")), server.count("RETR")), (5, 5));
    let listed = keeping.run(&["list", "a"]).assert_success().stdout;
    assert_eq!(listed.matches("no usable unique-id").count(), 2, "{listed}");
    // Where mail is deleted after its delivery, its content is enough.
    let deleting = program(&server, "retention = \"delete\"");
    for _ in 0..2 {
        deleting.run(&["fetch"]).assert_success();
    }
    assert_eq!(server.remaining(), 0);
    MailboxServer::start(mailbox()).manifest().verify(&deleting.path("home")).assert_exactly_once();
}

fn without_uidl() -> Behaviour {
    let refused = [("UIDL".to_owned(), "-ERR unknown command".to_owned())].to_vec();
    Behaviour { answers: refused, capabilities: without("UIDL"), ..Behaviour::default() }
}

#[test]
fn without_uidl_nothing_is_fetched_that_is_to_stay() {
    let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), without_uidl());
    for keys in ["retention = \"keep\"", "retention = \"14d\"", "retention = \"delete\"\ninitial = \"none\""] {
        let output = program(&server, keys).run(&["fetch"]).assert_code(76);
        assert!(
            output.stderr.contains("no UIDL") && output.stderr.contains("known by their content"),
            "{}",
            output.stderr
        );
    }
    assert_eq!((server.count("RETR"), server.count("DELE")), (0, 0));
}

#[test]
fn without_uidl_mail_is_known_by_its_content_until_it_is_deleted() {
    let twins = || [Message::several(3, Mix::Tiny), Message::several(1, Mix::Tiny)].concat();
    let server = MailboxServer::start_with(twins(), Behaviour { quit: Quit::Refuse, ..without_uidl() });
    let program = program(&server, "retention = \"delete\"");
    // Nothing is deleted: everything comes again, and is known.
    for _ in 0..3 {
        program.run(&["fetch"]);
        assert_eq!((count_messages(&program.path("home")), server.remaining()), (4, 4));
    }
    server.change(|behaviour| behaviour.quit = Quit::Answer);
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (4, 0));
    // The same content, sent once more after that, is new.
    server.replace(Message::several(1, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (5, 0));
}

#[test]
fn without_uidl_a_deletion_whose_answer_was_lost_does_not_hide_the_same_content() {
    let server = MailboxServer::start_with(
        Message::several(1, Mix::Tiny),
        Behaviour { quit: Quit::DeleteSilently, ..without_uidl() },
    );
    let program = program(&server, "retention = \"delete\"");
    program.run(&["fetch"]);
    // An empty mailbox shows that it was deleted.
    program.run(&["fetch"]);
    server.replace(Message::several(1, Mix::Tiny));
    program.run(&["fetch"]);
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (2, 0));
}

#[test]
fn without_uidl_a_broken_connection_doubles_nothing() {
    let server = MailboxServer::start_with(
        Message::several(5, Mix::Tiny),
        Behaviour { drop_at: Some("RETR 4".into()), ..without_uidl() },
    );
    let wanted = server.manifest();
    let program = program(&server, "retention = \"delete\"");
    program.run(&["fetch"]).assert_code(69);
    program.run(&["fetch"]).assert_code(69);
    server.change(|behaviour| behaviour.drop_at = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn mail_that_loses_its_unique_ids_is_not_delivered_again() {
    let server = MailboxServer::start_with(
        Message::several(5, Mix::Tiny),
        Behaviour { quit: Quit::Refuse, ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "retention = \"delete\"");
    program.run(&["fetch"]).assert_success();
    server.change(|behaviour| *behaviour = without_uidl());
    // It was known to have UIDL; now it is asked again.
    program.run(&["fetch"]).assert_code(76);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}
