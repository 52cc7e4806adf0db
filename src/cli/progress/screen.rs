//! The terminal as the bars see it: some columns narrower than it is.
//!
//! The cursor waits behind the last bar, at the right edge.  There the terminal echoes `^C`, which must not begin a
//! line that the bars do not know about.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;

use crate::cli::terminal::Size;

/// The columns that stay free.
pub(super) const MARGIN: usize = 4;

/// Standard error, written when a picture is complete.
#[derive(Debug, Default)]
pub(super) struct Screen(Mutex<Picture>);

/// The output that is not written yet.
#[derive(Debug, Default)]
struct Picture {
    text: String,
    /// The columns that were reported to the bars.
    width: usize,
    /// The column of the cursor.
    column: usize,
}

impl Picture {
    /// Appends a text.  indicatif fills a line up to its last column, and expects the next one to begin by itself.
    fn put(&mut self, text: &str) {
        if self.column >= self.width && !text.is_empty() {
            self.text.push_str("\r\n");
            self.column = 0;
        }
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    fn steer(&mut self, sequence: &str) {
        self.text.push_str(sequence);
        self.column = 0;
    }
}

impl Screen {
    fn picture(&self) -> MutexGuard<'_, Picture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the cursor; a terminal treats 0 as 1.
    fn go(&self, by: usize, direction: char) {
        if by > 0 {
            self.picture().steer(&format!("\x1b[{by}{direction}"));
        }
    }
}

/// A number of rows or columns.
fn number(number: Option<usize>) -> u16 {
    number.and_then(|number| u16::try_from(number).ok()).unwrap_or(u16::MAX)
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        let width = number(Size::of(&io::stderr()).map(|size| size.columns - MARGIN));
        self.picture().width = width.into();
        width
    }

    fn height(&self) -> u16 {
        number(Size::of(&io::stderr()).map(|size| size.rows))
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.picture().put(text);
        self.picture().steer("\r\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        match text {
            "\r" => self.picture().steer(text),
            _ => self.picture().put(text),
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.picture().steer("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut self.picture().text);
        let mut stderr = io::stderr().lock();
        stderr.write_all(text.as_bytes())?;
        stderr.flush()
    }
}
