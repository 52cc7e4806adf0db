//! What a delivery needs from a message's header: its envelope sender, its identity, its arrival, and what people know
//! it by.
//!
//! [`Head::scan`] looks at the beginning of a message, up to the blank line.  The header is
//! written by strangers: whatever it holds, the scan takes linear time, never fails, and an
//! address that it returns is safe inside an SMTP command.  Pure.
//!
//! RFC 5322 for the fields, RFC 2047 for the text in them, RFC 5321 §4.4 for `Return-Path` and `Received`.

mod address;
mod date;
mod encoded;
mod fingerprint;
mod heading;
mod mbox;
mod rename;

use std::borrow::Cow;

use crate::message::{Fingerprint, UnixTime};
use crate::trace;

pub use address::{Address, envelope_address};
pub use heading::{HEADING_LIMIT, Heading};
pub use mbox::envelope_lines;
pub use rename::Renamer;

/// Octets of a message that are looked at; a header that is longer is judged by its beginning.
pub const SCAN_LIMIT: usize = 64 * 1024;

/// Octets of a Message-ID that are kept, as long as a line may be (RFC 5322 §2.1.1).
const MESSAGE_ID_LIMIT: usize = 998;

/// The reverse-path that the last server has recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReturnPath {
    /// There is none, or it cannot be trusted.
    #[default]
    Absent,
    /// `<>`: a report, which must not be answered by another one.
    Null,
    /// An address.
    Address(String),
}

/// What is known from a message's header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The topmost Return-Path, if it stands among the trace fields, above what the author wrote.
    pub return_path: ReturnPath,
    /// The first address of From.
    pub from: Option<String>,
    /// The Message-ID with its angle brackets; if it has none, whatever the field says.
    pub message_id: Option<String>,
    /// When it arrived: the date of the topmost Received, or else the Date.
    pub date: Option<UnixTime>,
    /// How many times it has passed through here, by the `Received` fields that each passage leaves.
    pub passages: usize,
    /// Distinguishes it from any other message; `None` if its header has nothing that could.
    pub fingerprint: Option<Fingerprint>,
    /// From, Subject and Date, to be shown.
    pub heading: Heading,
}

impl Head {
    /// Scans the beginning of a message; [`SCAN_LIMIT`] octets of it are enough.  Lines end in
    /// LF or CRLF.
    pub fn scan(octets: &[u8]) -> Head {
        let mut found = Found::default();
        for (name, value) in Fields::new(octets) {
            found.note(name, value);
        }
        found.head()
    }
}

/// The fields of interest, each the topmost of its name.
#[derive(Default)]
struct Found<'a> {
    return_path: Option<Cow<'a, str>>,
    received: Option<Cow<'a, str>>,
    from: Option<Cow<'a, str>>,
    subject: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    message_id: Option<Cow<'a, str>>,
    /// A field of the author has been seen: no trace field below it is trusted.
    authored: bool,
    passages: usize,
    fingerprint: fingerprint::Hash,
}

impl<'a> Found<'a> {
    fn note(&mut self, name: &[u8], value: &'a [u8]) {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        self.fingerprint.note(name, value);
        let slot = if is("return-path") && !self.authored {
            &mut self.return_path
        } else if is("received") {
            self.passages += usize::from(trace::is_ours(value));
            &mut self.received
        } else if is("from") {
            &mut self.from
        } else if is("subject") {
            &mut self.subject
        } else if is("date") {
            &mut self.date
        } else if is("message-id") {
            &mut self.message_id
        } else {
            self.authored |= ["sender", "to", "cc"].into_iter().any(is);
            return;
        };
        if slot.is_none() {
            *slot = Some(unfold(value));
        }
        self.authored |= ["from", "subject", "date", "message-id"].into_iter().any(is);
    }

    fn head(self) -> Head {
        let arrival = self.received.as_deref().and_then(date::of_received);
        let written = self.date.as_deref().and_then(date::parse);
        let (from, subject) = (&self.from, &self.subject);
        let [from, subject] = [from, subject].map(|field| field.as_deref().and_then(heading::shown));
        Head {
            return_path: self.return_path.as_deref().map_or(ReturnPath::Absent, return_path),
            from: self.from.as_deref().and_then(address::first),
            message_id: self.message_id.as_deref().and_then(message_id),
            date: arrival.or(written),
            passages: self.passages,
            fingerprint: self.fingerprint.finish(),
            heading: Heading { from, subject, date: written },
        }
    }
}

/// Whether a header has any field at all.
pub fn has_field(octets: &[u8]) -> bool {
    Fields::new(octets).next().is_some()
}

/// Whether the header at the beginning of a message ends within these octets of it; in the first `looked_at` of
/// them it does not.
pub fn ends_within(octets: &[u8], looked_at: usize) -> bool {
    // The end may begin in what was looked at before.
    let start = looked_at.saturating_sub(2);
    let is_blank = |at: usize| octets[at..].starts_with(b"\n") || octets[at..].starts_with(b"\r\n");
    (start == 0 && is_blank(0)) || memchr::memchr_iter(b'\n', &octets[start..]).any(|at| is_blank(start + at + 1))
}

fn return_path(value: &str) -> ReturnPath {
    let value = value.trim();
    let bracketed = value.strip_prefix('<').and_then(|rest| Some(rest.split_once('>')?.0));
    match bracketed.unwrap_or(value).trim() {
        "" if bracketed.is_some() => ReturnPath::Null,
        // Names of the null path in mbox files and with some servers; the first is qmail's.
        "#@[]" => ReturnPath::Null,
        name if name.eq_ignore_ascii_case("MAILER-DAEMON") => ReturnPath::Null,
        _ => address::first(value).map_or(ReturnPath::Absent, ReturnPath::Address),
    }
}

fn message_id(value: &str) -> Option<String> {
    let value = value.trim();
    let bracketed = value.find('<').and_then(|start| {
        let end = start + value[start..].find('>')?;
        Some(&value[start..=end])
    });
    let id: String = bracketed.unwrap_or(value).chars().filter(|c| !c.is_control()).collect();
    (!id.is_empty()).then(|| id[..id.floor_char_boundary(MESSAGE_ID_LIMIT)].to_owned())
}

/// A field's value on one line.  What is not UTF-8 becomes U+FFFD, which no address may contain.
fn unfold(value: &[u8]) -> Cow<'_, str> {
    match memchr::memchr2(b'\r', b'\n', value) {
        None => String::from_utf8_lossy(value),
        Some(_) => {
            let line: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
            Cow::Owned(String::from_utf8_lossy(&line).into_owned())
        }
    }
}

/// The fields of a header, each with its continuation lines.  Lines that are not fields are skipped.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(octets: &'a [u8]) -> Self {
        let rest = match octets.get(..SCAN_LIMIT) {
            // A line that the limit cuts could be mistaken for a whole one.
            Some(cut) => &cut[..memchr::memrchr(b'\n', cut).map_or(0, |at| at + 1)],
            None => octets,
        };
        Self { rest }
    }

    /// The next line with its end.
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        line
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let start = self.rest;
            let line = self.line();
            if matches!(line, b"" | b"\n" | b"\r\n") {
                self.rest = &[];
                return None;
            }
            while matches!(self.rest.first(), Some(b' ' | b'\t')) {
                self.line();
            }
            let field = &start[..start.len() - self.rest.len()];
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let name = field[..colon].trim_ascii_end();
            if !name.is_empty() && name.iter().all(u8::is_ascii_graphic) {
                return Some((name, &field[colon + 1..]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Head {
        Head::scan(text.as_bytes())
    }

    #[test]
    fn the_header_ends_at_the_blank_line() {
        for end in ["\n", "\r\n"] {
            let head = scan(&format!("X: x{end}{end}From: a@example.org{end}"));
            assert_eq!(head, Head::default());
        }
    }

    #[test]
    fn a_header_without_a_field_is_none() {
        for text in ["", "\n", "\r\n", "\nSubject: x\n", "no field\n\n", " \n\n", ": x\n"] {
            assert!(!has_field(text.as_bytes()), "{text:?}");
        }
        for text in ["X:\n", "From alice\nSubject: x\n\n", "Date: x"] {
            assert!(has_field(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn names_have_any_case_and_values_are_unfolded() {
        let head = scan("fRom :\r\n Alice\r\n\t<alice@example.org>\r\nMESSAGE-ID:\n <1@x>\n\n");
        assert_eq!(head.from.as_deref(), Some("alice@example.org"));
        assert_eq!(head.message_id.as_deref(), Some("<1@x>"));
    }

    #[test]
    fn a_return_path_counts_only_above_what_the_author_wrote() {
        let absent = ReturnPath::Absent;
        let alice = ReturnPath::Address("alice@example.org".into());
        for (text, want) in [
            ("Return-Path: <alice@example.org>\nFrom: b@c.org\n", &alice),
            ("Received: by x; now\nDelivered-To: me\nReturn-Path: <alice@example.org>\n", &alice),
            ("Return-Path: alice@example.org\n", &alice),
            ("Return-Path: <>\nReturn-Path: <alice@example.org>\n", &ReturnPath::Null),
            ("Return-Path: < >\n", &ReturnPath::Null),
            ("Return-Path: <> (a report)\n", &ReturnPath::Null),
            ("Return-Path: <MAILER-DAEMON>\n", &ReturnPath::Null),
            ("Return-Path: mailer-daemon\n", &ReturnPath::Null),
            ("Return-Path: <#@[]>\n", &ReturnPath::Null),
            ("Return-Path:\n", &absent),
            ("Return-Path: <MAILER-DAEMON@example.org>\n", &ReturnPath::Address("MAILER-DAEMON@example.org".into())),
            ("From: b@c.org\nReturn-Path: <alice@example.org>\n", &absent),
            ("Subject: x\nReturn-Path: <>\n", &absent),
            ("Return-Path: <alice>\n", &absent),
            ("Return-Path: <alice@example.org> SIZE=1\r\n", &alice),
            ("X: y\n", &absent),
        ] {
            assert_eq!(&scan(text).return_path, want, "{text:?}");
        }
    }

    #[test]
    fn a_message_id_is_there_even_when_it_is_malformed() {
        for (text, want) in [
            ("Message-ID: <a@b> (comment)\n", Some("<a@b>")),
            ("Message-ID: a@b\n", Some("a@b")),
            ("Message-ID: <a@b\n", Some("<a@b")),
            ("Message-ID:  \n", None),
            ("Message-ID: <a\0\x1bb>\n", Some("<ab>")),
        ] {
            assert_eq!(scan(text).message_id.as_deref(), want, "{text:?}");
        }
        let long = scan(&format!("Message-ID: <{}@x>\n", "ü".repeat(2000))).message_id.expect("there");
        assert!(long.len() <= MESSAGE_ID_LIMIT);
    }

    #[test]
    fn the_date_is_of_the_topmost_received_else_of_date() {
        let received = "Received: from a (b; c)\n\tby d (e); Mon, 2 Jan 2023 03:04:05 +0100 (CET)\n";
        let older = "Received: by z; Sun, 1 Jan 2023 00:00:00 +0000\n";
        let date = "Date: Tue, 3 Jan 2023 00:00:00 +0000\n";
        assert_eq!(scan(&format!("{received}{older}{date}")).date, Some(1_672_625_045));
        assert_eq!(scan(date).date, Some(1_672_704_000));
        assert_eq!(scan(&format!("Received: by nobody\n{date}")).date, Some(1_672_704_000));
        assert_eq!(scan("Date: yesterday\n").date, None);
    }

    #[test]
    fn lines_that_are_no_fields_are_passed_over() {
        let head = scan("From alice Mon Jan  2 03:04:05 2023\n:\nno colon\nFrom: a@example.org");
        assert_eq!(head.from.as_deref(), Some("a@example.org"));
    }

    #[test]
    fn a_line_cut_by_the_limit_is_not_believed() {
        let mut text = format!("X: {}\nFrom: a@example.org", "x".repeat(SCAN_LIMIT - 23)).into_bytes();
        text.extend_from_slice(b".evil.example\n\n");
        assert_eq!(Head::scan(&text).from, None);
    }

    #[test]
    fn hostile_headers_take_linear_time() {
        let start = std::time::Instant::now();
        for unit in ["=?", "=?x?", "(", "\"", "<", "[", "@", "\\", "a,", ":", ";", "\n ", "=?a?b?c", "\u{fe0f}"] {
            let filler = unit.repeat(SCAN_LIMIT / unit.len());
            for name in ["From", "Return-Path", "Received", "Message-ID", "Date"] {
                scan(&format!("{name}: {filler}"));
                scan(&format!("{name}: a@[{filler}"));
                scan(&format!("{name}: x;{filler}"));
            }
        }
        assert!(start.elapsed().as_secs() < 10);
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_header_holds_the_addresses_are_safe(
            octets in "((From|Return-Path|Message-ID|Date|Received): ?|[=?@<>,;:()\"\\\\\\[\\] .\r\nüa-z\0]{1,4}){0,60}",
            junk in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
        ) {
            let head = Head::scan(&[octets.as_bytes(), &junk].concat());
            let path = match head.return_path {
                ReturnPath::Address(address) => Some(address),
                _ => None,
            };
            for address in head.from.into_iter().chain(path) {
                proptest::prop_assert!(envelope_address(&address).is_some() && !address.contains(['\r', '\n', '\0']));
            }
        }
    }
}
