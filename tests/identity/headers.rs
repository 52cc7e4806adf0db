//! Headers that are larger than what comes at once.

use super::*;

/// A message whose header has at least this many octets, the fields that matter at its end.
fn large(number: usize, octets: usize) -> Message {
    let mut text = format!("Received: from mx by pop; Mon, 1 Jan 2024 00:00:{number:02} +0000\r\nTo: ");
    while text.len() < octets {
        text.push_str("somebody.or.other@example.org,\r\n\t");
    }
    text.push_str(&format!("last@example.org\r\nMessage-ID: <{number:04}@example.net>\r\nSubject: m{number:04}\r\n"));
    text.push_str(&format!("From: sender{number}@example.net.example.com\r\n\r\n{}", "some text\r\n".repeat(10_000)));
    Message::wire(&format!("u{number}"), text.as_bytes())
}

const HEADERS: [usize; 9] =
    [10 << 10, 47 << 10, (48 << 10) - 90, 49 << 10, 55 << 10, 60 << 10, 63 << 10, (64 << 10) - 250, (64 << 10) - 180];

fn all(name: impl Fn(usize) -> String) -> Vec<Message> {
    let messages = HEADERS.iter().enumerate();
    messages.map(|(number, &octets)| large(number, octets).named(name(number).as_bytes())).collect()
}

#[test]
fn a_message_has_one_header_however_its_octets_are_divided_on_the_way() {
    for parts in [Some(1000), Some(1460), Some(16 << 10), Some(40 << 10), None] {
        let behaviour = |retr_part| Behaviour { retr_part, ..Behaviour::default() };
        let server = MailboxServer::start_with(all(|number| format!("u{number}")), behaviour(parts));
        let hub = ScriptedSmtp::start();
        let lines = "deliver = [\"home\", \"hub\"]";
        let program = Postrider::with_config(
            &[mailbox(server.port(), "a", lines), maildir("home"), smtp("hub", hub.port())].concat(),
        );
        program.run(&["fetch"]).assert_success();
        let retrieved = server.count("RETR");
        let mut senders: Vec<String> = hub.received().into_iter().map(|message| message.mail).collect();
        senders.sort();
        for (number, sender) in senders.iter().enumerate() {
            let want = format!("FROM:<sender{number}@example.net.example.com> ");
            assert!(sender.starts_with(&want), "{sender} with parts of {parts:?}");
        }
        // All have other unique-ids: by TOP they are what was retrieved.
        server.replace(all(|number| format!("v{number}")));
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.count("RETR"), retrieved, "parts of {parts:?}");
        assert_eq!((count_messages(&program.path("home")), hub.received().len()), (HEADERS.len(), HEADERS.len()));
    }
}
