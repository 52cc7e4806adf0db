//! Unique-ids that are used again, shared, or given to a message that was away.

use super::*;

#[test]
fn a_message_that_has_the_unique_id_of_one_that_is_gone_is_fetched_and_not_deleted_unfetched() {
    for retention in ["keep", "delete"] {
        let server = MailboxServer::start(by_place([1, 2, 3]));
        let program = Postrider::with_config(&config(&server, ""));
        program.run(&["fetch"]).assert_success();
        // Another client deletes the first; one comes that is larger.
        let longer = [wire(4), b"more\r\n".to_vec()].concat();
        let mut messages = by_place([2, 3]);
        messages.push(Message::wire("3", &longer));
        server.replace(messages);
        program.config(&config(&server, &format!("retention = \"{retention}\"")));
        for _ in 0..3 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(delivered(&program, "home"), once([1, 2, 3, 4]), "{retention}");
        assert_eq!(remaining(&server), if retention == "keep" { vec![2, 3, 4] } else { vec![] });
    }
}

#[test]
fn nothing_is_deleted_in_a_later_session_whose_header_is_not_that_of_what_was_delivered() {
    // The sizes, their sum and the unique-ids are what they were: only the headers tell.
    for capabilities in [Behaviour::default().capabilities, Some(vec!["TOP".into(), "UIDL".into(), "USER".into()])] {
        let server = MailboxServer::start_with(by_place([1, 2, 3]), Behaviour { capabilities, ..Behaviour::default() });
        let program = Postrider::with_config(&config(&server, ""));
        program.run(&["fetch"]).assert_success();
        server.replace(by_place([2, 3, 4]));
        program.config(&config(&server, "retention = \"delete\""));
        for _ in 0..4 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(delivered(&program, "home"), once([1, 2, 3, 4]));
        assert_eq!(remaining(&server), [0; 0]);
    }
}

#[test]
fn a_retention_that_is_over_deletes_nothing_that_was_never_fetched() {
    let server = MailboxServer::start(by_place([1, 2, 3]));
    let program = Postrider::with_config(&config(&server, "retention = \"2d\""));
    program.run(&["fetch"]).assert_success();
    server.replace(by_place([2, 3, 4]));
    for _ in 0..6 {
        let_pass(&program, 86_400);
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once([1, 2, 3, 4]), vec![]));
}

#[test]
fn a_listing_in_another_order_by_place_brings_nothing_twice() {
    let server = MailboxServer::start(by_place(1..=9));
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    // The newest first, and one more of another size.
    let longer = [wire(10), b"more\r\n".to_vec()].concat();
    let mut messages = vec![Message::wire("1", &longer)];
    messages.extend(
        (1..=9).rev().enumerate().map(|(place, number)| Message::wire(&(place + 2).to_string(), &wire(number))),
    );
    server.replace(messages);
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(delivered(&program, "home"), once(1..=10));
}

#[test]
fn without_top_sizes_tell_and_that_is_said() {
    let server = MailboxServer::start_with(by_place([1, 2]), without_top());
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    let longer = [wire(3), b"more\r\n".to_vec()].concat();
    server.replace(vec![Message::wire("1", &wire(1)), Message::wire("2", &longer)]);
    program.config(&config(&server, "retention = \"delete\""));
    let said = program.run(&["fetch"]).assert_success();
    assert!(said.stderr.contains("has no TOP"), "{}", said.stderr);
    server.add(Message::wire("4", &wire(4)));
    let said = program.run(&["fetch"]).assert_success();
    assert!(!said.stderr.contains("has no TOP"), "once: {}", said.stderr);
    program.run(&["fetch"]).assert_success();
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once(1..=4), vec![]));
    assert_eq!(server.count("TOP"), 0);
}

#[test]
fn a_message_whose_header_identifies_nothing_is_deleted_once_its_content_was_compared() {
    let text = |body: &str| format!("Subject: m0001\r\n\r\n{body}\r\n").into_bytes();
    for (there, left) in [("text", 0), ("TEXT", 0)] {
        let server = MailboxServer::start(vec![Message::wire("u", &text("text"))]);
        let program = Postrider::with_config(&config(&server, "retention = \"2d\""));
        program.run(&["fetch"]).assert_success();
        server.replace(vec![Message::wire("u", &text(there))]);
        for _ in 0..5 {
            let_pass(&program, 86_400);
            program.run(&["fetch"]).assert_success();
        }
        let copies = if there == "text" { 1 } else { 2 };
        assert_eq!((count_messages(&program.path("home")), server.remaining()), (copies, left), "{there}");
    }
}

#[test]
fn of_two_messages_with_one_unique_id_the_one_that_stays_is_not_taken_for_the_other() {
    let twin =
        |body: &str| format!("Message-ID: <0001@example.net>\r\nSubject: m{body}\r\n\r\n{body}\r\n").into_bytes();
    // Headers that differ, and headers that are the same.
    let pairs = [
        (twin("0001"), twin("0002")),
        (
            b"Message-ID: <1@x>\r\nSubject: m0001\r\n\r\none\r\n".to_vec(),
            b"Message-ID: <1@x>\r\nSubject: m0001\r\n\r\ntwo\r\n".to_vec(),
        ),
    ];
    for (first, second) in pairs {
        for retention in ["keep", "delete"] {
            let server = MailboxServer::start(vec![Message::wire("A", &first), Message::wire("A", &second)]);
            let program = Postrider::with_config(&config(&server, "max-messages = 1"));
            program.run(&["fetch"]).assert_success();
            server.replace(vec![Message::wire("A", &second)]);
            program.config(&config(&server, &format!("retention = \"{retention}\"")));
            for _ in 0..3 {
                program.run(&["fetch"]).assert_success();
            }
            assert_eq!(count_messages(&program.path("home")), 2, "{retention}");
            assert_eq!(server.remaining(), usize::from(retention == "keep"));
        }
    }
}

#[test]
fn what_was_moved_out_and_comes_back_under_another_unique_id_is_known_by_its_content() {
    for away_for_a_poll in [false, true] {
        let named = |prefix: &str, numbers: &[usize]| -> Vec<Message> {
            numbers.iter().map(|number| Message::wire(&format!("{prefix}{number}"), &wire(*number))).collect()
        };
        let server = MailboxServer::start(named("u", &(1..=10).collect::<Vec<_>>()));
        let program = Postrider::with_config(&config(&server, ""));
        program.run(&["fetch"]).assert_success();
        if away_for_a_poll {
            server.replace(named("u", &(3..=10).collect::<Vec<_>>()));
            program.run(&["fetch"]).assert_success();
        }
        server.replace([named("u", &(3..=11).collect::<Vec<_>>()), named("back", &[1, 2])].concat());
        for _ in 0..2 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(delivered(&program, "home"), once(1..=11));
        // A copy beside the original is a message of its own.
        server.add(Message::wire("copy", &wire(5)));
        program.run(&["fetch"]).assert_success();
        assert_eq!(delivered(&program, "home")[&5], 2);
    }
}

#[test]
fn what_was_deleted_and_is_restored_under_another_unique_id_does_not_come_twice() {
    let server = MailboxServer::start(vec![Message::wire("u1", &wire(1))]);
    let program = Postrider::with_config(&config(&server, "retention = \"delete\""));
    program.run(&["fetch"]).assert_success();
    server.replace(vec![Message::wire("restored", &wire(1)), Message::wire("u2", &wire(2))]);
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once([1, 2]), vec![]));
}

#[test]
fn a_message_that_takes_the_place_of_one_half_delivered_is_delivered_whole() {
    let server = MailboxServer::start(by_place([1]));
    let program = Postrider::new();
    let both = |keys: &str| {
        let account = mailbox(server.port(), "a", &format!("deliver = [\"home\", \"archive\"]\n{keys}"));
        [account, maildir("home"), maildir("archive")].concat()
    };
    program.config(&both(""));
    // It cannot be delivered to a file.
    std::fs::write(program.path("archive"), "").expect("written");
    program.run(&["fetch"]);
    assert_eq!(delivered(&program, "home"), once([1]));
    std::fs::remove_file(program.path("archive")).expect("removed");
    server.replace(by_place([2]));
    set_deferrals_due(&program);
    program.config(&both("retention = \"delete\""));
    for _ in 0..3 {
        program.run(&["fetch"]);
    }
    assert_eq!(delivered(&program, "home"), once([1, 2]));
    assert_eq!(delivered(&program, "archive"), once([2]));
    assert_eq!(remaining(&server), [0; 0]);
}

#[test]
fn of_two_messages_with_one_unique_id_the_one_that_is_moved_away_and_back_does_not_come_twice() {
    let server = MailboxServer::start(vec![Message::wire("A", &wire(1)), Message::wire("A", &wire(2))]);
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    server.replace(vec![Message::wire("A", &wire(1)), Message::wire("B", &wire(2))]);
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(delivered(&program, "home"), once([1, 2]));
}

#[test]
fn a_message_beside_one_that_is_too_large_and_has_its_unique_id_is_retrieved_once() {
    let large = [wire(1), vec![b'x'; 2000]].concat();
    let server = MailboxServer::start(vec![Message::wire("A", &large), Message::wire("A", &wire(2))]);
    let program = Postrider::with_config(&config(&server, "max-size = \"1kB\""));
    for _ in 0..4 {
        program.run(&["fetch"]);
    }
    assert_eq!((delivered(&program, "home"), server.count("RETR")), (once([2]), 1));
}

#[test]
fn more_messages_of_one_content_than_fit_a_batch_are_all_known_again() {
    let named = |prefix: &str| (0..200).map(|n| Message::wire(&format!("{prefix}{n}"), &wire(1))).collect::<Vec<_>>();
    let server = MailboxServer::start(named("old"));
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    server.replace(named("new"));
    program.run(&["fetch"]).assert_success();
    assert_eq!(delivered(&program, "home")[&1], 200);
}

#[test]
fn a_message_that_is_known_by_its_content_is_kept_as_long_as_it_is_to_be() {
    // Without TOP the ids shift, and the one that is due today is another now.
    let server = MailboxServer::start_with(by_place([1, 2]), without_top());
    let program = Postrider::with_config(&config(&server, "retention = \"7d\""));
    program.run(&["fetch"]).assert_success();
    let_pass(&program, 4 * 86_400);
    let longer = [wire(3), b"more\r\n".to_vec()].concat();
    let mut messages = by_place([1, 2]);
    messages.push(Message::wire("3", &longer));
    server.replace(messages);
    program.run(&["fetch"]).assert_success();
    let_pass(&program, 4 * 86_400);
    server.replace(vec![Message::wire("1", &wire(2)), Message::wire("2", &longer)]);
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    assert!(remaining(&server).contains(&3), "it is four days old");
    assert_eq!(delivered(&program, "home"), once(1..=3));
}

#[test]
fn what_is_too_large_to_be_compared_is_not_taken_for_what_had_its_unique_id() {
    for behaviour in [Behaviour::default(), without_top()] {
        let server = MailboxServer::start_with(by_place([1]), behaviour);
        let program = Postrider::with_config(&config(&server, ""));
        program.run(&["fetch"]).assert_success();
        let large = [wire(2), vec![b'x'; 2000]].concat();
        server.replace(vec![Message::wire("1", &large)]);
        program.config(&config(&server, "max-size = \"1kB\""));
        for _ in 0..2 {
            program.run(&["fetch"]);
        }
        program.config(&config(&server, "retention = \"delete\""));
        for _ in 0..3 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!((delivered(&program, "home"), remaining(&server)), (once([1, 2]), vec![]));
    }
}

#[test]
fn a_message_that_another_was_taken_for_is_deleted_like_any_other_when_it_is_back() {
    let text = |body: &str| format!("Message-ID: <0001@x>\r\nSubject: m0001\r\n\r\n{body}\r\n").into_bytes();
    let server = MailboxServer::start(vec![Message::wire("old", &text("one"))]);
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    // Another one has its header, and is matched by it until its content is seen.
    server.replace(vec![Message::wire("new", &text("two"))]);
    program.run(&["fetch"]).assert_success();
    program.config(&config(&server, "retention = \"delete\""));
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    server.replace(vec![Message::wire("back", &text("one"))]);
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((count_messages(&program.path("home")), server.remaining()), (2, 0));
}

#[test]
fn a_proof_by_its_content_takes_a_doubt_away() {
    let text = |body: &str| format!("Message-ID: <0001@x>\r\nSubject: m0001\r\n\r\n{body}\r\n").into_bytes();
    let server = MailboxServer::start(vec![Message::wire("old", &text("one"))]);
    let program = Postrider::with_config(&config(&server, "retention = \"2d\""));
    program.run(&["fetch"]).assert_success();
    server.replace(vec![Message::wire("new", &text("two"))]);
    program.run(&["fetch"]).assert_success();
    let_pass(&program, 3 * 86_400);
    program.run(&["fetch"]).assert_success();
    server.replace(vec![Message::wire("back", &text("one"))]);
    for _ in 0..3 {
        let_pass(&program, 86_400);
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(server.remaining(), 0, "it was delivered for longer than two days");
}
