//! What is gone from the server for long is forgotten, and is no riddle afterwards.

use super::*;

const DAY: i64 = 86_400;

/// Makes everything that the state and the Maildir hold this many days older.
fn age(program: &Postrider, days: i64) {
    let seconds = days * DAY;
    let state = State::of(program);
    state.let_pass(seconds);
    let new = program.path("home/new");
    for file in std::fs::read_dir(&new).expect("new/") {
        let name = file.expect("an entry").file_name().into_string().expect("a name");
        let (made, rest) = name.split_once('.').expect("a name with a time");
        let made: i64 = made.parse().expect("seconds");
        let older = format!("{}.{rest}", made - seconds);
        state.rename_file(&name, &older);
        std::fs::rename(new.join(&name), new.join(older)).expect("renamed");
    }
}

/// As after a crash: whether the database is the newest one is not certain.
fn end_without_order(program: &Postrider) {
    std::fs::remove_file(state_file(program, "clean")).expect("removed");
    // A look at the database by another connection has taken it away.
    std::fs::write(state_file(program, "state.db-wal"), "").expect("written");
}

#[test]
fn what_is_gone_for_longer_than_history_is_forgotten() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "retention = \"delete\"\nhistory = \"30d\"");
    program.run(&["fetch"]).assert_success();
    age(&program, 29);
    program.run(&["fetch"]).assert_success();
    assert_eq!(State::of(&program).messages(), 5);
    age(&program, 2);
    server.add(Message::generated(6, 1, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!(State::of(&program).messages(), 1);

    // The files of forgotten messages say nothing, and those of the others say what they always do.
    end_without_order(&program);
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("a: no new mail\n", ""));
    let copy = std::fs::read(state_file(&program, "state.db")).expect("the database");
    server.add(Message::generated(7, 1, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    lose_database(&program);
    std::fs::write(state_file(&program, "state.db"), copy).expect("written");
    end_without_order(&program);
    let run = program.run(&["fetch"]).assert_success();
    assert!(
        run.stderr.contains("older than it was") && run.stderr.contains("6 messages that are not"),
        "{}",
        run.stderr
    );
    assert_eq!(count_messages(&program.path("home")), 7);
}

#[test]
fn what_is_on_the_server_is_never_forgotten() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "history = \"7d\"");
    program.run(&["fetch"]).assert_success();
    for _ in 0..3 {
        age(&program, 100);
        let run = program.run(&["fetch"]).assert_success();
        assert_eq!(run.stdout, "a: no new mail\n");
    }
    assert_eq!(State::of(&program).messages(), 5);
}

#[test]
fn a_maildir_that_is_gone_is_missed_although_its_mail_is_forgotten() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = program(&server, "retention = \"delete\"\nhistory = \"7d\"");
    program.run(&["fetch"]).assert_success();
    age(&program, 100);
    program.run(&["fetch"]).assert_success();
    assert_eq!(State::of(&program).messages(), 0);
    std::fs::rename(program.path("home"), program.path("elsewhere")).expect("moved");
    server.add(Message::generated(3, 1, Mix::Tiny));
    let run = program.run(&["fetch"]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    assert!(!program.path("home").exists());
}
