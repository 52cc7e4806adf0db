//! The lines of LIST and UIDL.

use postrider::testing::message::{MessageKey, UNIQUE_ID_LIMIT};
use postrider::testing::pop3::reply::{list_line, uidl_line};

use super::assert_fit_to_be_shown;

pub(super) fn holds(input: &[u8]) {
    for line in input.split(|&octet| octet == b'\n') {
        listed(line);
        identified(line);
    }
}

/// The words of a line as the RFC divides it, and where the second one begins.
fn number(line: &[u8]) -> Option<(u32, &[u8])> {
    let line = line.trim_ascii();
    let word = line.split(u8::is_ascii_whitespace).next().unwrap_or_default();
    let number = digits(word)?.parse().ok().filter(|&number| number > 0)?;
    Some((number, line[word.len()..].trim_ascii()))
}

fn digits(word: &[u8]) -> Option<&str> {
    let word = std::str::from_utf8(word).ok()?;
    word.bytes().all(|octet| octet.is_ascii_digit()).then_some(word)
}

fn listed(line: &[u8]) {
    let want = number(line).and_then(|(number, rest)| {
        let word = rest.split(u8::is_ascii_whitespace).next().unwrap_or_default();
        Some((number, digits(word)?.parse::<u64>().ok()?))
    });
    assert_eq!(list_line(line).map(|(number, octets)| (number.value(), octets)), want);
}

fn identified(line: &[u8]) {
    let want = number(line).map(|(number, rest)| {
        let fits = !rest.is_empty() && rest.len() <= UNIQUE_ID_LIMIT;
        (number, fits.then_some(rest))
    });
    let found = uidl_line(line).map(|(number, uid)| (number.value(), uid));
    assert_eq!(found, want);
    if let Some((_, Some(uid))) = found {
        // A unique-id that is taken is one that the state can hold, and that can be shown.
        let key = MessageKey::new(uid, 0).expect("a key");
        assert_eq!(key.uid(), uid);
        assert_fit_to_be_shown(&key.to_string());
    }
}
