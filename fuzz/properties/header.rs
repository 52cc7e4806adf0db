//! The header of a message that strangers have written.
//!
//! It says the same whatever its line ends and its folding are, what stands above and below it,
//! and what it returns is fit for an SMTP command, for the state and for a terminal.

use postrider::testing::header::{HEADING_LIMIT, Head, ReturnPath, SCAN_LIMIT, envelope_address};
use postrider::testing::text::one_line;

pub(super) fn holds(message: &[u8]) {
    if message.len() > SCAN_LIMIT / 4 {
        return;
    }
    let head = Head::scan(message);
    safe(&head);
    assert_eq!(head, Head::scan(&plainly(message)), "unfolded, and without what is no field");
    if !message.contains(&b'\r') {
        let crlf = String::from_utf8_lossy(message).replace('\n', "\r\n");
        assert_eq!(Head::scan(String::from_utf8_lossy(message).as_bytes()), Head::scan(crlf.as_bytes()), "CRLF");
    }
    if !message.starts_with(b" ") && !message.starts_with(b"\t") {
        assert_eq!(head, Head::scan(&[b"X-UIDL: 7\nStatus: RO\n", message].concat()), "what servers add");
    }
    dated(&head);
    limited(message);
}

fn safe(head: &Head) {
    let path = match &head.return_path {
        ReturnPath::Address(address) => Some(address),
        _ => None,
    };
    for address in head.from.iter().chain(path) {
        let parsed = envelope_address(address).expect("an address for an envelope");
        assert_eq!(parsed.to_string(), *address);
        assert!(!address.contains(|c: char| c.is_control()), "{address:?}");
    }
    for shown in head.heading.from.iter().chain(&head.heading.subject) {
        assert!((1..=HEADING_LIMIT).contains(&shown.chars().count()), "{shown:?}");
        assert_eq!(one_line(shown, HEADING_LIMIT), *shown, "harmless to a terminal");
        assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
    }
    if let Some(id) = &head.message_id {
        assert!((1..=998).contains(&id.len()) && !id.contains(|c: char| c.is_control()), "{id:?}");
    }
}

/// The header with a line for each field, and nothing else.
fn plainly(message: &[u8]) -> Vec<u8> {
    let mut fields: Vec<(Vec<u8>, usize)> = Vec::new();
    for line in message.split(|&octet| octet == b'\n') {
        match line.strip_suffix(b"\r").unwrap_or(line) {
            // The very first line cannot go on with anything.
            [b' ' | b'\t', ..] if !fields.is_empty() => {
                fields.iter_mut().last().into_iter().for_each(|(field, _)| {
                    field.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
                });
            }
            [] => break,
            line => fields.push((line.to_vec(), line.len())),
        }
    }
    let mut plain = Vec::new();
    // The colon is never on a line that goes on (RFC 5322 §4.5).
    for (field, first_line) in fields {
        let Some(colon) = field[..first_line].iter().position(|&octet| octet == b':') else { continue };
        let name = field[..colon].trim_ascii_end();
        if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
            plain.extend_from_slice(&[name, &field[colon..], b"\n"].concat());
        }
    }
    plain
}

/// A date that was understood is understood again as it is written here.
fn dated(head: &Head) {
    let Some(seconds) = head.date else { return };
    let time = jiff::Timestamp::from_second(seconds).expect("a time");
    if let Ok(text) = jiff::fmt::rfc2822::to_string(&time.to_zoned_datetime(jiff::tz::TimeZone::UTC)) {
        assert_eq!(Head::scan(format!("Date: {text}\n").as_bytes()).date, Some(seconds), "{text}");
    }
}

/// What is after the limit does not count.
fn limited(message: &[u8]) {
    if message.len() < 1024 || !message.len().is_multiple_of(8) {
        return;
    }
    let long = message.repeat(SCAN_LIMIT / message.len() + 2);
    assert_eq!(Head::scan(&long), Head::scan(&long[..SCAN_LIMIT]));
}
