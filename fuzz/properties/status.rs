//! A status line of POP3 and what is read from its text: response code, STAT, the APOP challenge.

use postrider::testing::pop3::reply::{ResponseCode, Status, stat};
use postrider::testing::sasl::{apop_challenge, apop_digest};
use postrider::testing::secret::Secret;
use postrider::testing::text::{self, SHOWN_LIMIT};

use super::assert_fit_to_be_shown;

/// The codes that have a meaning.
const KNOWN: [&str; 6] = ["IN-USE", "LOGIN-DELAY", "SYS/TEMP", "SYS/PERM", "AUTH", "UTF8"];

pub(super) fn holds(line: &[u8]) {
    let status = Status::parse(line);
    assert_eq!(status.as_ref().map(|status| status.ok), naive(line), "the first word decides");
    if let Some(status) = &status {
        shown_as_it_is(status);
        coded(status, line);
    }
    escaped(line);
    statistics(&String::from_utf8_lossy(line));
    challenged(&String::from_utf8_lossy(line));
}

/// Whether the first word is one of the two, and no letter follows.
fn naive(line: &[u8]) -> Option<bool> {
    let line = line.to_ascii_uppercase();
    let ends = |rest: &[u8]| match rest.first() {
        None => true,
        Some(octet) => {
            octet.is_ascii()
                && !octet.is_ascii_alphabetic()
                && (!octet.is_ascii_control() || octet.is_ascii_whitespace())
        }
    };
    let begins = |word: &[u8]| line.strip_prefix(word).is_some_and(ends);
    begins(b"+OK").then_some(true).or_else(|| begins(b"-ERR").then_some(false))
}

/// What is shown is safe, short, and says the same when it is said again.
fn shown_as_it_is(status: &Status) {
    assert_fit_to_be_shown(&status.text);
    // An octet becomes at most four.
    assert!(status.text.len() <= 4 * SHOWN_LIMIT + "...".len());
    if status.text.len() <= SHOWN_LIMIT {
        let again = Status::parse(format!("-ERR {}", status.text).as_bytes()).expect("a status line");
        assert_eq!(again.text, status.text);
    }
}

fn coded(status: &Status, line: &[u8]) {
    let lower = Status::parse(&line.to_ascii_lowercase()).expect("a status line");
    assert_eq!(status.code, lower.code, "case does not count");
    if let Some(ResponseCode::Other(code)) = &status.code {
        assert_fit_to_be_shown(code);
        assert!(!KNOWN.contains(&code.as_str()) && !code.contains(|c: char| c.is_ascii_lowercase()), "{code}");
    }
    if status.code.is_some() {
        assert!(status.text.starts_with('['));
    }
}

/// Any octets can be shown; what is safe already stays as it is.
fn escaped(octets: &[u8]) {
    for limit in [0, 1, 7, SHOWN_LIMIT] {
        let shown = text::escape(octets, limit);
        assert_fit_to_be_shown(&shown);
        assert_eq!(text::escape(shown.as_bytes(), usize::MAX), shown);
        let graphic = |octet: &u8| matches!(octet, b' '..=b'~');
        if octets.len() <= limit && octets.iter().all(graphic) {
            assert_eq!(shown.as_bytes(), octets);
        }
        assert!(octets.len() <= limit || shown.ends_with("..."), "{shown:?}");
    }
}

fn statistics(text: &str) {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let number = |at: usize| words.get(at).map(|word| word.parse::<u64>());
    let count = words.first().and_then(|word| word.parse::<u32>().ok());
    let want = count.map(|count| (count, number(1).and_then(Result::ok).unwrap_or(0)));
    assert_eq!(stat(text), want);
}

/// Only one message-id, of graphic ASCII, is a challenge.
fn challenged(greeting: &str) {
    let Some(challenge) = apop_challenge(greeting) else { return };
    assert_eq!(greeting.matches(challenge).count(), 1);
    assert_eq!(greeting.matches('<').count(), 1);
    assert!(challenge.len() <= 250 && challenge.bytes().all(|octet| octet.is_ascii_graphic()), "{challenge:?}");
    assert!(challenge.starts_with('<') && challenge.ends_with('>') && challenge.matches('@').count() == 1);
    let digest = apop_digest(challenge, &Secret::new(b"tanstaaf".to_vec()));
    assert!(digest.len() == 32 && digest.bytes().all(|octet| octet.is_ascii_hexdigit()));
}
