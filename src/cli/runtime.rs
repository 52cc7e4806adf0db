//! Runs the asynchronous parts of a command.

use std::time::Duration;

use super::{output, progress};
use crate::failure::Class;
use crate::process::signals::Signals;
use crate::{subprocess, threads};

/// How long the process waits for its threads at its end.
const END_LIMIT: Duration = Duration::from_millis(200);

/// Runs work in a runtime whose threads end with it.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> T {
    if let Err(error) = threads::start() {
        no_threads(&error.to_string());
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all();
    // If a thread cannot be started, tokio panics, and then waits for those that were started (1.54).
    std::panic::set_hook(Box::new(|panic| no_threads(panic.payload_as_str().unwrap_or("the cause is not known"))));
    let built = builder.build();
    drop(std::panic::take_hook());
    match built {
        Ok(runtime) => {
            runtime.spawn(subprocess::collect_orphans());
            let result = runtime.block_on(work);
            // A resolver or a dead disk must not delay the end.
            threads::settle(END_LIMIT);
            runtime.shutdown_timeout(END_LIMIT);
            subprocess::end_all();
            result
        }
        Err(error) => no_threads(&error.to_string()),
    }
}

/// The same for work that a signal may end at any time, together with the commands that it has started.
pub(super) fn block_on_until_signal<T>(work: impl Future<Output = T>) -> T {
    block_on(async {
        let mut signals = Signals::of_command();
        let signal = async {
            match &mut signals {
                Ok(signals) => signals.next().await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            signal = signal => {
                progress::clear();
                output::say(&format!("postrider: {}: not finished", signal.name()));
                subprocess::end_all();
                std::process::exit(output::settle(Class::TryLater.exit_code()).into());
            }
        }
    })
}

fn no_threads(cause: &str) -> ! {
    output::say(&format!("postrider: cannot start a thread (limit reached?): {cause}"));
    std::process::exit(71);
}
