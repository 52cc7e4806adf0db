//! The rules of the schedule, one test each.

use super::*;

mod any;

const MINUTE: Duration = Duration::from_secs(60);

fn name(name: &str) -> Name {
    Name::new(name).expect("a name")
}

const GOOD: Verdict = Verdict::Good { login_delay: None };

fn at_host(names: &[&str], host: impl Fn(&str) -> String) -> Input {
    let entry = |account: &&str| {
        let timing = Timing { interval: 5 * MINUTE, host: host(account).into() };
        (name(account), (timing, Carried::default()))
    };
    Input::Configured(names.iter().map(entry).collect())
}

fn accounts(names: &[&str]) -> Input {
    at_host(names, str::to_owned)
}

fn schedule(polls: usize) -> Schedule {
    Schedule::new(Limits { polls, polls_per_host: 2 }, 1)
}

#[test]
fn one_host_is_logged_in_to_by_few_and_not_in_a_burst() {
    let mut schedule = schedule(9);
    let mut now = MINUTE;
    assert_eq!(schedule.handle(at_host(&["a", "b", "c"], |_| "host".into()), now), [name("a")]);
    assert_eq!(schedule.wake(), Some(now + SPACING));
    now += SPACING;
    assert_eq!(schedule.handle(Input::Tick, now), [name("b")]);
    now += SPACING;
    assert!(schedule.handle(Input::Tick, now).is_empty());
    assert_eq!(schedule.wake(), None);
    assert_eq!(schedule.handle(Input::Ended(name("a"), GOOD), now), [name("c")]);
}

#[test]
fn a_login_delay_is_kept_and_survives_a_restart() {
    let mut schedule = schedule(9);
    schedule.handle(accounts(&["a"]), MINUTE);
    let login_delay = Some(15 * MINUTE);
    schedule.handle(Input::Ended(name("a"), Verdict::Good { login_delay }), MINUTE);
    assert_eq!(schedule.due(&name("a")), Some(16 * MINUTE));
    let memory = schedule.memory(&name("a"), 6 * MINUTE).expect("known");
    assert_eq!(memory.wait, 10 * MINUTE);
    let timing = Timing { interval: MINUTE, host: "h".into() };
    let mut after = self::schedule(9);
    let restored = Input::Configured([(name("a"), (timing, memory))].into());
    assert!(after.handle(restored, Duration::ZERO).is_empty());
    assert_eq!(after.wake(), Some(10 * MINUTE));
}

#[test]
fn a_server_that_wants_more_time_does_not_shorten_an_interval_of_days() {
    let timing = Timing { interval: 3 * LONGEST, host: "h".into() };
    for delay in [None, Some(MINUTE), Some(Duration::MAX)] {
        let mut schedule = schedule(9);
        schedule.handle(Input::Configured([(name("a"), (timing.clone(), Carried::default()))].into()), MINUTE);
        schedule.handle(Input::Ended(name("a"), Verdict::TooSoon(delay)), MINUTE);
        assert!(schedule.due(&name("a")).is_some_and(|due| due >= 3 * LONGEST), "{delay:?}");
    }
}

#[test]
fn a_refused_login_is_released_by_new_settings_or_by_name_but_not_by_polling_all() {
    for release in [Input::Released(name("a")), Input::Poll(name("a"))] {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a"]), MINUTE);
        schedule.handle(Input::Ended(name("a"), Verdict::LoginRefused { certain: true }), MINUTE);
        assert!(schedule.handle(Input::PollAll, 2 * MINUTE).is_empty());
        assert_eq!(schedule.handle(release, 3 * MINUTE), [name("a")]);
    }
}

#[test]
fn a_poll_asked_for_during_a_poll_follows_it() {
    let mut schedule = schedule(9);
    schedule.handle(accounts(&["a"]), MINUTE);
    assert!(schedule.handle(Input::Poll(name("a")), 2 * MINUTE).is_empty());
    assert!(schedule.handle(Input::Ended(name("a"), GOOD), 3 * MINUTE).contains(&name("a")));
}

#[test]
fn every_account_is_polled_at_once_and_then_at_its_interval() {
    let mut schedule = schedule(9);
    assert_eq!(schedule.handle(accounts(&["a", "b"]), MINUTE), [name("a"), name("b")]);
    assert_eq!(schedule.wake(), None);
    assert!(schedule.handle(Input::Ended(name("a"), GOOD), 2 * MINUTE).is_empty());
    let due = schedule.wake().expect("due");
    assert!((2 * MINUTE + MINUTE * 9 / 2..=2 * MINUTE + MINUTE * 11 / 2).contains(&due), "{due:?}");
    assert!(schedule.handle(Input::Tick, due - Duration::from_nanos(1)).is_empty());
    assert_eq!(schedule.handle(Input::Tick, due), [name("a")]);
}

#[test]
fn an_account_is_never_polled_twice_at_the_same_time() {
    let mut schedule = schedule(9);
    schedule.handle(accounts(&["a"]), MINUTE);
    assert!(schedule.handle(Input::PollAll, 2 * MINUTE).is_empty());
    assert!(schedule.handle(accounts(&["a"]), 3 * MINUTE).is_empty());
}

#[test]
fn no_more_polls_run_than_allowed_and_the_longest_waiting_is_next() {
    let mut schedule = schedule(1);
    assert_eq!(schedule.handle(accounts(&["a", "b", "c"]), MINUTE).len(), 1);
    assert_eq!(schedule.handle(Input::Ended(name("a"), GOOD), MINUTE), [name("b")]);
    schedule.handle(Input::Poll(name("a")), 2 * MINUTE);
    assert_eq!(schedule.handle(Input::Ended(name("b"), GOOD), 2 * MINUTE), [name("c")]);
    assert_eq!(schedule.handle(Input::Ended(name("c"), GOOD), 2 * MINUTE), [name("a")]);
}

#[test]
fn an_account_that_fails_backs_off_alone() {
    let mut schedule = schedule(9);
    schedule.handle(accounts(&["bad", "good"]), MINUTE);
    let mut now = MINUTE;
    for failures in 1..20 {
        schedule.handle(Input::Ended(name("bad"), Verdict::Failed), now);
        let delay = schedule.due(&name("bad")).expect("known") - now;
        let most = (FIRST_DELAY * (1 << (failures - 1).min(10))).min(LAST_DELAY);
        assert!(delay >= FIRST_DELAY / 2 && delay <= most, "{failures}: {delay:?}");
        now += delay;
        assert_eq!(schedule.handle(Input::Tick, now), [name("bad")]);
    }
    schedule.handle(Input::Ended(name("bad"), GOOD), now);
    assert!(schedule.due(&name("bad")).expect("known") - now > 4 * MINUTE);
}

#[test]
fn a_wrong_password_is_tried_at_most_three_times_an_hour() {
    for certain in [true, false] {
        let mut schedule = schedule(9);
        schedule.handle(accounts(&["a"]), Duration::ZERO);
        let (mut now, mut tries) = (Duration::ZERO, 0);
        while now < 50 * MINUTE {
            tries += 1;
            schedule.handle(Input::Ended(name("a"), Verdict::LoginRefused { certain }), now);
            now = schedule.wake().expect("due");
            schedule.handle(Input::Tick, now);
        }
        assert!(tries <= 3, "{certain}: {tries}");
    }
}

#[test]
fn a_poll_of_a_removed_account_ends_and_does_not_come_back() {
    let mut schedule = schedule(9);
    schedule.handle(accounts(&["a", "b"]), MINUTE);
    schedule.handle(accounts(&["b"]), MINUTE);
    schedule.handle(Input::Ended(name("a"), GOOD), MINUTE);
    // Nor does it occupy a place for ever once it is due.
    assert_eq!(schedule.handle(Input::Tick, 60 * MINUTE), []);
    assert_eq!(schedule.handle(Input::PollAll, 60 * MINUTE), []);
    schedule.handle(accounts(&["b"]), 60 * MINUTE);
    assert_eq!(schedule.due(&name("a")), None);
}

#[test]
fn an_account_that_is_taken_away_and_given_back_is_polled_at_once_whenever_its_last_poll_ends() {
    for ends_before in [true, false] {
        let mut schedule = schedule(1);
        assert_eq!(schedule.handle(accounts(&["a"]), MINUTE), [name("a")]);
        schedule.handle(accounts(&[]), MINUTE);
        let mut begun = Vec::new();
        if ends_before {
            begun.extend(schedule.handle(Input::Ended(name("a"), GOOD), 2 * MINUTE));
            assert_eq!(begun, []);
            begun.extend(schedule.handle(accounts(&["a"]), 2 * MINUTE));
        } else {
            begun.extend(schedule.handle(accounts(&["a"]), 2 * MINUTE));
            assert_eq!(begun, []);
            begun.extend(schedule.handle(Input::Ended(name("a"), GOOD), 2 * MINUTE));
            // As the service does after it has stopped the poll.
            begun.extend(schedule.handle(Input::Poll(name("a")), 3 * MINUTE));
        }
        assert_eq!(begun, [name("a")]);
    }
}
