//! Progress on a terminal: a bar for each account, drawn from the polls' counters.

mod screen;

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use self::screen::{MARGIN, Screen};
use super::output::size;
use super::terminal::Size;
use crate::message::Name;
use crate::progress::{Phase, Progress, Snapshot};

/// The bars that are drawn, to be removed by a process that exits at once.
static DRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Removes everything that is drawn, so that the next output begins on a new line.
pub(super) fn clear() {
    if let Some(drawn) = &*DRAWN.lock().unwrap_or_else(PoisonError::into_inner) {
        let _ = drawn.clear();
        drawn.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// How often the terminal is written to, at most.
const FRAMES_PER_SECOND: u8 = 20;

/// How long to wait before saying something if no bar is drawn.
const QUIET: Duration = Duration::from_secs(5);

/// How often bars are redrawn.
const FRAME: Duration = Duration::from_millis(100);

/// The bars of a fetch; without a terminal nothing is drawn.
#[derive(Clone)]
pub(super) struct Bars {
    multi: MultiProgress,
    drawn: bool,
}

/// One account's bar.
pub(super) struct Bar {
    bar: ProgressBar,
    progress: Arc<Progress>,
}

/// A line about something that takes time.
pub(super) struct Spinner(ProgressBar);

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Bars {
    /// Bars on standard error, if that is a terminal and they are wanted.
    pub(super) fn new(wanted: bool) -> Self {
        let drawn = wanted && io::stderr().is_terminal();
        let target = if drawn {
            ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), FRAMES_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let multi = MultiProgress::with_draw_target(target);
        if drawn {
            *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(multi.clone());
        }
        Self { multi, drawn }
    }

    /// Whether anything is drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.drawn
    }

    /// A line about something that takes time; it is removed when the spinner is dropped.
    pub(super) fn spin(&self, what: &str) -> Spinner {
        let bar = self.multi.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner} {msg}"));
        bar.set_message(what.to_owned());
        if self.drawn {
            bar.enable_steady_tick(FRAME);
        }
        Spinner(bar)
    }

    /// Does work that may take long.  If no bar is drawn, says once what it is waiting for, and how long that may stay
    /// silent.
    pub(super) async fn telling<T>(&self, what: &str, silence: Option<Duration>, work: impl Future<Output = T>) -> T {
        if self.drawn {
            return work.await;
        }
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(QUIET, &mut work).await {
            return done;
        }
        let limit = silence.map_or(String::new(), |limit| format!("; it may stay silent for {} s", limit.as_secs()));
        self.say(&format!("waiting for {what}{limit}"));
        work.await
    }

    /// A bar for an account.
    pub(super) fn add(&self, name: &Name, progress: Arc<Progress>) -> Bar {
        let bar = self.multi.add(ProgressBar::new(0));
        bar.set_style(waiting());
        bar.set_prefix(name.to_string());
        bar.set_message("waiting");
        Bar { bar, progress }
    }

    /// Writes a line above the bars.
    pub(super) fn say(&self, text: &str) {
        self.multi.suspend(|| super::output::say(text));
    }

    /// Writes a line of output above the bars.
    pub(super) fn print(&self, text: &str) {
        self.multi.suspend(|| super::output::print(text));
    }
}

impl Bar {
    /// Draws until the poll has ended.
    pub(super) async fn follow(&self) {
        let mut ticks = tokio::time::interval(FRAME);
        loop {
            ticks.tick().await;
            self.draw();
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// Draws the counters as they are now.
    pub(super) fn draw(&self) {
        let now = self.progress.snapshot();
        let text = match now.phase {
            Phase::Waiting => "waiting",
            Phase::Connecting => "connecting",
            Phase::Listing => "listing",
            Phase::Finishing => "finishing",
            Phase::Ended => "done",
            Phase::Fetching => return self.draw_fetching(&now),
        };
        self.bar.set_message(text);
        self.bar.tick();
    }

    fn draw_fetching(&self, now: &Snapshot) {
        if self.bar.length() != Some(now.octets_total.max(1)) {
            self.bar.set_style(line());
            self.bar.set_length(now.octets_total.max(1));
            self.bar.reset_elapsed();
        }
        // The listed sizes are a hint, and servers count line ends differently.
        self.bar.set_position(now.octets.min(now.octets_total));
        let columns = Size::of(&io::stderr()).map_or(0, |size| size.columns);
        let pace = Pace { octets_per_second: self.bar.per_sec(), left: self.bar.eta() };
        self.bar.set_message(told(&self.bar.prefix(), now, &pace, columns.saturating_sub(MARGIN)));
    }
}

/// The columns of an account's name.
const NAME: usize = 16;
/// The columns of a bar with its brackets, at most and at least.
const WIDEST: usize = 26;
const NARROWEST: usize = 7;

/// How fast a fetch is.
struct Pace {
    octets_per_second: f64,
    left: Duration,
}

/// A line about an account that fits the terminal: the narrowest one still shows the most important part.
fn told(name: &str, now: &Snapshot, pace: &Pace, columns: usize) -> String {
    let messages = format!("{}/{}", now.messages, now.messages_total);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for people")]
    let rate = format!("{}/s", size(pace.octets_per_second.max(0.0) as u64));
    let octets = format!("{} of {}", size(now.octets.min(now.octets_total)), size(now.octets_total));
    let left = (now.octets > 0).then(|| format!("{} left", clock(pace.left)));
    let mut parts = vec![messages];
    let mut taken = NAME + 1 + parts[0].len();
    // The most important first.
    for part in left.into_iter().chain([octets, rate]) {
        if taken + 2 + part.len() + 1 + NARROWEST > columns {
            break;
        }
        taken += 2 + part.len();
        parts.push(part);
    }
    let room = columns.saturating_sub(taken + 1).min(WIDEST);
    let bar = if room >= NARROWEST { format!("{} ", drawn(now, room)) } else { String::new() };
    let line = format!("{} {bar}{}", in_columns(name, NAME), parts.join("  "));
    line.chars().take(columns).collect()
}

/// A name cut or padded to that many columns.
fn in_columns(name: &str, columns: usize) -> String {
    format!("{:<columns$}", name.chars().take(columns).collect::<String>())
}

/// `[===>    ]`
fn drawn(now: &Snapshot, columns: usize) -> String {
    let inside = columns.saturating_sub(2);
    let total = now.octets_total.max(1);
    let done = u128::from(now.octets.min(total)) * inside as u128 / u128::from(total);
    let done = usize::try_from(done).unwrap_or(inside);
    let tip = if done < inside { ">" } else { "" };
    format!("[{:<inside$}]", format!("{}{tip}", "=".repeat(done)))
}

/// `0:42`, `12:05`, `3:02:09`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs().min(359_999);
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn waiting() -> ProgressStyle {
    style("{prefix:<16!} {spinner} {msg}")
}

fn line() -> ProgressStyle {
    style("{msg}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes the log to the terminal above the bars.
impl<'a> MakeWriter<'a> for Bars {
    type Writer = AboveBars;

    fn make_writer(&'a self) -> AboveBars {
        AboveBars(self.multi.clone())
    }
}

/// Writes above the bars.
pub(super) struct AboveBars(MultiProgress);

impl Write for AboveBars {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write_all(octets)).map(|()| octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(messages: u64, octets: u64) -> Snapshot {
        let (messages_total, octets_total) = (6000, 143_950_000);
        Snapshot { phase: Phase::Fetching, messages, messages_total, octets, octets_total }
    }

    #[test]
    fn a_line_fits_every_terminal_and_shows_more_the_wider_it_is() {
        let pace = Pace { octets_per_second: 2_810_000.0, left: Duration::from_secs(42) };
        for columns in 20..=200 {
            for (messages, octets) in [(0, 0), (1196, 23_520_000), (6000, 143_950_000)] {
                let line = told("alice@an-old-internet.example", &snapshot(messages, octets), &pace, columns);
                assert!(line.chars().count() <= columns, "{columns}: {line}");
                assert!(columns < 26 || line.contains(&format!("{messages}/6000")), "{columns}: {line}");
            }
        }
        for (columns, want) in [
            (36, "work             [=>     ] 1196/6000"),
            (56, "work             [==>             ] 1196/6000  0:42 left"),
            (75, "work             [==>           ] 1196/6000  0:42 left  23.5 MB of 143.9 MB"),
            (196, "work             [===>                    ] 1196/6000  0:42 left  23.5 MB of 143.9 MB  2.8 MB/s"),
        ] {
            assert_eq!(told("work", &snapshot(1196, 23_520_000), &pace, columns), want, "{columns}");
        }
    }

    #[test]
    fn a_time_is_told_as_on_a_clock() {
        for (seconds, want) in [(0, "0:00"), (42, "0:42"), (725, "12:05"), (10_929, "3:02:09"), (u64::MAX, "99:59:59")]
        {
            assert_eq!(clock(Duration::from_secs(seconds)), want);
        }
    }
}
