//! A state of an older format becomes one of this format: whole, and whatever moment it is killed at.

use rusqlite::{Connection, params};

use super::*;

/// Format 3, as it was.
const FORMAT_3: &str = include_str!("format3.sql");

/// Messages of that state, each with a delivery.
const MESSAGES: i64 = 20_000;

/// Kills, spread over the time of the upgrade.
const KILLS: u32 = 8;

/// A program whose state is of format 3.
fn program_of_format_3() -> Postrider {
    let program = Postrider::with_config(&[mailbox(1, "a", "deliver = \"home\""), maildir("home")].concat());
    private_folder(&program.state_dir());
    let mut database = Connection::open(state_file(&program, "state.db")).expect("a database");
    database.execute_batch(FORMAT_3).expect("made");
    let begun = database.transaction().expect("a transaction");
    let home = program.path("home");
    begun.execute("INSERT INTO meta VALUES ('instance', 'abcdefgh'), ('generation', '0')", []).expect("filled");
    begun.execute("INSERT INTO account (id, name, first_poll) VALUES (1, 'a', 7)", []).expect("filled");
    begun
        .execute(
            "INSERT INTO place (id, destination, location, used) VALUES (1, 'home', CAST(?1 AS BLOB), 1),
             (2, 'hub', CAST('mx.example:25 a@b.example' AS BLOB), 0)",
            [home.to_str()],
        )
        .expect("filled");
    let mut message = begun
        .prepare(
            "INSERT INTO message (id, account, uid, occurrence, octets, seen, kind, done, digest)
             VALUES (?1, 1, ?2, 0, 5, 8, 0, 9, zeroblob(32))",
        )
        .expect("a statement");
    let mut delivery = begun
        .prepare("INSERT INTO delivery (message, place, state, at, attempts, detail) VALUES (?1, ?2, 3, 9, 1, ?3)")
        .expect("a statement");
    for number in 1..=MESSAGES {
        message.execute(params![number, format!("uid{number}").into_bytes()]).expect("filled");
        delivery.execute(params![number, 1 + number % 2, format!("9.{number}.host")]).expect("filled");
    }
    drop((message, delivery));
    begun.pragma_update(None, "user_version", 3).expect("marked");
    begun.pragma_update(None, "application_id", 0x706f_7374).expect("marked");
    begun.commit().expect("written");
    program
}

fn private_folder(path: &std::path::Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).expect("made");
}

/// What is on record.
fn exported(program: &Postrider) -> String {
    program.run(&["state", "export"]).assert_success().stdout
}

#[test]
fn a_kill_while_a_state_is_upgraded_loses_nothing() {
    let program = program_of_format_3();
    let old = std::fs::read(state_file(&program, "state.db")).expect("the database");
    let whole = program.run(&["history", "-n", "1"]).assert_success().elapsed;
    let wanted = exported(&program);
    assert_eq!(wanted.lines().count() as i64, 1 + 2 * MESSAGES);
    for words in ["mx.example:25 a@b.example", program.path("home").to_str().expect("text")] {
        assert!(wanted.contains(&format!("\"location\":\"{words}\"")), "{words}");
    }
    let mut interrupted = 0;
    for kill in 0..KILLS {
        lose_database(&program);
        std::fs::write(state_file(&program, "state.db"), &old).expect("restored");
        let mut running = program.spawn(&["history", "-n", "1"]);
        let moment = std::time::Instant::now() + whole.mul_f64(f64::from(kill) / f64::from(KILLS));
        while running.is_running() && std::time::Instant::now() < moment {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        running.kill();
        let version = "SELECT user_version FROM pragma_user_version";
        let database = Connection::open(state_file(&program, "state.db")).expect("the database");
        let version: i64 = database.query_row(version, [], |row| row.get(0)).expect("read");
        drop(database);
        interrupted += u32::from(version == 3);
        assert_eq!(exported(&program), wanted, "kill {kill}");
    }
    assert!(program.run(&["state", "check"]).assert_success().stdout.starts_with("ok: "));
    eprintln!("{interrupted} of {KILLS} kills came before the end of an upgrade; it takes {whole:?}");
    assert!(interrupted > 0, "no kill came in time");
}

#[test]
fn a_state_of_format_3_is_rebuilt_with_its_places_on_this_machine() {
    for knows_its_word in [true, false] {
        let program = program_of_format_3();
        if !knows_its_word {
            let database = Connection::open(state_file(&program, "state.db")).expect("the database");
            database.execute("DELETE FROM meta WHERE name = 'instance'", []).expect("lost");
        }
        for sub in ["tmp", "new", "cur"] {
            private_folder(&program.path("home").join(sub));
        }
        let run = program.run(&["state", "rebuild"]).assert_success();
        assert!(run.stderr.contains(&format!("{MESSAGES} messages, {MESSAGES} deliveries")), "{}", run.stderr);
        let database = Connection::open(state_file(&program, "state.db")).expect("the database");
        let word: String = database
            .query_row("SELECT value FROM meta WHERE name = 'instance'", [], |row| row.get(0))
            .expect("it has a word");
        assert_eq!(word == "abcdefgh", knows_its_word);
        let places = "SELECT group_concat(kind || ' ' || recipient || ' ' || machine, ', ') FROM place ORDER BY id";
        let places: String = database.query_row(places, [], |row| row.get(0)).expect("read");
        assert_eq!(places, format!("maildir  {word}, smtp a@b.example "));
    }
}

#[test]
fn what_a_destination_remembers_of_a_delivery_is_never_shown() {
    let program = program_of_format_3();
    program.run(&["history", "-n", "1"]).assert_success();
    let database = Connection::open(state_file(&program, "state.db")).expect("the database");
    let fill =
        "UPDATE delivery SET mark = CAST('opaque' AS BLOB), prefix = CAST('Received: opaque' AS BLOB), state = 5";
    database.execute_batch(&format!("{fill} WHERE message < 9")).expect("filled");
    drop(database);
    for arguments in
        [&["state", "export"][..], &["history", "--json"], &["quarantine", "list", "--json"], &["state", "check"]]
    {
        let run = program.run(arguments);
        assert!(!run.stdout.contains("opaque") && !run.stderr.contains("opaque"), "{arguments:?}: {}", run.stderr);
    }
}
