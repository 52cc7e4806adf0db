//! The body of a multi-line response, decoded piece by piece (RFC 1939 §3).
//!
//! Dots at the beginning of a line are un-stuffed, CRLF becomes LF, and the response ends at
//! CRLF.CRLF and nowhere else.  NUL, 8-bit octets, bare CR and bare LF pass as they are; only a
//! line that began after CRLF can be stuffed or final.  The result is the same however the input
//! is cut into pieces.
//!
//! Some servers end every line with a bare LF, the final dot too.  After a status line that ended with a bare LF,
//! LF ends lines until the first CRLF.

use memchr::memchr;

/// The decoder's position in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// After CRLF, or at the very beginning.
    LineStart,
    /// After a dot at the beginning of a line.
    Dot,
    /// After a dot and CR at the beginning of a line.
    DotCr,
    /// Inside a line.
    Middle,
    /// After CR inside a line.
    Cr,
    /// After the final dot's line.
    Done,
}

/// Decodes one multi-line response.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
    line_ends: u64,
    /// A bare LF ends a line: all lines so far ended with one.
    bare: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { state: State::LineStart, line_ends: 0, bare: false }
    }
}

impl Decoder {
    /// A decoder at the beginning of a response, after its status line.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same; `bare` says that the status line ended with a bare LF.
    pub fn behind(bare: bool) -> Self {
        Self { bare, ..Self::default() }
    }

    /// Whether the final dot has been read.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The number of CRLFs that became LFs: the message has this many more octets on the server.
    pub fn line_ends(&self) -> u64 {
        self.line_ends
    }

    /// Decodes `input`, appending to `out`, up to its end or to the end of the response.  Returns
    /// the number of octets used; what follows belongs to the next reply.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            let octet = input[at];
            self.state = match (self.state, octet) {
                (State::Middle, _) => {
                    at += self.middle(&input[at..], out);
                    continue;
                }
                (State::LineStart, b'.') => State::Dot,
                (State::Dot, b'\r') => State::DotCr,
                (State::DotCr, b'\n') => State::Done,
                (State::Dot, b'\n') if self.bare => State::Done,
                // The octet is looked at again as part of the line.
                (State::LineStart, _) => {
                    self.state = State::Middle;
                    continue;
                }
                // One dot is gone; `..` leaves one, and a dot alone before text leaves none.
                (State::Dot, _) => {
                    self.state = State::Middle;
                    continue;
                }
                (State::DotCr, _) => {
                    self.state = State::Cr;
                    continue;
                }
                (State::Cr, b'\n') => {
                    out.push(b'\n');
                    self.line_ends += 1;
                    self.bare = false;
                    State::LineStart
                }
                (State::Cr, b'\r') => {
                    out.push(b'\r');
                    State::Cr
                }
                (State::Cr, _) => {
                    out.push(b'\r');
                    self.state = State::Middle;
                    continue;
                }
                (State::Done, _) => State::Done,
            };
            at += 1;
        }
        at
    }

    /// Copies the inside of lines, whole lines at memory speed; stops at a line that begins with a
    /// dot and at the end of the input, which need the state machine.
    fn middle(&mut self, input: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let Some(newline) = memchr(b'\n', rest) else {
                // A CR at the very end may be the first half of a line end.
                let (text, cr) = match rest.split_last() {
                    Some((b'\r', text)) => (text, true),
                    _ => (rest, false),
                };
                out.extend_from_slice(text);
                if cr {
                    self.state = State::Cr;
                }
                return input.len();
            };
            at += newline + 1;
            if newline == 0 || rest[newline - 1] != b'\r' {
                out.extend_from_slice(&rest[..=newline]);
                // Elsewhere a bare LF is content and ends no line.
                if self.bare && matches!(input.get(at), Some(b'.') | None) {
                    self.state = State::LineStart;
                    return at;
                }
                continue;
            }
            self.bare = false;
            out.extend_from_slice(&rest[..newline - 1]);
            out.push(b'\n');
            self.line_ends += 1;
            match input.get(at) {
                Some(b'.') | None => {
                    self.state = State::LineStart;
                    return at;
                }
                // The common case: the next line begins without a dot.
                Some(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole response at once, as simply as the RFC says it.
    fn naive(input: &[u8]) -> Option<(Vec<u8>, usize)> {
        let (mut out, mut at) = (Vec::new(), 0);
        loop {
            let line_end = input[at..].windows(2).position(|pair| pair == b"\r\n")?;
            let line = &input[at..at + line_end];
            at += line_end + 2;
            match line {
                b"." => return Some((out, at)),
                [b'.', rest @ ..] => out.extend_from_slice(rest),
                _ => out.extend_from_slice(line),
            }
            out.push(b'\n');
        }
    }

    fn in_pieces(input: &[u8], cuts: &[usize]) -> (Vec<u8>, usize, bool) {
        let (mut decoder, mut out, mut used, mut start) = (Decoder::new(), Vec::new(), 0, 0);
        for &end in cuts.iter().chain([&input.len()]) {
            let piece = &input[start..end.max(start)];
            used += decoder.decode(piece, &mut out);
            start = end.max(start);
        }
        (out, used, decoder.is_done())
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_response() {
        for (input, want) in [
            (".\r\n", Some("")),
            ("a\r\n.\r\n", Some("a\n")),
            ("..\r\n...a\r\n.\r\n", Some(".\n..a\n")),
            ("a\n.\n.\r\n.\r\n", Some("a\n.\n.\n")),
            ("a\r\n.\n\r\n.\r\n", Some("a\n\n\n")),
            ("a\r\n.\rb\r\n.\r\n", Some("a\n\rb\n")),
            ("a\r\r\n.\r\n", Some("a\r\n")),
            (".a\r\n.\r\n", Some("a\n")),
            ("a\r\n.", None),
            ("a\r\n.\r", None),
            ("a\n.\r\n", None),
        ] {
            let (out, used, done) = in_pieces(input.as_bytes(), &[]);
            assert_eq!(done.then(|| String::from_utf8(out).expect("ASCII")), want.map(str::to_owned), "{input:?}");
            assert_eq!(used, input.len());
        }
    }

    #[test]
    fn behind_a_status_line_with_a_bare_lf_it_ends_lines_until_a_crlf_comes() {
        for (input, want) in [
            (".\n", Some("")),
            ("a\n.\n", Some("a\n")),
            ("..\n...a\n.b\n\n.\n", Some(".\n..a\nb\n\n")),
            ("a\n.\r\n", Some("a\n")),
            ("a\r\n.\nb\n.\n\r\n.\r\n", Some("a\n\nb\n.\n\n")),
            ("a\r\nb\n.\nc\r\n.\r\n", Some("a\nb\n.\nc\n")),
            ("a\rb\n.\n", Some("a\rb\n")),
            ("a\n.", None),
            ("a\n", None),
        ] {
            for cut in 0..=input.len() {
                let (mut decoder, mut out) = (Decoder::behind(true), Vec::new());
                for piece in [&input[..cut], &input[cut..]] {
                    decoder.decode(piece.as_bytes(), &mut out);
                }
                let out = String::from_utf8(out).expect("ASCII");
                assert_eq!(decoder.is_done().then_some(out), want.map(str::to_owned), "{input:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn nothing_after_the_end_is_touched() {
        let (out, used, done) = in_pieces(b"a\r\n.\r\n+OK next", &[]);
        assert_eq!((out.as_slice(), used, done), (&b"a\n"[..], 6, true));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_it_is_decoded_as_the_rfc_says(
            input in proptest::collection::vec(proptest::sample::select(vec![
                &b"\r\n"[..], b".", b"..", b"\r", b"\n", b"ab", b"\0\xff", b"\r\n.\r\n", b"a line of text\r\n",
            ]), 0..40),
            cuts in proptest::collection::vec(0usize..400, 0..20),
        ) {
            let input = input.concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let (out, used, done) = in_pieces(&input, &cuts);
            match naive(&input) {
                Some((want, end)) => prop_assert_eq!((out, used, done), (want, end, true)),
                None => prop_assert!(!done && used == input.len()),
            }
        }
    }
}
