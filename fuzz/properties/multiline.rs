//! The body of a multi-line response: decoded in pieces as it is at once, and as the RFC says it.

use postrider::testing::pop3::multiline::Decoder;

use super::cuts;

pub(super) fn holds(input: &[u8]) {
    let want = naive(input);
    for (first, second) in cuts(input) {
        assert_eq!(decoded(&[first, second]), want, "cut at {}", first.len());
    }
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(decoded(&octets), want, "octet by octet");
    let threes: Vec<&[u8]> = input.chunks(3).collect();
    assert_eq!(decoded(&threes), want, "in threes");
    // What was decoded is decoded to the same when it is stuffed again.
    if let (out, _, true) = &want
        && !out.contains(&b'\r')
    {
        let (again, used, done) = decoded(&[&stuffed(out)]);
        assert!(done && again == *out && used == stuffed(out).len());
    }
}

/// What came out, how many octets were used, and whether the end was seen.
type Decoded = (Vec<u8>, usize, bool);

fn decoded(pieces: &[&[u8]]) -> Decoded {
    let (mut decoder, mut out, mut used) = (Decoder::new(), Vec::new(), 0);
    for piece in pieces {
        let taken = decoder.decode(piece, &mut out);
        assert!(taken == piece.len() || decoder.is_done(), "it stops only at the end");
        used += taken;
    }
    (out, used, decoder.is_done())
}

/// Line by line, as simply as RFC 1939 §3 says it; of a response without an end, what is certain.
fn naive(input: &[u8]) -> Decoded {
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(length) = input[at..].windows(2).position(|pair| pair == b"\r\n") {
        let line = &input[at..at + length];
        at += length + 2;
        if line == b"." {
            return (out, at, true);
        }
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        out.push(b'\n');
    }
    let rest = &input[at..];
    let text = rest.strip_prefix(b".").unwrap_or(rest);
    // A CR at the end may be the first half of a line end.
    out.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
    (out, input.len(), false)
}

/// A text with LF as a server sends it.
fn stuffed(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at_start = true;
    for &octet in text {
        match octet {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'.' if at_start => out.extend_from_slice(b".."),
            _ => out.push(octet),
        }
        at_start = octet == b'\n';
    }
    out.extend_from_slice(if at_start { b".\r\n" } else { b"\r\n.\r\n" });
    out
}
