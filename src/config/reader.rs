//! Reads the keys of one table: checks their types, and reports unknown ones.
//!
//! A method that returns `None` has reported the fault, or the key is absent.  The caller continues
//! with a stand-in, so that all problems of a file are found at once.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::hint::BACKSLASH;
use super::keys::{self, Section};
use super::nearest::{did_you_mean, nearest};
use super::paths::{self, Paths};
use super::problems::Problems;
use super::table::{At, Entry, MAIN, Table};
use super::units::{self, Wrong};

/// The tables that every file may hold.
const GROUPS: [&str; 3] = ["accounts", "destinations", "oauth"];

/// One table, and the table that it inherits from.
pub(super) struct Reader<'r, 't, 's> {
    pub(super) problems: &'r mut Problems<'s>,
    pub(super) paths: &'r Paths,
    /// The table as messages name it, such as "account `work`".
    pub(super) what: String,
    /// Where the table begins.
    pub(super) at: At,
    sections: &'static [Section],
    own: Table<'t>,
    inherited: Option<Table<'t>>,
    /// Whether required keys must be there; false for `[defaults]`.
    pub(super) complete: bool,
}

impl<'r, 't, 's> Reader<'r, 't, 's> {
    pub(super) fn new(
        problems: &'r mut Problems<'s>,
        paths: &'r Paths,
        (what, at): (String, At),
        sections: &'static [Section],
        own: Table<'t>,
    ) -> Self {
        Self { problems, paths, what, at, sections, own, inherited: None, complete: true }
    }

    /// Takes the keys that are not in the table from `inherited`.
    pub(super) fn inherit(self, inherited: Option<Table<'t>>) -> Self {
        Self { inherited, ..self }
    }

    /// Requires no key.
    pub(super) fn partial(self) -> Self {
        Self { complete: false, ..self }
    }

    /// Reports every key that is not known here.
    pub(super) fn refuse_unknown(&mut self) {
        for entry in self.own.entries() {
            let name = entry.name();
            let misplaced = self.sections == [Section::Top] && !self.own.is_in_main() && !GROUPS.contains(&name);
            if keys::find(self.sections, name).is_some() && !misplaced {
                continue;
            }
            let known = keys::names(self.sections);
            let shown = self.problems.echo(&entry.key_at(), name, "this key");
            let mut same = keys::KEYS.iter().filter(|key| key.name == name).map(|key| key.section);
            // `oauth` is a table at the top, and a key of accounts.
            let first = same.next();
            let elsewhere = same.next().filter(|_| first == Some(Section::Top)).or(first);
            let message = match elsewhere {
                Some(Section::Top) if !self.own.is_in_main() => {
                    format!("{shown} can only be in the main file, {}", self.problems.path(MAIN))
                }
                Some(Section::Top) => format!("{shown} belongs at the top of the file, before the first table"),
                Some(Section::Account) if self.sections == [Section::Top] => {
                    format!("{shown} is a key of accounts: put it into [defaults] or [accounts.NAME]")
                }
                Some(Section::Account) => format!("{shown} is a key of accounts, not of {}", self.kind()),
                Some(Section::OfType(of)) => {
                    format!("{shown} is a key of destinations with type = \"{of}\", not of {}", self.kind())
                }
                Some(Section::OAuth) => format!("{shown} is a key of [oauth.NAME], not of {}", self.kind()),
                Some(Section::Destination) => format!("{shown} is a key of destinations, not of {}", self.kind()),
                None => format!("unknown key {shown}{}", did_you_mean(name, &known)),
            };
            let resembles = elsewhere.is_some() || nearest(name, &known).is_some();
            self.problems.unknown_key(&entry.key_at(), message, resembles);
        }
    }

    fn kind(&self) -> Cow<'static, str> {
        let of_type = self.sections.iter().find_map(|section| match section {
            Section::OfType(of) => Some(of),
            _ => None,
        });
        match (self.sections, of_type) {
            (_, Some(of)) => format!("one with type = \"{of}\"").into(),
            ([Section::Top], _) => "the top of the file".into(),
            ([Section::Account], _) => "accounts".into(),
            ([Section::OAuth], _) => "[oauth.NAME]".into(),
            _ => "destinations".into(),
        }
    }

    /// The key in this table, else in the inherited one.
    pub(super) fn entry(&self, name: &str) -> Option<Entry<'t>> {
        self.own_entry(name).or_else(|| self.inherited?.entry(name))
    }

    /// The key in this table alone.
    pub(super) fn own_entry(&self, name: &str) -> Option<Entry<'t>> {
        self.own.entry(name)
    }

    /// Reports a key that must be there and is not.
    pub(super) fn require(&mut self, name: &str) {
        if self.complete && self.entry(name).is_none() {
            let message = format!("{} needs `{name}`", self.what);
            self.problems.absence(&self.at, message);
        }
    }

    /// Reports a value that is not what the key takes.
    pub(super) fn wrong_type(&mut self, name: &str, entry: Entry<'_>) {
        let takes = keys::find(self.sections, name).map_or("something else", |key| key.takes);
        let found = match entry.value() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        self.problems.error(&entry.at(), format!("`{name}` takes {takes}, not {found}"));
    }

    pub(super) fn string(&mut self, name: &str) -> Option<(&'t str, Entry<'t>)> {
        let entry = self.entry(name)?;
        match entry.value() {
            DeValue::String(text) => Some((text, entry)),
            _ => {
                self.wrong_type(name, entry);
                None
            }
        }
    }

    /// A string of at least one character, without control characters.
    pub(super) fn plain(&mut self, name: &str) -> Option<(&'t str, Entry<'t>)> {
        let (text, entry) = self.string(name)?;
        let fault = if text.is_empty() {
            "is empty"
        } else if text.chars().any(char::is_control) {
            "has a control character"
        } else {
            self.warn_of_escape(name, text, entry);
            return Some((text, entry));
        };
        let hint = if self.problems.is_escaped(&entry.at()) { format!(": {BACKSLASH}") } else { String::new() };
        self.problems.error(&entry.at(), format!("`{name}` {fault}{hint}"));
        None
    }

    /// A backslash in double quotes changes a text silently: `CORP\x41` is `CORPA`.
    pub(super) fn warn_of_escape(&mut self, name: &str, text: &str, entry: Entry<'_>) {
        let is_strange = text.is_ascii() && self.problems.is_escaped(&entry.at());
        if is_strange || text.chars().any(char::is_control) {
            let what = if text.chars().any(char::is_control) { "has a control character" } else { "has an escape" };
            self.problems.warning(&entry.key_at(), format!("`{name}` {what}: {BACKSLASH}"));
        }
    }

    /// A string that parses.  The error of `parse` follows "`key`: ".
    pub(super) fn parsed<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (text, entry) = self.plain(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(fault) => {
                self.problems.error(&entry.at(), format!("`{name}`: {fault}"));
                None
            }
        }
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        let entry = self.entry(name)?;
        let value = entry.value().as_bool();
        if value.is_none() {
            self.wrong_type(name, entry);
        }
        value
    }

    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Option<i64> {
        let entry = self.entry(name)?;
        let DeValue::Integer(number) = entry.value() else {
            self.wrong_type(name, entry);
            return None;
        };
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| range.contains(number));
        if number.is_none() {
            let takes = keys::find(self.sections, name).map_or("", |key| key.takes);
            self.problems.error(&entry.at(), format!("`{name}` takes {takes}"));
        }
        number
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Option<T> {
        let (text, entry) = self.string(name)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            self.unknown_word(name, text, entry, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>());
        }
        found
    }

    fn unknown_word(&mut self, name: &str, text: &str, entry: Entry<'_>, words: &[&str]) {
        let shown = self.problems.echo(&entry.at(), text, "this value");
        let takes = keys::find(self.sections, name).map_or("", |key| key.takes);
        let hint = did_you_mean(text, words);
        self.problems.error(&entry.at(), format!("`{name}` takes {takes}, not {shown}{hint}"));
    }

    /// A duration within bounds.
    pub(super) fn duration(&mut self, name: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let entry = self.entry(name)?;
        let parsed = self.duration_at(name, entry, "s")?;
        if !range.contains(&parsed) {
            let (least, most) = (units::written(*range.start()), units::written(*range.end()));
            self.problems.error(&entry.at(), format!("`{name}` must be from {least} to {most}"));
            return None;
        }
        Some(parsed)
    }

    /// One of a few words, or a duration that is not zero.
    pub(super) fn word_or_duration<T: Copy>(
        &mut self,
        name: &str,
        words: &[(&str, T)],
        wrap: impl FnOnce(Duration) -> T,
    ) -> Option<T> {
        let entry = self.entry(name)?;
        if let DeValue::String(text) = entry.value() {
            if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
                return Some(*value);
            }
            if !text.starts_with(|c: char| c.is_ascii_digit()) {
                self.unknown_word(name, text, entry, &words.iter().map(|(word, _)| *word).collect::<Vec<_>>());
                return None;
            }
        }
        let duration = self.duration_at(name, entry, "d")?;
        if duration.is_zero() {
            let word = words.last().map_or("", |(word, _)| *word);
            self.problems.error(&entry.at(), format!("`{name}` must not be zero; write \"{word}\" if that is meant"));
            return None;
        }
        Some(wrap(duration))
    }

    fn duration_at(&mut self, name: &str, entry: Entry<'_>, unit: &str) -> Option<Duration> {
        let fault = match entry.value() {
            DeValue::String(text) => match units::duration(text) {
                Ok(duration) => return Some(duration),
                Err(wrong) => wrong.of_duration().to_owned(),
            },
            DeValue::Integer(number) => {
                let number = self.problems.echo(&entry.at(), number.as_str(), "5").replace('`', "");
                format!("a bare number has no unit: write \"{number}{unit}\" or the like")
            }
            _ => {
                self.wrong_type(name, entry);
                return None;
            }
        };
        self.problems.error(&entry.at(), format!("`{name}`: {fault}"));
        None
    }

    /// A size in octets that is not zero: a string with a unit, or an integer.
    pub(super) fn size(&mut self, name: &str) -> Option<u64> {
        let entry = self.entry(name)?;
        let size = match entry.value() {
            DeValue::String(text) => units::size(text),
            DeValue::Integer(number) => {
                let number = i64::from_str_radix(number.as_str(), number.radix()).ok();
                number.and_then(|number| u64::try_from(number).ok()).ok_or(Wrong::TooLarge)
            }
            _ => {
                self.wrong_type(name, entry);
                return None;
            }
        };
        let fault = match size {
            Ok(0) => "must not be zero",
            Ok(size) => return Some(size),
            Err(wrong) => wrong.of_size(),
        };
        self.problems.error(&entry.at(), format!("`{name}`: {fault}"));
        None
    }

    /// A path, resolved.
    pub(super) fn path(&mut self, name: &str) -> Option<PathBuf> {
        let (text, entry) = self.plain(name)?;
        match self.paths.resolve(text) {
            Ok(path) => {
                if paths::has_variable(text) {
                    let message = format!("`{name}`: variables are not expanded; `$` is taken as it is");
                    self.problems.warning(&entry.at(), message);
                }
                Some(path)
            }
            Err(fault) => {
                self.problems.error(&entry.at(), format!("`{name}`: {fault}"));
                None
            }
        }
    }

    /// An array of strings with at least one, each with its place.
    pub(super) fn array(&mut self, name: &str) -> Option<Vec<(&'t str, At)>> {
        let entry = self.entry(name)?;
        let Some(array) = entry.items() else {
            self.wrong_type(name, entry);
            return None;
        };
        if array.is_empty() {
            self.problems.error(&entry.at(), format!("`{name}` is empty"));
            return None;
        }
        let mut strings = Vec::new();
        let count = array.len();
        for (item, at) in array {
            match item.as_str() {
                Some(text) => strings.push((text, at)),
                None => {
                    let takes = keys::find(self.sections, name).map_or("strings", |key| key.takes);
                    let found = item.type_str();
                    self.problems.error(&at, format!("`{name}` takes {takes}; this one is of type {found}"));
                }
            }
        }
        (strings.len() == count).then_some(strings)
    }

    /// A string or an array of strings: at least one, each once.
    pub(super) fn one_or_more(&mut self, name: &str) -> Option<Vec<(&'t str, At)>> {
        let entry = self.entry(name)?;
        let strings = match entry.value() {
            DeValue::String(text) => vec![(text.as_ref(), entry.at())],
            _ => self.array(name)?,
        };
        let mut seen = HashSet::new();
        for (text, at) in &strings {
            if !seen.insert(*text) {
                let shown = self.problems.echo(at, text, "a value");
                self.problems.error(at, format!("`{name}` has {shown} twice"));
            }
        }
        Some(strings)
    }
}
