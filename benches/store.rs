//! The state: a batch of messages recorded and settled, and a listing that is known completely.
//!
//! On the disk of `BENCH_DIR`, by default that of cargo's target directory.
#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a benchmark may fail")]

use std::path::PathBuf;
use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use postrider::testing::header::Heading;
use postrider::testing::message::{MessageKey, Name};
use postrider::testing::plan::Place;
use postrider::testing::store::{Change, Ending, Possession, Settled, Stage, Store, Target, TargetState};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const NOW: i64 = 1_700_000_000;

/// Messages that become durable together.
const BATCH: usize = 64;

fn main() {
    divan::main();
}

/// A state directory for one benchmark, and what runs its operations.
struct Ground {
    store: Store,
    runtime: Runtime,
    account: Name,
    place: Place,
    _dir: TempDir,
}

impl Ground {
    fn new() -> Self {
        let disk = std::env::var_os("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        let dir = tempfile::tempdir_in(disk).expect("a directory");
        let name = |text| Name::new(text).expect("a name");
        Self {
            store: Possession::take(dir.path()).and_then(|possession| possession.open()).expect("a state").0,
            runtime: tokio::runtime::Builder::new_current_thread().build().expect("a runtime"),
            account: name("a"),
            place: Place::maildir(name("home"), "/var/mail/home", "machine"),
            _dir: dir,
        }
    }

    fn apply(&self, changes: Vec<Change>) {
        self.runtime.block_on(self.store.apply(changes, NOW)).expect("durable");
    }

    /// Records messages as staged, and then as delivered.
    fn deliver(&self, keys: &[MessageKey]) {
        let messages = keys.iter().map(|key| self.stage(key)).collect();
        self.apply(vec![Change::Stage { account: self.account.clone(), messages, places: vec![self.place.clone()] }]);
        let outcome = |key: &MessageKey| Settled {
            key: key.clone(),
            place: self.place.clone(),
            ending: Ending::Delivered(format!("{NOW}.{key}")),
        };
        self.apply(vec![Change::Settle {
            account: self.account.clone(),
            outcomes: keys.iter().map(outcome).collect(),
        }]);
    }

    fn stage(&self, key: &MessageKey) -> Stage {
        Stage {
            key: key.clone(),
            octets: 8192,
            digest: [7; 32],
            listed: Some(4000),
            message_id: Some(format!("<{key}@example.org>")),
            fingerprint: Some([7; 16]),
            heading: Heading {
                from: Some("Alice Liddell <alice@example.org>".into()),
                subject: Some(format!("Report {key} of the week")),
                date: Some(NOW),
            },
            header_only: false,
            targets: vec![Target { place: self.place.clone(), state: TargetState::Staged(format!("{NOW}.{key}")) }],
        }
    }
}

fn keys(first: usize, count: usize) -> Vec<MessageKey> {
    let key = |number: usize| MessageKey::new(format!("{number:08x}5f2b1c3d").as_bytes(), 0).expect("a unique-id");
    (first..first + count).map(key).collect()
}

#[divan::bench(sample_count = 30, sample_size = 1)]
fn stage_and_settle_64(bencher: Bencher<'_, '_>) {
    let ground = Ground::new();
    let mut first = 0;
    let next = || {
        first += BATCH;
        keys(first, BATCH)
    };
    bencher.counter(ItemsCount::new(BATCH)).with_inputs(next).bench_local_refs(|keys| ground.deliver(keys));
}

#[divan::bench(args = [20_000], sample_count = 10, sample_size = 1)]
fn known_of_as_many(bencher: Bencher<'_, '_>, messages: usize) {
    let ground = Ground::new();
    let keys = keys(0, messages);
    ground.deliver(&keys);
    let listing: Arc<Vec<Option<MessageKey>>> = Arc::new(keys.into_iter().map(Some).collect());
    bencher.counter(ItemsCount::new(messages)).with_inputs(|| Arc::clone(&listing)).bench_local_values(|listing| {
        let known = ground.runtime.block_on(ground.store.known(&ground.account, listing, NOW)).expect("known");
        assert!(known.standings.iter().all(Option::is_some), "all are known");
        known
    });
}
