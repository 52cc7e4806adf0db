//! Writes results and errors.
//!
//! If standard output cannot be written, the command has failed ([`settle`]).  A reader that closes
//! the pipe is not a failure.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use comfy_table::{ContentArrangement, Table, presets};

use super::terminal::{Size, fitted};
use crate::failure::{self, Class, Failure, describe};
use crate::message::{Name, UnixTime};
pub(super) use crate::text::local_time;

/// The columns of [`local_minute`].
pub(super) const MINUTE: usize = "2023-01-02 03:04".len();

/// A time without its seconds.
pub(super) fn local_minute(at: UnixTime) -> String {
    let mut text = local_time(at);
    text.truncate(MINUTE);
    text
}

/// Writes a line to standard error.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", fitted(text, &io::stderr()));
}

/// Whether this process was started without standard output.  The standard library opens `/dev/null`
/// in its place, where every write succeeds.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// The first error in writing to standard output.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// Remembers whether there was a standard output when the process began.
pub(super) fn remember(was_closed: bool) {
    CLOSED.store(was_closed, Ordering::Relaxed);
}

/// Writes a line of prose to standard output; `false` if it cannot be written.
pub(super) fn print(text: &str) -> bool {
    print_as_it_is(&fitted(text, &io::stdout()))
}

/// The same for text that a program reads, or that is laid out already.
pub(super) fn print_as_it_is(text: &str) -> bool {
    write(format!("{text}\n").as_bytes()).is_ok()
}

/// Writes octets to standard output; [`settle`] reports a failure.
///
/// # Errors
/// They cannot be written.
pub(super) fn write(octets: &[u8]) -> io::Result<()> {
    put(octets).inspect_err(|error| {
        let code = error.raw_os_error();
        let error = code.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
        FAILED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    })
}

/// The same for a caller that reports a failure itself.
///
/// # Errors
/// They cannot be written.
pub(super) fn put(octets: &[u8]) -> io::Result<()> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(rustix::io::Errno::BADF.into());
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(octets).and_then(|()| stdout.flush())
}

/// The exit code of a command that ends with `code`: lost output is a failure of its own, and is
/// reported here.  A reader that closes the pipe has what it wants.
pub(super) fn settle(code: u8) -> u8 {
    match FAILED.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => {
            say(&format!("postrider: the output cannot be written: {error}"));
            match Class::of_exit_code(code) {
                Some(class) if class > Class::LocalIo => code,
                _ => super::IO_ERROR,
            }
        }
        _ => code,
    }
}

/// An error as one paragraph: account, step, cause, what to do.
pub(super) fn paragraph(account: Option<&Name>, cause: &str, advice: Option<&str>) -> String {
    let whose = account.map_or(String::new(), |account| format!("account {account}: "));
    format!("postrider: {whose}{}", failure::paragraph(cause, advice))
}

/// Reports an error on standard error; returns its exit code.
pub(super) fn complain<E: Failure + 'static>(account: Option<&Name>, error: &E) -> ExitCode {
    say(&paragraph(account, &describe(error), error.advice().as_deref()));
    ExitCode::from(error.class().exit_code())
}

/// The same, with the exit code as a number.
pub(super) fn complain_code<E: Failure + 'static>(account: Option<&Name>, error: &E) -> u8 {
    say(&paragraph(account, &describe(error), error.advice().as_deref()));
    error.class().exit_code()
}

/// Writes a value as JSON to standard output; `false` if it cannot be written.
pub(super) fn print_json(value: &impl serde::Serialize) -> bool {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print_as_it_is(&text),
        Err(error) => {
            say(&format!("postrider: cannot be written as JSON: {error}"));
            false
        }
    }
}

/// Writes a table.
pub(super) fn print_table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    print_as_it_is(&table(head, rows));
}

/// A table that fits the terminal; without a terminal, one line for each row, so that it can be searched.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head).add_rows(rows);
    match Size::of(&io::stdout()) {
        Some(size) => {
            let columns = u16::try_from(size.columns).unwrap_or(u16::MAX);
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns)
        }
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

/// A number of octets for people: `1.2 MB`.
pub(super) fn size(octets: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if octets < 1000 {
        return format!("{octets} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = octets as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `1 message`, `2 messages`.
pub(super) fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (octets, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_234_567, "1.2 MB"), (999_999_999, "1.0 GB")]
        {
            assert_eq!(size(octets), text);
        }
    }
}
