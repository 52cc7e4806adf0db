//! A message on its way through DATA: its lines are the same for every server, so that nobody can
//! smuggle a second message through.

use postrider::testing::deliver::smtp::Converter;

use super::cuts;

/// CRs in a row that the simple model below is right about.
const RUN_LIMIT: usize = 1024;

pub(super) fn holds(message: &[u8]) {
    if message.windows(RUN_LIMIT).any(|run| run.iter().all(|&octet| octet == b'\r')) {
        return;
    }
    let want = naive(message);
    for (first, second) in cuts(message) {
        assert_eq!(converted(&[first, second]), want, "cut at {}", first.len());
    }
    assert_eq!(converted(&message.chunks(1).collect::<Vec<_>>()), want, "octet by octet");
    let mut rest = want.as_slice();
    while let Some(at) = rest.iter().position(|octet| matches!(octet, b'\r' | b'\n')) {
        assert!(rest[at..].starts_with(b"\r\n"), "no bare CR or LF");
        rest = &rest[at + 2..];
        assert_eq!(rest.starts_with(b".\r\n"), rest == b".\r\n", "one dot is a line, the last one");
    }
}

fn converted(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut converter, mut out) = (Converter::default(), Vec::new());
    pieces.iter().for_each(|piece| converter.convert(piece, &mut out));
    converter.end(&mut out);
    out
}

/// Line by line.
fn naive(message: &[u8]) -> Vec<u8> {
    let end = message.iter().rposition(|&octet| octet != b'\r').map_or(0, |at| at + 1);
    let message = &message[..end];
    let message = message.strip_suffix(b"\n").unwrap_or(message);
    let lines = message.split(|&octet| octet == b'\n').map(|line| {
        let end = line.iter().rposition(|&octet| octet != b'\r').map_or(0, |at| at + 1);
        let text = line[..end].iter().map(|&octet| if octet == b'\r' { b' ' } else { octet });
        line.first().filter(|&&octet| octet == b'.').copied().into_iter().chain(text).collect::<Vec<u8>>()
    });
    let lines = lines.chain([b".".to_vec(), Vec::new()]);
    lines.collect::<Vec<_>>().join(&b"\r\n"[..])
}
