//! What holds whatever happens, in whatever order.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const POLLS: usize = 3;
const POLLS_PER_HOST: usize = 2;

/// Something that happens; an account by its index.
#[derive(Clone, Debug)]
enum Happens {
    Configured(Vec<(usize, u64, bool)>),
    Ended(usize, Verdict),
    Poll(usize),
    PollAll,
    Released(usize),
    /// Time passes until the schedule wants to be asked, and this much more.
    Waits(Duration),
}

fn happens() -> impl Strategy<Value = Happens> {
    let account = || 0..NAMES.len();
    let delay = || prop_oneof![Just(Duration::ZERO), Just(MINUTE), Just(Duration::MAX)];
    let verdict = prop_oneof![
        4 => prop::option::of(delay()).prop_map(|login_delay| Verdict::Good { login_delay }),
        2 => Just(Verdict::Failed),
        1 => Just(Verdict::InUse),
        1 => prop::option::of(delay()).prop_map(Verdict::TooSoon),
        1 => Just(Verdict::ServerFault),
        2 => any::<bool>().prop_map(|certain| Verdict::LoginRefused { certain }),
    ];
    prop_oneof![
        1 => prop::collection::vec((account(), 1..3000_u64, any::<bool>()), 0..6).prop_map(Happens::Configured),
        6 => (account(), verdict).prop_map(|(account, verdict)| Happens::Ended(account, verdict)),
        1 => account().prop_map(Happens::Poll),
        1 => Just(Happens::PollAll),
        1 => account().prop_map(Happens::Released),
        6 => delay().prop_map(|time| Happens::Waits(time.min(MINUTE))),
    ]
}

fn configured(accounts: &[(usize, u64, bool)]) -> Input {
    let entry = |&(account, minutes, shared): &(usize, u64, bool)| {
        let host = if shared { "host" } else { NAMES[account] };
        let timing = Timing { interval: MINUTE * minutes as u32, host: host.into() };
        (name(NAMES[account]), (timing, Carried::default()))
    };
    Input::Configured(accounts.iter().map(entry).collect())
}

proptest! {
    #[test]
    fn no_account_is_polled_twice_at_a_time_and_no_bound_is_passed_and_nobody_starves(
        seed in any::<u64>(),
        events in prop::collection::vec(happens(), 0..80),
    ) {
        let mut schedule = Schedule::new(Limits { polls: POLLS, polls_per_host: POLLS_PER_HOST }, seed);
        let mut now = MINUTE;
        let mut running: HashMap<Name, Arc<str>> = HashMap::new();
        for event in events {
            let latched: Vec<Name> = NAMES.map(name).into_iter().filter(|name| schedule.is_latched(name)).collect();
            let due: HashMap<Name, Moment> =
                latched.iter().filter_map(|name| Some((name.clone(), schedule.due(name)?))).collect();
            let mut releases = None;
            let event = match event {
                Happens::Configured(accounts) => configured(&accounts),
                Happens::Ended(account, verdict) => {
                    // Only a running poll can end.
                    if running.remove(&name(NAMES[account])).is_none() {
                        continue;
                    }
                    Input::Ended(name(NAMES[account]), verdict)
                }
                Happens::Poll(account) => {
                    releases = Some(name(NAMES[account]));
                    Input::Poll(name(NAMES[account]))
                }
                Happens::PollAll => Input::PollAll,
                Happens::Released(account) => {
                    releases = Some(name(NAMES[account]));
                    Input::Released(name(NAMES[account]))
                }
                Happens::Waits(time) => {
                    now = schedule.wake().unwrap_or(now).max(now) + time;
                    Input::Tick
                }
            };
            let waited = event == Input::Tick && schedule.wake().is_some_and(|wake| wake <= now);
            let begun = schedule.handle(event, now);
            prop_assert!(!waited || !begun.is_empty(), "a wake-up begins a poll");
            for name in begun {
                if latched.contains(&name) && releases.as_ref() != Some(&name) {
                    prop_assert!(due.get(&name).is_some_and(|due| *due <= now), "a refused login was tried again early");
                }
                let host = Arc::clone(&schedule.entries[&name].timing.host);
                prop_assert!(running.insert(name.clone(), host).is_none(), "{} runs twice", name);
            }
            prop_assert!(running.len() <= POLLS);
            for host in running.values() {
                prop_assert!(running.values().filter(|other| *other == host).count() <= POLLS_PER_HOST);
            }
            prop_assert!(schedule.wake().is_none_or(|wake| wake > now), "nothing is left that could begin");
        }
    }
}
