//! The problems of a configuration, and how they are shown: each with its file, line, column and,
//! unless it may hold a secret, the line itself with a caret.
//!
//! A [`Problem`] holds no text of the file except that one line.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::failure::{Class, Failure};

/// How many problems are shown in full; more than that usually have one cause.
pub(super) const SHOWN: usize = 100;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The configuration cannot be used.
    Error,
    /// It can, but probably does not do what was meant.
    Warning,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from one.
    pub line: usize,
    /// In characters, counted from one.
    pub column: usize,
    /// The line, and the octets of it that the problem is about; `None` if it may hold a secret.
    pub shown: Option<(String, Range<usize>)>,
}

/// One problem of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: Arc<Path>,
    /// How bad it is.
    pub weight: Weight,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; `None` if it is about the whole file.
    pub place: Option<Position>,
}

impl Problem {
    /// `FILE:LINE:COLUMN: MESSAGE` on one line.
    pub fn on_one_line(&self) -> String {
        let file = self.file.display();
        match &self.place {
            Some(place) => format!("{file}:{}:{}: {}", place.line, place.column, self.message),
            None => format!("{file}: {}", self.message),
        }
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.weight {
            Weight::Error => Level::ERROR,
            Weight::Warning => Level::WARNING,
        };
        let file = self.file.to_string_lossy();
        let title = level.primary_title(&self.message);
        let group: Group<'_> = match &self.place {
            None => title.element(Origin::path(file)),
            Some(Position { line, column, shown: None }) => title
                .element(Origin::path(file).line(*line).char_column(*column))
                .element(Level::NOTE.message("the line is not shown because it may hold a password")),
            Some(Position { line, shown: Some((text, span)), .. }) => title.element(
                Snippet::source(tamed(text))
                    .path(file)
                    .line_start(*line)
                    .annotation(AnnotationKind::Primary.span(span.clone())),
            ),
        };
        renderer.render(&[group])
    }
}

/// A configuration that cannot be used: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(file: &Path, problems: Vec<Problem>) -> Self {
        Self { file: file.to_owned(), problems }
    }

    /// The main file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Every problem, warnings too, in the order of the files.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No ANSI codes: the text also goes to the journal.
        let renderer = Renderer::plain();
        for problem in self.problems.iter().take(SHOWN) {
            writeln!(f, "{}\n", problem.render(&renderer))?;
        }
        if self.problems.len() > SHOWN {
            writeln!(f, "... and {} more\n", self.problems.len() - SHOWN)?;
        }
        let errors = self.problems.iter().filter(|problem| problem.weight == Weight::Error).count();
        let warnings = self.problems.len() - errors;
        f.write_str(&counted(errors, "problem"))?;
        if warnings > 0 {
            write!(f, " and {}", counted(warnings, "warning"))?;
        }
        let files: HashSet<&Path> = self.problems.iter().map(|problem| &*problem.file).collect();
        match files.iter().next() {
            Some(file) if files.len() == 1 => write!(f, " in {}", file.display()),
            _ => write!(f, " in {} files", files.len()),
        }
    }
}

/// Replaces the control characters of Latin-1, which control some terminals too; the renderer
/// replaces only those of ASCII.  The replacement has as many octets, so that the span stays valid.
fn tamed(line: &str) -> String {
    line.chars().map(|c| if matches!(c, '\u{80}'..='\u{9f}') { '\u{bf}' } else { c }).collect()
}

fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl std::error::Error for ConfigError {}

impl Failure for ConfigError {
    fn class(&self) -> Class {
        Class::Configuration
    }
}
