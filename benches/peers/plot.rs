//! The results as a picture: wall-clock seconds, on a logarithmic scale, shorter is better.
//!
//! An SVG without a background, in colours that are readable on white and on black.

use std::fmt::Write as _;

use crate::outcome::{Outcome, Row};
use crate::program::Program;

const WIDTH: f64 = 860.0;
/// Where the bars begin.
const LEFT: f64 = 300.0;
/// Room at the right for the value behind the longest bar.
const RIGHT: f64 = 90.0;
const BAR: f64 = 13.0;
const GAP: f64 = 14.0;
const TOP: f64 = 62.0;
/// Halfway between black and white.
const INK: &str = "#7a7f87";

/// Draws all workloads, done with this percentage of their mail.
pub(crate) fn svg(outcomes: &[Outcome], percent: usize) -> String {
    let scale = Scale::of(outcomes);
    let group = |outcome: &Outcome| outcome.rows.len() as f64 * BAR + GAP;
    let bottom = TOP + outcomes.iter().map(group).sum::<f64>();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"11\" fill=\"{INK}\">\n\
         <text x=\"10\" y=\"20\" font-size=\"14\" font-weight=\"bold\">Seconds to fetch mail from Dovecot \
         (median, logarithmic; shorter is better){part}</text>\n",
        height = bottom + 24.0,
        part = if percent == 100 { String::new() } else { format!(", {percent} % of it") }
    );
    legend(&mut out, outcomes);
    grid(&mut out, &scale, bottom);
    let mut y = TOP;
    for outcome in outcomes {
        group_of_bars(&mut out, &scale, outcome, y);
        y += group(outcome);
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String, outcomes: &[Outcome]) {
    let mut x = LEFT;
    let is_there =
        |program: &&Program| outcomes.iter().flat_map(|outcome| &outcome.rows).any(|row| row.program == **program);
    for program in Program::ALL.iter().filter(is_there) {
        let (name, colour) = (program.name(), colour(*program));
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"33\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"43\" font-size=\"12\">{name}</text>",
            x + 16.0
        );
        x += 95.0;
    }
}

fn grid(out: &mut String, scale: &Scale, bottom: f64) {
    for power in scale.least..=scale.most {
        let (x, seconds) = (scale.x(10_f64.powi(power)), 10_f64.powi(power));
        let _ = writeln!(
            out,
            "<line x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"{INK}\" stroke-opacity=\"0.35\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{seconds} s</text>",
            TOP - 6.0,
            bottom + 14.0
        );
    }
}

fn group_of_bars(out: &mut String, scale: &Scale, outcome: &Outcome, top: f64) {
    let middle = top + outcome.rows.len() as f64 * BAR / 2.0 + 4.0;
    let title = outcome.workload.title;
    let _ =
        writeln!(out, "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" font-size=\"12\">{title}</text>", LEFT - 10.0);
    for (position, row) in outcome.rows.iter().enumerate() {
        bar(out, scale, row, top + position as f64 * BAR);
    }
}

fn bar(out: &mut String, scale: &Scale, row: &Row, y: f64) {
    let (seconds, colour) = (row.wall().median, colour(row.program));
    let end = scale.x(seconds);
    // The bar of a program that did it wrong is only outlined.
    let (fill, note) = if row.fault().is_some() { ("none", " (wrong)") } else { (colour, "") };
    let weight = if row.program == Program::Postrider { "bold" } else { "normal" };
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{}\" rx=\"2\" fill=\"{fill}\" stroke=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{:.1}\" font-weight=\"{weight}\">{}{note}</text>",
        y + 1.0,
        end - LEFT,
        BAR - 3.0,
        end + 5.0,
        y + 9.5,
        shown(seconds)
    );
}

/// Seconds with three digits.
fn shown(seconds: f64) -> String {
    match seconds {
        100.0.. => format!("{seconds:.0} s"),
        10.0.. => format!("{seconds:.1} s"),
        1.0.. => format!("{seconds:.2} s"),
        _ => format!("{:.0} ms", seconds * 1000.0),
    }
}

fn colour(program: Program) -> &'static str {
    match program {
        Program::Postrider => "#e8622a",
        Program::Mpop => "#3f86d0",
        Program::Fetchmail => "#8a6fd1",
        Program::Getmail => "#b08a2e",
        Program::Fdm => "#2f9e86",
    }
}

/// Maps seconds to positions by their powers of ten.
struct Scale {
    least: i32,
    most: i32,
}

impl Scale {
    fn of(outcomes: &[Outcome]) -> Self {
        let medians: Vec<f64> =
            outcomes.iter().flat_map(|outcome| &outcome.rows).map(|row| row.wall().median.log10()).collect();
        let least = medians.iter().copied().fold(f64::INFINITY, f64::min).floor();
        let most = medians.iter().copied().fold(least + 1.0, f64::max).ceil();
        Self { least: least as i32, most: most as i32 }
    }

    fn x(&self, seconds: f64) -> f64 {
        let part = (seconds.log10() - f64::from(self.least)) / f64::from(self.most - self.least);
        LEFT + part * (WIDTH - LEFT - RIGHT)
    }
}
