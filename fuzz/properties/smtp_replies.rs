//! What an SMTP server says: replies, wherever they are cut, in a form that lettre can read; and
//! what the answer to EHLO offers.

use lettre::transport::smtp::extension::{Extension, ServerInfo};
use lettre::transport::smtp::response::Response;
use postrider::testing::deliver::smtp::{Extensions, Replies};

use super::cuts;

const LINE_LIMIT: usize = 2048;
const LINES_LIMIT: usize = 100;

pub(super) fn holds(said: &[u8]) {
    let whole = fed(&[said]);
    assert_eq!(whole.is_some(), naive(said), "what is a reply");
    for (first, second) in cuts(said) {
        assert_eq!(fed(&[first, second]), whole, "cut at {}", first.len());
    }
    assert_eq!(fed(&said.chunks(1).collect::<Vec<_>>()), whole, "octet by octet");
    let Some((ready, complete, _)) = whole else { return };
    assert_eq!(fed(&[&ready]).map(|(again, ..)| again), Some(ready.clone()), "what is given on says the same");
    let mut replies = Replies::default();
    replies.feed(&ready).expect("replies");
    let mut at = 0;
    for _ in 0..complete {
        let left = replies.ready().len();
        let (code, lines) = replies.take_reply().expect("as many as have ended");
        let octets = &ready[at..at + left - replies.ready().len()];
        at += octets.len();
        understood(octets, code, &lines);
        offered(&lines);
    }
    assert_eq!(replies.take_reply(), None);
}

/// What is passed on, how many replies have ended, and whether nothing is left; `None`: refused.
fn fed(pieces: &[&[u8]]) -> Option<(Vec<u8>, usize, bool)> {
    let mut replies = Replies::default();
    for piece in pieces {
        replies.feed(piece).ok()?;
    }
    Some((replies.ready().to_vec(), replies.complete(), replies.is_quiet()))
}

/// Whether every line is one of a reply (RFC 5321 §4.2).
fn naive(said: &[u8]) -> bool {
    let mut lines: Vec<&[u8]> = said.split_inclusive(|&octet| octet == b'\n').collect();
    if lines.iter().any(|line| line.len() > LINE_LIMIT) {
        return false;
    }
    lines.retain(|line| line.ends_with(b"\n"));
    let (mut length, mut code) = (0, None);
    lines.iter().all(|line| {
        length += 1;
        if *code.get_or_insert(line.get(..3)) != line.get(..3) {
            return false;
        }
        let good = match line.trim_ascii_end() {
            [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9'] => Some(true),
            [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9', b' ', ..] => Some(true),
            [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9', b'-', ..] => Some(false),
            _ => None,
        };
        let short = length <= LINES_LIMIT;
        if good == Some(true) {
            (length, code) = (0, None);
        }
        good.is_some() && short
    })
}

/// lettre reads it, and reads the same.
fn understood(octets: &[u8], code: u16, lines: &[String]) {
    let text = std::str::from_utf8(octets).expect("text");
    assert!(text.split("\r\n").all(|line| line.len() < 1000 && !line.contains(|c: char| c.is_control())), "{text:?}");
    let response: Response = text.parse().unwrap_or_else(|error| panic!("{error}: {text:?}"));
    assert_eq!(u16::from(response.code()), code);
    let read: Vec<&str> = response.message().map(str::trim_end).collect();
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    assert_eq!(read, lines, "{text:?}");
}

/// What we tell lettre of the offers is what was offered, STARTTLS and the size apart.
fn offered(lines: &[String]) {
    let found = Extensions::parse(lines);
    let answer = found.answer();
    let mut replies = Replies::default();
    replies.feed(answer.as_bytes()).expect("a reply");
    let (_, told) = replies.take_reply().expect("a reply");
    let want = Extensions { start_tls: false, size: found.size.map(|_| None), ..found.clone() };
    assert_eq!(Extensions::parse(&told), want);
    let info = ServerInfo::from_response(&answer.parse().expect("a response")).expect("lettre's view");
    assert_eq!(info.supports_feature(Extension::EightBitMime), found.eight_bit_mime);
    assert_eq!(info.supports_feature(Extension::SmtpUtfEight), found.smtp_utf8);
    assert!(!info.supports_feature(Extension::StartTls));
}
