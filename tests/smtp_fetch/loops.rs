//! Mail that goes in a circle, and mail that only looks as if it did.

use super::*;

const ALICE: &str = "Delivered-To: user1@example.net";

fn home_and_hub(server: &MailboxServer, lines: &str, hubs: &[(&str, u16, &str)]) -> Postrider {
    let names: Vec<String> = hubs.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    let account = mailbox(server.port(), "a", &format!("deliver = [\"home\", {}]\n{lines}", names.join(", ")));
    let hubs: String = hubs.iter().map(|(name, port, lines)| smtp(name, *port) + lines).collect();
    Postrider::with_config(&[account, maildir("home"), hubs].concat())
}

/// A message as SMTP brings it, without the field that was put before it.
fn without_trace(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text).replace("\r\n", "\n");
    let at = text.find("(postrider);").expect("a trace");
    let end = at + text[at..].match_indices('\n').nth(1).expect("the date").0 + 1;
    text[end..].to_owned()
}

#[test]
fn delivered_to_has_another_name_by_smtp_and_in_no_maildir() {
    let header = "Return-Path: <s@example.org>\nDelivered-To: user1@example.net\nReceived: by mx; now\n\
                  DELIVERED-TO : <other@example.org>\nSubject: x\n Delivered-To: no field\nMessage-ID: <1@x>\n\
                  delivered-to:\n user1@example.net\n";
    let want = header
        .replace("\nDelivered-To:", "\nX-Original-Delivered-To:")
        .replace("\nDELIVERED-TO :", "\nX-Original-DELIVERED-TO :")
        .replace("\ndelivered-to:", "\nX-Original-delivered-to:");
    let body = "\nDelivered-To: user1@example.net\n\nDelivered-To: x@example.net\n";
    // Behind what is ever looked at, and in a file of the spool.
    let long: String = (0..3000).map(|n| format!("X-Line-{n}: {:-<60}\n", "")).collect();
    let long = format!("Message-ID: <2@x>\n{long}");
    let large = "Delivered-To: in the body\n".repeat(40_000);
    let cases = [
        ([header, body].concat(), [&want[..], body].concat()),
        ([&long[..], header, body, &large].concat(), [&long[..], &want, body, &large].concat()),
        (header.to_owned(), want.clone()),
    ];
    for (part, keep) in [(None, false), (Some(4096), false), (None, true)] {
        let messages = cases.iter().enumerate();
        let messages = messages.map(|(n, (text, _))| Message::text(&format!("u{n}"), text.as_bytes())).collect();
        let server = MailboxServer::start_with(messages, Behaviour { retr_part: part, ..Behaviour::default() });
        let (hub, other) = (ScriptedSmtp::start(), ScriptedSmtp::start());
        let setting = if keep { "delivered-to = \"keep\"\n" } else { "delivered-to = \"rename\"\n" };
        let hubs = [("hub", hub.port(), setting), ("other", other.port(), "")];
        let program = home_and_hub(&server, "", &hubs);
        program.run(&["fetch"]).assert_success();
        let sorted = |mut texts: Vec<String>| {
            texts.sort();
            texts
        };
        let originals = sorted(cases.iter().map(|(text, _)| text.clone()).collect());
        let renamed = sorted(cases.iter().map(|(_, want)| want.clone()).collect());
        let files = read_messages(&program.path("home"));
        assert!(sorted(files.iter().map(|text| without_trace(text)).collect()) == originals, "the Maildir");
        for (hub, want) in [(&hub, if keep { &originals } else { &renamed }), (&other, &renamed)] {
            let received = hub.received();
            let texts = received.iter().map(|message| without_trace(&message.body)).collect();
            assert!(sorted(texts) == *want, "keep: {keep}, parts: {part:?}");
            for message in &received {
                let size = format!(" SIZE={}", message.octets);
                assert!(message.mail.contains(&size), "{} of {} octets", message.mail, message.octets);
            }
        }
        let again = program.run(&["fetch"]).assert_success();
        assert_eq!(again.stdout, "a: no new mail\n");
    }
}

#[test]
fn what_a_message_is_known_by_does_not_change_with_the_fields_name() {
    let text = format!("{ALICE}\nReceived: by mx; now\nMessage-ID: <1@x>\nSubject: x\n\nbody\n");
    let server = MailboxServer::start(vec![Message::text("old", text.as_bytes())]);
    let hub = ScriptedSmtp::start();
    let program = home_and_hub(&server, "", &[("hub", hub.port(), "")]);
    program.run(&["fetch"]).assert_success();
    for uid in ["moved", "again"] {
        server.replace(Vec::new());
        program.run(&["fetch"]).assert_success();
        server.replace(vec![Message::text(uid, text.as_bytes())]);
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((hub.received().len(), count_messages(&program.path("home"))), (1, 1));
}

/// A message that has come through here this often, and through other servers in between.
fn travelled(uid: &str, passages: usize) -> Message {
    let passage = "Received: from pop.example.org ([192.0.2.1])\n\tby home.example.net with POP3S (TLS 1.3) (postrider);\n\
                   \tTue, 24 Nov 2026 22:05:38 +0000\nReceived: by mx.example.org (Postfix) with ESMTP; now\n";
    Message::text(
        uid,
        format!("{}Subject: {uid}\nMessage-ID: <{uid}@x>\n\nbody\n", passage.repeat(passages)).as_bytes(),
    )
}

#[test]
fn mail_that_has_come_through_here_more_than_ten_times_goes_to_no_server_any_more() {
    for traced in [true, false] {
        let messages = [("u0", 0), ("u10", 10), ("u11", 11), ("u40", 40)];
        let server = MailboxServer::start(messages.map(|(uid, passages)| travelled(uid, passages)).to_vec());
        let hub = ScriptedSmtp::start();
        let lines = format!("retention = \"delete\"\nreceived-header = {traced}");
        let program = home_and_hub(&server, &lines, &[("hub", hub.port(), "")]);
        program.run(&["fetch"]);
        let mut subjects: Vec<String> = hub.received().iter().map(|message| field(&message.body, "Subject")).collect();
        subjects.sort();
        assert_eq!(count_messages(&program.path("home")), 4, "a Maildir sends nothing on");
        if !traced {
            assert_eq!((subjects.len(), server.remaining()), (4, 0));
            continue;
        }
        assert_eq!(subjects, ["u0", "u10"]);
        assert_eq!(server.remaining_uids(), ["u11", "u40"], "nothing is deleted that was not delivered");
        let listed = program.run(&["quarantine", "list"]).text();
        assert!(listed.contains("passed through postrider 11 times") && listed.contains("40 times"), "{listed}");
        program.run(&["fetch"]);
        assert_eq!((hub.received().len(), server.count("RETR")), (2, 4), "it is not fetched again");
    }
}

/// Postfix delivers by local(8), which looks for circles: `info` leads to `user1`.
fn local_postfix() -> Postfix {
    Postfix::start_with(&[
        "--set",
        "alias_maps = inline:{ { user1 = /dev/null } { info = user1 } }",
        "--set",
        "mydestination = example.net",
        "--set",
        "virtual_mailbox_domains =",
        "--set",
        "myorigin = example.net",
        "--set",
        "local_recipient_maps = $alias_maps",
    ])
}

#[test]
fn a_real_server_delivers_what_another_one_has_delivered_to_the_same_address() {
    for (recipient, before) in [("user1", "user1"), ("info", "user1"), ("info", "info")] {
        let text = format!("Delivered-To: {before}@example.net\nMessage-ID: <1@x>\nFrom: s@example.net\n\nbody\n");
        for (setting, loops) in [("", false), ("delivered-to = \"keep\"\n", true)] {
            let hub = local_postfix();
            let server = MailboxServer::start(vec![Message::text("u1", text.as_bytes())]);
            let to = smtp("hub", hub.port).replace("user1@", &format!("{recipient}@"));
            let account = mailbox(server.port(), "a", "deliver = \"hub\"\nretention = \"delete\"");
            let program = Postrider::with_config(&[account, to, setting.to_owned()].concat());
            program.run(&["fetch"]).assert_success();
            wait_until("what becomes of the message", Duration::from_secs(20), || {
                let log = hub.log();
                log.contains("status=bounced") || log.contains("delivered to file: /dev/null")
            });
            let log = hub.log();
            assert_eq!(log.contains("mail forwarding loop"), loops, "{recipient} {before} {setting}: {log}");
        }
    }
}
