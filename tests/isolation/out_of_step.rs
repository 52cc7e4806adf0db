//! Servers that send what nobody asked for: none of it is believed.

use super::support::*;
use super::{DELETE, fetch_from};

/// Four messages, of which the second holds a line with a lone dot and this text behind it.
fn with_a_dot(behind: &str) -> Vec<Message> {
    let mut messages = Message::several(4, Mix::Tiny);
    let text = format!("{}before\n.\n{behind}\nafter\n", String::from_utf8_lossy(&message(1, 2, Mix::Tiny)));
    messages[1] = Message::text("uid-1-2", text.as_bytes());
    messages
}

/// What a fetch from a server that does not stuff dots has delivered wrongly.
fn unstuffed(behind: &str, messages: Vec<Message>, capabilities: &[&str]) {
    let behaviour = Behaviour {
        unstuffed: true,
        capabilities: Some(capabilities.iter().map(|&line| line.to_owned()).collect()),
        ..Behaviour::default()
    };
    let server = MailboxServer::start_with(messages, behaviour);
    let wanted = server.manifest();
    let program = fetch_from(&server);
    let output = program.run(&["fetch"]).assert_code(76);
    assert!(output.stderr.contains("not a POP3 reply"), "{behind:?}: {}", output.stderr);
    assert_eq!(server.remaining(), wanted.len(), "{behind:?}: nothing is deleted");
    wanted.verify(&program.path("home")).assert_nothing_wrong();
    // It keeps no other message back.
    program.run(&["fetch"]);
    assert_eq!(server.remaining_uids(), ["uid-1-2"], "{behind:?}");
    wanted.verify(&program.path("home")).assert_nothing_wrong();
}

#[test]
fn mail_text_read_as_replies_ends_the_session_and_nothing_of_it_is_delivered_or_deleted() {
    for behind in ["some text", ".", "", "OK", "- a list", "+1"] {
        unstuffed(behind, with_a_dot(behind), &["UIDL", "USER", "TOP"]);
        unstuffed(behind, with_a_dot(behind), &["UIDL", "USER", "TOP", "PIPELINING"]);
    }
}

#[test]
fn the_last_message_is_no_exception() {
    for capabilities in [&["UIDL", "USER"][..], &["UIDL", "USER", "PIPELINING"]] {
        let mut messages = with_a_dot("some text");
        messages.truncate(2);
        unstuffed("some text", messages, capabilities);
    }
}

#[test]
fn octets_that_nobody_asked_for_end_the_session_and_nothing_is_deleted() {
    for (after, octets) in [
        ("RETR 4", "+OK 300 octets\r\n"),
        ("RETR 4", "garbage"),
        ("UIDL", "+OK\r\n"),
        ("LIST", "+OK\r\n.\r\n"),
        ("DELE 4", "+OK\r\n"),
        ("AUTH", "+OK again\r\n"),
        ("CAPA", "+OK again\r\n"),
    ] {
        let behaviour = Behaviour {
            inject_after: Some((after.into(), octets.into())),
            // The second one is that of the same poll, one command at a time.
            faulty_connections: 2,
            ..Behaviour::default()
        };
        let server = MailboxServer::start_with(Message::several(4, Mix::Tiny), behaviour);
        let wanted = server.manifest();
        let program = fetch_from(&server);
        let output = program.run(&["fetch"]);
        // Every message is delivered by then, and only QUIT is not sent.
        if after != "DELE 4" {
            assert_eq!(output.code, Some(76), "{after}: {}", output.text());
            let is_told = ["not a POP3 reply", "the server's replies are out of place"];
            assert!(is_told.iter().any(|told| output.stderr.contains(told)), "{after}: {}", output.stderr);
        }
        assert_eq!(server.remaining(), 4, "{after}: nothing is deleted");
        wanted.verify(&program.path("home")).assert_nothing_wrong();
        server.change(|behaviour| behaviour.inject_after = None);
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.remaining(), 0, "{after}");
    }
}

#[test]
fn what_a_server_says_is_shown_without_control_characters() {
    let behaviour = Behaviour { refuse_login: Some("-ERR \x1b[2J\x07 no\r".into()), ..Behaviour::default() };
    let server = MailboxServer::start_with(Vec::new(), behaviour);
    let output = fetch_from(&server).run(&["fetch"]).assert_code(77);
    assert!(!output.text().contains(['\x1b', '\x07', '\r']), "{:?}", output.text());
    assert!(!output.text().contains(MailboxServer::PASSWORD));
}

#[test]
fn a_server_that_is_no_pop3_server_gets_a_clear_error() {
    for (greeting, code) in [("220 smtp.example.org ESMTP", 76), ("* OK IMAP4rev1", 76), ("-ERR too busy", 75)] {
        let server =
            MailboxServer::start_with(Vec::new(), Behaviour { greeting: greeting.into(), ..Behaviour::default() });
        let config = [mailbox(server.port(), "a", DELETE), maildir("home")].concat();
        let output = Postrider::with_config(&config).run(&["fetch"]).assert_code(code);
        assert!(output.stderr.contains("greeting") && output.stderr.contains(&greeting[5..]), "{}", output.stderr);
        assert_eq!(server.logins(), 0);
    }
}
