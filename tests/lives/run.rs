//! Many lives, two at a time, and what is told of them.

use super::life::{self, Past};
use std::collections::BTreeMap;
use std::env::var;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// So many stories say enough.
const STORIES: usize = 5;

/// Lives at a time.
const THREADS: usize = 2;

/// How long lives go on unless they are told otherwise.
const SHORT: Duration = Duration::from_secs(60);

/// The seed of the first life, unless more are asked for.
const FIRST: u64 = 1;

/// What became of the lives of one kind.
#[derive(Default)]
struct Row {
    lives: usize,
    polls: usize,
    wrong: usize,
}

/// Lives until the time is over, or the life of one seed.
///
/// # Panics
/// Something went wrong in one of them.
pub(crate) fn lives() {
    let single: Option<u64> = var("POSTRIDER_LIVES_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let from: Option<u64> = var("POSTRIDER_LIVES_FROM").ok().map(|seed| seed.parse().expect("a number"));
    let is_asked = var("POSTRIDER_LIVES").is_ok();
    let (first, limit) = match single {
        Some(seed) => (seed, Duration::ZERO),
        // A minute lives the same lives each time, and whoever wants more gets others.  Short enough to be typed.
        None => (from.unwrap_or_else(|| if is_asked { fastrand::u64(..1 << 40) } else { FIRST }), time()),
    };
    let kind = var("POSTRIDER_LIVES_KIND").unwrap_or_default();
    let (next, began, rows) = (AtomicU64::new(first), Instant::now(), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..if single.is_some() { 1 } else { THREADS } {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if single.is_some() || life::nature(seed).kind().contains(&kind) {
                        count(&rows, seed, single.is_some());
                    }
                    if began.elapsed() >= limit {
                        return;
                    }
                }
            });
        }
    });
    report(&rows.into_inner().expect("no panic while locked"), began.elapsed());
}

/// One life on record; its story is told if it went wrong or is the only one.
fn count(rows: &Mutex<BTreeMap<String, Row>>, seed: u64, is_single: bool) {
    let Past { kind, polls, wrong, story } = match catch_unwind(AssertUnwindSafe(|| life::live(seed))) {
        Ok(past) => past,
        // Its words stand above.
        Err(_) => Past {
            kind: life::nature(seed).kind(),
            polls: 0,
            wrong: vec!["the life itself panicked".to_owned()],
            story: Vec::new(),
        },
    };
    let mut rows = rows.lock().expect("no panic while locked");
    let told: usize = rows.values().map(|row: &Row| row.wrong).sum();
    if is_single || !wrong.is_empty() && told < STORIES {
        eprintln!("lives: POSTRIDER_LIVES_SEED={seed}\n  {}", story.join("\n  "));
    }
    if !wrong.is_empty() {
        eprintln!("lives: WENT WRONG: POSTRIDER_LIVES_SEED={seed} ({kind}): {}", wrong.join("; "));
    }
    let row = rows.entry(kind).or_default();
    row.lives += 1;
    row.polls += polls;
    row.wrong += usize::from(!wrong.is_empty());
}

fn report(rows: &BTreeMap<String, Row>, elapsed: Duration) {
    let sum = |of: fn(&Row) -> usize| rows.values().map(of).sum::<usize>();
    let (lives, polls, wrong) = (sum(|row| row.lives), sum(|row| row.polls), sum(|row| row.wrong));
    eprintln!("lives: {:<34} {:>7} {:>8} {:>6}", "unique-ids", "lives", "polls", "wrong");
    for (kind, row) in rows {
        eprintln!("lives: {kind:<34} {:>7} {:>8} {:>6}", row.lives, row.polls, row.wrong);
    }
    eprintln!("lives: {:<34} {lives:>7} {polls:>8} {wrong:>6} in {:.0} s", "all", elapsed.as_secs_f64());
    assert!(wrong == 0, "{wrong} of {lives} lives went wrong");
}

/// `POSTRIDER_LIVES`: a number with `s`, `m` or `h`.
fn time() -> Duration {
    let Ok(text) = var("POSTRIDER_LIVES") else { return SHORT };
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("POSTRIDER_LIVES is a time as 90s, 10m or 2h, and not {text}"),
    };
    Duration::from_secs(seconds * number.parse::<u64>().expect("POSTRIDER_LIVES begins with a number"))
}
