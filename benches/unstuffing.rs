//! The bodies of messages, from the wire to what is stored, in pieces as the network delivers them.
#![allow(clippy::allow_attributes, reason = "what is shared with the tests is only partly used")]

#[path = "../tests/support/mail.rs"]
#[allow(dead_code, unreachable_pub, clippy::expect_used, reason = "made for the tests")]
mod mail;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mail::{Mix, message, with_crlf};
use postrider::testing::pop3::multiline::Decoder;

/// Messages of the realistic mix: some 10 MB.
const MESSAGES: usize = 400;

fn main() {
    divan::main();
}

/// A message as RETR sends it, after the status line (RFC 1939 §3).
fn on_the_wire(stored: &[u8]) -> Vec<u8> {
    let as_lf: Vec<u8> = String::from_utf8_lossy(stored).replace("\r\n", "\n").into_bytes();
    let mut wire = Vec::with_capacity(as_lf.len() + as_lf.len() / 40 + 5);
    for line in with_crlf(&as_lf).split_inclusive(|&octet| octet == b'\n') {
        if line.first() == Some(&b'.') {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[divan::bench(args = [512, 4096, 16_384, 65_536], sample_count = 20)]
fn decode(bencher: Bencher<'_, '_>, piece: usize) {
    let mail: Vec<Vec<u8>> = (1..=MESSAGES).map(|index| on_the_wire(&message(1, index, Mix::Realistic))).collect();
    let mut out = Vec::with_capacity(2 * piece);
    bencher.counter(BytesCount::new(mail.iter().map(Vec::len).sum::<usize>())).bench_local(|| {
        let mut stored = 0;
        for wire in &mail {
            let mut decoder = Decoder::new();
            for piece in wire.chunks(piece) {
                out.clear();
                decoder.decode(black_box(piece), &mut out);
                stored += black_box(&out).len();
            }
            assert!(decoder.is_done(), "a message without an end");
        }
        stored
    });
}
