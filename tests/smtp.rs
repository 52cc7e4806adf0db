//! Delivery by SMTP: what becomes of a message, against a server that refuses where it is told
//! to.  `smtp/` holds the way up to the first message, and a real Postfix.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "smtp/opening.rs"]
mod opening;
#[path = "smtp/postfix.rs"]
mod postfix;
mod support;

use std::path::Path;
use std::time::Duration;

use postrider::testing::deliver::smtp::{Accepted, Client, DeliveredTo, Pool, SendError, Settings};
use postrider::testing::failure::{Class, Failure as _};
use postrider::testing::header::Head;
use postrider::testing::net::{Endpoint, Route, TlsMode, Trust};
use postrider::testing::spool::Spool;

use support::*;

const HELLO: &[u8] = b"From: Alice <alice@example.org>\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n";

fn settings(port: u16) -> Settings {
    Settings {
        endpoint: Endpoint {
            host: "127.0.0.1".into(),
            port,
            tls: TlsMode::None,
            trust: Trust::default(),
            route: Route::default(),
        },
        login: None,
        recipients: vec!["user1@example.net".into()],
        sender: None,
        delivered_to: DeliveredTo::Rename,
        hello: Some("client.example.org".into()),
        timeout: Duration::from_secs(20),
    }
}

async fn connect(settings: &Settings) -> Client {
    Client::connect(settings, None).await.expect("a connection")
}

async fn send(client: &mut Client, message: &[u8]) -> Result<Accepted, SendError> {
    send_after(client, b"", message).await
}

async fn send_after(client: &mut Client, prefix: &[u8], message: &[u8]) -> Result<Accepted, SendError> {
    let mut spool = Spool::new(&std::env::temp_dir());
    spool.write(message).expect("spooled");
    client.send(&Head::scan(message), prefix, "made-up@example.org", &spool).await
}

fn behaviour(change: impl FnOnce(&mut SmtpBehaviour)) -> SmtpBehaviour {
    let mut behaviour = SmtpBehaviour::default();
    change(&mut behaviour);
    behaviour
}

fn replying(stage: Stage, message: Option<usize>, reply: &str) -> SmtpBehaviour {
    behaviour(|behaviour| behaviour.replies.push((stage, message, reply.into())))
}

#[tokio::test]
async fn a_message_is_accepted_with_the_servers_words() {
    let server = ScriptedSmtp::start_with(replying(Stage::Dot, None, "250 2.0.0 queued as \x1b[mX"));
    let mut client = connect(&settings(server.port())).await;
    assert_eq!(client.extensions(), ["PIPELINING", "8BITMIME", "SIZE"]);
    assert_eq!(client.tls_version(), None);
    let accepted = send(&mut client, HELLO).await.expect("accepted");
    assert_eq!(accepted.reply, "2.0.0 queued as ?[m\u{58}");
    client.quit().await;
    let received = server.received();
    assert_eq!((received[0].body.as_slice(), received.len()), (HELLO, 1));
    let size = HELLO.len();
    let want = [
        "EHLO client.example.org".to_owned(),
        format!("MAIL FROM:<alice@example.org> SIZE={size}"),
        "RCPT TO:<user1@example.net>".into(),
        "DATA".into(),
        "QUIT".into(),
    ];
    assert_eq!(server.commands(), want);
}

#[tokio::test]
async fn a_refusal_or_a_delay_at_any_command_leaves_the_connection_for_the_next_message() {
    for pipelining in [true, false] {
        // None refuses because of the sender.
        for (stage, refusal) in [
            (Stage::Mail, "552 5.3.4 too large"),
            (Stage::Rcpt, "550 5.1.1 nobody"),
            (Stage::Data, "550 5.7.1 no"),
            (Stage::Dot, "550 5.7.1 no"),
        ] {
            for (reply, permanent) in [(refusal, true), ("451 4.7.1 later", false)] {
                let server = ScriptedSmtp::start_with(behaviour(|behaviour| {
                    behaviour.replies.push((stage, Some(2), reply.into()));
                    behaviour.extensions.retain(|name| pipelining || name != "PIPELINING");
                }));
                let mut client = connect(&settings(server.port())).await;
                send(&mut client, HELLO).await.expect("the first");
                let error = send(&mut client, HELLO).await.expect_err("the second");
                let matches = match &error {
                    SendError::Refused { reason, .. } => permanent && stage != Stage::Rcpt && reason.contains(reply),
                    SendError::NotServed(error) => stage == Stage::Rcpt && error.to_string().contains(reply),
                    SendError::Deferred { reason } => !permanent && reason.contains(reply),
                    _ => false,
                };
                assert!(matches, "{stage:?} {reply} {error:?}");
                assert!(client.is_usable(), "{stage:?}");
                send(&mut client, HELLO).await.expect("the third");
                assert_eq!((server.received().len(), server.connections()), (2, 1), "{stage:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_message_goes_to_every_recipient_or_to_none() {
    for pipelining in [true, false] {
        // The scripted server refuses every RCPT of a message or none; this one refuses the first.
        let offers = if pipelining { "S: 250 PIPELINING" } else { "S: 250 HELP" };
        let server = Scripted::dialogue(&[
            "S: 220 x",
            "C: EHLO *",
            "S: 250-x",
            offers,
            "C: MAIL *",
            "S: 250 ok",
            "C: RCPT TO:<user1@example.net>",
            "S: 550 nobody",
            "C: RCPT TO:<user2@example.net>",
            "S: 250 ok",
            "C: RSET",
            "S: 250 ok",
            "C: MAIL *",
            "S: 250 ok",
            "C: RCPT *",
            "S: 250 ok",
            "C: RCPT *",
            "S: 452 too many",
            "C: RSET",
            "S: 250 ok",
            "C: MAIL *",
            "S: 250 ok",
            "C: RCPT *",
            "S: 250 ok",
            "C: RCPT *",
            "S: 250 ok",
            "C: DATA",
            "S: 354 go",
            "C: From: *",
            "C: Message-ID: *",
            "C: ",
            "C: hello",
            "C: .",
            "S: 250 kept",
            "C: QUIT",
            "S: 221 bye",
        ]);
        let recipients = vec!["user1@example.net".into(), "user2@example.net".into()];
        let mut client = connect(&Settings { recipients, ..settings(server.port()) }).await;
        assert!(matches!(send(&mut client, HELLO).await, Err(SendError::NotServed(_))));
        assert!(matches!(send(&mut client, HELLO).await, Err(SendError::Deferred { .. })));
        send(&mut client, HELLO).await.expect("accepted");
        client.quit().await;
        server.assert_followed();
    }
}

#[tokio::test]
async fn nothing_is_delivered_when_data_begins_after_a_refused_recipient() {
    let server = Scripted::dialogue(&[
        "S: 220 x",
        "C: EHLO *",
        "S: 250-x",
        "S: 250 PIPELINING",
        "C: MAIL *",
        "C: RCPT *",
        "C: DATA",
        "R: 250 ok\r\n550 5.1.1 nobody\r\n354 go\r\n",
        "eof",
    ]);
    let mut client = connect(&settings(server.port())).await;
    let error = send(&mut client, HELLO).await.expect_err("refused");
    assert!(matches!(&error, SendError::NotServed(error) if error.to_string().contains("nobody")), "{error:?}");
    assert!(!client.is_usable());
    assert!(matches!(send(&mut client, HELLO).await, Err(SendError::Lost { outcome_unknown: false, .. })));
    client.quit().await;
    server.assert_followed();
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_ends_the_connection_before_the_message() {
    for replies in ["R: 250 ok\r\n250 ok\r\n354 go\r\n250 kept\r\n", "R: 250 ok\r\n250 ok\r\n250 kept\r\n"] {
        let mut script = vec!["S: 220 x", "C: EHLO *", "S: 250-x", "S: 250 PIPELINING"];
        script.extend(["C: MAIL *", "C: RCPT *", "C: DATA", replies, "eof"]);
        let server = Scripted::dialogue(&script);
        let mut client = connect(&settings(server.port())).await;
        let error = send(&mut client, HELLO).await.expect_err("out of step");
        assert_eq!(error.class(), Class::Protocol, "{error:?}");
        assert!(!client.is_usable());
        drop(client);
        server.assert_followed();
    }
}

#[tokio::test]
async fn only_a_lost_final_reply_leaves_the_outcome_unknown() {
    for (stage, unknown) in [(Stage::Mail, false), (Stage::Rcpt, false), (Stage::Data, false), (Stage::Dot, true)] {
        let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.drop_at = Some((stage, None))));
        let mut client = connect(&settings(server.port())).await;
        match send(&mut client, HELLO).await {
            Err(SendError::Lost { outcome_unknown, .. }) => assert_eq!(outcome_unknown, unknown, "{stage:?}"),
            other => panic!("{stage:?}: {other:?}"),
        }
        assert!(!client.is_usable());
        let server = ScriptedSmtp::start_with(replying(stage, None, "421 4.3.2 going down"));
        let mut client = connect(&settings(server.port())).await;
        match send(&mut client, HELLO).await {
            Err(error @ SendError::Lost { outcome_unknown: false, .. }) => assert_eq!(error.class(), Class::TryLater),
            other => panic!("{stage:?}: {other:?}"),
        }
        assert!(!client.is_usable());
    }
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_message_is_heard() {
    let server = Scripted::conversation(|_, peer| {
        for line in ["220 x", "250 x", "250 ok", "250 ok", "354 go"] {
            peer.connection.send_line(line)?;
            peer.hear()?;
        }
        peer.connection.send_line("552 5.3.4 too much")
    });
    let mut client = connect(&settings(server.port())).await;
    let message = [HELLO, "x\r\n".repeat(10_000_000).as_bytes()].concat();
    // The server closes with octets unread, so its words may be lost on the way.
    match send(&mut client, &message).await {
        Err(SendError::Refused { reason, .. }) => assert!(reason.contains("too much"), "{reason}"),
        Err(SendError::Lost { outcome_unknown: false, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert!(!client.is_usable());
}

#[tokio::test]
async fn the_envelope_follows_the_message_and_the_settings() {
    let server = ScriptedSmtp::start();
    let report = b"Return-Path: <>\r\nFrom: daemon@example.org\r\n\r\nx\r\n";
    let bounced = b"Return-Path: <r@example.org>\r\nFrom: f@example.org\r\n\r\nx\r\n";
    for (sender, message, want) in [
        (None, &report[..], "FROM:<>"),
        (None, bounced, "FROM:<r@example.org>"),
        (None, HELLO, "FROM:<alice@example.org>"),
        (None, b"Subject: x\r\n\r\nx\r\n", "FROM:<>"),
        (Some(String::new()), HELLO, "FROM:<>"),
        (Some("s@example.org".into()), HELLO, "FROM:<s@example.org>"),
    ] {
        let mut client = connect(&Settings { sender, ..settings(server.port()) }).await;
        send(&mut client, message).await.expect("accepted");
        let mail = server.received().pop().expect("a message").mail;
        assert_eq!(mail.split(' ').next(), Some(want));
    }
}

#[tokio::test]
async fn a_sender_is_told_as_it_was_recorded_however_odd_it_is() {
    let long = format!("{}@example.org", "v".repeat(200));
    let exchange = "IMCEAEX-_O=EXAMPLE_OU=EXCHANGE+20ADMINISTRATIVE+20GROUP+20+28FYDIBOHF23SPDLT+29_CN=RECIPIENTS_CN=\
                    BOB+2EJONES@example.org";
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.extensions = vec!["SMTPUTF8".into()]));
    for sender in ["a..b@example.org", ".a@example.org", "a.@example.org", &long, exchange, "ü@example.org"] {
        for field in ["Return-Path", "From"] {
            let message = format!("{field}: <{sender}>\r\nMessage-ID: <1@x>\r\n\r\nx\r\n");
            let mut client = connect(&settings(server.port())).await;
            send(&mut client, message.as_bytes()).await.expect("accepted");
            let mail = server.received().pop().expect("a message").mail;
            assert_eq!(mail.split(' ').next(), Some(format!("FROM:<{sender}>").as_str()), "{field}");
        }
    }
}

#[tokio::test]
async fn no_message_is_refused_for_its_senders_sake() {
    let message =
        "Return-Path: <a..b@example.org>\r\nFrom: Alice <alice@example.org>\r\nMessage-ID: <1@x>\r\n\r\nx\r\n";
    let senders = ["a..b@example.org", "\"a..b\"@example.org", "alice@example.org", ""];
    for (stage, reply) in [
        (Stage::Mail, "501 5.1.7 bad sender address syntax"),
        (Stage::Mail, "553 malformed"),
        (Stage::Mail, "550 5.1.8 domain not found"),
        (Stage::Mail, "517 Syntax error."),
        (Stage::Mail, "554 5.7.1 not you"),
        (Stage::Mail, "504 5.5.2 <x>: Sender address rejected: need fully-qualified address"),
        (Stage::Mail, "450 4.1.8 <x>: Sender address rejected: Domain not found"),
        (Stage::Rcpt, "504 5.5.2 <x>: Sender address rejected: need fully-qualified address"),
        (Stage::Rcpt, "450 4.1.8 <x>: Sender address rejected: Domain not found"),
        (Stage::Rcpt, "450 4.1.7 <x>: Sender address rejected: unverified address"),
        (Stage::Rcpt, "550 5.1.8 <x>: Sender address rejected: Domain not found"),
        (Stage::Rcpt, "550 Sender verify failed"),
        (Stage::Rcpt, "553 5.7.1 not owned by user"),
    ] {
        for pipelining in [true, false] {
            for (refused, taken) in senders.iter().enumerate().skip(1) {
                let server = ScriptedSmtp::start_with(behaviour(|behaviour| {
                    behaviour.extensions.retain(|name| pipelining || name != "PIPELINING");
                    behaviour.replies = (1..=refused).map(|number| (stage, Some(number), reply.into())).collect();
                }));
                let mut client = connect(&settings(server.port())).await;
                send(&mut client, message.as_bytes()).await.expect("accepted");
                send(&mut client, HELLO).await.expect("the next");
                let mails = server.received().into_iter().map(|message| message.mail.replace("FROM:", ""));
                let mails: Vec<String> = mails.map(|mail| mail.split(' ').next().unwrap_or("").to_owned()).collect();
                assert_eq!(mails, [format!("<{taken}>"), "<alice@example.org>".into()], "{stage:?} {reply}");
                assert_eq!(server.connections(), 1);
            }
        }
    }
    // Where even the null sender is refused, the first refusal is told.
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| {
        behaviour.replies = (1..=4).map(|number| (Stage::Mail, Some(number), format!("553 no {number}"))).collect();
    }));
    let mut client = connect(&settings(server.port())).await;
    let error = send(&mut client, message.as_bytes()).await.expect_err("refused");
    assert!(matches!(&error, SendError::NotServed(error) if error.to_string().contains("553 no 1")), "{error:?}");
    send(&mut client, HELLO).await.expect("the next");
}

#[tokio::test]
async fn a_server_that_hangs_up_on_a_sender_is_told_the_next_one_by_another_connection() {
    let message = "Return-Path: <a..b@example.org>\r\nFrom: c@[192.0.2.7]\r\nMessage-ID: <1@x>\r\n\r\nx\r\n";
    let refusing = |sender: &'static str| -> Vec<&'static str> {
        vec!["S: 220 x", "C: EHLO *", "S: 250 x", sender, "S: 501 Too many syntax or protocol errors", "close"]
    };
    let taking = [
        "S: 220 x",
        "C: EHLO *",
        "S: 250 x",
        "C: MAIL FROM:<>",
        "S: 250 x",
        "C: RCPT *",
        "S: 250 x",
        "C: DATA",
        "S: 354 x",
        "C: Return-Path: *",
        "C: From: *",
        "C: Message-ID: *",
        "C: ",
        "C: x",
        "C: .",
        "S: 250 taken",
    ];
    let senders =
        ["C: MAIL FROM:<a..b@example.org>", "C: MAIL FROM:<\"a..b\"@example.org>", "C: MAIL FROM:<c@[192.0.2.7]>"];
    let mut dialogues: Vec<Vec<&str>> = senders.map(refusing).to_vec();
    dialogues.push(taking.to_vec());
    let dialogues: Vec<&[&str]> = dialogues.iter().map(Vec::as_slice).collect();
    let server = Scripted::dialogues(&dialogues);
    let pool = Pool::new(settings(server.port()));
    let mut spool = Spool::new(&std::env::temp_dir());
    spool.write(message.as_bytes()).expect("spooled");
    let sent = pool.send(&Head::scan(message.as_bytes()), b"", "made-up@example.org", &spool).await;
    assert_eq!(sent.expect("accepted").reply, "taken");
    assert_eq!(server.connections(), 4);
}

#[tokio::test]
async fn a_sender_of_the_settings_is_told_alone() {
    let server = ScriptedSmtp::start_with(replying(Stage::Mail, None, "553 no"));
    let sender = Some("s@example.org".into());
    let mut client = connect(&Settings { sender, ..settings(server.port()) }).await;
    assert!(matches!(send(&mut client, HELLO).await, Err(SendError::NotServed(_))));
    assert_eq!(server.commands().iter().filter(|line| line.starts_with("MAIL")).count(), 1);
}

#[tokio::test]
async fn an_eight_bit_message_is_announced_where_that_is_possible_and_sent_anyway() {
    let message = b"From: a@example.org\r\nMessage-ID: <1@x>\r\n\r\ncaf\xe9\r\n";
    for (offers, want) in [(&["8BITMIME"][..], "FROM:<a@example.org> BODY=8BITMIME"), (&[], "FROM:<a@example.org>")] {
        let offers = offers.iter().map(|&name| name.to_owned()).collect();
        let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.extensions = offers));
        let mut client = connect(&settings(server.port())).await;
        send(&mut client, message).await.expect("accepted");
        send(&mut client, HELLO).await.expect("accepted");
        let received = server.received();
        assert_eq!((received[0].mail.as_str(), received[0].body.as_slice()), (want, &message[..]));
        assert_eq!(received[1].mail, "FROM:<alice@example.org>");
    }
}

#[tokio::test]
async fn a_message_above_the_announced_size_is_never_begun() {
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.extensions = vec!["size 100".into()]));
    let mut client = connect(&settings(server.port())).await;
    let large = [HELLO, &[b'x'; 100]].concat();
    assert!(matches!(send(&mut client, &large).await, Err(SendError::Refused { .. })));
    assert!(client.is_usable());
    send(&mut client, HELLO).await.expect("the next");
    assert_eq!(server.commands().len(), 4);
}

#[tokio::test]
async fn trace_fields_and_a_missing_message_id_go_before_the_message() {
    let server = ScriptedSmtp::start();
    let mut client = connect(&settings(server.port())).await;
    let trace = b"Received: by x;\n\tnow\n";
    send_after(&mut client, trace, b"From: a@example.org\n\nx").await.expect("accepted");
    send_after(&mut client, trace, HELLO).await.expect("accepted");
    let received = server.received();
    let want = "Received: by x;\r\n\tnow\r\nMessage-ID: <made-up@example.org>\r\nFrom: a@example.org\r\n\r\nx\r\n";
    assert_eq!(String::from_utf8_lossy(&received[0].body), want);
    assert_eq!(received[1].body, [b"Received: by x;\r\n\tnow\r\n", HELLO].concat());
    let announced = format!(" SIZE={}", want.len() - 2);
    assert!(received[0].mail.ends_with(&announced), "{}", received[0].mail);
}

#[tokio::test]
async fn no_message_can_smuggle_another_one() {
    let server = ScriptedSmtp::start();
    let mut client = connect(&settings(server.port())).await;
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\r\n.\r\r\n", "\n\0.\r\n", "\r\n.\r\n"] {
        let evil = format!("a{end}MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nx{end}");
        send(&mut client, &[HELLO, evil.as_bytes()].concat()).await.expect("accepted");
    }
    let received = server.received();
    assert_eq!(received.len(), 8);
    for message in received {
        let bare = String::from_utf8_lossy(&message.body).replace("\r\n", "");
        assert!(!bare.contains(['\r', '\n']) && bare.contains("evil"));
    }
}

#[tokio::test]
async fn a_message_that_cannot_be_read_gets_no_final_dot() {
    let server = ScriptedSmtp::start();
    let mut client = connect(&settings(server.port())).await;
    let mut spool = Spool::new(Path::new("/nowhere"));
    spool.write(b"From: a@example.org\n\n").expect("in memory");
    // The file for what outgrows memory cannot be made, so what follows is missing.
    let size = postrider::testing::spool::MEMORY_LIMIT;
    assert!(spool.write(&vec![b'x'; size]).is_err());
    let outcome = client.send(&Head::default(), b"", "x@y", &spool).await;
    assert!(matches!(outcome, Err(SendError::Local(_))), "{outcome:?}");
    assert!(!client.is_usable());
    drop(client);
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_dropped_send_leaves_a_client_that_sends_no_more() {
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.hang_at = Some((Stage::Data, None))));
    let mut client = connect(&settings(server.port())).await;
    let outcome = tokio::time::timeout(Duration::from_millis(100), send(&mut client, HELLO)).await;
    assert!(outcome.is_err());
    assert!(!client.is_usable());
}

#[tokio::test]
async fn many_messages_go_through_one_connection() {
    let server = ScriptedSmtp::start();
    let mut client = connect(&settings(server.port())).await;
    let messages: Vec<_> = (0..500).map(|index| message(1, index, Mix::Fixed(8000))).collect();
    // Spawned, as the program does it: the future has to be Send.
    let sending = async move {
        for message in messages {
            send(&mut client, &message).await.expect("accepted");
        }
    };
    tokio::spawn(sending).await.expect("no panic");
    assert_eq!((server.received().len(), server.connections()), (500, 1));
}
