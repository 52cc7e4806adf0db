//! `postrider status`: what the running service is doing.

use std::io::IsTerminal;
use std::time::Duration;

use super::client;
use super::output::{self, count, local_time};
use crate::config::Config;
use crate::control::{Reply, Request};
use crate::failure::paragraph;
use crate::message::UnixTime;
use crate::poll::{Phase, Snapshot, unix_now};
use crate::status::{AccountStatus, State, Status};

/// How often `--watch` looks.
const REFRESH: Duration = Duration::from_secs(1);

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write it as JSON
    #[arg(long)]
    json: bool,
    /// Show it again and again
    #[arg(short, long)]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    loop {
        let status = match client::one(config, &Request::Status) {
            Ok(Reply::Status(status)) => status,
            Ok(_) => return client::broken("it sent a reply that does not match the request"),
            Err(code) => return code,
        };
        if arguments.watch && std::io::stdout().is_terminal() {
            let _ = output::write(b"\x1b[2J\x1b[H");
        }
        match arguments.json {
            true => output::print_json(&status),
            false => print(&status),
        }
        if !arguments.watch {
            return status.exit_code();
        }
        std::thread::sleep(REFRESH);
    }
}

fn print(status: &Status) {
    output::print(&format!(
        "postrider {}, process {}, since {}, {}",
        status.version,
        status.pid,
        local_time(status.since),
        status.config_file
    ));
    let cells = status.accounts.iter().map(|account| {
        [
            account.account.clone(),
            state(account),
            account.last_success.map_or_else(|| "never".to_owned(), ago),
            account.next_poll.map_or_else(|| "-".to_owned(), ahead),
            account.new_today.to_string(),
            account.waiting.to_string(),
            account.quarantined.to_string(),
        ]
    });
    output::print_table(
        ["Account", "State", "Last success", "Next poll", "New today", "Waiting", "Quarantined"],
        cells,
    );
    for account in &status.accounts {
        if let Some(error) = &account.error {
            let text = paragraph(error, account.advice.as_deref());
            output::print(&format!("\n{}: {text}", account.account));
        }
    }
    if let Some(error) = &status.config_error {
        output::print(&format!(
            "\nThe configuration file is broken; the service runs with the one before it:\n{error}"
        ));
    }
}

fn state(account: &AccountStatus) -> String {
    match (account.state, &account.progress) {
        (State::Polling, Some(progress)) => polling(progress),
        (State::Idle | State::Polling, _) => "idle".to_owned(),
        (State::BackingOff, _) => format!("backing off after {}", count(account.failures.into(), "failure")),
        (State::LoginRefused, _) => "login refused".to_owned(),
        (State::Disabled, _) => "disabled".to_owned(),
    }
}

fn polling(progress: &Snapshot) -> String {
    match progress.phase {
        Phase::Fetching => format!("polling {}/{}", progress.messages, progress.messages_total),
        _ => "polling".to_owned(),
    }
}

fn ago(time: UnixTime) -> String {
    format!("{} ago", span(unix_now() - time))
}

fn ahead(time: UnixTime) -> String {
    match time - unix_now() {
        ..=0 => "now".to_owned(),
        left => format!("in {}", span(left)),
    }
}

/// The two largest units.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
