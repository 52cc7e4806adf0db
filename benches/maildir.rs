//! Batches of messages into a Maildir, durable: written to `tmp`, synced, moved to `new`.
//!
//! On the disk of `BENCH_DIR`, by default that of cargo's target directory.
#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a benchmark may fail")]

use std::path::PathBuf;

use divan::Bencher;
use divan::counter::ItemsCount;
use postrider::testing::deliver::maildir::{Maildir, Settings, file_name};
use postrider::testing::message::{MessageKey, Origin};

/// Octets of a message.
const OCTETS: usize = 8192;

fn main() {
    divan::main();
}

#[divan::bench(args = [1, 16, 64], sample_count = 20, sample_size = 1)]
fn batch(bencher: Bencher<'_, '_>, messages: usize) {
    let disk = std::env::var_os("BENCH_DIR").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let dir = tempfile::tempdir_in(disk).expect("a directory");
    let maildir = Maildir::open(&Settings::private(dir.path().join("Maildir")), false).expect("a Maildir");
    let origin = Origin::new("a").expect("an origin");
    let key = MessageKey::new(b"uid", 0).expect("a unique-id");
    let text = [b'x'; OCTETS];
    bencher.counter(ItemsCount::new(messages)).bench_local(|| {
        let drafts = (0..messages).map(|_| {
            let mut draft = maildir.create(|word| file_name(word, "bench", &origin, &key)).expect("made");
            draft.write(&text).expect("written");
            draft
        });
        let drafts: Vec<_> = drafts.collect();
        drafts.iter().for_each(|draft| draft.sync().expect("synced"));
        maildir.sync_tmp().expect("synced");
        for draft in drafts {
            maildir.publish(&draft.keep()).expect("moved");
        }
        maildir.sync_new().expect("synced");
    });
}
