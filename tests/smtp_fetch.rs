//! `postrider fetch` from a real Dovecot to SMTP servers: each message once, and what becomes of
//! those that a server does not take.  `smtp_fetch/` holds lost replies, servers that are down,
//! and mail that goes in a circle.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "smtp_fetch/loops.rs"]
mod loops;
#[path = "smtp_fetch/lost.rs"]
mod lost;
mod support;

use std::time::Duration;

use support::*;

/// The account `a` of user1, handed on to the server `hub`.
fn to_hub(server: &Dovecot, port: u16, lines: &str) -> Postrider {
    let lines = format!("deliver = \"hub\"\n{lines}");
    Postrider::with_config(&[pop3s(server, "a", 1, &lines), smtp("hub", port)].concat())
}

/// A server that gives this reply at a stage of one message, or of all.
fn replying(stage: Stage, message: Option<usize>, reply: &str) -> ScriptedSmtp {
    let replies = vec![(stage, message, reply.to_owned())];
    ScriptedSmtp::start_with(SmtpBehaviour { replies, ..SmtpBehaviour::default() })
}

/// What the messages are marked with, sorted.
fn marks(received: &[Received]) -> Vec<String> {
    let mut marks: Vec<String> = received.iter().map(|message| field(&message.body, "X-Test-Message")).collect();
    marks.sort();
    marks
}

/// The value of a header field.
fn field(message: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(message);
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned));
    found.unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn mails(server: &ScriptedSmtp) -> usize {
    server.commands().iter().filter(|line| line.starts_with("MAIL ")).count()
}

#[test]
fn every_message_reaches_a_real_server_once_octet_for_octet_with_its_sender() {
    let (server, hub) = (Dovecot::start(), Postfix::start());
    let mut wanted = server.fill("user1", &Fill::new(500, Mix::Realistic));
    wanted.merge(server.fill("user1", &Fill::new(16, Mix::Edge).seed(2)));
    let program = to_hub(&server, hub.port, "");
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.starts_with("a: 516 messages delivered ("), "{}", output.stdout);
    hub.wait_until_delivered(516, Duration::from_secs(60));
    let delivered = hub.delivered("user1");
    wanted.verify(&delivered).assert_exactly_once();
    for text in read_messages(&delivered) {
        let index: usize =
            field(&text, "X-Test-Message").split_once('-').expect("SEED-INDEX").1.parse().expect("INDEX");
        assert_eq!(field(&text, "Return-Path"), format!("<sender{}@example.org>", index % 97));
    }
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
    assert_eq!((hub.delivered_count(), server.messages_on_server("user1")), (516, 516));
}

#[test]
fn a_server_that_serves_few_connections_gets_all_mail_through_them() {
    let server = MailboxServer::start(Message::several(200, Mix::Tiny));
    let hub = ScriptedSmtp::start_with(SmtpBehaviour { limit: Some(2), ..SmtpBehaviour::default() });
    let lines = "deliver = \"hub\"\nretention = \"delete\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), smtp("hub", hub.port())].concat());
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!(run.stderr, "");
    assert_eq!((hub.received().len(), server.remaining()), (200, 0));
    assert!((1..=2).contains(&hub.refused()), "it is not asked again: {}", hub.refused());
}

#[test]
fn retention_delete_deletes_only_what_the_server_has_accepted() {
    let (server, hub) = (Dovecot::start(), Postfix::start());
    let wanted = server.fill("user1", &Fill::new(100, Mix::Tiny));
    let program = to_hub(&server, hub.port, "retention = \"delete\"");
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.messages_on_server("user1"), 0);
    hub.wait_until_delivered(100, Duration::from_secs(60));
    wanted.verify(&hub.delivered("user1")).assert_exactly_once();
}

#[test]
fn the_recorded_return_path_is_the_sender_and_a_report_has_none() {
    let server = Dovecot::start();
    for (index, path) in [(1, "<list-bounces@example.org>"), (2, "<>")] {
        let text = [format!("Return-Path: {path}\n").as_bytes(), &message(1, index, Mix::Tiny)].concat();
        server.put("user1", &format!("170000000{index}.M1P1"), &text);
    }
    let hub = ScriptedSmtp::start();
    to_hub(&server, hub.port(), "").run(&["fetch"]).assert_success();
    let mut senders: Vec<(String, String)> = hub
        .received()
        .iter()
        .map(|message| {
            (field(&message.body, "X-Test-Message"), message.mail.split(' ').next().unwrap_or("").to_owned())
        })
        .collect();
    senders.sort();
    let want = [("1-1", "FROM:<list-bounces@example.org>"), ("1-2", "FROM:<>")];
    assert_eq!(senders, want.map(|(mark, mail)| (mark.to_owned(), mail.to_owned())));
}

#[test]
fn a_message_refused_for_now_stays_and_is_not_tried_again_before_its_time() {
    for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::Dot] {
        let server = Dovecot::start();
        let wanted = server.fill("user1", &Fill::new(10, Mix::Tiny));
        let hub = replying(stage, Some(3), "451 4.7.1 come back later");
        let program = to_hub(&server, hub.port(), "retention = \"delete\"");
        let output = program.run(&["fetch"]).assert_code(75);
        assert!(output.stderr.contains("come back later"), "{stage:?}: {}", output.stderr);
        assert_eq!((hub.received().len(), server.messages_on_server("user1")), (9, 1), "{stage:?}");

        let tried = mails(&hub);
        let output = program.run(&["fetch"]).assert_success();
        assert_eq!(output.stdout, "a: no new mail, 1 to be tried again later\n");
        assert_eq!((mails(&hub), server.messages_on_server("user1")), (tried, 1), "{stage:?}");
        let quarantine = program.run(&["quarantine", "list"]).assert_success();
        assert_eq!(quarantine.stderr, "The quarantine is empty.\n");

        assert_eq!(set_deferrals_due(&program), 1);
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.messages_on_server("user1"), 0, "{stage:?}");
        let got = marks(&hub.received());
        assert_eq!(got.len(), wanted.len(), "{stage:?}: {got:?}");
        assert!(got.windows(2).all(|two| two[0] != two[1]), "{stage:?}: {got:?}");
    }
}

/// Ten messages of which the server refuses one for good, after the first fetch.
fn with_one_refused() -> (Dovecot, ScriptedSmtp, Postrider, String) {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(10, Mix::Tiny));
    let hub = replying(Stage::Dot, Some(4), "554 5.6.0 smells of spam");
    let program = to_hub(&server, hub.port(), "retention = \"delete\"");
    program.run(&["fetch"]).assert_code(75);
    assert_eq!((hub.received().len(), server.messages_on_server("user1")), (9, 1), "others are delivered");
    let listed = program.run(&["quarantine", "list", "--json"]).assert_success().stdout;
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let [row] = listed.as_array().expect("a list").as_slice() else { panic!("{listed}") };
    assert!(row["reason"].as_str().is_some_and(|reason| reason.contains("smells of spam")), "{row}");
    let uid = row["uid"].as_str().expect("a unique-id").to_owned();
    (server, hub, program, uid)
}

#[test]
fn a_message_refused_for_good_is_quarantined_never_deleted_and_never_tried_by_itself() {
    let (server, hub, program, uid) = with_one_refused();
    let table = program.run(&["quarantine", "list", "a"]).assert_success().stdout;
    assert!(table.contains(&uid) && table.contains("smells of spam") && table.contains("hub"), "{table}");
    let tried = mails(&hub);
    set_deferrals_due(&program);
    for _ in 0..2 {
        let output = program.run(&["fetch"]).assert_success();
        assert_eq!(output.stdout, "a: no new mail, 1 in quarantine\n");
    }
    assert_eq!((mails(&hub), server.messages_on_server("user1")), (tried, 1));
}

#[test]
fn quarantine_retry_sends_it_again() {
    let (server, hub, program, uid) = with_one_refused();
    program.run(&["quarantine", "retry", "a", "unknown"]).assert_code(64);
    program.run(&["quarantine", "retry", "a", &uid]).assert_success();
    program.run(&["fetch"]).assert_success();
    let got = marks(&hub.received());
    assert_eq!((got.len(), server.messages_on_server("user1")), (10, 0));
    assert!(got.windows(2).all(|two| two[0] != two[1]), "{got:?}");
    let empty = program.run(&["quarantine", "list", "--json"]).assert_success();
    assert_eq!(empty.stdout.trim(), "[]");
}

#[test]
fn quarantine_skip_gives_it_up_and_the_retention_deletes_it() {
    let (server, hub, program, _) = with_one_refused();
    let tried = mails(&hub);
    program.run(&["quarantine", "skip", "a", "--all"]).assert_success();
    assert_eq!(server.messages_on_server("user1"), 1, "only the next poll deletes");
    let output = program.run(&["fetch"]).assert_success();
    assert_eq!(output.stdout, "a: no new mail, 1 deleted on the server\n");
    assert_eq!((mails(&hub), server.messages_on_server("user1")), (tried, 0));
}
