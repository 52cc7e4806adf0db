//! `postrider run`: the service, in the foreground.

use std::io::IsTerminal;

use super::output;
use crate::config::Config;
use crate::{daemon, log};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log more of what happens
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    super::raise_file_limit();
    let level = if arguments.verbose { tracing::Level::DEBUG } else { tracing::Level::INFO };
    log::start(level, true, log::wants_colours(std::io::stderr().is_terminal()), log::to_stderr());
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match super::block_on(daemon::run(config)) {
        Ok(()) => 0,
        Err(error) => output::complain_code(None, &error),
    }
}
