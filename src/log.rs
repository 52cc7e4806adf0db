//! Where the log goes: to standard error, above the progress bars if there are any.
//!
//! Events carry fields; which of them are shown is `POSTRIDER_LOG`'s to say (the syntax of
//! tracing-subscriber's `EnvFilter`), else the caller's level.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that chooses what is logged.
pub const VARIABLE: &str = "POSTRIDER_LOG";

/// Starts the log for this process; later calls change nothing.
pub fn start<W>(default_level: tracing::Level, with_time: bool, colours: bool, writer: W)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Only our own events: libraries may log what they send.
    let own = format!("postrider={}", default_level.as_str().to_ascii_lowercase());
    let chosen = std::env::var(VARIABLE).ok().and_then(|text| EnvFilter::try_new(text).ok());
    let filter = chosen.unwrap_or_else(|| EnvFilter::new(own));
    let format =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(colours).with_target(false);
    let _ = match with_time {
        true => format.try_init().is_ok(),
        false => format.without_time().try_init().is_ok(),
    };
}

/// Whether colours are wanted on a stream that is a terminal or not.
pub fn wants_colours(is_terminal: bool) -> bool {
    is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Standard error.
pub fn to_stderr() -> impl for<'a> MakeWriter<'a> + Send + Sync + 'static {
    io::stderr
}
