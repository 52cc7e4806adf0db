//! Hints for common TOML mistakes: backslashes, and names that need quotes.
//!
//! A hint is a fixed text: it repeats nothing from a file.

/// For a backslash that begins an escape.
pub(super) const BACKSLASH: &str = "in double quotes a backslash begins an escape: write the value in single quotes, as \
                                    in 'CORP\\user', or double each backslash";

/// For a name that is not a bare key.
const QUOTES: &str = "a name with characters other than ASCII letters, digits, - and _ is written in quotes, as in \
                      [accounts.\"alice@example.org\"]";

/// For a boolean as other languages write it.
const BOOLEAN: &str = "write `true` or `false`, without quotes";

/// For a quote inside a value, or a missing one at its end.
const QUOTE: &str =
    "a value ends at the next quote of its kind: put a value that holds one between quotes of the other kind";

/// The octets of the longest escape: the parser reports a wrong one at most that far behind its backslash.
const ESCAPE_OCTETS: usize = 10;

/// The hint for a syntax error at an octet of a line; `None` if none of them is likely to help.
pub(super) fn of_syntax(line: &str, at: usize) -> Option<&'static str> {
    let before = line.get(..line.floor_char_boundary(at))?;
    // The parser reports the error where an escape breaks off, or at the backslash itself.
    let until = line.floor_char_boundary(at.saturating_add(1));
    let is_near = |found: &usize| until - found <= ESCAPE_OCTETS;
    let escape = line.get(..until).and_then(|text| text.rfind('\\')).filter(is_near);
    if let Some(escape) = escape
        && (before.contains('=') || !line.contains('='))
        && !line.get(escape..until).unwrap_or_default().contains('\'')
    {
        return Some(BACKSLASH);
    }
    if let Some((_, value)) = line.split_once('=').filter(|_| before.contains('='))
        && let Some(hint) = of_value(value.trim())
    {
        return Some(hint);
    }
    if line.len() <= before.len() {
        return None;
    }
    let is_in_header = line.trim_start().starts_with('[') && !before.contains(']');
    let is_in_key = line.contains('=') && !before.contains('=');
    let follows_a_name = before.trim_start_matches([' ', '\t', '[']).starts_with(|c: char| c.is_alphanumeric());
    ((is_in_header || is_in_key) && follows_a_name && !before.contains('"')).then_some(QUOTES)
}

/// The hint for a value that is not valid TOML.
fn of_value(value: &str) -> Option<&'static str> {
    let word = value.split(['#', ' ', '\t']).next().unwrap_or_default();
    if ["yes", "no", "on", "off"].iter().any(|other| word.eq_ignore_ascii_case(other)) {
        return Some(BOOLEAN);
    }
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    // With two quotes something else is wrong.
    (value.matches(quote).count() != 2).then_some(QUOTE)
}

/// Whether a value is written with an escape that does not stand for the character itself: `\x41`, `\b`.
pub(super) fn has_escape(source: &str) -> bool {
    let is_basic = source.starts_with('"');
    let mut after = source.chars();
    while let Some(c) = after.next() {
        if c == '\\' && !matches!(after.next(), Some('\\' | '"')) {
            return is_basic;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_behind_a_backslash_is_one_of_escapes() {
        for (line, at, want) in [
            (r#"username = "CORP\user""#, 18, Some(BACKSLASH)),
            (r#"username = "CORP\dx""#, 17, Some(BACKSLASH)),
            (r#"username = "CORP\dx""#, 16, Some(BACKSLASH)),
            (r#"username = "CORP\""#, 17, Some(BACKSLASH)),
            (r#"CORP\user"""#, 6, Some(BACKSLASH)),
            (r#"path = 'C:\x' y"#, 14, None),
            (r#"username = "a" b"#, 15, None),
            ("[accounts.alice@example.org]", 15, Some(QUOTES)),
            ("[accounts.my box]", 12, Some(QUOTES)),
            ("[accounts.b\u{fc}ro]", 11, Some(QUOTES)),
            ("alice@example.org = { host = 1 }", 5, Some(QUOTES)),
            ("enabled = yes", 10, Some(BOOLEAN)),
            ("enabled = Off # x", 10, Some(BOOLEAN)),
            ("enabled = yesterday", 10, None),
            (r#"password = "se"cret1""#, 15, Some(QUOTE)),
            ("password = 'it's secret1'", 15, Some(QUOTE)),
            (r#"password = "secret1"#, 19, Some(QUOTE)),
            ("[accounts.a] x", 13, None),
            ("[accounts.b", 11, None),
            ("[", 1, None),
            ("", 0, None),
            ("port = ", 7, None),
        ] {
            assert_eq!(of_syntax(line, at), want, "{line} {at}");
        }
    }

    #[test]
    fn an_escape_that_stands_for_itself_is_none_to_be_warned_of() {
        for (source, want) in [
            (r#""se\brit""#, true),
            (r#""CORP\x41""#, true),
            (r#""a\\b\"c""#, false),
            (r"'a\b'", false),
            (r#""a\\""#, false),
            ("", false),
        ] {
            assert_eq!(has_escape(source), want, "{source}");
        }
    }
}
