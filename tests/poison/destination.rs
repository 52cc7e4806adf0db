//! The same at the other end: a message at which the connection to an SMTP server ends, or that it refuses; and refusals that
//! say nothing about the message.

use super::support::*;
use super::{MESSAGES, Poison, mailbox};

/// Where a server notices a message, what it sends, and what it does then.
const WAYS: [(Stage, &str, Then); 10] = [
    (Stage::Mail, "", Then::Closes),
    (Stage::Rcpt, "", Then::Closes),
    (Stage::Data, "", Then::Closes),
    (Stage::Dot, "", Then::Closes),
    (Stage::Mail, "421 4.7.0 not you\r\n", Then::Closes),
    (Stage::Dot, "421 4.3.0 the filter died\r\n", Then::Closes),
    (Stage::Dot, "java.io.IOException\r\n", Then::Closes),
    (Stage::Dot, "550-5.7.1 one\r\n554 5.7.1 two\r\n", Then::GoesOn),
    (Stage::Dot, "550 5.7.1 I do not like it\r\n", Then::GoesOn),
    (Stage::Mail, "554 5.7.1 not this one\r\n", Then::GoesOn),
];

fn message(n: usize) -> Message {
    let text = format!("From: s{n:02}@example.org\nSubject: m{n:02}\nMessage-ID: <{n}@x>\n\ntext {n}\n");
    Message::text(&format!("u{n:02}"), text.as_bytes())
}

fn messages() -> Vec<Message> {
    (1..=MESSAGES).map(message).collect()
}

fn program(pop3: &MailboxServer, hub: &ScriptedSmtp, keys: &str) -> Postrider {
    let account = "deliver = \"hub\"\nretention = \"delete\"";
    Postrider::with_config(&[mailbox(pop3.port(), "a", account), smtp("hub", hub.port()), keys.to_owned()].concat())
}

fn subjects(hub: &ScriptedSmtp) -> Vec<String> {
    let subject = |received: Received| {
        let text = String::from_utf8_lossy(&received.body).into_owned();
        text.lines().find_map(|line| line.strip_prefix("Subject: m")).unwrap_or_default().to_owned()
    };
    let mut subjects: Vec<String> = hub.received().into_iter().map(subject).collect();
    subjects.sort();
    subjects
}

fn all_but(n: usize) -> Vec<String> {
    (1..=MESSAGES).filter(|other| *other != n).map(|n| format!("{n:02}")).collect()
}

fn try_place((stage, sends, then): (Stage, &str, Then), place: usize) {
    let mark = if stage == Stage::Dot { format!("Subject: m{place:02}") } else { format!("s{place:02}@") };
    let hub = ScriptedSmtp::start();
    hub.change(|behaviour| behaviour.poison = Some(SmtpPoison { mark, stage, sends: sends.to_owned(), then }));
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "timeout = \"1s\"");
    let name = format!("{stage:?} {sends:?} {then:?} at {place}");
    for _ in 0..2 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(600);
    }
    // A sender that is refused is replaced by the null sender, which the server takes.
    let replaced = stage == Stage::Mail && then == Then::GoesOn;
    let want = if replaced { all_but(0) } else { all_but(place) };
    assert_eq!(subjects(&hub), want, "{name}");
    assert_eq!(pop3.remaining(), usize::from(!replaced), "{name}");
    hub.change(|behaviour| behaviour.poison = None);
    State::of(&program).let_pass(20_000);
    program.run(&["fetch"]).assert_success();
    assert_eq!((subjects(&hub), pop3.remaining()), (all_but(0), 0), "{name}");
}

#[test]
fn wherever_the_connection_to_a_server_ends_at_a_message_the_others_are_delivered_in_two_polls() {
    std::thread::scope(|scope| {
        for way in WAYS {
            scope.spawn(move || (1..=MESSAGES).for_each(|place| try_place(way, place)));
        }
    });
}

#[test]
fn a_message_that_a_server_refuses_without_saying_why_is_given_up_after_a_day_and_no_sooner() {
    let hub = ScriptedSmtp::start();
    let (stage, then) = (Stage::Dot, Then::GoesOn);
    let poison = |sends: &str| SmtpPoison { mark: "Subject: m03".into(), stage, sends: sends.into(), then };
    hub.change(|behaviour| behaviour.poison = Some(poison("554 5.7.1 no\r\n")));
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    let is_in_quarantine = || program.run(&["quarantine", "list"]).assert_success().stdout.contains("554 5.7.1 no");
    for hours in 0..20 {
        program.run(&["fetch"]);
        assert!(!is_in_quarantine(), "after {hours} hours");
        program.run(&["status"]).assert_code(75);
        State::of(&program).let_pass(3600);
    }
    State::of(&program).let_pass(5 * 3600);
    program.run(&["fetch"]);
    assert!(is_in_quarantine());
    let status = program.run(&["status"]).assert_code(65).stdout;
    assert!(status.contains("message u03 is in quarantine") && status.contains("554 5.7.1 no"), "{status}");
    // What names the content is refused at once.
    let pop3 = MailboxServer::start(messages());
    hub.change(|behaviour| behaviour.poison = Some(poison("554 5.6.0 bare LF\r\n")));
    let program = self::program(&pop3, &hub, "");
    program.run(&["fetch"]);
    program.run(&["status"]).assert_code(65);
    assert_eq!(pop3.remaining_uids(), ["u03"]);
}

/// Refusals of everything, each with the exit code of `fetch`.
const OF_ALL: [(Stage, &str, i32); 9] = [
    (Stage::Mail, "530 5.7.0 Authentication required", 78),
    (Stage::Rcpt, "554 5.7.1 <user1@example.net>: Relay access denied", 78),
    (Stage::Rcpt, "550 5.1.1 <user1@example.net>: User unknown", 78),
    (Stage::Rcpt, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.example", 75),
    (Stage::Rcpt, "552 5.2.2 mailbox full", 75),
    (Stage::Rcpt, "452 4.2.2 mailbox full", 75),
    (Stage::Mail, "452 4.3.1 out of disk space", 75),
    (Stage::Dot, "554 5.7.1 refused by policy", 75),
    (Stage::Dot, "451 4.2.2 mailbox full", 75),
];

#[test]
fn a_refusal_of_everything_is_the_destinations_is_told_until_it_works_and_counts_against_no_message() {
    std::thread::scope(|scope| {
        for (stage, reply, code) in OF_ALL {
            scope.spawn(move || refuses_all(stage, reply, code));
        }
    });
}

fn refuses_all(stage: Stage, reply: &str, code: i32) {
    let hub = ScriptedSmtp::start();
    let refuse = |on: bool| {
        hub.change(|behaviour| {
            behaviour.replies = if on { vec![(stage, None, reply.to_owned())] } else { Vec::new() };
        });
    };
    refuse(true);
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    program.run(&["fetch"]).assert_code(code);
    let told = program.run(&["status"]);
    let said = reply.split(' ').skip(1).collect::<Vec<_>>().join(" ");
    assert!(
        told.stdout.contains("destination hub has not worked for") && told.stdout.contains(&said),
        "{}",
        told.text()
    );
    assert_eq!(told.code, Some(code), "{reply}");
    if stage != Stage::Dot {
        program.run(&["check", "--connect"]).assert_code(code);
        // What goes there is not retrieved again.
        let retrieved = pop3.count("RETR");
        program.run(&["retry"]).assert_success();
        program.run(&["fetch"]).assert_code(code);
        // Where another sender may be taken, one message shows whether it is.
        let says_all = ["530", "5.1.1", "5.2.2", "4.2.2"].iter().any(|part| reply.contains(part));
        assert_eq!(pop3.count("RETR") - retrieved, usize::from(!says_all), "{reply}");
    }
    for _ in 0..12 {
        State::of(&program).let_pass(5 * 3600);
        assert_ne!(program.run(&["fetch"]).code, Some(0), "{reply}");
    }
    assert_eq!(program.run(&["quarantine", "list"]).assert_success().stdout, "", "{reply}");
    refuse(false);
    State::of(&program).let_pass(5 * 3600);
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!((subjects(&hub), pop3.remaining()), (all_but(0), 0), "{reply}");
    let status = program.run(&["status"]).assert_code(69).stdout;
    assert!(!status.contains("hub"), "{status}");
}

#[test]
fn a_corrected_destination_gets_at_once_what_was_put_off() {
    let hub = ScriptedSmtp::start();
    hub.change(|behaviour| behaviour.replies = vec![(Stage::Rcpt, None, "554 5.7.1 Relay access denied".into())]);
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    program.run(&["fetch"]).assert_code(78);
    hub.change(|behaviour| behaviour.replies.clear());
    let account = mailbox(pop3.port(), "a", "deliver = \"hub\"\nretention = \"delete\"");
    let hello = "hello = \"corrected.example.org\"\n";
    program.config(&[account, smtp("hub", hub.port()), hello.to_owned()].concat());
    program.run(&["fetch"]).assert_success();
    assert_eq!((subjects(&hub), pop3.remaining()), (all_but(0), 0));
}

#[test]
fn retry_makes_due_what_was_put_off_and_says_how_much() {
    let hub = ScriptedSmtp::start();
    hub.change(|behaviour| behaviour.replies = vec![(Stage::Rcpt, None, "450 4.7.1 greylisted".into())]);
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    program.run(&["retry"]).assert_success();
    program.run(&["fetch"]).assert_code(75);
    let retrieved = pop3.count("RETR");
    program.run(&["fetch"]).assert_success();
    assert_eq!(pop3.count("RETR"), retrieved, "it is not due");
    let status = program.run(&["status"]).assert_code(75).stdout;
    assert!(
        status.contains("20 messages are not delivered to hub") && status.contains("450 4.7.1 greylisted"),
        "{status}"
    );
    let shown = program.run(&["status", "--json"]).assert_code(75).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let (account, undelivered) = (&shown["accounts"][0], &shown["accounts"][0]["undelivered"][0]);
    assert_eq!(
        (&account["waiting"], &undelivered["messages"], &undelivered["state"]),
        (&20.into(), &20.into(), &"deferred".into())
    );
    assert!(undelivered["next-try"].is_number() && undelivered["cause"].to_string().contains("greylisted"), "{shown}");
    for arguments in [&["retry", "none"][..], &["retry", "--destination", "none"]] {
        program.run(arguments).assert_code(64);
    }
    hub.change(|behaviour| behaviour.replies.clear());
    let said = program.run(&["retry", "a", "--destination", "hub"]).assert_success().stderr;
    assert!(said.contains("20 messages due now, with the next poll"), "{said}");
    program.run(&["fetch"]).assert_success();
    assert_eq!(pop3.remaining(), 0);
}

#[test]
fn a_message_can_be_put_into_quarantine_by_hand_at_once() {
    let pop3 = MailboxServer::start_with(
        messages(),
        Behaviour {
            poison: Some(Poison { verb: "RETR", uid: "u05".into(), sends: "", closes: true }),
            ..Behaviour::default()
        },
    );
    let hub = ScriptedSmtp::start();
    let program = program(&pop3, &hub, "");
    program.run(&["fetch"]);
    program.run(&["quarantine", "add", "a", "u05"]).assert_success();
    program.run(&["quarantine", "add", "a", "u06", "none"]).assert_code(64);
    let asked = pop3.count("RETR");
    State::of(&program).let_pass(20_000);
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!(pop3.remaining_uids(), ["u05"]);
    assert!(pop3.count("RETR") >= asked);
    let list = program.run(&["quarantine", "list"]).assert_success().stdout;
    assert!(list.contains("u05") && list.contains("set aside by the operator"), "{list}");
}

#[test]
fn a_server_that_takes_neither_the_null_sender_nor_its_own_recipient_still_gets_mail_after_a_failure() {
    let hub = ScriptedSmtp::start();
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    hub.change(|behaviour| behaviour.replies = vec![(Stage::Connect, None, "421 4.3.2 busy".into())]);
    program.run(&["fetch"]).assert_code(75);
    hub.change(|behaviour| {
        behaviour.replies.clear();
        behaviour.refused_senders = vec!["<>".into(), "<user1@example.net>".into()];
    });
    for _ in 0..3 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(1200);
    }
    assert_eq!((subjects(&hub), pop3.remaining()), (all_but(0), 0));
}

#[test]
fn a_message_whose_sender_such_a_server_refuses_holds_up_no_other() {
    let hub = ScriptedSmtp::start();
    let refused = ["<>", "<user1@example.net>", "<s01@example.org>"];
    hub.change(|behaviour| behaviour.refused_senders = refused.map(str::to_owned).to_vec());
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    for _ in 0..4 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(1200);
    }
    assert_eq!((subjects(&hub), pop3.remaining_uids()), (all_but(1), vec!["u01".to_owned()]));
}

#[test]
fn a_shortage_at_one_message_holds_up_no_other() {
    for (stage, reply) in [(Stage::Mail, "452 4.3.1 no space\r\n"), (Stage::Dot, "552 5.2.2 it does not fit\r\n")] {
        let hub = ScriptedSmtp::start();
        let mark = if stage == Stage::Mail { "s01@" } else { "Subject: m01" };
        let poison = SmtpPoison { mark: mark.into(), stage, sends: reply.into(), then: Then::GoesOn };
        hub.change(|behaviour| behaviour.poison = Some(poison));
        let pop3 = MailboxServer::start(messages());
        let program = program(&pop3, &hub, "");
        for _ in 0..3 {
            program.run(&["fetch"]);
            State::of(&program).let_pass(1200);
        }
        assert_eq!((subjects(&hub), pop3.remaining_uids()), (all_but(1), vec!["u01".to_owned()]), "{reply}");
    }
}

#[test]
fn good_mail_comes_through_between_messages_that_are_refused() {
    let hub = ScriptedSmtp::start();
    let poison = SmtpPoison {
        mark: "Subject: m0".into(),
        stage: Stage::Dot,
        sends: "550 5.7.1 spam\r\n".into(),
        then: Then::GoesOn,
    };
    hub.change(|behaviour| behaviour.poison = Some(poison));
    let pop3 = MailboxServer::start(messages());
    let program = program(&pop3, &hub, "");
    // Each poll tries three messages that no earlier poll has tried; then it takes the destination for the cause.
    for _ in 0..4 {
        program.run(&["fetch"]);
        State::of(&program).let_pass(3 * 3600);
    }
    let want: Vec<String> = (10..=MESSAGES).map(|n| format!("{n:02}")).collect();
    assert_eq!((subjects(&hub), pop3.remaining()), (want, 9));
}
