//! From, Subject and Date as people read them: decoded, on one line, bounded, and harmless to a terminal.

use super::encoded;
use crate::message::UnixTime;
use crate::text;

/// Most characters of a From or a Subject that are kept.
pub const HEADING_LIMIT: usize = 200;

/// Octets of a field that are looked at: enough for that many characters in encoded words of four octets each.
const VALUE_LIMIT: usize = 4096;

/// What a message says of itself; whatever it says, it is harmless to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Heading {
    /// From, names and addresses.
    pub from: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// When it says that it was written.
    #[serde(serialize_with = "rfc3339")]
    pub date: Option<UnixTime>,
}

impl Heading {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::ref_option, reason = "serde calls it")]
fn rfc3339<S: serde::Serializer>(date: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&date.map(text::rfc3339), serializer)
}

/// What is shown of a field's value, once it is on one line.
pub(super) fn shown(value: &str) -> Option<String> {
    let value = &value[..value.floor_char_boundary(VALUE_LIMIT)];
    let shown = text::one_line(&encoded::decoded(value), HEADING_LIMIT);
    (!shown.is_empty()).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Head;

    fn heading(header: &str) -> Heading {
        Head::scan(header.as_bytes()).heading
    }

    #[test]
    fn from_subject_and_date_are_decoded_and_on_one_line() {
        let heading = heading(
            "Received: by x; Tue, 3 Jan 2023 00:00:00 +0000\r\nFrom: =?utf-8?Q?J=C3=BCrgen?=\r\n <j@example.org>\r\n\
             Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n =?utf-8?Q?_aus?=\r\n\tK\r\nDate: Mon, 2 Jan 2023 03:04:05 +0000\r\n\
             Subject: another\r\n\r\nFrom: body@example.org\r\n",
        );
        assert_eq!(heading.from.as_deref(), Some("Jürgen <j@example.org>"));
        assert_eq!(heading.subject.as_deref(), Some("Grüße aus K"));
        assert_eq!(heading.date, Some(1_672_628_645), "when it was written, not when it arrived");
        let json = serde_json::to_value(&heading).expect("JSON");
        assert_eq!(json["date"], "2023-01-02T03:04:05Z");
    }

    #[test]
    fn what_is_missing_empty_or_not_understood_is_none() {
        assert!(heading("X: y\n\n").is_empty());
        assert!(heading("From:\nSubject: \t\nDate: yesterday\n\n").is_empty());
        assert!(heading("Subject: =?utf-8?B?4oCL?=\n\n").is_empty(), "nothing of it is seen");
    }

    #[test]
    fn no_heading_steers_a_terminal_however_it_is_encoded() {
        for (subject, want) in [
            ("\x1b]0;pwned\x07x", "\\x1b]0;pwned\\x07x"),
            ("=?utf-8?Q?=1B[2J=07x?=", "\\x1b[2J\\x07x"),
            ("=?iso-8859-1?Q?=9B31mx?=", "›31mx"),
            ("=?utf-8?Q?=C2=9B31mx?=", "\\xc2\\x9b31mx"),
            ("=?utf-8?B?4oCuZmRwLmV4ZQ==?=", "fdp.exe"),
            ("=?utf-8?Q?a=0D=0AFrom:_b=00c?=", "a From: b\\x00c"),
            ("=?iso-2022-jp?B?G1sybQ==?=", "\u{fffd}[2m"),
        ] {
            assert_eq!(heading(&format!("Subject: {subject}\n\n")).subject.as_deref(), Some(want), "{subject:?}");
        }
    }

    #[test]
    fn a_heading_is_bounded_however_long_the_field_is() {
        let word = "=?utf-8?B?8J+Yg/CfmIPwn5iD8J+Yg/CfmIPwn5iD8J+Yg/CfmIPwn5iD8J+Ygw==?= ";
        for subject in ["x".repeat(60_000), word.repeat(800), "=?utf-8?Q?".repeat(6000), "\x1b".repeat(60_000)] {
            let subject = heading(&format!("Subject: {subject}\n\n")).subject.expect("there");
            let characters = subject.chars().count();
            assert!((HEADING_LIMIT - 3..=HEADING_LIMIT).contains(&characters) && subject.ends_with('…'), "{subject}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_heading_holds_it_is_one_harmless_line(
            text in "(=\\?(utf-8|iso-2022-jp|gb18030|big5|utf-16le|x)\\?[QqBb]\\?|\\?=|=[0-9A-F]{2}|[A-Za-z0-9+/_]{1,4}| |\x1b|\u{202e}|日){0,80}",
        ) {
            let once = shown(&text).unwrap_or_default();
            proptest::prop_assert!(once.chars().count() <= HEADING_LIMIT);
            let harmful = once.chars().find(|c| c.is_control() || *c == '\u{202e}');
            proptest::prop_assert_eq!(harmful, None);
            proptest::prop_assert_eq!(text::one_line(&once, HEADING_LIMIT), once);
        }
    }

    #[test]
    fn a_megabyte_of_encoded_words_costs_little() {
        let start = std::time::Instant::now();
        for unit in ["=?utf-8?Q?a?= ", "=?utf-8?B?YQ?=", "=?gb18030?Q?", "=?", "=?utf-8?Q?=", "=?iso-2022-jp?B?GyRC?="]
        {
            let field = unit.repeat((1 << 20) / unit.len());
            for _ in 0..20 {
                heading(&format!("From: {field}\nSubject: {field}\n\n"));
            }
        }
        assert!(start.elapsed().as_secs() < 10);
    }
}
