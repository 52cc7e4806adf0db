//! Collects the problems of one file while it is read, and alone decides what of the file's text
//! a problem may show.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::hidden::Hidden;
use super::problem::{Place, Problem, SHOWN, Weight};
use super::source::Source;
use crate::text;

/// Octets of a value that a message repeats.
const ECHO_LIMIT: usize = 60;

struct Found {
    weight: Weight,
    at: Option<Range<usize>>,
    message: String,
    /// The line is shown only up to here: what follows a key that nobody knows may be anything.
    until: Option<usize>,
}

/// The problems of one file.
pub(super) struct Problems<'t> {
    file: Arc<Path>,
    source: &'t Source<'t>,
    hidden: Hidden,
    broken: HashSet<usize>,
    found: Vec<Found>,
    seen: HashSet<(usize, String)>,
}

impl<'t> Problems<'t> {
    pub(super) fn new(file: &Path, source: &'t Source<'t>, hidden: Hidden) -> Self {
        let (found, seen) = (Vec::new(), HashSet::new());
        Self { file: file.into(), source, hidden, broken: HashSet::new(), found, seen }
    }

    /// A fault of the syntax.
    pub(super) fn syntax(&mut self, error: &toml::de::Error) {
        // Only `message()`, which has fixed words: the error's own Display shows the line.
        let at = error.span().unwrap_or(0..0);
        self.error(&at, error.message());
        self.broken.insert(self.source.line_of(at.start));
    }

    /// Whether the syntax is at fault, so that keys and tables may have been lost.
    pub(super) fn is_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Something that makes the configuration unusable.
    pub(super) fn error(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.add(Weight::Error, Some(at.clone()), message.into(), None);
    }

    /// The same for a key that is not known.
    pub(super) fn unknown_key(&mut self, at: &Range<usize>, message: String, resembles_one: bool) {
        self.add(Weight::Error, Some(at.clone()), message, (!resembles_one).then_some(at.end));
    }

    /// An error that can be the result of a broken syntax, and is only told without one.
    pub(super) fn absence(&mut self, at: Option<&Range<usize>>, message: impl Into<String>) {
        if !self.is_broken() {
            self.add(Weight::Error, at.cloned(), message.into(), None);
        }
    }

    /// Something that is allowed, but worth a word.
    pub(super) fn warning(&mut self, at: &Range<usize>, message: impl Into<String>) {
        if !self.is_broken() {
            self.add(Weight::Warning, Some(at.clone()), message.into(), None);
        }
    }

    fn add(&mut self, weight: Weight, at: Option<Range<usize>>, message: String, until: Option<usize>) {
        // What an account inherits is read for each account, but said once.
        let start = at.as_ref().map_or(0, |at| at.start);
        let on_broken_line = at.is_some() && self.broken.contains(&self.source.line_of(start));
        if !on_broken_line && self.seen.insert((start, message.clone())) {
            self.found.push(Found { weight, at, message, until });
        }
    }

    /// A key or value as a message may repeat it: "`text`", or `instead` if it may be a secret.
    pub(super) fn echo(&self, at: &Range<usize>, text: &str, instead: &str) -> String {
        // The lines beyond the limit are not shown, so nothing is looked up for them either.
        let hide = self.found.len() > SHOWN
            || self.hidden.is_in(text)
            || self.hidden.covers(self.source, at) && (self.is_broken() || !is_key_like(text));
        match hide {
            true => instead.to_owned(),
            false => format!("`{}`", text::escape(text.as_bytes(), ECHO_LIMIT)),
        }
    }

    /// The first key that holds a password itself.
    pub(super) fn first_password(&self) -> Option<Range<usize>> {
        self.hidden.first_password()
    }

    /// Whether there is any error.
    pub(super) fn any_error(&self) -> bool {
        self.found.iter().any(|found| found.weight == Weight::Error)
    }

    /// All problems, in the order of the file.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|found| found.at.as_ref().map_or(0, |at| at.start));
        found.into_iter().enumerate().map(|(n, found)| self.shown(found, n < SHOWN)).collect()
    }

    fn shown(&self, found: Found, with_line: bool) -> Problem {
        let place = found.at.map(|at| {
            let position = self.source.position(at.start);
            let line = self.source.line_span(position.line - 1);
            let mut text = self.source.line(position.line - 1).to_owned();
            let mut show = with_line && !self.hidden.line(position.line - 1) && !self.hidden.is_in(&text);
            let start = text.floor_char_boundary(at.start.saturating_sub(line.start));
            let end = text.ceil_char_boundary(at.end.saturating_sub(line.start));
            if let Some(until) = found.until {
                let until = text.ceil_char_boundary(until.saturating_sub(line.start));
                show &= start == text.len() - text.trim_start().len();
                text.truncate(until);
                text.push_str(" = ...");
            }
            Place { line: position.line, column: position.column, shown: show.then(|| (text, start..end.max(start))) }
        });
        Problem { file: Arc::clone(&self.file), weight: found.weight, message: found.message, place }
    }
}

/// Whether a text can be a key that somebody has misspelled.
fn is_key_like(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_')
}
