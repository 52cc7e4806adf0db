//! Answers about single messages in a shape of their own.

use super::support::*;
use super::{capabilities, program};

type Uidl = fn(usize, &str) -> String;
type List = fn(usize, u64) -> String;

/// What a server with these messages answers to `UIDL n`, `LIST n` and STAT.
fn answers(messages: &[Message], uidl: Uidl, list: List, stat: &str) -> Vec<(String, String)> {
    let mut answers = vec![("STAT".to_owned(), stat.to_owned())];
    for (n, message) in (1..).zip(messages) {
        let uid = String::from_utf8_lossy(message.uid.as_deref().expect("a unique-id")).into_owned();
        answers.push((format!("UIDL {n}"), uidl(n, &uid)));
        answers.push((format!("LIST {n}"), list(n, message.octets())));
    }
    answers
}

const NO_UIDL: Uidl = |_, _| "-ERR no such command".to_owned();
const OK_UIDL: Uidl = |_, _| "+OK".to_owned();
const OK_LIST: List = |_, _| "+OK".to_owned();

#[test]
fn a_server_that_answers_in_a_shape_of_its_own_is_fetched_from_and_its_shape_remembered() {
    let rows: [(&str, Uidl, List, &str); 9] = [
        ("the unique-id alone", |_, uid| format!("+OK {uid}"), OK_LIST, "+OK 4 100"),
        ("a listing", |n, uid| format!("+OK follows\r\n{n} {uid}\r\n."), OK_LIST, "+OK 4 100"),
        ("a listing of unique-ids alone", |_, uid| format!("+OK\r\n{uid}\r\n."), OK_LIST, "+OK"),
        ("a dot too many", |n, uid| format!("+OK {n} {uid}\r\n."), OK_LIST, "+OK"),
        ("the size alone", NO_UIDL, |_, size| format!("+OK {size}"), "+OK 4 messages (100 octets)"),
        ("a listing of the size", NO_UIDL, |n, size| format!("+OK\r\n{n} {size}\r\n."), "+OK"),
        (
            "both in listings",
            |n, uid| format!("+OK\r\n{n} {uid}\r\n."),
            |n, size| format!("+OK\r\n{n} {size}\r\n."),
            "+OK",
        ),
        ("the totals alone", OK_UIDL, OK_LIST, "+OK 4 100"),
        ("nothing", OK_UIDL, OK_LIST, "+OK"),
    ];
    for (name, uidl, list, stat) in rows {
        for without in [&[][..], &["PIPELINING"]] {
            let messages = Message::several(4, Mix::Tiny);
            let (answers_of, capabilities) = (answers(&messages, uidl, list, stat), capabilities(without));
            let behaviour = Behaviour { answers: answers_of, capabilities, ..Behaviour::default() };
            let server = MailboxServer::start_with(messages, behaviour);
            let (program, manifest) = (program(server.port(), "retention = \"delete\""), server.manifest());
            let output = program.run(&["fetch"]).assert_success();
            assert_eq!(server.remaining(), 0, "{name} {without:?}");
            manifest.verify(&program.path("home")).assert_exactly_once();
            assert_eq!(output.stderr.contains("say nothing"), name == "nothing", "{name}: {}", output.stderr);
            // The shape is remembered.
            let (learnt, new) = (server.count("NOOP"), Message::generated(9, 7, Mix::Tiny));
            assert!(learnt > 0, "{name}");
            let stat = stat.replace('4', "1");
            server.change(|behaviour| behaviour.answers = answers(std::slice::from_ref(&new), uidl, list, &stat));
            server.add(new);
            let output = program.run(&["fetch"]).assert_success();
            assert_eq!((server.count("NOOP"), server.remaining()), (learnt, 0), "{name} {without:?}");
            assert!(!output.stderr.contains("say nothing"), "said once: {}", output.stderr);
        }
    }
}

#[test]
fn a_reply_too_many_makes_no_message_another_one_where_answers_say_nothing() {
    for extra in ["+OK\r\n", "+OK\r\nSubject: another\r\n\r\n.\r\n", "-ERR busy\r\n"] {
        for at in ["UIDL", "LIST", "RETR 1", "TOP 1"] {
            let messages = Message::several(4, Mix::Tiny);
            let answers = answers(&messages, OK_UIDL, OK_LIST, "+OK");
            let server = MailboxServer::start_with(messages, Behaviour { answers, ..Behaviour::default() });
            let program = program(server.port(), "retention = \"delete\"\nmax-messages = 1");
            let (manifest, home) = (server.manifest(), program.path("home"));
            program.run(&["fetch"]).assert_success();
            assert_eq!(server.remaining(), 3);
            server.change(|behaviour| behaviour.inject_after = Some((at.to_owned(), extra.into())));
            program.run(&["fetch"]);
            manifest.verify(&home).assert_nothing_wrong();
            assert!(read_messages(&home).len() + server.remaining() >= 4, "{at} {extra:?}");
            server.change(|behaviour| behaviour.inject_after = None);
            while server.remaining() > 0 {
                program.run(&["fetch"]).assert_success();
            }
            manifest.verify(&home).assert_exactly_once();
        }
    }
}

#[test]
fn check_and_list_understand_answers_of_another_shape() {
    let messages = Message::several(4, Mix::Tiny);
    let uidl: Uidl = |_, uid| format!("+OK {uid}");
    let behaviour =
        Behaviour { answers: answers(&messages, uidl, OK_LIST, "+OK four messages"), ..Behaviour::default() };
    let server = MailboxServer::start_with(messages, behaviour);
    let program = program(server.port(), "initial = \"30d\"");
    let output = program.run(&["check", "--connect"]).assert_success();
    assert!(output.stdout.contains("the server does not say how much"), "{}", output.stdout);
    program.run(&["list", "a"]).assert_success();
    assert_eq!(server.remaining(), 4);
}
