//! What only the operator can decide: the program says so, and does what it is told.

use super::*;

/// Refused with both ways out, and nothing fetched.
fn assert_asks(program: &Postrider, server: &MailboxServer, found: &str) {
    let (retr, dele) = (server.count("RETR"), server.count("DELE"));
    let run = program.run(&["fetch"]).assert_code(74);
    for part in [found, "--seen a", "--fetch-again a"] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert_eq!((server.count("RETR"), server.count("DELE")), (retr, dele));
}

#[test]
fn mail_that_went_by_smtp_is_not_sent_again_by_a_guess() {
    for (way, sent) in [("--seen", 0), ("--fetch-again", 6)] {
        let hub = ScriptedSmtp::start();
        let server = MailboxServer::start(Message::several(5, Mix::Tiny));
        let config = [mailbox(server.port(), "a", "deliver = \"hub\""), smtp("hub", hub.port())].concat();
        let program = Postrider::with_config(&config);
        program.run(&["fetch"]).assert_success();
        lose_database(&program);
        server.add(Message::generated(2, 1, Mix::Tiny));
        assert_asks(&program, &server, "only 0");
        assert_asks(&program, &server, "only 0");

        program.run(&["state", "rebuild", way, "a"]).assert_success();
        program.run(&["fetch"]).assert_success();
        assert_eq!(hub.received().len(), 5 + sent, "{way}");
        // What comes from now on is new.
        server.add(Message::generated(2, 2, Mix::Tiny));
        program.run(&["fetch"]).assert_success();
        program.run(&["fetch"]).assert_success();
        assert_eq!(hub.received().len(), 5 + sent + 1, "{way}");
    }
}

#[test]
fn a_mailbox_of_which_the_maildir_holds_less_than_half_is_not_fetched_by_a_guess() {
    let server = MailboxServer::start(Message::several(9, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    for file in std::fs::read_dir(program.path("home/new")).expect("new/").take(5) {
        std::fs::remove_file(file.expect("an entry").path()).expect("removed");
    }
    lose_database(&program);
    assert_asks(&program, &server, "of the 9 messages on the server only 4");
    program.run(&["state", "rebuild", "--fetch-again", "a"]).assert_success();
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.count("RETR"), 9 + 5);
}

#[test]
fn mail_that_was_left_alone_is_never_fetched_and_deleted_because_the_state_was_lost() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = program(&server, "initial = \"none\"\nretention = \"delete\"");
    program.run(&["fetch"]).assert_success();
    server.add(Message::generated(2, 1, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 2);
    lose_database(&program);
    assert_asks(&program, &server, "of the 2 messages on the server only 0");
    program.run(&["state", "rebuild", "--seen", "a"]).assert_success();
    server.add(Message::generated(2, 2, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    server.add(Message::generated(2, 3, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.remaining(), count_messages(&program.path("home"))), (3, 2), "the second came before the poll");
}

#[test]
fn a_maildir_that_is_not_there_is_waited_for() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let wanted = server.manifest();
    let program = program(&server, "retention = \"keep\"");
    program.run(&["fetch"]).assert_success();
    // The disk is not mounted, and the database is gone too.
    std::fs::rename(program.path("home"), program.path("elsewhere")).expect("moved");
    lose_database(&program);
    for _ in 0..2 {
        let run = program.run(&["fetch"]).assert_code(74);
        assert!(run.stderr.contains("mounted"), "{}", run.stderr);
        assert!(!program.path("home").exists());
    }
    std::fs::rename(program.path("elsewhere"), program.path("home")).expect("moved");
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.count("RETR"), 3);
}
