//! Makes foreign text safe to show: bounded, on one line, without control bytes.

/// The most octets of server text in a log line or an error.
pub const SHOWN_LIMIT: usize = 200;

/// At most `limit` octets of `bytes`, printable: valid UTF-8 without control characters stays,
/// everything else becomes `\xNN`; what is cut off is marked by `...`.
pub fn escape(bytes: &[u8], limit: usize) -> String {
    let (shown, cut) = if bytes.len() > limit { (&bytes[..limit], true) } else { (bytes, false) };
    let mut out = String::with_capacity(shown.len());
    for chunk in shown.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_safe(c) {
                out.push(c);
            } else {
                let mut utf8 = [0; 4];
                c.encode_utf8(&mut utf8).bytes().for_each(|b| push_hex(&mut out, b));
            }
        }
        // The cut may have split a character: its first bytes are not the server's fault.
        let split = cut && std::ptr::eq(chunk.invalid().as_ptr_range().end, shown.as_ptr_range().end);
        if !split {
            chunk.invalid().iter().for_each(|&b| push_hex(&mut out, b));
        }
    }
    if cut {
        out.push_str("...");
    }
    out
}

/// [`escape`] with the limit for logs and errors.
pub fn shown(bytes: &[u8]) -> String {
    escape(bytes.trim_ascii(), SHOWN_LIMIT)
}

/// A time, in seconds since 1970, in the zone of this machine.
pub fn local_time(at: i64) -> String {
    let stamp = jiff::Timestamp::from_second(at).unwrap_or_default();
    stamp.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// [`escape`] for a text of several lines, which stay separate.
pub fn lines(text: &str) -> String {
    text.split('\n').map(|line| escape(line.as_bytes(), usize::MAX)).collect::<Vec<_>>().join("\n")
}

/// Not a control character, and nothing that reorders or hides the text around it.
fn is_safe(c: char) -> bool {
    let invisible =
        matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !invisible
}

/// Octets as lower-case hexadecimal digits.
pub fn hex(octets: &[u8]) -> String {
    let mut out = String::with_capacity(2 * octets.len());
    octets.iter().for_each(|&octet| push_digits(&mut out, octet));
    out
}

fn push_hex(out: &mut String, byte: u8) {
    out.push_str("\\x");
    push_digits(out, byte);
}

fn push_digits(out: &mut String, octet: u8) {
    for nibble in [octet >> 4, octet & 15] {
        out.push(char::from_digit(nibble.into(), 16).unwrap_or('?'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_text_cannot_steer_a_terminal_or_forge_a_line() {
        assert_eq!(escape(b"no\x1b[31m\r\nAug 1 root: ok", 99), "no\\x1b[31m\\x0d\\x0aAug 1 root: ok");
        assert_eq!(escape("a\u{202e}b".as_bytes(), 99), "a\\xe2\\x80\\xaeb");
        assert_eq!(escape("Grüße".as_bytes(), 99), "Grüße");
        assert_eq!(escape(b"caf\xe9", 99), "caf\\xe9");
        assert_eq!(hex(&[0x00, 0x7f, 0xA0, 0xff]), "007fa0ff");
        assert_eq!(lines("a\x1b[31m\n\r\n"), "a\\x1b[31m\n\\x0d\n");
    }

    #[test]
    fn server_text_is_bounded() {
        assert_eq!(escape(b"abcdef", 3), "abc...");
        assert_eq!(escape("aü".as_bytes(), 2), "a...");
    }
}
