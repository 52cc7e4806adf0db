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

/// A text for a line of a table: at most `limit` characters, the last one `…` if there were more.  White space becomes
/// single spaces, control characters become `\xNN`, and what is invisible is left out.
pub fn one_line(text: &str, limit: usize) -> String {
    let (mut out, mut left, mut is_spaced) = (String::new(), limit, false);
    for c in text.chars() {
        if c.is_whitespace() {
            is_spaced = !out.is_empty();
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        let mut shown = if std::mem::take(&mut is_spaced) { " ".to_owned() } else { String::new() };
        if c.is_control() {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|octet| push_hex(&mut shown, octet));
        } else {
            shown.push(c);
        }
        let Some(after) = left.checked_sub(shown.chars().count()) else {
            return cut(&out, limit);
        };
        (left, out) = (after, out + &shown);
    }
    out
}

/// The beginning of a text that was longer.
fn cut(text: &str, limit: usize) -> String {
    let mut out: String = text.chars().take(limit.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// A time, in seconds since 1970, as RFC 3339 writes it.
pub fn rfc3339(at: i64) -> String {
    jiff::Timestamp::from_second(at).unwrap_or_default().to_string()
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
    !c.is_control() && !is_invisible(c) && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// Nothing of it is seen, but it may reorder, hide or join what is around it: Unicode's `Default_Ignorable_Code_Point`,
/// and what else has no width of its own.  Terminals disagree about the width of selected variants of a character.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
    fn a_line_of_a_table_is_bounded_visible_and_without_control_characters() {
        for (text, want) in [
            ("  a \r\n\t b\u{a0}\u{3000}c\u{2028} ", "a b c"),
            ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
            ("a\u{9b}1A\u{7f}\0", "a\\xc2\\x9b1A\\x7f\\x00"),
            ("invoice\u{202e}fdp.exe\u{2066}\u{200b}\u{e0041}", "invoicefdp.exe"),
            ("\u{2764}\u{fe0f} \u{1f469}\u{200d}\u{1f4bb}", "\u{2764} \u{1f469}\u{1f4bb}"),
            ("", ""),
            (" \u{200b}\t", ""),
        ] {
            assert_eq!(one_line(text, 99), want, "{text:?}");
            assert_eq!(one_line(want, 99), want, "it stays as it is");
        }
        for (text, limit, want) in
            [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("日本語です", 3, "日本…"), ("ab c", 3, "ab…"), ("a\x07", 3, "a…")]
        {
            assert_eq!(one_line(text, limit), want, "{text:?}");
        }
        assert_eq!(rfc3339(1_672_628_645), "2023-01-02T03:04:05Z");
    }

    #[test]
    fn server_text_is_bounded() {
        assert_eq!(escape(b"abcdef", 3), "abc...");
        assert_eq!(escape("aü".as_bytes(), 2), "a...");
    }
}
