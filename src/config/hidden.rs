//! Which lines of the configuration may hold a secret and are never shown.
//!
//! Two views are combined.  The table view hides everything that belongs to a key that is, or
//! resembles, `password`.  The text view looks at each line by itself, so it also works where
//! the syntax is broken and the tables cannot be trusted.  There it hides too much rather than too
//! little: every line that it does not recognise, and everything from an unfinished value on.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::keys;
use super::nearest::{distance_within, nearest};
use super::source::Source;

/// Words that betray a secret anywhere in a line.  A proxy may be written with its password.
const TELLING: [&str; 5] = ["password", "secret", "token", "passwd", "socks"];

/// Words that betray a secret in a key.
const TELLING_KEYS: [&str; 7] = ["pass", "secret", "token", "pwd", "credential", "kennwort", "apikey"];

/// Words that a telling word may be a misspelling of, and how many letters may be wrong.
const RESEMBLED: [(&str, usize); 8] = [
    ("password", 2),
    ("passwd", 2),
    ("clientsecret", 2),
    ("secret", 1),
    ("token", 1),
    ("pass", 1),
    ("pwd", 0),
    ("proxy", 1),
];

/// Keys that mention a secret without holding it.
const HARMLESS: [&str; 10] = [
    "password-file",
    "password-command",
    "password-credential",
    "token-command",
    "token-endpoint",
    "client-secret-file",
    "client-secret-command",
    "client-secret-credential",
    "proxy-username",
    "proxy-password-file",
];

/// Keys that hold a secret, or may do so.
const HARMFUL: [&str; 3] = ["password", "client-secret", "proxy"];

/// Shorter secrets are not looked for in other lines: too much would match.
const SHORTEST_SECRET: usize = 3;

/// The lines that are not shown, and the secrets that no message may hold.
pub(super) struct Hidden {
    lines: Vec<bool>,
    secrets: Vec<Zeroizing<String>>,
    first_password: Option<Range<usize>>,
}

impl Hidden {
    /// Finds the lines.  `broken` says that the syntax is broken, so `root` may be wrong.
    pub(super) fn find(source: &Source<'_>, root: &DeTable<'_>, broken: bool) -> Self {
        let judge = |line| if broken { !is_recognised(source.line(line)) } else { may_hold_secret(source.line(line)) };
        let lines = (0..source.line_count()).map(judge).collect();
        let mut hidden = Self { lines, secrets: Vec::new(), first_password: None };
        if broken {
            let on = (0..hidden.lines.len()).find(|&n| hidden.lines[n] && may_go_on(source.line(n)));
            if let Some(first) = on {
                hidden.lines[first..].fill(true);
            }
        }
        hidden.walk(source, root, Level::Root);
        hidden
    }

    /// Whether a span may not be shown.
    pub(super) fn covers(&self, source: &Source<'_>, span: &Range<usize>) -> bool {
        source.lines_of(span).any(|line| self.line(line))
    }

    /// Whether a line, counted from zero, is hidden.
    pub(super) fn line(&self, line: usize) -> bool {
        self.lines.get(line).copied().unwrap_or(true)
    }

    /// Whether a text holds one of the file's secrets.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.secrets.iter().any(|secret| text.contains(secret.as_str()))
    }

    /// The first key that holds a password or a client's secret itself.
    pub(super) fn first_password(&self) -> Option<Range<usize>> {
        self.first_password.clone()
    }

    fn walk(&mut self, source: &Source<'_>, table: &DeTable<'_>, level: Level) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let below = match (level, name) {
                (Level::Root, "accounts" | "destinations" | "oauth") => Level::Names,
                _ => Level::Body,
            };
            // The name of an account is not a key, whatever the name is.
            let is_name = level == Level::Names && value.get_ref().is_table();
            if matches!(name, "password" | "client-secret") && !is_name {
                self.first_password = match self.first_password.take() {
                    Some(first) if first.start <= key.span().start => Some(first),
                    _ => Some(key.span()),
                };
            }
            if !is_name && !keys::is_known(name) && !nearest_is_harmless(name) {
                self.hide_unknown(source, &key.span(), value);
            }
            match value.get_ref() {
                _ if !is_name && tells_of_secret(name) => self.hide(source, &key.span(), value),
                DeValue::Table(table) => self.walk(source, table, below),
                DeValue::Array(array) => {
                    array
                        .iter()
                        .filter_map(|item| item.get_ref().as_table())
                        .for_each(|table| self.walk(source, table, below));
                }
                _ => {}
            }
        }
    }

    /// The value of a key that resembles no known one may be a secret.  A line that begins with such a
    /// key is shown up to the key (see `problems`); all others are hidden.
    fn hide_unknown(&mut self, source: &Source<'_>, key: &Range<usize>, value: &Spanned<DeValue<'_>>) {
        let line = source.line_of(key.start);
        let indent = source.line(line).len() - source.line(line).trim_start().len();
        let begins = source.line_span(line).start + indent == key.start;
        let last = source.line_of(value.span().end.saturating_sub(1)).max(line);
        if let Some(lines) = self.lines.get_mut(line + usize::from(begins)..last + 1) {
            lines.fill(true);
        }
    }

    fn hide(&mut self, source: &Source<'_>, key: &Range<usize>, value: &Spanned<DeValue<'_>>) {
        // A value that could not be read has an empty span at 0; the key's own line is hidden anyway.
        let span = value.span();
        let ranges = if span.start >= key.end { [key.start..span.end, span] } else { [key.clone(), span] };
        for line in ranges.iter().filter(|range| !range.is_empty()).flat_map(|range| source.lines_of(range)) {
            if let Some(hidden) = self.lines.get_mut(line) {
                *hidden = true;
            }
        }
        match value.get_ref() {
            DeValue::Table(table) => table.iter().for_each(|(key, value)| self.hide(source, &key.span(), value)),
            DeValue::Array(array) => array.iter().for_each(|item| self.hide(source, &item.span(), item)),
            DeValue::String(text) if text.len() >= SHORTEST_SECRET => {
                self.secrets.push(Zeroizing::new(text.as_ref().to_owned()));
            }
            DeValue::Integer(number) if number.as_str().len() >= SHORTEST_SECRET => {
                self.secrets.push(Zeroizing::new(number.as_str().to_owned()));
            }
            _ => {}
        }
    }
}

/// The depth of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The file.
    Root,
    /// `[accounts]`, `[destinations]` or `[oauth]`: its keys are names.
    Names,
    /// Everything below.
    Body,
}

/// Whether what belongs to a key may be a secret.
pub(super) fn tells_of_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    // `pa'sword`: characters that no word has are ignored in a misspelling too.
    let letters: String = key.chars().filter(|c| c.is_alphanumeric()).collect();
    !is_harmless(&key)
        && (TELLING_KEYS.iter().any(|word| key.contains(word) || letters.contains(word))
            || words(&key).any(resembles)
            || resembles(&letters)
            || nearest(&key, &HARMLESS).is_some()
            || nearest(&key, &HARMFUL).is_some())
}

/// Judges one line by itself, in a file whose syntax is sound.
fn may_hold_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    if line.split_once('#').is_some_and(|(_, comment)| assigns_secret(comment)) {
        return true;
    }
    if leading_key(&line).is_some_and(is_harmless) {
        // The value is a path, a command or a name, as its key says; only the comment is open.
        line.split_once('#').is_some_and(|(_, comment)| is_telling(comment))
    } else {
        is_telling(&line)
    }
}

/// Judges one line where the syntax is broken: a quote may be missing, and the line may be the middle
/// of anything.  It is shown only if it is recognised: as a table's header, or as one key that is
/// known (or nearly) and holds no secret.
fn is_recognised(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    if is_telling(&line) || line.matches('=').count() > 1 {
        return false;
    }
    match line.strip_prefix('[') {
        Some(header) => {
            let first = header.trim_start_matches('[').split(['.', ']']).next().unwrap_or_default().trim();
            nearest(first, &["accounts", "destinations", "oauth", "defaults"]).is_some()
        }
        None => leading_key(&line).is_some_and(|key| is_harmless(key) || key.len() > 2 && nearest_is_harmless(key)),
    }
}

/// The last part of the bare key that a line begins with.
fn leading_key(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(line.len());
    let key = line.get(..end)?.rsplit('.').next()?;
    let rest = line.get(end..)?;
    // A key ends here; `pa"sword` is not a key.
    (!key.is_empty() && (rest.is_empty() || rest.starts_with([' ', '\t', '=']))).then_some(key)
}

fn is_harmless(key: &str) -> bool {
    !HARMFUL.contains(&key) && keys::is_known(key)
}

fn nearest_is_harmless(key: &str) -> bool {
    let all: Vec<&str> = keys::KEYS.iter().map(|key| key.name).collect();
    nearest(key, &all).is_some_and(is_harmless)
}

/// Whether a text speaks of a secret, or may do so with a misspelling.
fn is_telling(text: &str) -> bool {
    let mut words = words(text).filter(|word| !HARMLESS.contains(word));
    words.any(|word| TELLING.iter().any(|telling| word.contains(telling)) || resembles(word))
}

/// Whether a comment assigns a value to a key that may hold a secret.  A lost line end turns a whole line into the comment
/// of the line before it.
fn assigns_secret(text: &str) -> bool {
    let keys = text.match_indices('=').filter_map(|(at, _)| words(&text[..at]).last());
    keys.into_iter().any(tells_of_secret)
}

/// Whether the value of a hidden line may continue in the next one.
fn may_go_on(line: &str) -> bool {
    let speaks = line.contains('=') || line.contains("\"\"\"") || line.contains("'''");
    (speaks || is_telling(&line.to_lowercase())) && !is_finished(line)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')).filter(|word| !word.is_empty())
}

fn resembles(word: &str) -> bool {
    // A long word is not a misspelling.
    let parts = word.split(['-', '_']).chain([word]).filter(|part| (2..=12).contains(&part.len()));
    parts.into_iter().any(|part| RESEMBLED.iter().any(|(known, wrong)| distance_within(part, known, *wrong).is_some()))
}

/// Whether a line cannot continue in the next one: it is a comment, a table's header, or a key with
/// one string that ends.
fn is_finished(line: &str) -> bool {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') || (line.starts_with('[') && line.ends_with(']')) {
        return true;
    }
    let Some((_, value)) = line.split_once('=') else { return false };
    let value = value.trim_start();
    let end = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => end_of_string(value, quote),
        _ => None,
    };
    let rest = end.and_then(|end| value.get(end..)).map(str::trim_start);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('#') && !rest.contains(['"', '\''])))
}

/// Where a string on one line ends; `None` for an unfinished string, and for the start of a
/// multi-line string.
fn end_of_string(text: &str, quote: char) -> Option<usize> {
    let triple = quote.to_string().repeat(3);
    if text.starts_with(&triple) {
        return None;
    }
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<usize> {
        let source = Source::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        let hidden = Hidden::find(&source, root.get_ref(), !errors.is_empty());
        (0..source.line_count()).filter(|&line| !source.line(line).is_empty() && !hidden.line(line)).collect()
    }

    #[test]
    fn everything_of_a_password_is_hidden_and_nothing_else_of_a_sound_file() {
        for (text, want) in [
            ("[accounts.a]\nhost = \"x\"\npassword = \"hunter2\"\nport = 1\n", vec![0, 1, 3]),
            ("[accounts.a]\npassword = '''\nhunter2\nx'''\nport = 1\n", vec![0, 4]),
            ("[accounts.a]\npassword-file = \"/x\"\ntoken-command = [\"x\"]\n", vec![0, 1, 2]),
            ("[accounts.a]\npassword-command = [\"pass\", \"show\"]\npath = \"/run/secrets/x\"\n", vec![0, 1, 2]),
            ("[accounts.a]\npasword = \"hunter2\"\npass = \"x\"\nPassword = \"x\"\npasswort = \"x\"\n", vec![0]),
            ("accounts.a = { host = \"x\",\n password = \"hunter2\" }\n", vec![0]),
            ("[accounts.a.password]\nvalue = \"hunter2\"\n[accounts.b]\n", vec![2]),
            ("[accounts.a]\n\"pass\\u0077ord\" = [\n\"hunter2\"\n]\nport = 1", vec![0, 4]),
            ("port = 1 # the password is hunter2\n", vec![]),
            ("tls = 'implicit'#kennwort = \"hunter2\"\nport = 1\n", vec![1]),
            ("port = 1 # host = \"x\", password-file = \"/x\"\n", vec![0]),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn in_a_broken_file_an_unfinished_secret_hides_the_rest() {
        for (text, want) in [
            ("x = \nhost = \"x\"\n", vec![]),
            ("port = \nhost = \"x\"\npassword = \"hunter2\"\nhots = 1\n", vec![0, 1, 3]),
            ("port = \nhost = \"x\" # hunter2 = password\n", vec![0]),
            ("[accounts.a\nport = 1\n[\"hunter2\"]\n", vec![0, 1]),
            ("host = \"x\"\npassword = \"hunter2\nport = 1\n", vec![0]),
            ("host = \"x\"\npassword = \nhunter2\n", vec![0]),
            ("host = \"x\"\npass\nword = \"hunter2\"\n", vec![0]),
            ("host = x\npassword = \"\"\"\nhunter2\n\"\"\"\nport = 1\n", vec![0]),
            ("host = \"x\"\npassword = 'it's hunter2'\nport = 1\n", vec![0]),
            ("host = \"\"\"x\npassword = \"hunter2\"\n", vec![0]),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }
}
