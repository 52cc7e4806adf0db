//! `postrider run`: the service, in the foreground.

use std::io::IsTerminal;

use super::output;
use crate::config::Config;
use crate::daemon::{self, Options, ServiceError};
use crate::descriptors;
use crate::event::Event;
use crate::process::confine;
use crate::process::log::{self, Format};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log at least debug messages, whatever the configuration says; twice: also what is said to servers
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The format of the log
    #[arg(long, value_enum, default_value_t)]
    log_format: Format,
}

pub(super) fn run(arguments: &Arguments, config: Config) -> u8 {
    descriptors::raise_limit();
    let log_level = match arguments.verbose {
        0 => None,
        1 => Some(tracing::Level::DEBUG),
        _ => Some(tracing::Level::TRACE),
    };
    let colours = log::wants_colours(std::io::stderr().is_terminal());
    log::start_service(log_level.unwrap_or(config.log_level), arguments.log_format, colours);
    for warning in &config.warnings {
        Event::ConfigurationWarning { text: warning.to_string() }.tell();
    }
    // Before any other thread: Landlock restricts the thread that calls it and the threads that this one starts.
    tracing::debug!(enforced = confine::confine(), "Landlock");
    let result: Result<(), ServiceError> = super::runtime::block_on(daemon::run(config, Options { log_level }));
    log::finish();
    match result {
        Ok(()) => 0,
        Err(error) => output::complain_code(None, &error),
    }
}
