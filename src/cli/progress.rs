//! Progress on a terminal: a bar for each account, drawn from the polls' counters.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::fmt::MakeWriter;

use crate::message::Name;
use crate::poll::{Phase, Progress};

/// How often bars are drawn anew.
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

impl Bars {
    /// Bars on standard error, if that is a terminal and they are wanted.
    pub(super) fn new(wanted: bool) -> Self {
        let drawn = wanted && io::stderr().is_terminal();
        let target = if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { multi: MultiProgress::with_draw_target(target), drawn }
    }

    /// Whether anything is drawn.
    pub(super) fn is_drawn(&self) -> bool {
        self.drawn
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

    /// Takes the bar away.
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
            Phase::Fetching => {
                if self.bar.length() != Some(now.octets_total.max(1)) {
                    self.bar.set_style(fetching());
                    self.bar.set_length(now.octets_total.max(1));
                    self.bar.reset_elapsed();
                }
                // The listed sizes are a hint and count line ends otherwise.
                self.bar.set_position(now.octets.min(now.octets_total));
                self.bar.set_message(format!("{}/{} messages", now.messages, now.messages_total));
                return;
            }
        };
        self.bar.set_message(text);
        self.bar.tick();
    }
}

fn waiting() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:<16!} {spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn fetching() -> ProgressStyle {
    let template = "{prefix:<16!} [{bar:24}] {msg}  {bytes}/{total_bytes}  {bytes_per_sec}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// The log's way to the terminal: above the bars.
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
