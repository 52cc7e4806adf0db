//! The properties of `fuzz/` hold for its corpus, which has everything that was ever found.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "../fuzz/properties/mod.rs"]
mod properties;

use properties::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII")).collect()
}

#[test]
fn every_property_has_a_corpus_and_nothing_else_has_one() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(targets.len(), TARGETS.len());
    assert_eq!(names(&corpus()), targets);
    for target in targets {
        assert!(names(&corpus().join(&target)).len() >= 3, "{target}: too few seeds");
    }
}

#[test]
fn every_property_holds_for_its_corpus() {
    let mut broken = Vec::new();
    for (target, holds) in TARGETS {
        let folder = corpus().join(target);
        for name in names(&folder) {
            let octets = std::fs::read(folder.join(&name)).expect("an input");
            // Its message is printed above, with the place.
            if catch_unwind(AssertUnwindSafe(|| holds(&octets))).is_err() {
                broken.push(format!("{target}/{name}"));
            }
        }
    }
    assert!(broken.is_empty(), "these do not hold: {broken:?}");
}

#[test]
fn every_property_holds_for_no_octets_and_for_every_single_one() {
    for (_, holds) in TARGETS {
        holds(&[]);
        (0..=u8::MAX).for_each(|octet| holds(&[octet]));
    }
}
