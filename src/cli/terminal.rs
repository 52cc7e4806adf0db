//! The size of a terminal, and text that fits it.

use std::io::IsTerminal;
use std::os::fd::AsFd;

/// The size if it is not known: that of a VT100.
const ROWS: usize = 24;
pub(super) const COLUMNS: usize = 80;
/// The smallest width that text is wrapped for.
const LEAST_COLUMNS: usize = 20;

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Size {
    /// The size of a stream's terminal, asked for each time, since windows are resized; `None`: it is not a terminal.
    pub(super) fn of(stream: &(impl IsTerminal + AsFd)) -> Option<Self> {
        stream.is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(stream).ok();
            let known =
                |number: Option<u16>, otherwise| number.filter(|&number| number > 0).map_or(otherwise, usize::from);
            Self {
                rows: known(size.map(|size| size.ws_row), ROWS),
                columns: known(size.map(|size| size.ws_col), COLUMNS).max(LEAST_COLUMNS),
            }
        })
    }
}

/// A text for a stream: wrapped if the stream is a terminal.
pub(super) fn fitted(text: &str, stream: &(impl IsTerminal + AsFd)) -> String {
    Size::of(stream).map_or_else(|| text.to_owned(), |size| wrapped(text, size.columns))
}

/// A text with its lines broken between words.  Lines that show a place in a file stay as they are.
pub(super) fn wrapped(text: &str, columns: usize) -> String {
    text.lines().flat_map(|line| rows_of(line, columns)).collect::<Vec<_>>().join("\n")
}

fn rows_of(line: &str, columns: usize) -> Vec<String> {
    let shows_a_file = line.trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit()).starts_with(['|', '-']);
    if line.chars().count() <= columns || shows_a_file {
        return vec![line.to_owned()];
    }
    let (mut rows, mut row) = (Vec::new(), String::new());
    for (index, word) in line.split(' ').enumerate() {
        let is_full = row.chars().count() + 1 + word.chars().count() > columns;
        if !row.is_empty() && is_full {
            rows.push(row.trim_end().to_owned());
            row.clear();
        } else if index > 0 && !row.is_empty() {
            row.push(' ');
        }
        row.push_str(word);
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_nothing_is_lost() {
        let text = "postrider: account a: login: the server refused.  Check `username` and the password.\nshort\n\n  1 | host = \"a very long line of a file that is shown\"";
        for columns in [20, 40, 80, 200] {
            let wrapped = wrapped(text, columns);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&wrapped), words(text), "{columns}");
            for line in wrapped.lines().filter(|line| !line.contains('|')) {
                assert!(line.chars().count() <= columns && !line.ends_with(' ') && !line.starts_with(' '), "{line:?}");
            }
        }
        assert_eq!(wrapped("https://a.example/a/word/that/is/longer/than/a/row x", 20).lines().count(), 2);
    }
}
