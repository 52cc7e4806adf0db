//! A message as it is sent with DATA: every line ended by CRLF, no other CR or LF, and dots stuffed.
//!
//! Whatever a message holds, the server must see the lines that the message has: a bare CR or LF
//! that servers read differently would let a sender smuggle a second message through (2023, "SMTP
//! smuggling").  LF and CRLF become CRLF; CRs directly before a line end are dropped; a CR
//! anywhere else becomes a space.  Everything else stays, NUL, eight-bit octets and lines longer
//! than the 998 octets of RFC 5321 §4.5.3.1 included.
//!
//! A line that begins with a dot gets another one (RFC 5321 §4.5.2).  A message without a final
//! line end gets one, and nothing else is added.  Pure.

/// CRs in a row that are remembered to see what follows them; any more become spaces at once, so
/// that a message of nothing but CRs takes no memory.
const RUN_LIMIT: usize = 1024;

/// What follows a message: the end of its last line, and a line that is a dot.
const END: &[u8] = b"\r\n.\r\n";

/// The state of a conversion between two pieces.
#[derive(Debug)]
pub struct Converter {
    /// CRs that were read and are not decided yet.
    carriage_returns: usize,
    /// A line end that is written before whatever follows it; the last one is part of [`END`].
    line_end: bool,
    /// Nothing of the line has been written.
    line_start: bool,
}

impl Default for Converter {
    fn default() -> Self {
        Self { carriage_returns: 0, line_end: false, line_start: true }
    }
}

impl Converter {
    /// Appends the next piece to `out`, wherever the message is cut.
    pub fn convert(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        out.reserve(piece.len() + piece.len() / 16);
        let mut rest = piece;
        while let Some(&octet) = rest.first() {
            rest = match octet {
                b'\n' => {
                    self.carriage_returns = 0;
                    self.end_line(out);
                    &rest[1..]
                }
                b'\r' => {
                    if self.carriage_returns == RUN_LIMIT {
                        self.settle(out);
                    }
                    self.carriage_returns += 1;
                    &rest[1..]
                }
                _ => {
                    self.settle(out);
                    if std::mem::take(&mut self.line_start) && octet == b'.' {
                        out.push(b'.');
                    }
                    let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                    out.extend_from_slice(&rest[..end]);
                    &rest[end..]
                }
            };
        }
    }

    /// Appends the end of the message to `out`, and forgets the message.  What was undecided is
    /// left out.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        *self = Self::default();
        out.extend_from_slice(END);
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.line_end {
            out.extend_from_slice(b"\r\n");
        }
        self.line_end = true;
    }

    /// Writes what the next octet decides: the line end before it, and bare CRs.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.line_end) {
            out.extend_from_slice(b"\r\n");
            self.line_start = true;
        }
        let spaces = std::mem::take(&mut self.carriage_returns);
        out.resize(out.len() + spaces, b' ');
        self.line_start &= spaces == 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without what ends the message.
    fn convert(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut converter, mut out) = (Converter::default(), Vec::new());
        pieces.iter().for_each(|piece| converter.convert(piece, &mut out));
        out
    }

    #[test]
    fn only_line_ends_change_wherever_the_message_is_cut() {
        for (message, want) in [
            (&b"a\nb\n"[..], &b"a\r\nb"[..]),
            (b"a\r\nb\r\n", b"a\r\nb"),
            (b"a\r\n\r\n\r\n", b"a\r\n\r\n"),
            (b"a", b"a"),
            (b"", b""),
            (b"\n", b""),
            (b"\n\n", b"\r\n"),
            (b"a\r\r\r\nb", b"a\r\nb"),
            (b"a\rb\r\rc", b"a b  c"),
            (b"a\r\n\rb", b"a\r\n b"),
            (b"a\r", b"a"),
            (b"\r", b""),
            (b"a\n\r.\n\r\n", b"a\r\n .\r\n"),
            (b"a\r.\rb\n.\n", b"a . b\r\n.."),
            (b"\0\xff\n.\n", b"\0\xff\r\n.."),
            (b".", b".."),
            (b"..\r\n.a\r\n\r\n..", b"...\r\n..a\r\n\r\n..."),
            (b"\r.\n", b" ."),
        ] {
            assert_eq!(convert(&[message]), want, "{message:?}");
            for cut in 0..=message.len() {
                for second in cut..=message.len() {
                    let pieces = [&message[..cut], &message[cut..second], &message[second..]];
                    assert_eq!(convert(&pieces), want, "{pieces:?}");
                }
            }
        }
    }

    #[test]
    fn a_message_ends_with_one_dot() {
        for (message, want) in [(&b""[..], &b"\r\n.\r\n"[..]), (b"a", b"a\r\n.\r\n"), (b".\r\n", b"..\r\n.\r\n")] {
            let (mut converter, mut out) = (Converter::default(), Vec::new());
            // Twice: the first message must leave nothing behind.
            for _ in 0..2 {
                out.clear();
                converter.convert(message, &mut out);
                converter.end(&mut out);
                assert_eq!(out, want, "{message:?}");
            }
        }
    }

    #[test]
    fn nothing_that_it_writes_can_be_read_in_two_ways() {
        let mut seed = 1_u64;
        for _ in 0..2000 {
            let message: Vec<u8> = (0..40)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    b"\r\n\r\n.a"[(seed >> 40) as usize % 6]
                })
                .collect();
            let wire = convert(&[&message]);
            let text = String::from_utf8(wire).expect("ASCII").replace("\r\n", "");
            assert!(!text.contains(['\r', '\n']), "{message:?}");
        }
    }

    #[test]
    fn a_message_of_carriage_returns_takes_no_memory() {
        let mut converter = Converter::default();
        let mut octets = 0;
        for _ in 0..100 {
            let mut out = Vec::new();
            converter.convert(&[b'\r'; 65_536], &mut out);
            octets += out.len();
            assert!(converter.carriage_returns <= RUN_LIMIT);
        }
        assert_eq!(octets + converter.carriage_returns, 100 * 65_536);
    }
}
