//! The line that an mbox file has before each message (RFC 4155), if a server hands it out as part of
//! the message: `From alice@example.org Mon Jan  1 00:00:00 2024`, also quoted as `>From`.
//!
//! It is not a field.  If a field is put before it, it is a line in the middle of the header, and many
//! programs take the header to end there.

/// More such lines than this are not an envelope.
const LINES_LIMIT: usize = 16;

/// The days as `asctime` writes them.
const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// Octets of such lines at the beginning of a message.  A text that begins with the word `From` has none: the lines
/// count if a field follows them, and otherwise only with a day and a time in each.
pub fn envelope_lines(message: &[u8]) -> usize {
    let (mut end, mut dated) = (0, true);
    for _ in 0..LINES_LIMIT {
        let line = line(&message[end..]);
        if !is_envelope(line) {
            break;
        }
        dated &= is_dated(line);
        end += line.len();
    }
    if dated || is_field(line(&message[end..])) { end } else { 0 }
}

/// The first line with its end; empty if it has no end.
fn line(octets: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', octets).map_or(&[], |at| &octets[..=at])
}

fn is_envelope(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|&&octet| octet == b'>').count();
    // `From : alice` is a field in the manner of RFC 822.
    let sender = line[quotes..].strip_prefix(b"From ").map(<[u8]>::trim_ascii_start);
    sender.is_some_and(|sender| !sender.starts_with(b":"))
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = memchr::memchr(b':', line) else { return false };
    let name = line[..colon].trim_ascii_end();
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

fn is_dated(line: &[u8]) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).map(|word| word.strip_suffix(b",").unwrap_or(word));
    words.any(|word| DAYS.contains(&word)) && words.any(is_time)
}

/// `0:00`, `00:00`, `00:00:00`.
fn is_time(word: &[u8]) -> bool {
    let mut parts = word.split(|&octet| octet == b':');
    let is_number = |part: &[u8]| (1..=2).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    (2..=3).contains(&parts.clone().count()) && parts.all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mbox_puts_before_a_message_is_told_from_its_text() {
        for (lines, rest) in [
            ("From alice@example.net  Mon Jan  1 00:00:00 2024\n", "Subject: x\n\n"),
            (">From alice@example.net Mon Jan  1 00:00:00 2024\n", "Subject: x\n\n"),
            ("From alice@example.net Mon Jan  1 00:00:00 2024\r\n", "Subject: x\r\n\r\n"),
            ("From - Mon Jan  1 00:00:00 2024\n", "X-Mozilla-Status: 0001\n\n"),
            ("From MAILER-DAEMON Mon Jan  1 00:00:00 +0100 2024\n", "Subject: x\n\n"),
            ("From alice Mon, 1 Jan 2024 0:00 +0100\n", "\nbody"),
            ("From alice Mon Jan  1 00:00:00 2024\n>From bob Mon Jan  1 00:00 2024 remote from mx\n", "To: x\n\n"),
            ("From \"a b\"@example.net\n", "Subject : x\n\n"),
            ("From alice\n", "Received: by x\n"),
            ("From alice Mon Jan  1 00:00:00 2024\n", ""),
            ("", "From : alice@example.org\nSubject: x\n\n"),
            ("", "From: alice@example.org\n\n"),
            ("", "from alice\nSubject: x\n"),
            ("", "From here on there is only text\nand more of it: a lot\n"),
            ("", "From Monday 10 o'clock\n\nbody\n"),
            ("", "From alice Mon Jan  1 00:00:00 2024"),
            ("", "Subject: x\nFrom alice Mon Jan  1 00:00:00 2024\n\n"),
            ("", "\nFrom alice Mon Jan  1 00:00:00 2024\nSubject: x\n"),
            ("", ""),
        ] {
            assert_eq!(envelope_lines(format!("{lines}{rest}").as_bytes()), lines.len(), "{lines}{rest}");
        }
    }

    #[test]
    fn not_every_line_of_a_large_message_is_looked_at() {
        let lines = envelope_lines("From a Mon Jan  1 00:00:00 2024\n".repeat(100).as_bytes());
        assert_eq!(lines, 32 * LINES_LIMIT);
    }
}
