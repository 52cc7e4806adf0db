//! What is gone from the server for long is forgotten, and is no riddle afterwards.

use super::*;

const DAY: i64 = 86_400;

/// Makes everything that the state and the Maildir hold so many days older.
fn age(program: &Postrider, days: i64) {
    let seconds = days * DAY;
    let database = rusqlite::Connection::open(state_file(program, "state.db")).expect("the database");
    let older =
        "UPDATE message SET seen = seen - ?1, done = done - ?1, deleted = deleted - ?1, absent = max(absent - ?1, 0)";
    database.execute(older, [seconds]).expect("changed");
    database.execute("UPDATE delivery SET at = at - ?1", [seconds]).expect("changed");
    let new = program.path("home/new");
    for file in std::fs::read_dir(&new).expect("new/") {
        let name = file.expect("an entry").file_name().into_string().expect("a name");
        let (made, rest) = name.split_once('.').expect("a name with a time");
        let made: i64 = made.parse().expect("seconds");
        let older = format!("{}.{rest}", made - seconds);
        database
            .execute("UPDATE delivery SET detail = ?2 WHERE detail = ?1", [name.as_str(), older.as_str()])
            .expect("changed");
        std::fs::rename(new.join(&name), new.join(older)).expect("renamed");
    }
}

fn remembered(program: &Postrider) -> u32 {
    let database = rusqlite::Connection::open(state_file(program, "state.db")).expect("the database");
    database.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).expect("counted")
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
    assert_eq!(remembered(&program), 5);
    age(&program, 2);
    server.add(Message::generated(6, 1, Mix::Tiny));
    program.run(&["fetch"]).assert_success();
    assert_eq!(remembered(&program), 1);

    // The files of what is forgotten tell nothing, and those of what is not tell what they always do.
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
    assert_eq!(remembered(&program), 5);
}

#[test]
fn a_maildir_that_is_gone_is_missed_although_its_mail_is_forgotten() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = program(&server, "retention = \"delete\"\nhistory = \"7d\"");
    program.run(&["fetch"]).assert_success();
    age(&program, 100);
    program.run(&["fetch"]).assert_success();
    assert_eq!(remembered(&program), 0);
    std::fs::rename(program.path("home"), program.path("elsewhere")).expect("moved");
    server.add(Message::generated(3, 1, Mix::Tiny));
    let run = program.run(&["fetch"]);
    assert_ne!(run.code, Some(0), "{}", run.stdout);
    assert!(!program.path("home").exists());
}
