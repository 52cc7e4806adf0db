//! Replies that are lost, processes that are killed, servers that are down.

use std::time::Duration;

use super::support::*;
use super::{field, marks, to_hub};

/// The Message-IDs of what the server has got, for each mark.
fn ids(received: &[Received]) -> Vec<(String, String)> {
    let mut ids: Vec<(String, String)> = received
        .iter()
        .map(|message| (field(&message.body, "X-Test-Message"), field(&message.body, "Message-ID")))
        .collect();
    ids.sort();
    ids
}

#[test]
fn a_lost_final_reply_costs_at_most_one_second_copy_with_the_same_message_id() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(10, Mix::Tiny));
    let behaviour =
        SmtpBehaviour { drop_at: Some((Stage::Dot, Some(1))), keep_at_lost_dot: true, ..SmtpBehaviour::default() };
    let hub = ScriptedSmtp::start_with(behaviour);
    let program = to_hub(&server, hub.port(), "retention = \"delete\"");
    let output = program.run(&["fetch"]).assert_code(75);
    assert!(output.stderr.contains("was not delivered to hub: "), "{}", output.stderr);
    let left = server.messages_on_server("user1");
    assert!(left >= 1, "nobody knows whether it has arrived, so it stays");
    for _ in 0..2 {
        set_deferrals_due(&program);
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!(server.messages_on_server("user1"), 0);
    let ids = ids(&hub.received());
    assert_eq!(ids.len(), wanted.len() + 1, "{ids:?}");
    let twice: Vec<_> = ids.windows(2).filter(|two| two[0].0 == two[1].0).collect();
    assert!(twice.len() == 1 && twice[0][0].1 == twice[0][1].1, "{twice:?}");
}

#[test]
fn a_message_without_a_message_id_gets_the_same_one_in_every_copy() {
    let server = Dovecot::start();
    for index in 1..=2 {
        let text = String::from_utf8(message(1, index, Mix::Tiny)).expect("plain text");
        let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("Message-ID:")).collect();
        server.put("user1", &format!("170000000{index}.M1P1"), text.as_bytes());
    }
    let behaviour =
        SmtpBehaviour { drop_at: Some((Stage::Dot, None)), keep_at_lost_dot: true, ..SmtpBehaviour::default() };
    let hub = ScriptedSmtp::start_with(behaviour);
    let program = to_hub(&server, hub.port(), "");
    program.run(&["fetch"]).assert_code(75);
    hub.change(|behaviour| behaviour.drop_at = None);
    set_deferrals_due(&program);
    program.run(&["fetch"]).assert_success();
    let ids = ids(&hub.received());
    assert!((3..=4).contains(&ids.len()), "{ids:?}");
    for two in ids.windows(2) {
        assert_eq!(two[0].0 == two[1].0, two[0].1 == two[1].1, "the same message, the same id: {ids:?}");
    }
    // Another state directory, as after a reinstallation: still the same.
    let again = ScriptedSmtp::start();
    to_hub(&server, again.port(), "").run(&["fetch"]).assert_success();
    for pair in self::ids(&again.received()) {
        assert!(ids.contains(&pair), "{pair:?} is not in {ids:?}");
    }
}

#[test]
fn a_killed_fetch_sends_at_least_once_and_hardly_anything_twice() {
    let (server, hub) = (Dovecot::start(), Postfix::start());
    let wanted = server.fill("user1", &Fill::new(300, Mix::Tiny));
    let program = to_hub(&server, hub.port, "retention = \"delete\"");
    let mut kills = 0;
    for count in [1, 60, 120, 240] {
        let mut running = program.spawn(&["fetch"]);
        running.wait_until("some deliveries", Duration::from_secs(60), |_| hub.delivered_count() >= count);
        kills += usize::from(running.kill().signal.is_some());
    }
    assert!(kills > 0, "no fetch was caught in the act");
    // A message that was on its way was not deferred: it is sent again at once.
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.messages_on_server("user1"), 0);
    hub.wait_until_delivered(300, Duration::from_secs(60));
    let sent = hub.delivered_count();
    wanted.verify(&hub.delivered("user1")).assert_at_least_once();
    assert!(sent <= 300 + kills * 4, "{sent}: more copies than {kills} times four connections");
}

#[test]
fn a_maildir_gets_its_mail_while_the_server_beside_it_is_down_and_gets_it_only_once() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(100, Mix::Tiny));
    let config = |port: u16| {
        let lines = "deliver = [\"home\", \"hub\"]\nretention = \"delete\"";
        [pop3s(&server, "a", 1, lines), maildir("home"), smtp("hub", port)].concat()
    };
    let program = Postrider::with_config(&config(free_port()));
    let home = program.path("home");
    let output = program.run(&["fetch"]).assert_code(69);
    assert!(output.stderr.contains("hub"), "{}", output.stderr);
    wanted.verify(&home).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 100, "nothing is deleted that is not everywhere");

    // The server is there again, elsewhere.
    let hub = ScriptedSmtp::start();
    program.config(&config(hub.port()));
    let output = program.run(&["fetch"]).assert_success();
    assert_eq!(
        output.stdout, "a: 100 messages delivered (53.6 kB), 100 deleted on the server\n",
        "at once: it is another place"
    );
    wanted.verify(&home).assert_exactly_once();
    let got = marks(&hub.received());
    assert_eq!((got.len(), server.messages_on_server("user1")), (100, 0));
    assert!(got.windows(2).all(|two| two[0] != two[1]), "{got:?}");
}

#[test]
fn nothing_is_retrieved_for_a_server_that_is_down() {
    let server = MailboxServer::start(Message::several(20, Mix::Tiny));
    let lines = "deliver = \"hub\"\nretention = \"delete\"";
    let hub = ScriptedSmtp::start();
    hub.change(|behaviour| behaviour.replies.push((Stage::Connect, None, "421 4.3.2 closed for today".into())));
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), smtp("hub", hub.port())].concat());
    let output = program.run(&["fetch"]);
    assert!(output.code.is_some_and(|code| [69, 75].contains(&code)), "{output:?}");
    assert!(output.stderr.contains("closed for today"), "{}", output.stderr);
    assert_eq!((server.count("RETR"), server.count("DELE"), server.remaining()), (0, 0, 20));
    hub.change(|behaviour| behaviour.replies.clear());
    program.run(&["fetch"]).assert_success();
    assert_eq!((hub.received().len(), server.remaining()), (20, 0));
}
