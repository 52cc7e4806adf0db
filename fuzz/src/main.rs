//! libFuzzer on one of the properties: the environment's `FUZZ_TARGET` names it.
#![no_main]
#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, reason = "a panic is what is looked for")]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../properties/mod.rs"]
mod properties;

static HOLDS: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = properties::TARGETS.iter().find(|(name, _)| *name == wanted);
    found.expect("FUZZ_TARGET names a folder of corpus/").1
});

fuzz_target!(|octets: &[u8]| HOLDS(octets));
