//! How much is tried: all, or some of it from a random start.

use std::env::var;
use std::sync::OnceLock;

/// Whether everything is tried: `POSTRIDER_TORTURE=long`.
pub(crate) fn is_long() -> bool {
    var("POSTRIDER_TORTURE").is_ok_and(|scale| scale == "long")
}

/// The one point that is wanted: `POSTRIDER_TORTURE_POINT`.
pub(crate) fn single() -> Option<String> {
    var("POSTRIDER_TORTURE_POINT").ok()
}

/// `short` in the short run; `long` in the long one, and where a single point is looked for.
pub(crate) fn count(short: usize, long: usize) -> usize {
    if is_long() || single().is_some() { long } else { short }
}

/// The points 1, 2, 3 and so on; in the short run each `step`-th, from a random one.
pub(crate) fn points(what: &str, step: usize) -> impl Iterator<Item = usize> {
    let step = count(step, 1);
    let first = 1 + random(what).usize(..step);
    if step > 1 {
        eprintln!("torture: {what}: points {first}, {}, {} and so on", first + step, first + 2 * step);
    }
    (first..).step_by(step)
}

/// A generator of the run's seed, another one for each `what`, so that one point can be repeated
/// without those before it.
pub(crate) fn random(what: &str) -> fastrand::Rng {
    let what = what.bytes().fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    fastrand::Rng::with_seed(seed().wrapping_add(what))
}

fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let seed = var("POSTRIDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        eprintln!("torture: POSTRIDER_TEST_SEED={seed}");
        seed
    })
}
