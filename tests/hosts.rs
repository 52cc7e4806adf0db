//! What is remembered of a server from one session to the next, and what is sent in one flight.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use support::*;

fn program(server: &MailboxServer) -> Postrider {
    Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat())
}

#[test]
fn what_a_server_announces_is_asked_for_once() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = program(&server);
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((server.logins(), server.count("CAPA")), (3, 1));
}

#[test]
fn after_a_refusal_it_is_asked_for_again() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = program(&server);
    program.run(&["fetch"]).assert_success();
    // It takes no SASL any more, which it says once it is asked.
    server.change(|behaviour| {
        let capabilities = behaviour.capabilities.take().unwrap().into_iter();
        behaviour.capabilities = Some(capabilities.filter(|line| line != "SASL PLAIN").collect());
        behaviour.answers = vec![("AUTH".to_owned(), "-ERR unknown command".to_owned())];
    });
    program.run(&["fetch"]).assert_code(77);
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("CAPA"), server.count("PASS")), (2, 1), "{:?}", server.commands());
}

#[test]
fn a_new_mailbox_is_listed_in_one_flight_and_one_without_news_without_sizes() {
    let server = MailboxServer::start(Vec::new());
    let program = program(&server);
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("UIDL"), server.count("LIST"), server.commands_ahead()), (1, 1, 2));
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("UIDL"), server.count("LIST"), server.commands_ahead()), (2, 1, 3));
    let lock_step = Behaviour { capabilities: Some(vec!["UIDL".to_owned()]), ..Behaviour::default() };
    let server = MailboxServer::start_with(Vec::new(), lock_step);
    let program = self::program(&server);
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.commands_ahead(), 0);
}

#[test]
fn a_server_that_breaks_with_several_commands_unanswered_gets_one_at_a_time() {
    let dropping = |command: &str| Behaviour { drop_at: Some(command.into()), ..Behaviour::default() };
    for (messages, broken) in [
        (40, dropping("RETR 3")),
        (40, Behaviour { inject_after: Some(("RETR 3".into(), b"+OK\r\n".to_vec())), ..Behaviour::default() }),
        // The last one of a flight counts as well.
        (40, dropping("LIST")),
        (1, dropping("UIDL 1")),
    ] {
        let behaviour = Behaviour { faulty_connections: 1, ..broken };
        let server = MailboxServer::start_with(Message::several(messages, Mix::Tiny), behaviour);
        let (program, wanted) = (program(&server), server.manifest());
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.connections(), 2);
        let ahead = server.commands_ahead();
        assert!(ahead > 0);
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.commands_ahead(), ahead);
        wanted.verify(&program.path("home")).assert_exactly_once();
    }
}
