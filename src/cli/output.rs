//! How results and errors are written.

use std::io::Write;
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};

use crate::failure::{self, Failure, describe};
use crate::message::Name;
pub(super) use crate::text::local_time;

/// Writes a line to standard error.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Writes a line to standard output; `false` if nobody reads it any more.
pub(super) fn print(text: &str) -> bool {
    writeln!(std::io::stdout().lock(), "{text}").is_ok()
}

/// Empties the terminal for the next picture.
pub(super) fn clear_screen() {
    let _ = write!(std::io::stdout().lock(), "\x1b[2J\x1b[H");
}

/// An error as one paragraph: account, step, cause, what to do.
pub(super) fn paragraph(account: Option<&Name>, cause: &str, advice: Option<&str>) -> String {
    let whose = account.map_or(String::new(), |account| format!("account {account}: "));
    format!("postrider: {whose}{}", failure::paragraph(cause, advice))
}

/// Tells of an error on standard error; gives its exit code.
pub(super) fn complain<E: Failure + 'static>(account: Option<&Name>, error: &E) -> ExitCode {
    say(&paragraph(account, &describe(error), error.advice().as_deref()));
    ExitCode::from(error.class().exit_code())
}

/// The same, as a number.
pub(super) fn complain_code<E: Failure + 'static>(account: Option<&Name>, error: &E) -> u8 {
    say(&paragraph(account, &describe(error), error.advice().as_deref()));
    error.class().exit_code()
}

/// Writes a value as JSON to standard output.
pub(super) fn print_json(value: &impl serde::Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => {
            print(&text);
        }
        Err(error) => say(&format!("postrider: cannot be written as JSON: {error}")),
    }
}

/// Writes a table, one line for each row.
pub(super) fn print_table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // One line a row, also on a narrow terminal: it can be searched and pasted.
    table.set_content_arrangement(ContentArrangement::Disabled).set_header(head).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print(&table.trim_fmt());
}

/// Octets for people: `1.2 MB`.
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
