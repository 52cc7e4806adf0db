//! Status lines and the lines of LIST and UIDL: one for each message of a mailbox, at every poll.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use postrider::testing::pop3::reply::{Status, list_line, uidl_line};

/// Lines of a listing.
const LINES: u32 = 10_000;

fn main() {
    divan::main();
}

#[divan::bench(args = ["+OK", "+OK 12345 octets follow", "-ERR [IN-USE] another session holds the maildrop"])]
fn status(line: &str) -> Option<Status> {
    Status::parse(black_box(line.as_bytes()))
}

#[divan::bench(sample_count = 50)]
fn list(bencher: Bencher<'_, '_>) {
    let lines: Vec<String> = (1..=LINES).map(|number| format!("{number} {}", 900 + number * 7)).collect();
    let octets = || lines.iter().filter_map(|line| list_line(black_box(line.as_bytes()))).map(|(_, octets)| octets);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| octets().sum::<u64>());
}

#[divan::bench(sample_count = 50)]
fn uidl(bencher: Bencher<'_, '_>) {
    let lines: Vec<String> = (1..=LINES).map(|number| format!("{number} {number:08x}5f2b1c3d")).collect();
    let ids = || lines.iter().filter_map(|line| uidl_line(black_box(line.as_bytes()))).filter_map(|(_, id)| id);
    bencher.counter(ItemsCount::new(LINES)).bench_local(|| ids().map(<[u8]>::len).sum::<usize>());
}
