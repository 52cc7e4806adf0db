//! Files in PEM: how one is read, and which blocks it has (RFC 7468 §2, RFC 1421 §4.4).
//!
//! Text around the blocks, a byte order mark and CRLF are allowed.  A block without its end is ignored.

use std::path::Path;

use native_tls::Certificate;
use zeroize::Zeroizing;

use super::NetError;
use crate::filesystem::{self, Accepts, ReadError, owner};

/// The most octets of a file of certificates or of a key; a system's whole bundle has a quarter of a million.
const FILE_LIMIT: u64 = 16 << 20;

/// What some editors put at the beginning of a text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The lines from a `BEGIN` to its `END`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block<'f> {
    /// Such as `CERTIFICATE`.
    pub(super) label: &'f str,
    /// The lines.
    pub(super) text: &'f [u8],
}

impl Block<'_> {
    /// Whether it is a certificate; the second name dates from before 1999.
    pub(super) fn is_certificate(&self) -> bool {
        matches!(self.label, "CERTIFICATE" | "X509 CERTIFICATE")
    }

    /// Whether it is a private key of any kind.
    pub(super) fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// Whether a pass phrase is needed: by its name, or by the header of the older kind.
    pub(super) fn is_encrypted(&self) -> bool {
        let is_header = |line: &[u8]| line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED");
        self.label.starts_with("ENCRYPTED") || self.text.split(|&octet| octet == b'\n').any(is_header)
    }
}

/// The blocks of a file, in their order.
pub(super) fn blocks(file: &[u8]) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut begun: Option<(&str, usize)> = None;
    let mut at = 0;
    for line in file.split_inclusive(|&octet| octet == b'\n') {
        at += line.len();
        // Also in the middle, where two files were joined.
        let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        let start = at - line.len();
        if let Some(label) = label(line, "-----BEGIN ") {
            begun = Some((label, start));
        } else if let (Some(end), Some((label, start))) = (label(line, "-----END "), begun) {
            if end == label {
                found.push(Block { label, text: &file[start..at] });
            }
            begun = None;
        }
    }
    found
}

fn label<'f>(line: &'f [u8], boundary: &str) -> Option<&'f str> {
    let line = std::str::from_utf8(line.trim_ascii_end()).ok()?;
    line.strip_prefix(boundary)?.strip_suffix("-----")
}

/// Reads a whole file, which is wiped when it is dropped.
///
/// # Errors
/// [`NetError::File`] if it cannot be read, is too long, or others may write it.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, NetError> {
    let read = filesystem::read(path, FILE_LIMIT, Accepts::File);
    let filesystem::Content { octets, metadata } = read.map_err(|error| unread(path, &error))?;
    if let Some(fault) = owner::fault(&metadata) {
        return Err(bad(path, fault.told(path)));
    }
    if octets.len() as u64 > FILE_LIMIT { Err(bad(path, "is longer than 16 MiB")) } else { Ok(octets) }
}

/// Reads a file of authorities.  The TLS library skips what it cannot read, so every certificate is
/// parsed here.
///
/// # Errors
/// [`NetError::File`] if there are none.
pub(super) fn read_authorities(path: &Path) -> Result<Vec<Certificate>, NetError> {
    let certificates = Certificate::stack_from_pem(&read(path)?).unwrap_or_default();
    if certificates.is_empty() {
        Err(bad(path, "holds no certificate in PEM (BEGIN CERTIFICATE)"))
    } else {
        Ok(certificates)
    }
}

/// The error for a faulty file.
pub(super) fn bad(path: &Path, cause: impl Into<String>) -> NetError {
    NetError::File { path: path.to_owned(), cause: cause.into(), is_late: false }
}

/// The error for a file that was not read.
fn unread(path: &Path, error: &ReadError) -> NetError {
    NetError::File { path: path.to_owned(), cause: error.to_string(), is_late: error.is_late() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_whatever_surrounds_them() {
        let file = "\u{feff}-----BEGIN CERTIFICATE-----\r\nAA==\r\n-----END CERTIFICATE-----\r\ntext -----BEGIN X-----\n\
                    \u{feff}-----BEGIN A-----\n-----BEGIN EC PARAMETERS-----\nBB==\n-----END EC PARAMETERS-----\n\
                    -----BEGIN B-----\n-----END C-----\n-----END B-----\n\u{feff}-----BEGIN EC PRIVATE KEY-----\n\
                    CC==\n-----END EC PRIVATE KEY-----";
        let found = blocks(file.as_bytes());
        let labels: Vec<&str> = found.iter().map(|block| block.label).collect();
        assert_eq!(labels, ["CERTIFICATE", "EC PARAMETERS", "EC PRIVATE KEY"]);
        assert_eq!(found[0].text, b"-----BEGIN CERTIFICATE-----\r\nAA==\r\n-----END CERTIFICATE-----\r\n");
        assert_eq!(found[2].text, b"-----BEGIN EC PRIVATE KEY-----\nCC==\n-----END EC PRIVATE KEY-----");
        for cut in 0..file.len() {
            blocks(&file.as_bytes()[..cut]);
        }
    }

    #[test]
    fn what_needs_a_pass_phrase_is_known_by_name_or_header() {
        for (text, encrypted) in [
            ("-----BEGIN PRIVATE KEY-----\nA\n-----END PRIVATE KEY-----\n", false),
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nA\n-----END ENCRYPTED PRIVATE KEY-----\n", true),
            (
                "-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: X\r\n\r\nA\r\n-----END RSA PRIVATE KEY-----\r\n",
                true,
            ),
        ] {
            let found = blocks(text.as_bytes());
            assert!(found.len() == 1 && found[0].is_key() && found[0].is_encrypted() == encrypted, "{text}");
        }
    }
}
