//! The table of a run, `target/hostile.md`: it depends on the machine, and is not committed.

use super::case::Case;
use super::trial::{ACCOUNTS, Row};
use std::fmt::Write as _;
use std::path::Path;

/// The variable that asks for the table.
const VARIABLE: &str = "POSTRIDER_HOSTILE";

/// Characters of an outcome that the table shows.
const OUTCOME_LIMIT: usize = 110;

/// Writes the table, if it is asked for.
pub(crate) fn write(cases: &[Case], rows: &[Row]) {
    let peak = rows.iter().map(|row| row.peak_kib).max().unwrap_or(0);
    let longest = rows.iter().map(|row| row.longest).max().unwrap_or_default();
    let open = cases.iter().filter(|case| case.open.is_some()).count();
    let is_failed = |case: &&Case| {
        case.open.is_none() && rows.iter().any(|row| row.number == case.number && !row.faults.is_empty())
    };
    let failed = cases.iter().filter(is_failed).count();
    let total = format!(
        "{} cases, {} with their transports; {failed} failed, {open} are open; peak memory {:.1} MiB; longest time {:.1} s.",
        cases.len(),
        rows.len(),
        peak as f64 / 1024.0,
        longest.as_secs_f64()
    );
    eprintln!("hostile: {total}");
    if std::env::var(VARIABLE).is_ok_and(|value| value == "table") {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("hostile.md");
        std::fs::write(&path, table(cases, rows, &total)).expect("the table");
        eprintln!("hostile: written to {}", path.display());
    }
}

fn table(cases: &[Case], rows: &[Row], total: &str) -> String {
    let mut text = format!("{HEAD}{total}\n");
    let mut family = "";
    for case in cases {
        if case.family != family {
            family = &case.family;
            let name = family.split_once('-').map_or(family, |(_, name)| name);
            write!(text, "\n## {name}\n\n{COLUMNS}").expect("a String");
        }
        let of_case: Vec<&Row> = rows.iter().filter(|row| row.number == case.number).collect();
        let mut transports: Vec<&str> = of_case.iter().map(|row| row.transport.name()).collect();
        transports.dedup();
        let peak = of_case.iter().map(|row| row.peak_kib).max().unwrap_or(0);
        let longest = of_case.iter().map(|row| row.longest).max().unwrap_or_default();
        writeln!(
            text,
            "| {} | {} | {} | {} | {:.1} | {:.1} |",
            case.number,
            escaped(&case.name),
            transports.join(" "),
            outcome(case, &of_case),
            peak as f64 / 1024.0,
            longest.as_secs_f64()
        )
        .expect("a String");
    }
    text
}

/// The outcomes of a case by transport, where they differ.
fn outcome(case: &Case, rows: &[&Row]) -> String {
    if let Some(why) = &case.open {
        return format!("**open**: {}", escaped(why));
    }
    if rows.iter().any(|row| !row.faults.is_empty()) {
        return "**failed**".to_owned();
    }
    let mut outcomes: Vec<String> = rows.iter().map(|row| escaped(&row.outcome)).collect();
    outcomes.sort();
    outcomes.dedup();
    outcomes.join("<br>")
}

/// Fit for a cell of a table, whatever it holds.
fn escaped(text: &str) -> String {
    let short: String = text.chars().take(OUTCOME_LIMIT).collect();
    let more = if short.len() < text.len() { "..." } else { "" };
    let mut out = String::new();
    for c in short.chars() {
        if matches!(c, '\\' | '|' | '`' | '*' | '_' | '<' | '[') {
            out.push('\\');
        }
        out.push(c);
    }
    out + more
}

const COLUMNS: &str = "| case | what the server does | by | outcome | MiB | s |\n|---:|---|---|---|---:|---:|\n";

const _: () = assert!(ACCOUNTS == 10, "the text says ten");

const HEAD: &str = "# Hostile servers

`make hostile` writes this table: every case of `tests/hostile/corpus/`, in clear (clear), with TLS from
the start (tls) and with STLS (stls).  Ten accounts with hostile servers and one with an honest one are
fetched from by one process, and a second time when every server has become honest.  `timeout` is 30 s
and `deadline` 45 s or more, or 3 s and 10 s in the cases that wait for them.  A case fails unless

* the program neither panics nor outlasts its deadline, and uses less than 64 MiB;
* the account ends with the exit code and the words that the case asks for, and the honest one with success;
* no password is sent before TLS, where there is to be TLS, or logged; no control character is shown;
* the Maildir holds exactly the messages that came whole, and the server has been asked to delete only
  messages that were in the Maildir by then;
* everything is there, once, after the second run.

The outcome is what the account's result says.  The memory (MiB) is the peak of the whole process with its eleven
accounts; the time (s) is that of the account's longest connection.  A case that is open is one that the
program is known to fail, and why.

";
