//! Replies of an SMTP server (RFC 5321 §4.2), before anything trusts them.
//!
//! Every octet that a server sends goes through [`Replies`].  It bounds the lines and their
//! number, requires a code on each, and passes them on in a form that lettre can always read:
//! text without control characters, ended by CRLF, short.  Pure.

use std::fmt;

use crate::text;
use crate::transcript::{Hidden, NOT_SHOWN};

/// Octets of a line; RFC 5321 §4.5.3.1.5 says 512.
const LINE_LIMIT: usize = 2048;

/// Lines of a reply; EHLO's has some twenty.
const LINES_LIMIT: usize = 100;

/// Octets of a line that are passed on: lettre takes a thousand.
const TEXT_LIMIT: usize = 900;

/// A server's reply, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its code.
    pub code: u16,
    /// Its text: escaped, bounded, on one line.
    pub text: String,
}

impl Reply {
    pub(super) fn new(code: u16, text: &str) -> Self {
        Self { code, text: text::shown(text.as_bytes()) }
    }

    /// 2xx: done.
    pub fn is_completed(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx: not now.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx: never.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// 421: the server is about to close the connection, whatever was asked.
    pub(super) fn is_closing(&self) -> bool {
        self.code == 421
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.text)
    }
}

/// What a server has said, line by line.
#[derive(Debug, Default)]
pub struct Replies {
    /// The line that has not ended.
    line: Vec<u8>,
    /// Lines of the reply that has not ended.
    lines: usize,
    /// Their code.
    code: [u8; 3],
    /// Lines that have not been taken.
    ready: Vec<u8>,
    /// Octets of `ready` that have been taken.
    taken: usize,
    /// Replies that have ended.
    complete: usize,
    /// What no text may show.
    hidden: Hidden,
}

impl Replies {
    /// From now on no text shows this.
    pub fn hide(&mut self, secret: &[u8]) {
        self.hidden.add(secret);
    }

    /// Takes what the server says next.
    ///
    /// # Errors
    /// What is wrong with it: it is not a reply, or too long for one.
    pub fn feed(&mut self, octets: &[u8]) -> Result<(), String> {
        for part in octets.split_inclusive(|&octet| octet == b'\n') {
            if self.line.len() + part.len() > LINE_LIMIT {
                return Err(format!("a line longer than {LINE_LIMIT} octets"));
            }
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line()?;
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), String> {
        let line = std::mem::take(&mut self.line);
        let (code, text) = split(&line).ok_or_else(|| self.hidden.shown(&line))?;
        // RFC 5321 §4.2.1.  Which of two would count is not for us to guess.
        if self.lines > 0 && *code != self.code {
            return Err(format!("two codes in one reply: {}", self.hidden.shown(&line)));
        }
        self.code = *code;
        let is_last = text.first() != Some(&b'-');
        self.lines += 1;
        if self.lines > LINES_LIMIT {
            return Err(format!("a reply of more than {LINES_LIMIT} lines"));
        }
        if is_last {
            self.lines = 0;
            self.complete += 1;
        }
        self.ready.extend_from_slice(code);
        self.ready.push(if is_last { b' ' } else { b'-' });
        let text = text.get(1..).unwrap_or_default();
        let text = match self.hidden.is_in(text) {
            true => format!("{}{NOT_SHOWN}", status(text)),
            false => printable(text),
        };
        // The cut may leave a space at the end, which the next reader would remove.
        let text = text[..text.floor_char_boundary(TEXT_LIMIT)].trim_ascii_end();
        self.ready.extend_from_slice(text.as_bytes());
        self.ready.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// How many replies have ended.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// Whether everything that was said has been taken.
    pub fn is_quiet(&self) -> bool {
        self.line.is_empty() && self.lines == 0 && self.ready().is_empty()
    }

    /// What can be taken.
    pub fn ready(&self) -> &[u8] {
        &self.ready[self.taken..]
    }

    /// Takes some of it.
    pub fn take(&mut self, octets: usize) {
        self.taken += octets;
        if self.taken >= self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
    }

    /// Takes a whole reply: its code and the text of each line.
    pub fn take_reply(&mut self) -> Option<(u16, Vec<String>)> {
        let mut lines = Vec::new();
        let mut end = 0;
        for line in self.ready().split_inclusive(|&octet| octet == b'\n') {
            end += line.len();
            lines.push(String::from_utf8_lossy(line.get(4..).unwrap_or_default().trim_ascii_end()).into_owned());
            if line.get(3) == Some(&b' ') {
                let code = std::str::from_utf8(&line[..3]).ok()?.parse().ok()?;
                self.take(end);
                return Some((code, lines));
            }
        }
        None
    }
}

/// Splits a line after its code; some servers end a reply with a code and nothing else.
fn split(line: &[u8]) -> Option<(&[u8; 3], &[u8])> {
    let line = line.trim_ascii_end();
    let (code, text) = line.split_first_chunk()?;
    // The digits that RFC 5321 §4.2.1 gives a meaning; lettre knows no others.
    let good = matches!(code, [b'2'..=b'5', b'0'..=b'5', b'0'..=b'9']);
    (good && matches!(text.first(), None | Some(b' ' | b'-'))).then_some((code, text))
}

/// The status at the beginning of a text (RFC 2034), and the space after it.
fn status(text: &[u8]) -> String {
    let word = text.split(|octet| *octet == b' ').next().unwrap_or_default();
    let mut numbers = word.split(|octet| *octet == b'.');
    let is_number = |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let is_status = numbers.by_ref().take(3).filter(|part| is_number(part)).count() == 3 && numbers.next().is_none();
    if is_status { printable(word) + " " } else { String::new() }
}

fn printable(text: &[u8]) -> String {
    let safe = |c: char| if c.is_control() { '?' } else { c };
    match std::str::from_utf8(text) {
        Ok(text) => text.chars().map(safe).collect(),
        Err(_) => text.iter().map(|octet| if octet.is_ascii() { safe((*octet).into()) } else { '?' }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(octets: &[u8]) -> Result<Replies, String> {
        let mut replies = Replies::default();
        replies.feed(octets).map(|()| replies)
    }

    #[test]
    fn replies_are_the_same_wherever_they_are_cut() {
        let said = b"220 ready\r\n250-one\n250-\r\n250\r\n550 caf\xe9 \x1b[m\r\n";
        let want = b"220 ready\r\n250-one\r\n250-\r\n250 \r\n550 caf? ?[m\r\n";
        for cut in 0..=said.len() {
            let mut replies = fed(&said[..cut]).expect("replies");
            replies.feed(&said[cut..]).expect("replies");
            assert_eq!((replies.ready(), replies.complete()), (&want[..], 3));
        }
        let mut replies = fed(said).expect("replies");
        assert_eq!(replies.take_reply(), Some((220, vec!["ready".into()])));
        assert_eq!(replies.take_reply(), Some((250, vec!["one".into(), String::new(), String::new()])));
        assert_eq!(replies.take_reply(), Some((550, vec!["caf? ?[m".into()])));
        assert_eq!(replies.take_reply(), None);
        assert!(replies.is_quiet());
    }

    #[test]
    fn a_text_that_repeats_a_secret_is_replaced_behind_its_code_and_status() {
        let mut replies = Replies::default();
        replies.hide(b"a long secret");
        let said = ["550-5.7.1 you are A LONG SECRET", "550-5.7.1 a l", "550 6.6 YSBsb25nIHNlY3JldA==", "250 ok"];
        replies.feed((said.join("\r\n") + "\r\n").as_bytes()).expect("replies");
        let hidden = "(its answer repeats what it was sent, and is not shown)";
        let told = vec![format!("5.7.1 {hidden}"), "5.7.1 a l".into(), hidden.into()];
        assert_eq!(replies.take_reply(), Some((550, told)));
        assert_eq!(replies.take_reply(), Some((250, vec!["ok".into()])));
        let error = replies.feed(b"hello a long secret\r\n").expect_err("no reply");
        assert_eq!(error, hidden);
    }

    #[test]
    fn what_has_not_ended_is_not_quiet() {
        for said in ["2", "250-a\r\n", "250 a\r\n"] {
            assert!(!fed(said.as_bytes()).expect("replies").is_quiet(), "{said:?}");
        }
        assert_eq!(fed(b"250-a\r\n250 b").expect("replies").take_reply(), None);
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for said in [
            "250-a\r\n550 b\r\n",
            "hello\r\n",
            "\r\n",
            "25\r\n",
            "250_x\r\n",
            "690 x\r\n",
            "100 x\r\n",
            "+OK\r\n",
            "2\u{e9}0 \r\n",
        ] {
            assert!(fed(said.as_bytes()).is_err(), "{said:?}");
        }
    }

    #[test]
    fn replies_are_bounded() {
        assert!(fed(&[b'2'; LINE_LIMIT + 1]).is_err());
        assert!(fed("250-x\r\n".repeat(LINES_LIMIT).as_bytes()).is_ok());
        assert!(fed("250-x\r\n".repeat(LINES_LIMIT + 1).as_bytes()).is_err());
        let long = fed(format!("250 {}\r\n", "ü".repeat(1000)).as_bytes()).expect("a reply");
        assert!(long.ready().len() < 1000);
    }

    #[test]
    fn what_is_given_on_is_read_again_as_the_same() {
        for cut in ["", " ", "   ", "\u{fc}", " \u{fc}", "\t ", "\u{a0} "] {
            for length in TEXT_LIMIT - 4..TEXT_LIMIT + 4 {
                let said = format!("250-{}{cut}and more\r\n250 {cut}\r\n", "x".repeat(length));
                let ready = fed(said.as_bytes()).expect("a reply").ready().to_vec();
                assert_eq!(fed(&ready).expect("a reply").ready(), ready, "{cut:?} at {length}");
            }
        }
    }
}
