//! The results as text.

use std::fmt::Write as _;

use crate::outcome::{ONCE_ABOVE, Outcome, Row, Sample};
use crate::program::Program;
use crate::settings::Settings;

/// The rows of one workload, the fastest first.
pub(crate) fn of_workload(outcome: &Outcome) -> String {
    let mut text = format!("{}: {}\n", outcome.workload.name, outcome.workload.title);
    let _ = writeln!(
        text,
        "  {:10} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>5}",
        "", "wall s", "min", "max", "x other", "cpu s", "MiB", "runs"
    );
    let mut rows: Vec<&Row> = outcome.rows.iter().collect();
    rows.sort_by(|a, b| a.wall().median.total_cmp(&b.wall().median));
    for row in rows {
        let (wall, of) = (row.wall(), |of: fn(&Sample) -> f64| row.spread(of).median);
        let ratio = outcome.ratio(row).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let _ = write!(
            text,
            "  {:10} {:9.3} {:8.3} {:8.3} {ratio:>8} {:8.2} {:8.1} {:5}",
            row.program.name(),
            wall.median,
            wall.least,
            wall.most,
            of(|sample| sample.cpu),
            of(|sample| sample.peak_mib),
            row.samples.len()
        );
        let slow = row.is_slow().then(|| format!("  run once: more than {ONCE_ABOVE} s"));
        let fault = row.fault().map(|fault| format!("  WRONG: {fault}"));
        let _ = writeln!(text, "{}{}", slow.unwrap_or_default(), fault.unwrap_or_default());
    }
    text
}

/// The whole report, with the machine that it was measured on.
pub(crate) fn report(settings: &Settings, outcomes: &[Outcome]) -> String {
    let versions: Vec<String> = settings.programs.iter().map(versioned).collect();
    let mut text = format!(
        "`make bench` of {}, {}.\n{}.\n\n",
        jiff::ZonedDateTime::now().strftime("%Y-%m-%d"),
        machine(),
        versions.join(", ")
    );
    text.push_str(
        "Seconds by the clock and by processors, and the peak memory of the largest process, are medians of the\n\
         runs.  \"x other\" compares with the best other program: below 1 is faster than all others.  Each program\n\
         has its own defaults; postrider syncs every message to the disk before it counts as delivered.  fetchmail\n\
         delivers through a small program of ours, and fdm does not verify the server's certificate.\n\n",
    );
    if settings.percent != 100 {
        let _ = writeln!(text, "Only {} % of the mail: not a meaningful measurement.\n", settings.percent);
    }
    let tables: Vec<String> = outcomes.iter().map(of_workload).collect();
    text + &tables.join("\n")
}

fn versioned(program: &Program) -> String {
    let version = match program {
        Program::Postrider => Some(env!("CARGO_PKG_VERSION").to_owned()),
        _ => program.version(),
    };
    format!("{} {}", program.name(), version.unwrap_or_default()).trim_end().to_owned()
}

/// Processors and kernel.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let uname = rustix::system::uname();
    format!("{processors} x {}, Linux {}", model.unwrap_or("unknown"), uname.release().to_string_lossy())
}
