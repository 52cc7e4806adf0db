//! What may become of effects that no sync covers.

/// A kind of effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is there or it is not.
    Whole,
    /// It may be there in part.
    Data,
}

/// What became of an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is there.
    Kept,
    /// As if it had never been.
    Lost,
    /// The file is as long as it would be, and filled with zeros.
    Zeroed,
    /// Some sectors are there, by this seed.
    Torn(u64),
}

/// At most this many combinations are all tried: 6 effects that are there or not, or 3 writes.
const ALL_UP_TO: usize = 64;

/// The fates of each of `pending` effects: all combinations if they are few; otherwise at most this
/// many of these: all kept, all lost, each alone lost or kept, and as many as these at random.
pub fn fates(pending: &[Kind], most: usize, random: &mut fastrand::Rng) -> Vec<Vec<Fate>> {
    let count = pending.iter().try_fold(1_usize, |count, kind| count.checked_mul(options(*kind, 0).len()));
    if count.is_some_and(|count| count <= ALL_UP_TO.min(most)) {
        return combinations(pending, random);
    }
    let mut some = Vec::new();
    for (at, kind) in pending.iter().enumerate() {
        for fate in options(*kind, random.u64(..)) {
            // The effect that differs is kept among lost ones, or is anything else among kept ones.
            let others = if fate == Fate::Kept { Fate::Lost } else { Fate::Kept };
            let mut one = vec![others; pending.len()];
            one[at] = fate;
            some.push(one);
            some.push(at_random(pending, random));
        }
    }
    let ends = [vec![Fate::Kept; pending.len()], vec![Fate::Lost; pending.len()]];
    ends.into_iter().chain(random.choose_multiple(some, most.saturating_sub(2))).collect()
}

fn at_random(pending: &[Kind], random: &mut fastrand::Rng) -> Vec<Fate> {
    let kept = random.f64();
    let any = |kind: &Kind| {
        let options = options(*kind, random.u64(..));
        if random.f64() < kept { Fate::Kept } else { options[random.usize(1..options.len())] }
    };
    pending.iter().map(any).collect()
}

fn options(kind: Kind, seed: u64) -> Vec<Fate> {
    match kind {
        Kind::Whole => vec![Fate::Kept, Fate::Lost],
        Kind::Data => vec![Fate::Kept, Fate::Lost, Fate::Zeroed, Fate::Torn(seed)],
    }
}

fn combinations(pending: &[Kind], random: &mut fastrand::Rng) -> Vec<Vec<Fate>> {
    let mut all = vec![Vec::new()];
    for kind in pending {
        let mut longer = Vec::new();
        for one in &all {
            for fate in options(*kind, random.u64(..)) {
                longer.push([&one[..], &[fate]].concat());
            }
        }
        all = longer;
    }
    all
}
