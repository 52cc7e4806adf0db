//! Kills at any moment: a plain rerun is all that is needed, nothing is lost and nothing comes
//! twice.  `crash/` holds connections that are cut and QUITs that fail.
//!
//! The moments are random; the seed is printed, and `POSTRIDER_TEST_SEED` repeats a run.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

#[path = "crash/connection.rs"]
mod connection;
mod support;

use std::time::{Duration, Instant};

use support::*;

/// Kills of one mailbox, spread over the whole time of a fetch.
const KILLS: usize = 50;

/// Messages of that mailbox: three batches of at most 64.
const MESSAGES: usize = 130;

/// A generator whose seed is printed, so that a failure can be repeated.
fn random(test: &str) -> fastrand::Rng {
    let chosen = std::env::var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = chosen.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{test}: POSTRIDER_TEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// A fetch from a mailbox into a new home, over TLS.
fn program(server: &Dovecot, retention: &str) -> Postrider {
    let lines = format!("deliver = \"home\"\nretention = \"{retention}\"");
    Postrider::with_config(&[pop3s(server, "a", 1, &lines), maildir("home")].concat())
}

/// Random moments in the life of a fetch, whatever else the machine is doing.
struct Moments {
    random: fastrand::Rng,
    /// How long a fetch takes, by those that were not killed in time.
    whole: Duration,
    killed: usize,
    tried: usize,
}

impl Moments {
    /// Measures a fetch of the same size.
    fn of(test: &str, measured: &Postrider) -> Self {
        let random = random(test);
        let whole = measured.run(&["fetch"]).assert_success().elapsed;
        Self { random, whole, killed: 0, tried: 0 }
    }

    /// Starts a fetch and kills it at a random moment, unless it has ended by then.
    fn kill(&mut self, program: &Postrider) {
        self.tried += 1;
        let moment = Instant::now() + self.whole.mul_f64(self.random.f64());
        let mut running = program.spawn(&["fetch"]);
        while running.is_running() && Instant::now() < moment {
            // Nothing is waited for: the moment itself is the fault.
            std::thread::sleep(Duration::from_millis(1));
        }
        let output = running.kill();
        match output.signal {
            Some(_) => {
                self.killed += 1;
                self.whole = self.whole.mul_f64(1.1);
            }
            None => self.whole = output.elapsed,
        }
    }
}

impl Drop for Moments {
    fn drop(&mut self) {
        eprintln!("{} of {} were killed; a whole fetch takes {:?}", self.killed, self.tried, self.whole);
    }
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing_of_messages_that_stay() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(MESSAGES, Mix::Tiny));
    let mut moments = Moments::of("keep", &program(&server, "keep"));
    let mut in_part = 0;
    for _ in 0..KILLS {
        let program = program(&server, "keep");
        moments.kill(&program);
        let verdict = wanted.verify(&program.path("home"));
        verdict.assert_nothing_wrong();
        in_part += usize::from(verdict.found > 0 && verdict.found < MESSAGES);
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
    }
    eprintln!("keep: {in_part} kills with a part delivered");
    assert!(moments.killed >= KILLS / 2, "only {} were killed before they ended", moments.killed);
    assert_eq!(server.messages_on_server("user1"), MESSAGES);
}

#[test]
fn a_kill_at_any_moment_loses_and_doubles_nothing_of_messages_that_are_deleted() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(MESSAGES, Mix::Tiny));
    let mut moments = Moments::of("delete", &program(&server, "delete"));
    for round in 1..=KILLS {
        // Other messages each time: Dovecot is confused when deleted files come back.
        let wanted = server.fill("user1", &Fill::new(MESSAGES, Mix::Tiny).seed(1 + round as u64));
        let program = program(&server, "delete");
        moments.kill(&program);
        wanted.verify(&program.path("home")).assert_nothing_wrong();
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.messages_on_server("user1"), 0);
    }
    assert!(moments.killed >= KILLS / 2, "only {} were killed before they ended", moments.killed);
}

#[test]
fn one_fetch_of_500_messages_may_be_killed_again_and_again() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(500, Mix::Realistic));
    let program = program(&server, "delete");
    let (home, new) = (program.path("home"), program.path("home/new"));
    let count = || std::fs::read_dir(&new).map_or(0, Iterator::count);
    let mut killed = 0;
    loop {
        // As soon as something new is there, in the middle of a batch's moves.
        let before = count();
        let mut running = program.spawn(&["fetch"]);
        running.wait_until("mail or the end", Duration::from_secs(60), |_| count() > before || before == 500);
        if running.kill().signal.is_none() || before == 500 {
            break;
        }
        killed += 1;
        wanted.verify(&home).assert_nothing_wrong();
    }
    program.run(&["fetch"]).assert_success();
    wanted.verify(&home).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 0);
    assert!(killed >= 3, "killed {killed} times");
}

#[test]
fn what_a_mail_program_has_taken_away_before_the_rerun_does_not_come_back() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(300, Mix::Tiny));
    let program = program(&server, "keep");
    let new = program.path("home/new");
    let mut running = program.spawn(&["fetch"]);
    running.wait_until("some mail", Duration::from_secs(60), |_| {
        std::fs::read_dir(&new).is_ok_and(|mut all| all.next().is_some())
    });
    running.kill();
    // Read and thrown away, as a mail program does.
    let taken: Vec<String> = read_messages(&program.path("home"))
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("X-Test-Message: ").map(str::to_owned)))
        .collect();
    std::fs::remove_dir_all(&new).expect("removed");
    std::fs::create_dir(&new).expect("made");
    program.run(&["fetch"]).assert_success();
    let left = 300 - taken.len();
    assert_eq!(count_messages(&program.path("home")), left, "{} were taken", taken.len());
    for text in read_messages(&program.path("home")) {
        let text = String::from_utf8_lossy(&text);
        assert!(!taken.iter().any(|mark| text.contains(&format!("X-Test-Message: {mark}\n"))), "{text}");
    }
}
