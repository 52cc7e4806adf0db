//! Follows the records of TLS as they arrive (RFC 5246 §6.2.1, RFC 8446 §5.1), and refuses a second
//! handshake.
//!
//! TLS 1.2 lets a server ask for a second handshake, in which it may show another certificate
//! (§7.4.1.1).  OpenSSL complies, and a pin was compared only once.  Its option against that
//! (`SSL_OP_NO_RENEGOTIATION`) cannot be set through the TLS library, so the records' headers, which are in
//! clear, are checked here.  TLS 1.3 has no second handshake, and what it sends afterwards, such as new
//! tickets, is in records that look like application data.

use std::io;

/// The content type of a handshake.
const HANDSHAKE: u8 = 22;

/// Type, version and length.
const HEADER_OCTETS: usize = 5;

/// Follows the records of one direction.
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; HEADER_OCTETS],
    /// Octets of the header that have come.
    have: usize,
    /// Octets of the record that are still to come.
    rest: usize,
    /// The handshake is done.
    established: bool,
    /// A second one was begun.
    broken: bool,
}

impl Records {
    /// The handshake is done: from the next record on, another one is refused.
    pub(super) fn establish(&mut self) {
        self.established = true;
    }

    /// Follows the octets that have come.
    ///
    /// # Errors
    /// A second handshake was begun; every later call fails too.
    pub(super) fn follow(&mut self, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() && !self.broken {
            let body = self.rest.min(octets.len());
            self.rest -= body;
            octets = &octets[body..];
            let missing = (HEADER_OCTETS - self.have).min(octets.len());
            self.header[self.have..self.have + missing].copy_from_slice(&octets[..missing]);
            self.have += missing;
            octets = &octets[missing..];
            if self.have == HEADER_OCTETS {
                let [kind, _, _, high, low] = self.header;
                self.rest = usize::from(u16::from_be_bytes([high, low]));
                self.have = 0;
                self.broken = self.established && kind == HANDSHAKE;
            }
        }
        if self.broken {
            Err(io::Error::other("the server began a second TLS handshake, which is refused"))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, octets: &[u8]) -> Vec<u8> {
        let length = u16::try_from(octets.len()).expect("short").to_be_bytes();
        [&[kind, 3, 3][..], &length, octets].concat()
    }

    /// Whether all octets are accepted, in pieces of this size.
    fn goes_on(records: &mut Records, octets: &[u8], piece: usize) -> bool {
        octets.chunks(piece).map(|octets| records.follow(octets).is_ok()).last().unwrap_or(true)
    }

    proptest::proptest! {
        #[test]
        fn a_handshake_is_refused_after_the_handshake_wherever_the_octets_are_cut(
            first in proptest::collection::vec((20..24_u8, 0..300_usize), 0..6),
            later in proptest::collection::vec((proptest::sample::select(vec![20_u8, 21, 23, 24, 0, 255]), 0..300_usize), 0..6),
            piece in 1..400_usize,
        ) {
            // The content of a record does not matter.
            let all = |records: &[(u8, usize)]| -> Vec<u8> {
                records.iter().flat_map(|&(kind, length)| record(kind, &[HANDSHAKE].repeat(length))).collect()
            };
            let mut records = Records::default();
            proptest::prop_assert!(goes_on(&mut records, &all(&first), piece));
            records.establish();
            proptest::prop_assert!(goes_on(&mut records, &all(&later), piece));
            proptest::prop_assert!(!goes_on(&mut records, &record(HANDSHAKE, &[0; 32]), piece));
            proptest::prop_assert!(!goes_on(&mut records, &all(&[(23, 4)]), piece), "and that is the end");
        }
    }
}
