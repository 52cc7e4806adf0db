//! One message at which every session ends, or every delivery: the others come, and are deleted, in two polls; it is put
//! off, and given up in the end.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "poison/destination.rs"]
mod destination;
mod support;

use support::*;

const MESSAGES: usize = 20;

/// How a server ends a session at a message: name, verb, what it sends, whether it closes.
const WAYS: [(&str, &str, &str, bool); 8] = [
    ("it closes", "RETR", "", true),
    ("it closes within the message", "RETR", "+OK\r\nSubject: x\r\n\r\nhalf", true),
    ("it says nothing", "RETR", "", false),
    ("the message has no end", "RETR", "+OK\r\nSubject: x\r\n\r\nlast line.\r\n", false),
    ("an error in a positive reply", "RETR", "+OK -ERR error retrieving message\r\n", false),
    ("an end, and an error behind it", "RETR", "+OK\r\nSubject: x\r\n\r\nbegin\r\n.\r\n-ERR failed\r\n", false),
    ("no reply of POP3", "RETR", "java.io.IOException\r\n", false),
    ("text behind the end", "RETR", "+OK\r\nSubject: x\r\n\r\nbegin\r\n.\r\nmore\r\n.\r\n", false),
];

fn server(poison: Poison, pipelining: bool) -> MailboxServer {
    let mut behaviour = Behaviour { poison: Some(poison), ..Behaviour::default() };
    if !pipelining {
        behaviour.capabilities.as_mut().expect("some").retain(|one| one != "PIPELINING");
    }
    MailboxServer::start_with(Message::several(MESSAGES, Mix::Tiny), behaviour)
}

fn program(server: &MailboxServer, keys: &str) -> Postrider {
    let keys = format!("deliver = \"home\"\ntimeout = \"1s\"\nretention = \"delete\"\n{keys}");
    Postrider::with_config(&[mailbox(server.port(), "a", &keys), maildir("home")].concat())
}

/// Two polls of a mailbox whose message at `place` is poisoned.
fn try_place((name, verb, sends, closes): (&str, &'static str, &'static str, bool), place: usize, pipelining: bool) {
    let uid = format!("uid-1-{place}");
    let server = server(Poison { verb, uid: uid.clone(), sends, closes }, pipelining);
    let (program, manifest) = (program(&server, ""), server.manifest());
    program.run(&["fetch"]);
    program.run(&["fetch"]);
    assert_eq!(server.remaining_uids(), [uid.as_str()], "{name} at {place}, pipelining {pipelining}");
    manifest.verify(&program.path("home")).assert_nothing_wrong();
    assert_eq!(read_messages(&program.path("home")).len(), MESSAGES - 1, "{name} at {place}");
    // When the server is well again, it comes.
    server.change(|behaviour| behaviour.poison = None);
    State::of(&program).let_pass(20_000);
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 0, "{name} at {place}");
    manifest.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn wherever_a_session_ends_at_a_message_the_others_are_delivered_and_deleted_in_two_polls() {
    std::thread::scope(|scope| {
        for way in WAYS {
            for pipelining in [false, true] {
                scope.spawn(move || (1..=MESSAGES).for_each(|place| try_place(way, place, pipelining)));
            }
        }
    });
}

#[test]
fn a_suspect_that_is_innocent_comes_in_the_same_poll_as_the_others() {
    let (_, verb, sends, closes) = WAYS[0];
    let server = server(Poison { verb, uid: "uid-1-3".into(), sends, closes }, false);
    let (program, manifest) = (program(&server, ""), server.manifest());
    program.run(&["fetch"]).assert_code(69);
    server.change(|behaviour| behaviour.poison = None);
    let before = server.connections();
    program.run(&["fetch"]).assert_success();
    // One session for the others, with its QUIT, and one each for the suspect and for the message before it, which was not
    // proven to be whole.
    assert_eq!((server.connections() - before, server.remaining()), (3, 0));
    manifest.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_message_at_which_every_session_ends_is_given_up_after_five_of_them_and_a_day() {
    let (_, verb, sends, closes) = WAYS[0];
    let server = server(Poison { verb, uid: "uid-1-3".into(), sends, closes }, false);
    let program = program(&server, "");
    let sessions = |program: &Postrider| {
        let before = server.count("RETR 1");
        program.run(&["fetch"]);
        server.count("RETR 1") - before
    };
    program.run(&["fetch"]);
    program.run(&["fetch"]).assert_code(75);
    // It waits, longer each time.
    assert_eq!(sessions(&program), 0);
    for _ in 0..6 {
        State::of(&program).let_pass(4 * 3600);
        assert_eq!(sessions(&program), 1);
    }
    let list = program.run(&["quarantine", "list"]).assert_success().stdout;
    assert!(list.contains("uid-1-3") && list.contains("the session ends at this message"), "{list}");
    State::of(&program).let_pass(30 * 86_400);
    assert_eq!(sessions(&program), 0);
    // The operator may have it tried once more.
    server.change(|behaviour| behaviour.poison = None);
    program.run(&["quarantine", "retry", "a", "uid-1-3"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_message_at_whose_header_the_session_ends_keeps_no_other_back() {
    for closes in [true, false] {
        let server = server(Poison { verb: "TOP", uid: "uid-1-7".into(), sends: "", closes }, true);
        let (program, manifest) = (program(&server, "initial = \"7000d\""), server.manifest());
        for _ in 0..3 {
            program.run(&["fetch"]);
        }
        manifest.verify(&program.path("home")).assert_nothing_wrong();
        assert!(server.remaining() <= 1, "{:?}", server.remaining_uids());
    }
}

#[test]
fn dots_that_a_server_does_not_stuff_keep_no_other_message_back() {
    let lone_dot = |uid: &str| Message::text(uid, b"Subject: x\nMessage-ID: <dot@x>\n\nbefore\n.\nbehind\n");
    let mut messages = Message::several(6, Mix::Tiny);
    messages.insert(2, lone_dot("dot"));
    let server = MailboxServer::start_with(messages, Behaviour { unstuffed: true, ..Behaviour::default() });
    let program = program(&server, "");
    for _ in 0..2 {
        program.run(&["fetch"]);
    }
    assert_eq!(server.remaining_uids(), ["dot"]);
    assert_eq!(read_messages(&program.path("home")).len(), 6);
}

// Refusals

#[test]
fn what_the_server_says_will_pass_and_what_it_says_of_all_is_never_given_up() {
    for refusal in
        ["-ERR [SYS/TEMP] storage unavailable", "-ERR [IN-USE] try later", "-ERR daily quota of octets exceeded"]
    {
        let mut behaviour = Behaviour::default();
        for n in 1..=4 {
            behaviour.answers.push((format!("RETR {n}"), refusal.into()));
        }
        let server = MailboxServer::start_with(Message::several(4, Mix::Tiny), behaviour);
        let program = program(&server, "");
        for _ in 0..8 {
            assert_ne!(program.run(&["fetch"]).code, Some(0));
            State::of(&program).let_pass(20_000);
        }
        let list = program.run(&["quarantine", "list"]).assert_success().stdout;
        assert!(!list.contains("uid-1"), "{refusal}: {list}");
        server.change(|behaviour| behaviour.answers.clear());
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.remaining(), 0, "{refusal}");
    }
}

#[test]
fn a_message_that_is_refused_for_itself_is_given_up_after_a_day() {
    let answers = vec![("RETR 2".to_owned(), "-ERR message is corrupt".to_owned())];
    let server =
        MailboxServer::start_with(Message::several(4, Mix::Tiny), Behaviour { answers, ..Behaviour::default() });
    let program = program(&server, "");
    program.run(&["fetch"]);
    assert_eq!(server.remaining_uids(), ["uid-1-2"]);
    server.change(|behaviour| behaviour.answers[0].0 = "RETR 1".into());
    let given_up = |program: &Postrider| {
        program.run(&["quarantine", "list"]).assert_success().stdout.contains("message is corrupt")
    };
    for _ in 0..6 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(3600);
    }
    assert!(!given_up(&program), "a bad hour is no reason");
    State::of(&program).let_pass(20 * 3600);
    program.run(&["fetch"]);
    assert!(given_up(&program));
}

#[test]
fn a_server_that_breaks_off_at_every_message_makes_none_be_given_up() {
    let server = MailboxServer::start(Message::several(6, Mix::Tiny));
    // At each of them.
    let poison = Poison { verb: "RETR", uid: String::new(), sends: "", closes: true };
    server.change(|behaviour| behaviour.poison = Some(poison));
    let (program, manifest) = (program(&server, ""), server.manifest());
    for _ in 0..12 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(5 * 3600);
    }
    assert_eq!(program.run(&["quarantine", "list"]).assert_success().stdout, "");
    server.change(|behaviour| behaviour.poison = None);
    for _ in 0..4 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(5 * 3600);
    }
    assert_eq!(server.remaining(), 0);
    manifest.verify(&program.path("home")).assert_exactly_once();
}
