//! Damage of the file: cut off, changed in single bits, emptied, replaced, without its log.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use super::*;

/// Bits that are changed, each in a database of its own.
const FLIPS: usize = 100;

/// Rebuilds that are killed.
const KILLS: usize = 20;

/// Messages in such a database.
const MESSAGES: usize = 60;

/// A generator whose seed is printed, so that a failure can be repeated.
fn random(test: &str) -> fastrand::Rng {
    let chosen = std::env::var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: POSTRIDER_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A state with everything delivered, and copies of it to break.
struct Sample {
    server: MailboxServer,
    program: Postrider,
    database: Vec<u8>,
    seal: Vec<u8>,
}

impl Sample {
    fn new(lines: &str) -> Self {
        let server = MailboxServer::start(Message::several(MESSAGES, Mix::Tiny));
        let program = program(&server, lines);
        program.run(&["fetch"]).assert_success();
        let database = std::fs::read(state_file(&program, "state.db")).expect("the database");
        let seal = std::fs::read(state_file(&program, "clean")).expect("its seal");
        Self { server, program, database, seal }
    }

    /// Puts the state back as it was after the first fetch, with a change of the database.
    fn restore(&self, change: impl FnOnce(&mut Vec<u8>)) {
        for name in set_aside(&self.program) {
            std::fs::remove_file(state_file(&self.program, &name)).expect("removed");
        }
        lose_database(&self.program);
        let _ = std::fs::remove_file(state_file(&self.program, "rebuilding"));
        let mut database = self.database.clone();
        change(&mut database);
        std::fs::write(state_file(&self.program, "state.db"), database).expect("written");
    }

    /// Two plain runs: everything is there once, nothing was asked for again.
    fn assert_harmless(&self, what: &str) -> Output {
        let before = self.server.count("RETR");
        let runs = [self.program.run(&["fetch"]), self.program.run(&["fetch"])];
        let verdict = self.server.manifest().verify(&self.program.path("home"));
        let [first, second] = runs;
        assert!(verdict.duplicate.is_empty() && verdict.missing.is_empty(), "{what}: {verdict}\n{}", first.stderr);
        assert_eq!(self.server.count("RETR"), before, "{what}\n{}", first.stderr);
        assert_eq!((first.code, second.code), (Some(0), Some(0)), "{what}\n{}\n{}", first.stderr, second.stderr);
        first
    }
}

#[test]
fn a_database_that_was_cut_off_is_set_aside_and_rebuilt() {
    let sample = Sample::new("");
    let whole = sample.database.len();
    for length in [0, 1, 99, 100, 4095, 4096, 4097, 8192, whole / 2, whole - 4096, whole - 1] {
        sample.restore(|database| database.truncate(length));
        let run = sample.assert_harmless(&format!("{length} of {whole} octets"));
        assert!(run.stderr.contains("damaged") && run.stderr.contains("state.db.damaged-"), "{length}: {}", run.stderr);
        let aside = set_aside(&sample.program);
        assert_eq!(aside.len(), 1, "{aside:?}");
        let kept = std::fs::read(state_file(&sample.program, &aside[0])).expect("kept");
        assert_eq!(kept, sample.database[..length], "{length}: it is kept as it was");
    }
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_rebuilt() {
    let sample = Sample::new("");
    for garbage in [vec![b'x'; 10_000], vec![0; 50_000], b"SQLite format 3\0".to_vec()] {
        sample.restore(|database| *database = garbage);
        let run = sample.assert_harmless("garbage");
        assert!(run.stderr.contains("damaged"), "{}", run.stderr);
    }
}

/// A flipped bit in a column that is in no index (a time, a size, a reply) changes just that value;
/// the file differs from its seal then, but nothing says how.  It never brings a message again.
#[test]
fn one_changed_bit_anywhere_brings_nothing_again() {
    let mut random = random("bits");
    let sample = Sample::new("");
    let mut noticed = 0;
    for _ in 0..FLIPS {
        let bit = random.usize(..sample.database.len() * 8);
        sample.restore(|database| database[bit / 8] ^= 1 << (bit % 8));
        let run = sample.assert_harmless(&format!("bit {} of octet {}", bit % 8, bit / 8));
        noticed += usize::from(run.stderr.contains("damaged"));
    }
    eprintln!("{noticed} of {FLIPS} changed bits were found to be damage");
}

/// One changed bit must not make the program delete what was not delivered.
#[test]
fn one_changed_bit_anywhere_deletes_nothing_that_was_not_delivered() {
    let mut random = random("deletions");
    let server = MailboxServer::start(Message::several(MESSAGES, Mix::Tiny));
    let wanted = server.manifest();
    server.change(|behaviour| behaviour.answers.push(("DELE".to_owned(), "-ERR not now".to_owned())));
    let keys = "deliver = [\"home\", \"hub\"]\nretention = \"delete\"";
    let missing = "[destinations.hub]\ntype = \"maildir\"\npath = \"missing/hub\"\n";
    let config = [mailbox(server.port(), "a", keys), maildir("home"), missing.to_owned()].concat();
    let program = Postrider::with_config(&config);
    program.run(&["fetch"]).assert_code(74);
    let database = std::fs::read(state_file(&program, "state.db")).expect("the database");
    server.change(|behaviour| behaviour.answers.clear());
    for _ in 0..FLIPS / 2 {
        let bit = random.usize(..database.len() * 8);
        let mut changed = database.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        lose_database(&program);
        std::fs::write(state_file(&program, "state.db"), changed).expect("written");
        program.run(&["fetch"]);
        let what = format!("bit {} of octet {}", bit % 8, bit / 8);
        assert_eq!((server.remaining(), server.count("DELE")), (MESSAGES, 0), "{what}");
        wanted.verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn a_lost_write_ahead_log_does_not_double_what_it_told() {
    // All of a database that was not closed yet is in its log.
    for (companions, first, said) in [
        (&["state.db-wal"][..], true, "damaged"),
        (&["state.db-wal"], false, "older than it was"),
        (&["state.db-wal", "state.db-shm"], false, "older than it was"),
    ] {
        let server = MailboxServer::start(Message::several(20, Mix::Tiny));
        let wanted = server.manifest();
        let program = program(&server, "interval = \"1h\"");
        if !first {
            server.change(|behaviour| behaviour.hidden = (1..=20).map(|index| format!("uid-1-{index}")).collect());
            program.run(&["fetch"]).assert_success();
            server.change(|behaviour| behaviour.hidden.clear());
        }
        let mut service = program.spawn(&["run"]);
        let home = program.path("home");
        service.wait_until("the first poll", std::time::Duration::from_secs(30), |service| {
            service.stderr().contains("polled: 20 delivered")
        });
        drop(service.kill());
        for name in companions {
            std::fs::remove_file(state_file(&program, name)).expect("it was there");
        }
        let run = program.run(&["fetch"]).assert_success();
        assert!(run.stderr.contains(said), "{}", run.stderr);
        wanted.verify(&home).assert_exactly_once();
        assert_eq!(server.count("RETR"), 20);
        assert_eq!(program.run(&["fetch"]).assert_success().stderr, "");
    }
}

#[test]
fn an_older_copy_of_the_database_does_not_double_what_came_since() {
    let sample = Sample::new("");
    for index in 1..=5 {
        sample.server.add(Message::generated(2, index, Mix::Tiny));
    }
    sample.program.run(&["fetch"]).assert_success();
    let seal = std::fs::read(state_file(&sample.program, "clean")).expect("a seal");
    // Restored from a backup: the database alone, or the directory with everything.
    for seal in [&seal, &sample.seal] {
        sample.restore(|_| {});
        std::fs::write(state_file(&sample.program, "clean"), seal).expect("written");
        let run = sample.assert_harmless("an older copy");
        assert!(run.stderr.contains("older than it was"), "{}", run.stderr);
    }
}

#[test]
fn an_ordinary_kill_costs_no_rebuild() {
    let server = MailboxServer::start(Message::several(20, Mix::Tiny));
    let program = program(&server, "interval = \"1h\"");
    let mut service = program.spawn(&["run"]);
    service.wait_until("the first poll", std::time::Duration::from_secs(30), |service| {
        service.stderr().contains("polled: 20 delivered")
    });
    drop(service.kill());
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("a: no new mail\n", ""));
    assert_eq!(set_aside(&program), [""; 0]);
}

#[test]
fn a_rebuild_that_was_interrupted_goes_on() {
    let sample = Sample::new("");
    let path = |name: &str| state_file(&sample.program, name);
    let aside = "state.db.damaged-20261124T030000Z";
    let note = |what: &str| std::fs::write(path("rebuilding"), format!("{aside} {what}\n")).expect("written");
    for step in 1..=4 {
        sample.restore(|_| {});
        note("database");
        if step >= 2 {
            std::fs::rename(path("state.db"), path(aside)).expect("moved");
        }
        if step == 3 {
            std::fs::write(path("state.db.new"), "half of it").expect("written");
        }
        if step == 4 {
            std::fs::copy(path(aside), path("state.db")).expect("copied");
        }
        if step < 4 {
            let run = sample.program.run(&["history"]).assert_code(74);
            assert!(run.stderr.contains("was not finished"), "{}", run.stderr);
        }
        sample.assert_harmless(&format!("step {step}"));
        assert_eq!(set_aside(&sample.program), [aside], "step {step}");
        assert!(!path("rebuilding").exists() && !path("state.db.new").exists());
    }
}

#[test]
fn a_rebuild_that_is_killed_at_any_moment_goes_on() {
    let mut random = random("kills");
    let sample = Sample::new("");
    let (mut whole, mut killed, mut noted) = (std::time::Duration::from_millis(150), 0, 0);
    for round in 0..KILLS {
        sample.restore(|_| {});
        let moment = std::time::Instant::now() + whole.mul_f64(random.f64());
        let mut running = sample.program.spawn(&["state", "rebuild"]);
        while running.is_running() && std::time::Instant::now() < moment {
            // Nothing is waited for: the moment itself is the fault.
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        let output = running.kill();
        killed += usize::from(output.signal.is_some());
        noted += usize::from(state_file(&sample.program, "rebuilding").exists());
        if output.signal.is_none() {
            whole = output.elapsed;
        }
        sample.assert_harmless(&format!("kill {round}"));
        // What no Maildir tells is taken over all the same.
        let history = sample.program.run(&["history", "--json", "-n", "0"]).assert_success().stdout;
        let ids = history.matches("\"message-id\": \"<").count();
        assert_eq!(ids, MESSAGES, "kill {round}: {history}");
        assert!(!state_file(&sample.program, "rebuilding").exists());
    }
    eprintln!("{killed} of {KILLS} were killed, {noted} in the middle");
}

#[test]
fn a_write_ahead_log_is_set_aside_with_its_database() {
    let server = MailboxServer::start(Message::several(20, Mix::Tiny));
    let program = program(&server, "interval = \"1h\"");
    program.run(&["fetch"]).assert_success();
    server.add(Message::generated(2, 1, Mix::Tiny));
    let wanted = server.manifest();
    let mut service = program.spawn(&["run"]);
    service.wait_until("the next poll", std::time::Duration::from_secs(30), |service| {
        service.stderr().contains("polled: 1 delivered")
    });
    drop(service.kill());
    let log = std::fs::read(state_file(&program, "state.db-wal")).expect("the log");
    // The log lays its own pages over what is changed here.
    let mut database = std::fs::read(state_file(&program, "state.db")).expect("the database");
    database[..100].fill(0xff);
    std::fs::write(state_file(&program, "state.db"), &database).expect("written");
    std::fs::write(state_file(&program, "state.db-wal"), &log[..log.len() / 2]).expect("written");
    program.run(&["fetch"]).assert_success();
    let aside = set_aside(&program);
    assert_eq!(aside.len(), 1, "{aside:?}");
    let kept = std::fs::read(state_file(&program, &format!("{}-wal", aside[0]))).expect("the log is kept");
    assert!(kept == log[..log.len() / 2] && server.count("RETR") == 21);
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_page_that_cannot_be_read_costs_only_what_was_on_it() {
    let hub = ScriptedSmtp::start();
    let server = MailboxServer::start(Message::several(400, Mix::Tiny));
    let config = [mailbox(server.port(), "a", "deliver = \"hub\""), smtp("hub", hub.port())].concat();
    let program = Postrider::with_config(&config);
    program.run(&["fetch"]).assert_success();
    let path = state_file(&program, "state.db");
    let mut file = std::fs::File::options().read(true).write(true).open(&path).expect("the database");
    let at = page_with(&mut file, b"uid-1-200");
    file.seek(SeekFrom::Start(at)).expect("there");
    file.write_all(&[0xff; 4096]).expect("written");
    drop(file);
    let run = program.run(&["fetch"]).assert_code(74);
    let known: usize =
        run.stderr.split("only ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
    assert!((300..400).contains(&known), "{}", run.stderr);
    assert_eq!(hub.received().len(), 400);
}

/// Where the page of a table, not of an index, begins that holds these octets.
fn page_with(file: &mut std::fs::File, octets: &[u8]) -> u64 {
    let mut all = Vec::new();
    file.read_to_end(&mut all).expect("read");
    let holds = |page: &&[u8]| page.windows(octets.len()).any(|window| window == octets);
    // 13 is a leaf of a table (sqlite.org/fileformat2.html, 1.6).
    let is_table = |page: &&[u8]| page[0] == 13;
    let at = all.chunks(4096).position(|page| is_table(&page) && holds(&page)).expect("it is there");
    (at * 4096) as u64
}
