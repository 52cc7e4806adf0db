//! The first address of an address list (RFC 5322 §3.4), and what is fit for an envelope.

use std::fmt;
use std::iter::Peekable;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::CharIndices;

/// Octets of an address.  RFC 5321 §4.5.3.1 says 64 for the local part and 255 for the domain; the addresses of
/// bounces and of Exchange have longer local parts.  The command line stays within its 512 octets.
const ADDRESS_LIMIT: usize = 450;

/// Octets of a domain, and of a label of it (RFC 1035 §2.3.4).
const DOMAIN_LIMIT: usize = 255;
const LABEL_LIMIT: usize = 63;

/// An address as it may stand in an SMTP command: it is one argument, however it is read.
///
/// No more is required of a local part: addresses such as `a..b@example.org` and `a.@example.org`, which
/// RFC 5321 §4.1.2 allows only in quotes, were handed out by the million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address(Box<str>);

impl Address {
    /// Whether it needs nothing but ASCII.
    pub fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    /// The same address with its local part in quotes, if RFC 5321 requires quotes and it has none.
    pub fn quoted(&self) -> Option<Self> {
        let (local, domain) = self.0.rsplit_once('@')?;
        let is_dot_string = local.starts_with('"') || local.split('.').all(|atom| !atom.is_empty());
        (!is_dot_string).then(|| Self(format!("\"{local}\"@{domain}").into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An address as it may stand in an SMTP command; `None` if it is not an address, or could be taken
/// for more than one argument.
pub fn envelope_address(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_one = text.len() <= ADDRESS_LIMIT && is_local_part(local) && is_domain(domain);
    is_one.then(|| Address(text.into()))
}

/// Whether a character is not ASCII, but may be part of an address (RFC 6531 §3.3).
fn is_international(c: char) -> bool {
    !c.is_ascii() && !c.is_control() && !c.is_whitespace() && c != '\u{fffd}'
}

fn is_local_part(local: &str) -> bool {
    let Some(quoted) = local.strip_prefix('"') else {
        let fits = |c: char| c.is_ascii_alphanumeric() || ".!#$%&'*+-/=?^_`{|}~".contains(c) || is_international(c);
        return !local.is_empty() && local.chars().all(fits);
    };
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        let c = match c {
            '"' => return chars.next().is_none() && quoted.len() > 1,
            '\\' => chars.next().unwrap_or('\0'),
            c => c,
        };
        if c.is_control() || !(c.is_ascii() || is_international(c)) {
            return false;
        }
    }
    false
}

/// Whether it is a name, or the literal of an address.
fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let six = literal.strip_prefix("IPv6:").map(|six| six.parse::<Ipv6Addr>().is_ok());
        return six.unwrap_or_else(|| literal.parse::<Ipv4Addr>().is_ok());
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c) || is_international(c);
    let is_label = |label: &str| {
        (1..=LABEL_LIMIT).contains(&label.len())
            && label.chars().all(fits)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= DOMAIN_LIMIT && domain.split('.').all(is_label)
}

/// The first valid address of a list.  Display names, comments, quoted strings, encoded
/// words, groups and source routes are skipped.
pub(super) fn first(list: &str) -> Option<String> {
    let mut scanner = Scanner { text: list, chars: list.char_indices().peekable() };
    while let Some(candidate) = scanner.element() {
        // `<@relay:user@host>`: the route is obsolete, the address follows it.  Exchange writes `<SMTP:user@host>`.
        let address = match candidate.split_once(':') {
            Some((route, address)) if route.starts_with('@') || route.eq_ignore_ascii_case("smtp") => address,
            _ => candidate.as_str(),
        };
        if let Some(address) = envelope_address(address) {
            return Some(address.to_string());
        }
    }
    None
}

/// Splits an address list into elements, each of which could be an address.
struct Scanner<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Scanner<'_> {
    /// The next element: its angle address, or else its words joined.
    fn element(&mut self) -> Option<String> {
        self.chars.peek()?;
        let (mut words, mut angle) = (String::new(), None);
        let mut space = false;
        while let Some((at, c)) = self.chars.next() {
            match c {
                '(' => self.skip_comment(),
                ',' | ';' => break,
                '<' => angle = angle.or(Some(self.angle())),
                // The name of a group.
                ':' => words.clear(),
                '=' if self.skip_encoded_word(at) => words.push('='),
                _ if c.is_whitespace() => space = true,
                _ => self.append(c, std::mem::take(&mut space), &mut words),
            }
        }
        Some(angle.unwrap_or(words))
    }

    /// The text up to the closing angle bracket.
    fn angle(&mut self) -> String {
        let (mut address, mut space) = (String::new(), false);
        while let Some((_, c)) = self.chars.next() {
            match c {
                '>' => break,
                '<' if address.is_empty() => {}
                '(' => self.skip_comment(),
                _ if c.is_whitespace() => space = true,
                _ => self.append(c, std::mem::take(&mut space), &mut address),
            }
        }
        address
    }

    /// Appends a character, after `space` if there was some.
    fn append(&mut self, c: char, space: bool, out: &mut String) {
        // Space is obsolete but harmless around a dot or an at sign; elsewhere the result is not an address.
        let joined = matches!(c, '.' | '@') || out.ends_with(['.', '@']) || out.is_empty();
        if space && !joined {
            out.push(' ');
        }
        self.push(c, out);
    }

    /// Appends a character, and what belongs to it: the rest of a quoted string or of a literal.
    fn push(&mut self, c: char, out: &mut String) {
        let end = match c {
            '"' => '"',
            '[' if out.ends_with('@') => ']',
            _ => return out.push(c),
        };
        out.push(c);
        while let Some((_, c)) = self.chars.next() {
            out.push(c);
            match c {
                '\\' => out.extend(self.chars.next().map(|(_, c)| c)),
                _ if c == end => return,
                _ => {}
            }
        }
    }

    /// The opening parenthesis has been read.
    fn skip_comment(&mut self) {
        let mut depth = 1_usize;
        while let Some((_, c)) = self.chars.next() {
            match c {
                '\\' => drop(self.chars.next()),
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Skips `=?charset?encoding?text?=` (RFC 2047), if it begins at `at`: badly encoded words contain
    /// commas and angle brackets.
    fn skip_encoded_word(&mut self, at: usize) -> bool {
        let rest = &self.text[at..];
        if !rest.starts_with("=?") {
            return false;
        }
        let end = rest.bytes().enumerate().take_while(|(_, octet)| !octet.is_ascii_whitespace());
        // The fourth question mark ends the text.
        let Some((last, _)) = end.filter(|&(_, octet)| octet == b'?').nth(3) else { return false };
        if !rest[last..].starts_with("?=") {
            return false;
        }
        while self.chars.next_if(|&(next, _)| next < at + last + 2).is_some() {}
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_is_found_behind_names_comments_and_groups() {
        for (list, want) in [
            ("alice@example.org", Some("alice@example.org")),
            ("Alice <alice@example.org>", Some("alice@example.org")),
            ("\"Liddell, Alice <x@y.org>\" <alice@example.org>, bob@example.org", Some("alice@example.org")),
            ("(a, <b@c.org>) Alice (d) <alice@example.org>", Some("alice@example.org")),
            ("=?utf-8?Q?Doe,_<x@y.org>?= <alice@example.org>", Some("alice@example.org")),
            ("=?utf-8?B?R3LDvMOfZQ==?= =?utf-8?Q?a?= <alice@example.org>", Some("alice@example.org")),
            ("friends: alice@example.org, bob@example.org;", Some("alice@example.org")),
            ("undisclosed-recipients:;", None),
            ("undisclosed:;, alice@example.org", Some("alice@example.org")),
            ("<@relay.example,@b.example:alice@example.org>", Some("alice@example.org")),
            ("\"a b\"@example.org", Some("\"a b\"@example.org")),
            ("<\"a\\\"b\"@example.org>", Some("\"a\\\"b\"@example.org")),
            ("alice @ example . org", Some("alice@example.org")),
            ("alice(x)@example.org (Alice)", Some("alice@example.org")),
            ("alice@[192.0.2.1]", Some("alice@[192.0.2.1]")),
            ("jürgen@example.org", Some("jürgen@example.org")),
            ("Alice alice@example.org", None),
            ("Alice", None),
            ("<>", None),
            ("", None),
            ("a@b@example.org, <alice@example.org", Some("alice@example.org")),
            ("<a..b@example.org>", Some("a..b@example.org")),
            ("<.a@example.org>", Some(".a@example.org")),
            ("A. B. <a.@example.org>", Some("a.@example.org")),
            ("<\"a..b\"@example.org>", Some("\"a..b\"@example.org")),
            ("<SMTP:bob@example.org>", Some("bob@example.org")),
            ("<<bob@example.org>>", Some("bob@example.org")),
            ("<bob@mail_01.example.org>", Some("bob@mail_01.example.org")),
            ("<bob@[IPv6:::1]>", Some("bob@[IPv6:::1]")),
            (
                "<IMCEAEX-_O=A_OU=B+20+28C+29_cn=bob@example.org>",
                Some("IMCEAEX-_O=A_OU=B+20+28C+29_cn=bob@example.org"),
            ),
            ("<\"/O=My Org/CN=Bob, B.\"@example.org>", Some("\"/O=My Org/CN=Bob, B.\"@example.org")),
            ("</O=My Org/OU=Some Group/cn=bob@example.org>", None),
            ("</O=ORG/OU=GROUP/CN=RECIPIENTS/CN=BOB>", None),
            ("EX:/O=ORG/OU=GROUP/CN=RECIPIENTS/CN=BOB", None),
        ] {
            assert_eq!(first(list).as_deref(), want, "{list:?}");
        }
    }

    #[test]
    fn the_local_part_may_be_longer_and_have_other_dots_than_the_standard_wants() {
        for (local, quoted) in [
            ("a..b", Some("\"a..b\"@example.org")),
            (".a", Some("\".a\"@example.org")),
            ("a.", Some("\"a.\"@example.org")),
            ("a.b", None),
            ("\"a..b\"", None),
            (&"v".repeat(300), None),
        ] {
            let address = envelope_address(&format!("{local}@example.org")).expect("an address");
            assert_eq!(address.quoted().map(|address| address.to_string()).as_deref(), quoted, "{local}");
        }
    }

    #[test]
    fn an_address_cannot_break_out_of_a_command() {
        for bad in [
            "a@example.org> SIZE=1",
            "a@example.org\r\nRCPT TO:<b@example.org>",
            "\"a\r\nb\"@example.org",
            "\"a\"b c@example.org",
            "a b@example.org",
            "a@exa mple.org",
            "<a@example.org>",
            "a\u{fffd}@example.org",
            "\"a@example.org",
            "\"a\\\"@example.org",
            &format!("{}@example.org", "a".repeat(ADDRESS_LIMIT)),
            &format!("a@{}.example.org", "b".repeat(64)),
            &format!("a@{}example.org", "b.".repeat(125)),
            "a@-b.example.org",
            "a@b..example.org",
            "a@[192.0.2.1",
            "a@[] SIZE=1",
            "\"a\tb\"@example.org",
            "\"\"@example.org",
            "@example.org",
        ] {
            assert!(envelope_address(bad).is_none(), "{bad:?}");
        }
    }
}
