//! The text of one configuration file, and where its lines are.

use std::ops::Range;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Counted from one.
    pub(super) line: usize,
    /// In characters, counted from one.
    pub(super) column: usize,
}

/// A text with the starts of its lines.
pub(super) struct Source<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        Self { text, starts }
    }

    /// The number of lines; a text without any line end has one.
    pub(super) fn line_count(&self) -> usize {
        self.starts.len()
    }

    /// The index of the line, from zero, that holds the octet at `at`.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at).saturating_sub(1)
    }

    /// The indexes of all lines that a span touches.
    pub(super) fn lines_of(&self, span: &Range<usize>) -> Range<usize> {
        let last = span.end.saturating_sub(1).max(span.start);
        self.line_of(span.start)..self.line_of(last) + 1
    }

    /// A part of the text.
    pub(super) fn text(&self, span: &Range<usize>) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    /// The span of a line, without its line end.
    pub(super) fn line_span(&self, line: usize) -> Range<usize> {
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = self.text.get(start..end).unwrap_or_default();
        start..start + text.strip_suffix('\r').unwrap_or(text).len()
    }

    /// A line without its line end.
    pub(super) fn line(&self, line: usize) -> &'t str {
        self.text.get(self.line_span(line)).unwrap_or_default()
    }

    /// Line and column of an octet.  An octet inside a character counts as the character's start.
    pub(super) fn position(&self, at: usize) -> Position {
        let at = self.text.floor_char_boundary(at);
        let line = self.line_of(at);
        let start = self.starts.get(line).copied().unwrap_or(0);
        let column = self.text.get(start..at).unwrap_or_default().chars().count() + 1;
        Position { line: line + 1, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_from_one_in_characters() {
        let source = Source::new("a\nüx = 1\r\n");
        for (at, line, column) in [(0, 1, 1), (1, 1, 2), (2, 2, 1), (3, 2, 1), (4, 2, 2), (99, 3, 1)] {
            assert_eq!(source.position(at), Position { line, column }, "{at}");
        }
        assert_eq!(source.line(1), "üx = 1");
        assert_eq!(source.line(2), "");
        assert_eq!(source.line(9), "");
        assert_eq!(source.lines_of(&(0..5)), 0..2);
        assert_eq!(source.lines_of(&(0..0)), 0..1);
    }
}
