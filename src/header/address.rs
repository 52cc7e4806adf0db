//! The first address of an address list (RFC 5322 §3.4), and what is fit for an envelope.

use std::iter::Peekable;
use std::str::CharIndices;

use lettre::Address;

/// Octets of an address: 64 for the local part, `@`, 255 for the domain (RFC 5321 §4.5.3.1).
const ADDRESS_LIMIT: usize = 320;

/// An address as it may stand in an SMTP command; `None` if it is none, or could be taken for
/// more than one argument.
pub fn envelope_address(text: &str) -> Option<Address> {
    if text.len() > ADDRESS_LIMIT {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        let bare_breaks = !quoted && (c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '(' | ')' | '\\'));
        if c.is_control() || c == '\u{fffd}' || bare_breaks {
            return None;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    if quoted {
        return None;
    }
    text.parse().ok()
}

/// The first address of a list that is one.  Display names, comments, quoted strings, encoded
/// words, groups and source routes are passed over.
pub(super) fn first(list: &str) -> Option<String> {
    let mut scanner = Scanner { text: list, chars: list.char_indices().peekable() };
    while let Some(candidate) = scanner.element() {
        // `<@relay:user@host>`: the route is obsolete, the address follows it.
        let address = match candidate.split_once(':') {
            Some((route, address)) if route.starts_with('@') => address,
            _ => candidate.as_str(),
        };
        if let Some(address) = envelope_address(address) {
            return Some(address.to_string());
        }
    }
    None
}

/// Divides an address list into what could be an address each.
struct Scanner<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Scanner<'_> {
    /// The next element: its angle address, else its words joined.
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
                _ => {
                    // Space is obsolete but harmless around a dot or an at sign.
                    let joined = matches!(c, '.' | '@') || words.ends_with(['.', '@']) || words.is_empty();
                    if std::mem::take(&mut space) && !joined {
                        words.push(' ');
                    }
                    self.push(c, &mut words);
                }
            }
        }
        Some(angle.unwrap_or(words))
    }

    /// What stands up to the closing angle bracket.
    fn angle(&mut self) -> String {
        let mut address = String::new();
        while let Some((_, c)) = self.chars.next() {
            match c {
                '>' => break,
                '(' => self.skip_comment(),
                _ if c.is_whitespace() => {}
                _ => self.push(c, &mut address),
            }
        }
        address
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

    /// Passes over `=?charset?encoding?text?=` (RFC 2047), which begins at `at` if it is one:
    /// badly encoded ones hold commas and angle brackets.
    fn skip_encoded_word(&mut self, at: usize) -> bool {
        let rest = &self.text[at..];
        if !rest.starts_with("=?") {
            return false;
        }
        let end = rest.bytes().enumerate().take_while(|(_, octet)| !octet.is_ascii_whitespace());
        // Of the first four question marks the last one ends the text.
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
        ] {
            assert_eq!(first(list).as_deref(), want, "{list:?}");
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
            &format!("{}@example.org", "a".repeat(400)),
        ] {
            assert!(envelope_address(bad).is_none(), "{bad:?}");
        }
    }
}
