//! Collects the problems of all files while they are read.  Only this module decides what a problem
//! may show of a file's text.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use toml::de::DeTable;

use super::hidden::Hidden;
use super::hint;
use super::problem::{Position, Problem, SHOWN, Weight};
use super::source::Source;
use super::table::{At, MAIN};
use crate::text;

/// How many octets of a value a message repeats.
const ECHO_LIMIT: usize = 60;

/// A file that problems are about.
struct Judged<'t> {
    path: Arc<Path>,
    source: Source<'t>,
    hidden: Hidden,
    broken_lines: HashSet<usize>,
    /// Its syntax is broken or it could not be read, so keys and tables may have been lost.
    broken: bool,
}

struct Found {
    weight: Weight,
    file: usize,
    at: Option<At>,
    message: String,
    /// The line is shown only up to here: the value of an unknown key may be a secret.
    until: Option<usize>,
}

impl Found {
    fn order(&self) -> (usize, usize) {
        (self.file, self.at.as_ref().map_or(0, |at| at.octets.start))
    }
}

/// The problems of all files.
#[derive(Default)]
pub(super) struct Problems<'t> {
    files: Vec<Judged<'t>>,
    any_broken: bool,
    found: Vec<Found>,
    seen: HashSet<(usize, usize, String)>,
    /// The decisions of [`Problems::echo`]; `None`: the text is hidden.
    echoed: HashMap<At, Option<String>>,
}

impl<'t> Problems<'t> {
    /// Adds the next file, with its syntax errors.
    pub(super) fn file(&mut self, path: &Path, text: &'t str, root: &DeTable<'_>, errors: &[toml::de::Error]) {
        let source = Source::new(text);
        let hidden = Hidden::find(&source, root, !errors.is_empty());
        self.files.push(Judged { path: path.into(), source, hidden, broken_lines: HashSet::new(), broken: false });
        errors.iter().for_each(|error| self.syntax(error));
    }

    /// Adds the next file, which could not be read.
    pub(super) fn unreadable_file(&mut self, path: &Path, message: &str) {
        self.file(path, "", &DeTable::new(), &[]);
        let file = self.files.len() - 1;
        self.mark_broken(file);
        self.add(Weight::Error, (file, None), message.into(), None);
    }

    /// Reports a syntax error of the last file.
    fn syntax(&mut self, error: &toml::de::Error) {
        // Only `message()`, which is a fixed text: the error's own Display shows the line.
        let file = self.files.len() - 1;
        let at = At { file, octets: error.span().unwrap_or(0..0) };
        let judged = &self.files[file];
        let line = judged.source.line_of(at.octets.start);
        let column = at.octets.start.saturating_sub(judged.source.line_span(line).start);
        let message = match hint::of_syntax(judged.source.line(line), column) {
            Some(hint) => format!("{}; {hint}", error.message()),
            None => error.message().to_owned(),
        };
        self.error(&at, message);
        let judged = &mut self.files[file];
        judged.broken_lines.insert(judged.source.line_of(at.octets.start));
        self.mark_broken(file);
    }

    fn mark_broken(&mut self, file: usize) {
        self.files[file].broken = true;
        self.any_broken = true;
    }

    /// Whether a value is written with an escape, by which a backslash may have been lost.
    pub(super) fn is_escaped(&self, at: &At) -> bool {
        hint::has_escape(self.files[at.file].source.text(&at.octets))
    }

    /// Reports a problem that makes the configuration unusable.
    pub(super) fn error(&mut self, at: &At, message: impl Into<String>) {
        self.add(Weight::Error, (at.file, Some(at)), message.into(), None);
    }

    /// Reports an unknown key.
    pub(super) fn unknown_key(&mut self, at: &At, message: String, resembles_one: bool) {
        self.add(Weight::Error, (at.file, Some(at)), message, (!resembles_one).then_some(at.octets.end));
    }

    /// Reports something that a table lacks, unless broken syntax can be the cause: in the table's file,
    /// or in the main file with its `[defaults]`.
    pub(super) fn absence(&mut self, at: &At, message: impl Into<String>) {
        if !self.files[at.file].broken && !self.files[MAIN].broken {
            self.error(at, message);
        }
    }

    /// Reports something that no file has; at `at`, else about the main file as a whole.
    pub(super) fn nowhere(&mut self, at: Option<&At>, message: impl Into<String>) {
        if !self.any_broken {
            self.add(Weight::Error, (at.map_or(MAIN, |at| at.file), at), message.into(), None);
        }
    }

    /// Reports something that is allowed, but probably not meant.
    pub(super) fn warning(&mut self, at: &At, message: impl Into<String>) {
        if !self.any_broken {
            self.add(Weight::Warning, (at.file, Some(at)), message.into(), None);
        }
    }

    fn add(&mut self, weight: Weight, (file, at): (usize, Option<&At>), message: String, until: Option<usize>) {
        // Inherited keys are read for each account, but a fault is reported once.
        let start = at.map_or(0, |at| at.octets.start);
        let judged = &self.files[file];
        let on_broken_line = at.is_some() && judged.broken_lines.contains(&judged.source.line_of(start));
        if !on_broken_line && self.seen.insert((file, start, message.clone())) {
            self.found.push(Found { weight, file, at: at.cloned(), message, until });
        }
    }

    /// Whether there are already more problems than are shown, so that details of another one are not
    /// worth the time.
    pub(super) fn are_many(&self) -> bool {
        self.found.len() > SHOWN
    }

    /// A key or value as a message may repeat it: "`text`", or `instead` if it may be a secret.
    pub(super) fn echo(&mut self, at: &At, text: &str, instead: &str) -> String {
        if self.are_many() {
            return instead.to_owned();
        }
        // Ten thousand accounts may inherit a fault, and ten thousand secrets are compared with it.
        if !self.echoed.contains_key(at) {
            let judged = &self.files[at.file];
            let hide = self.holds_secret(text)
                || judged.hidden.covers(&judged.source, &at.octets) && (judged.broken || !is_key_like(text));
            let shown = (!hide).then(|| format!("`{}`", text::escape(text.as_bytes(), ECHO_LIMIT)));
            self.echoed.insert(at.clone(), shown);
        }
        self.echoed.get(at).cloned().flatten().unwrap_or_else(|| instead.to_owned())
    }

    /// A secret of one file must not be in a message about another file either.
    fn holds_secret(&self, text: &str) -> bool {
        self.files.iter().any(|file| file.hidden.is_in(text))
    }

    /// The first key of a file that holds a password itself.
    pub(super) fn first_password(&self, file: usize) -> Option<At> {
        let octets = self.files[file].hidden.first_password()?;
        Some(At { file, octets })
    }

    /// A file as it is named in messages.
    pub(super) fn path(&self, file: usize) -> String {
        self.files[file].path.display().to_string()
    }

    /// The last part of a file's path.
    pub(super) fn name(&self, file: usize) -> std::ffi::OsString {
        self.files[file].path.file_name().unwrap_or_default().to_owned()
    }

    /// `FILE:LINE:COLUMN`, to be named in a message about another place.
    pub(super) fn place(&self, at: &At) -> String {
        let position = self.files[at.file].source.position(at.octets.start);
        format!("{}:{}:{}", self.path(at.file), position.line, position.column)
    }

    /// Whether there is any error.
    pub(super) fn any_error(&self) -> bool {
        self.found.iter().any(|found| found.weight == Weight::Error)
    }

    /// All problems, in the order of the files.
    pub(super) fn into_list(mut self) -> Vec<Problem> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(Found::order);
        found.into_iter().enumerate().map(|(n, found)| self.shown(found, n < SHOWN)).collect()
    }

    fn shown(&self, found: Found, with_line: bool) -> Problem {
        let judged = &self.files[found.file];
        let place = found.at.map(|At { octets, .. }| {
            let position = judged.source.position(octets.start);
            let line = judged.source.line_span(position.line - 1);
            let mut text = judged.source.line(position.line - 1).to_owned();
            let mut show = with_line && !judged.hidden.line(position.line - 1) && !self.holds_secret(&text);
            let start = text.floor_char_boundary(octets.start.saturating_sub(line.start));
            let end = text.ceil_char_boundary(octets.end.saturating_sub(line.start));
            if let Some(until) = found.until {
                let until = text.ceil_char_boundary(until.saturating_sub(line.start));
                show &= start == text.len() - text.trim_start().len();
                text.truncate(until);
                text.push_str(" = ...");
            }
            Position {
                line: position.line,
                column: position.column,
                shown: show.then(|| (text, start..end.max(start))),
            }
        });
        Problem { file: Arc::clone(&judged.path), weight: found.weight, message: found.message, place }
    }
}

/// Whether a text can be a misspelled key.
fn is_key_like(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_')
}
