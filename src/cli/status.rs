//! `postrider status`: what the running service is doing; without one, what is on record.

use std::io::IsTerminal;
use std::time::Duration;

use super::client::{self, Silence};
use super::output::{self, count, local_time};
use super::recorded;
use crate::config::Whereabouts;
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

pub(super) fn run(arguments: &Arguments, mut places: Whereabouts) -> u8 {
    loop {
        let (status, absence) = match client::status(&places) {
            Ok((status, peer)) => (super::with_fault(status, peer, &places), None),
            Err(Silence::Absent(absence)) => (recorded::status(&places), Some(absence)),
            Err(silence) => return super::tell_of_broken(client::complain(&silence), &places),
        };
        if arguments.watch && std::io::stdout().is_terminal() {
            output::clear_screen();
        }
        match arguments.json {
            true => output::print_json(&status),
            false => print(&status),
        }
        if let Some(absence) = absence {
            output::say(&format!("postrider: {absence}"));
            return status.exit_code();
        }
        if !arguments.watch {
            return status.exit_code();
        }
        std::thread::sleep(REFRESH);
        if places.broken().is_some() {
            places = places.again(&|name| std::env::var_os(name));
        }
    }
}

fn print(status: &Status) {
    match (status.pid, status.since) {
        (Some(pid), Some(since)) => {
            let (version, since) = (&status.version, local_time(since));
            output::print(&format!("postrider {version}, process {pid}, since {since}, {}", status.config_file));
        }
        _ if status.accounts.is_empty() => {}
        _ => {
            output::print(&format!("No service runs.  This is on record in {}:", status.state_dir));
        }
    }
    if !status.accounts.is_empty() || status.running {
        print_accounts(&status.accounts);
    }
    for account in &status.accounts {
        if let Some(error) = &account.error {
            let text = paragraph(error, account.advice.as_deref());
            output::print(&format!("\n{}: {text}", account.account));
        }
    }
    if let Some(error) = &status.config_error {
        let instead = if status.running { "; the service runs with the one before it" } else { "" };
        output::print(&format!("\nThe configuration file is broken{instead}:\n{error}"));
    }
}

fn print_accounts(accounts: &[AccountStatus]) {
    let cells = accounts.iter().map(|account| {
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
}

fn state(account: &AccountStatus) -> String {
    match (account.state, &account.progress) {
        (State::Polling, Some(progress)) => polling(progress),
        (State::Idle | State::Polling, _) => "idle".to_owned(),
        // By `fetch`, which counts none.
        (State::BackingOff, _) if account.failures == 0 => "failing".to_owned(),
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
