//! One message at which every session ends, or every delivery: the others come, and are deleted, in two polls; it is put
//! off, and given up in the end.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

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
