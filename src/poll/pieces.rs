//! Cuts a message into pieces as it comes.
//!
//! The first piece holds the whole header, or as much of it as is ever looked at: what is read out of the
//! header does not depend on how the octets were divided on the way.

use crate::header::{self, SCAN_LIMIT};

/// Octets that are handed over at once: a smaller message is one write into its file.
const PIECE_OCTETS: usize = 48 * 1024;

/// Octets that may come at a time.
const READ_OCTETS: usize = 32 * 1024;

/// A message that is being received.
#[derive(Debug)]
pub(super) struct Pieces {
    data: Vec<u8>,
    /// Octets before the message, until the first piece is cut.
    prefix: Option<usize>,
    /// Octets of the message in which the end of its header was not found.
    looked_at: usize,
}

impl Pieces {
    /// `prefix` goes before the message, of which about `octets` are to come.
    pub(super) fn new(prefix: &[u8], octets: usize) -> Self {
        let mut data = Vec::with_capacity(prefix.len() + octets.min(PIECE_OCTETS) + 1024);
        data.extend_from_slice(prefix);
        Self { data, prefix: Some(prefix.len()), looked_at: 0 }
    }

    /// Where the next octets are appended.
    pub(super) fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.data
    }

    /// The beginning of the message; nothing once the first piece is cut.
    pub(super) fn beginning(&self) -> &[u8] {
        self.prefix.map_or(&[], |prefix| &self.data[prefix..])
    }

    /// Throws away what was not cut.
    pub(super) fn discard(&mut self) {
        self.data.clear();
        self.prefix = None;
    }

    /// The next piece, if it is large enough, or if the message is `complete`.
    pub(super) fn cut(&mut self, complete: bool) -> Option<Vec<u8>> {
        if !complete && (self.data.len() < PIECE_OCTETS || !self.holds_header()) {
            return None;
        }
        self.prefix = None;
        Some(if complete {
            std::mem::take(&mut self.data)
        } else {
            std::mem::replace(&mut self.data, Vec::with_capacity(PIECE_OCTETS + READ_OCTETS))
        })
    }

    /// Whether the next piece may be cut without cutting a header that will be read.
    fn holds_header(&mut self) -> bool {
        let Some(prefix) = self.prefix else { return true };
        let message = &self.data[prefix..];
        let is_whole = message.len() >= SCAN_LIMIT || header::ends_within(message, self.looked_at);
        self.looked_at = message.len();
        is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Head;

    /// The first piece of a message that comes in parts of `step` octets, and all pieces.
    fn cut(message: &[u8], step: usize) -> (Vec<u8>, Vec<u8>) {
        let (mut pieces, mut all) = (Pieces::new(b"", message.len()), Vec::new());
        let mut parts = message.chunks(step).peekable();
        while let Some(part) = parts.next() {
            pieces.tail().extend_from_slice(part);
            all.extend(pieces.cut(parts.peek().is_none()));
        }
        (all[0].clone(), all.concat())
    }

    fn long_header(octets: usize, end: &str) -> String {
        let mut header = String::from("Received: by mx; now\nTo: ");
        while header.len() < octets {
            header.push_str("someone.or.other@example.org,\n\t");
        }
        header + "last@example.org\nMessage-ID: <1@x>\nFrom: alice@example.org" + end
    }

    #[test]
    fn what_a_header_tells_does_not_depend_on_how_its_octets_are_divided() {
        for octets in [0, 47 << 10, 49 << 10, 55 << 10, 63 << 10, (64 << 10) - 120, 64 << 10, 65 << 10, 200 << 10] {
            for end in ["\n\nbody\n", "\r\n\r\nbody\r\n", "\n\r\nbody", "\n"] {
                let message = long_header(octets, end) + &"some text\n".repeat(20_000);
                let want = Head::scan(&message.as_bytes()[..message.len().min(SCAN_LIMIT)]);
                for step in [997, 1460, 8 << 10, 16 << 10, 31 << 10, 32 << 10] {
                    let (first, all) = cut(message.as_bytes(), step);
                    assert_eq!(Head::scan(&first), want, "{octets} octets by {step}, {end:?}");
                    assert!(first.len() <= SCAN_LIMIT + READ_OCTETS, "{}", first.len());
                    assert!(all == message.as_bytes());
                }
            }
        }
    }

    #[test]
    fn a_header_that_comes_octet_by_octet_is_looked_at_once() {
        let start = std::time::Instant::now();
        let message = long_header(60 << 10, "\n\n");
        let (first, _) = cut(message.as_bytes(), 1);
        assert_eq!(first.len(), message.len());
        assert!(start.elapsed().as_secs() < 10);
    }

    #[test]
    fn a_message_without_a_header_is_cut_as_any_other() {
        let (first, _) = cut(format!("\n{}", "x\n".repeat(200_000)).as_bytes(), 4096);
        assert!((PIECE_OCTETS..PIECE_OCTETS + READ_OCTETS).contains(&first.len()));
    }
}
