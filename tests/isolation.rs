//! One bad account, server or message never delays another, and a server's false replies neither
//! lose nor delete anything.  `isolation/` holds servers out of step, and the service.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "isolation/out_of_step.rs"]
mod out_of_step;
#[path = "isolation/service.rs"]
mod service;
mod support;

use std::time::Duration;

use support::*;

const DELETE: &str = "deliver = \"home\"\nretention = \"delete\"";

/// One account `a`, delivered into the Maildir `home` and deleted on the server.
fn fetch_from(server: &MailboxServer) -> Postrider {
    Postrider::with_config(&[mailbox(server.port(), "a", DELETE), maildir("home")].concat())
}

fn hanging_at(command: &str) -> MailboxServer {
    let behaviour = Behaviour { hang_at: Some(command.into()), ..Behaviour::default() };
    MailboxServer::start_with(Message::several(5, Mix::Tiny), behaviour)
}

#[test]
fn an_account_that_hangs_anywhere_does_not_hold_up_another() {
    let silent = Scripted::dialogue(&["hang"]);
    let hanging =
        [hanging_at("CAPA"), hanging_at("AUTH"), hanging_at("UIDL"), hanging_at("RETR 3"), hanging_at("QUIT")];
    let good = MailboxServer::start(Message::several(100, Mix::Tiny));
    let wanted = good.manifest();
    // More accounts hang than are polled at the same time by a thread each.
    let mut config = mailbox(good.port(), "z-good", "deliver = \"home\"");
    config += &mailbox(silent.port(), "greeting", "deliver = \"greeting\"\ntimeout = \"8s\"");
    config += &maildir("greeting");
    for (name, server) in ["capa", "login", "uidl", "retr", "quit"].iter().zip(&hanging) {
        config +=
            &mailbox(server.port(), name, &format!("deliver = \"{name}\"\ntimeout = \"8s\"\nretention = \"delete\""));
        config += &maildir(name);
    }
    let program = Postrider::with_config(&(config + &maildir("home")));
    let mut running = program.spawn(&["fetch"]);
    running.wait_until("the good account's report", Duration::from_secs(60), |running| {
        running.stdout().contains("z-good: 100 messages delivered")
    });
    assert!(running.is_running(), "the others still hang");
    wanted.verify(&program.path("home")).assert_exactly_once();

    let output = running.wait(Duration::from_secs(60)).assert_code(69);
    for name in ["greeting", "capa", "login", "uidl", "retr"] {
        assert!(output.stderr.contains(&format!("account {name}: ")), "{name}: {}", output.stderr);
    }
    // What was proven to have come whole before the silence is delivered, and nothing is deleted.
    // One more comes when the server gets one command at a time.
    assert_eq!((count_messages(&program.path("retr")), hanging[3].remaining()), (2, 5));
    assert_eq!((count_messages(&program.path("quit")), hanging[4].remaining()), (5, 5));
    for name in ["retr", "quit"] {
        hanging[0].manifest().verify(&program.path(name)).assert_nothing_wrong();
    }
}

#[test]
fn accounts_behind_a_limit_of_one_get_their_turn_after_one_that_hangs() {
    let (silent, good) = (Scripted::dialogue(&["hang"]), MailboxServer::start(Message::several(3, Mix::Tiny)));
    let config = format!(
        "max-concurrent-polls = 1\n{}{}{}",
        mailbox(silent.port(), "a", "deliver = \"home\"\ntimeout = \"1s\""),
        mailbox(good.port(), "b", "deliver = \"home\""),
        maildir("home")
    );
    let program = Postrider::with_config(&config);
    program.run(&["fetch"]).assert_code(69);
    good.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_poll_ends_at_its_deadline_however_slowly_the_server_speaks() {
    // Never silent, never done: a listing without an end.
    let server = Scripted::conversation(|_, peer| {
        let login = ["S: +OK", "C: CAPA", "S: -ERR", "C: USER *", "S: +OK", "C: PASS *", "S: +OK"];
        for step in login.iter().chain(&["C: STAT", "S: +OK 9 9", "C: UIDL", "S: +OK"]) {
            peer.follow(&[Step::parse(step)])?;
        }
        for number in 1_u32.. {
            peer.connection.send_line(&format!("{number} u{number}"))?;
            // The server's slowness is what is tested.
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
    let lines = "deliver = \"home\"\ndeadline = \"10s\"\ntimeout = \"5s\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), maildir("home")].concat());
    let output = program.run(&["fetch"]).assert_code(75);
    assert!(output.stderr.contains("deadline"), "{}", output.stderr);
}

#[test]
fn a_message_that_the_server_does_not_hand_out_holds_up_no_other() {
    let behaviour = Behaviour { answers: vec![("RETR 3".into(), "-ERR it is gone".into())], ..Behaviour::default() };
    let server = MailboxServer::start_with(Message::several(80, Mix::Tiny), behaviour);
    let wanted = server.manifest();
    let program = fetch_from(&server);
    let output = program.run(&["fetch"]).assert_code(75);
    assert!(output.stderr.contains("it is gone"), "{}", output.stderr);
    let verdict = wanted.verify(&program.path("home"));
    verdict.assert_nothing_wrong();
    assert_eq!((verdict.missing, server.remaining_uids()), (vec!["1-3".to_owned()], vec!["uid-1-3".to_owned()]));

    // Now it is the mailbox's first; it is not asked for before its time.
    server.change(|behaviour| behaviour.answers.clear());
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("RETR"), server.remaining()), (80, 1));
    set_deferrals_due(&program);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!((server.count("RETR"), server.remaining()), (81, 0));
}

/// Messages with these unique-ids.
fn with_uids(uids: &[&[u8]]) -> Vec<Message> {
    let mut messages = Message::several(uids.len(), Mix::Tiny);
    for (message, uid) in messages.iter_mut().zip(uids) {
        message.uid = Some(uid.to_vec());
    }
    messages
}

#[test]
fn unique_ids_of_any_octets_are_told_apart() {
    let (long, longer) = ([b'x'; 500], [[b'x'; 499].as_slice(), b"y"].concat());
    let uids: [&[u8]; 9] = [
        &long,
        &longer,
        b"with a space",
        b"with a  space",
        b"\xe4\xf6\xfc",
        "äöü".as_bytes(),
        b"\xff\xfe",
        b"7\x1b[31m",
        b"1 2 3",
    ];
    let server = MailboxServer::start_with(with_uids(&uids), Behaviour { quit: Quit::Vanish, ..Behaviour::default() });
    let wanted = server.manifest();
    let program = fetch_from(&server);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    let list = program.run(&["list", "a"]).assert_success();
    assert!(!list.stdout.contains('\x1b'), "{}", list.stdout);
    server.change(|behaviour| behaviour.quit = Quit::Answer);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!((server.count("RETR"), server.remaining()), (9, 0));
}

#[test]
fn messages_without_a_usable_unique_id_are_left_alone_and_reported() {
    let mut messages = Message::several(5, Mix::Tiny);
    messages[1] = messages[1].clone().without_uid();
    messages[2].uid = Some(vec![b'x'; 513]);
    messages[3].uid = Some(Vec::new());
    let server = MailboxServer::start_with(messages, Behaviour::default());
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.starts_with("a: 2 messages delivered"), "{}", output.stdout);
    assert!(output.stdout.contains("without a unique-id"), "{}", output.stdout);
    assert_eq!(server.count("DELE"), 0);
    server.manifest().verify(&program.path("home"));
    assert_eq!(count_messages(&program.path("home")), 2);
}

#[test]
fn messages_that_share_a_unique_id_are_all_fetched_once_and_then_deleted() {
    let server = MailboxServer::start(with_uids(&[b"dup", b"other", b"dup", b"dup"]));
    let wanted = server.manifest();
    let program = fetch_from(&server);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!((server.count("RETR"), server.remaining()), (4, 0));
}

#[test]
fn a_message_is_not_deleted_for_another_that_shared_its_unique_id() {
    let server = MailboxServer::start(with_uids(&[b"dup", b"dup", b"dup"]));
    let wanted = server.manifest();
    let lines = format!("{DELETE}\nmax-messages = 1");
    let program = Postrider::with_config(&[mailbox(server.port(), "a", &lines), maildir("home")].concat());
    for _ in 0..5 {
        program.run(&["fetch"]).assert_success();
    }
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_listing_that_lacks_messages_once_forgets_nothing() {
    let server = MailboxServer::start(Message::several(30, Mix::Tiny));
    let wanted = server.manifest();
    let lines = "deliver = \"home\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), maildir("home")].concat());
    program.run(&["fetch"]).assert_success();
    server.change(|behaviour| behaviour.hidden = (1..=25).map(|index| format!("uid-1-{index}")).collect());
    program.run(&["fetch"]).assert_success();
    server.change(|behaviour| behaviour.hidden = (1..=30).map(|index| format!("uid-1-{index}")).collect());
    program.run(&["fetch"]).assert_success();
    server.change(|behaviour| behaviour.hidden.clear());
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.count("RETR"), 30);
}

#[test]
fn a_server_that_refuses_its_uidl_gets_a_clear_error_and_no_message_is_touched() {
    let behaviour = Behaviour { answers: vec![("UIDL".into(), "-ERR unknown".into())], ..Behaviour::default() };
    let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), behaviour);
    let output = fetch_from(&server).run(&["fetch"]).assert_code(76);
    assert!(output.stderr.contains("UIDL"), "{}", output.stderr);
    assert_eq!((server.count("RETR"), server.remaining()), (0, 3));
}
