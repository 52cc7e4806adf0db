//! The log: to the journal with fields, or to standard error, for people or as JSON.
//!
//! Events are handed to a thread through a bounded queue (`queue`), so that a slow journal or
//! terminal never delays the work; lines that do not fit are counted, and their number is logged.  Only our
//! own events are logged unless `POSTRIDER_LOG` asks for others: libraries may log what they send.

mod fields;
mod journal;
mod queue;

use std::io;
use std::sync::OnceLock;

use fields::Fields;
use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// The variable that chooses what is logged, in the syntax of tracing-subscriber's `EnvFilter`.
pub const VARIABLE: &str = "POSTRIDER_LOG";

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The journal if standard error leads there, else for people.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object per line.
    Json,
}

static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();
static QUEUE: OnceLock<queue::Queue> = OnceLock::new();

/// Starts the log of a command: to `writer`, without times.
pub fn start_command<W>(level: Level, colours: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().fmt_fields(Fields).with_writer(writer).with_ansi(colours);
    start(level, layer.with_target(false).without_time());
}

/// Starts the log of the service.
pub fn start_service(level: Level, format: Format, colours: bool) {
    if format == Format::Auto && journal::is_stderr() {
        match journal::Recorder::start() {
            Ok(recorder) => return start(level, recorder),
            Err(error) => say(&format!("no journal ({error}); logging to standard error")),
        }
    }
    let queue = QUEUE.get_or_init(|| queue::Queue::start(io::stderr()));
    let layer = fmt::layer().with_writer(queue.clone()).with_target(false);
    match format {
        Format::Json => start(level, layer.json().flatten_event(true)),
        Format::Auto | Format::Human => start(level, layer.fmt_fields(Fields).with_ansi(colours)),
    }
}

fn start(
    level: Level,
    layer: impl Layer<tracing_subscriber::layer::Layered<reload::Layer<EnvFilter, Registry>, Registry>> + Send + Sync,
) {
    let (filter, handle) = reload::Layer::new(filter(level));
    if tracing_subscriber::registry().with(filter).with(layer).try_init().is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// Changes the level of a running log; `POSTRIDER_LOG` takes precedence.
pub fn set_level(level: Level) {
    if let Some(handle) = FILTER.get() {
        let _ = handle.reload(filter(level));
    }
}

/// Waits until everything is written, but not for long.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.drain();
    }
    journal::drain();
}

fn filter(level: Level) -> EnvFilter {
    let chosen = std::env::var(VARIABLE).ok().and_then(|text| match EnvFilter::try_new(&text) {
        Ok(filter) => Some(filter),
        Err(error) => {
            say(&format!("{VARIABLE} is ignored: {error}"));
            None
        }
    });
    chosen.unwrap_or_else(|| {
        let own = format!("postrider={}", LevelFilter::from_level(level).to_string().to_ascii_lowercase());
        EnvFilter::new(own)
    })
}

/// Whether colours are wanted on a stream that is a terminal or not.
pub fn wants_colours(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn say(text: &str) {
    let _ = io::Write::write_fmt(&mut io::stderr(), format_args!("postrider: {text}\n"));
}
