//! What is to be done with each message of a listing, of which every tenth is new.
#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a benchmark may fail")]

use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use postrider::testing::message::{MessageKey, MessageNumber, Name};
use postrider::testing::plan::{Listed, Place, Policy, Retention, Standing, plan};

const NOW: i64 = 1_700_000_000;

fn main() {
    divan::main();
}

fn listed(number: u32) -> Listed {
    Listed {
        number: MessageNumber::new(number).expect("not zero"),
        key: MessageKey::new(format!("{number:08x}5f2b1c3d").as_bytes(), 0),
        shared: false,
        octets: Some(4096),
        standing: (!number.is_multiple_of(10)).then(|| Standing::Done(NOW - i64::from(number))),
    }
}

#[divan::bench(args = [1_000, 100_000], sample_count = 30)]
fn every_tenth_is_new(bencher: Bencher<'_, '_>, messages: u32) {
    let listing: Vec<Listed> = (1..=messages).map(listed).collect();
    let policy = Policy { retention: Retention::After(Duration::from_secs(3600)), ..Policy::default() };
    let name = Name::new("home").expect("a name");
    let destinations = [Place::maildir(name, "/home", "machine")];
    bencher.counter(ItemsCount::new(messages)).bench_local(|| plan(black_box(&listing), &policy, &destinations, NOW));
}
