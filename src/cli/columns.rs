//! Texts that fit a number of columns: wide characters take two, combining ones none.

use crate::header::Heading;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The most columns of From and Subject where a table has other columns, too.
const SENDER: usize = 24;
const SUBJECT: usize = 32;

/// Between two columns of a table.
const GAP: &str = "  ";

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// A text in at most `columns` columns, with `…` for what is cut off.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (mut out, mut left) = (String::new(), columns.saturating_sub(1));
    for c in text.chars() {
        let Some(after) = left.checked_sub(c.width().unwrap_or(0)) else { break };
        left = after;
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// Who sent a message, in at most `columns` columns: if not all of From fits, its first name or address.
pub(super) fn sender(from: &str, columns: usize) -> String {
    if width(from) <= columns {
        return from.to_owned();
    }
    let name = from.split_once('<').map_or(from, |(name, _)| name).trim().trim_matches('"');
    let address = || from.trim_start_matches(['"', ' ', '<']);
    cut(if name.is_empty() { address() } else { name }, columns)
}

/// From and Subject for a table that has other columns, too.
pub(super) fn heading(heading: &Heading) -> [String; 2] {
    let shown = |text: &Option<String>, shorten: fn(&str, usize) -> String, columns| {
        text.as_deref().map_or_else(|| "-".to_owned(), |text| shorten(text, columns))
    };
    [shown(&heading.from, sender, SENDER), shown(&heading.subject, cut, SUBJECT)]
}

/// Cells side by side, each in its number of columns; the last one ends the line.
pub(super) fn line<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut out = String::new();
    for (index, (cell, &columns)) in cells.iter().zip(widths).enumerate() {
        if index > 0 {
            out.push_str(GAP);
        }
        out.push_str(cell);
        out.extend(std::iter::repeat_n(' ', columns.saturating_sub(width(cell))));
    }
    out.truncate(out.trim_end().len());
    out
}

/// The columns of a line that others, with a gap behind each, leave for the last one.
pub(super) fn left(columns: usize, taken: &[usize]) -> usize {
    columns.saturating_sub(taken.iter().map(|width| width + GAP.len()).sum())
}

/// The columns of the widest text.
pub(super) fn widest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(width).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_the_columns_that_it_takes() {
        for (text, columns, want) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("ab cd", 4, "ab…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("\u{1f600}\u{1f600}", 3, "\u{1f600}…"),
        ] {
            assert_eq!(cut(text, columns), want, "{text}");
            assert!(width(want) <= columns);
        }
    }

    #[test]
    fn of_a_sender_that_does_not_fit_the_name_is_shown() {
        for (from, want) in [
            ("a@b.org", "a@b.org"),
            ("Alice <alice@example.org>", "Alice"),
            ("\"Liddell, A.\" <alice@example.org>", "Liddell, A."),
            ("<alice@example.org>", "alice@examp…"),
            ("alice@example.org", "alice@examp…"),
            ("\"\" <alice@example.org>", "alice@examp…"),
            ("Alice Pleasance Liddell <a@b.org>", "Alice Pleas…"),
        ] {
            assert_eq!(sender(from, 12), want, "{from}");
        }
    }

    #[test]
    fn cells_are_aligned_by_columns() {
        let line = |from: &str| line(&[from.to_owned(), "x".to_owned()], &[6, 9]);
        assert_eq!(line("日本語"), "日本語  x");
        assert_eq!(line("ab"), "ab      x");
        assert_eq!(left(80, &[16, 4]), 56);
    }
}
