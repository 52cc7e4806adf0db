//! `postrider status`: what the running service is doing.

mod watch;

use super::client::{self, Silence};
use super::output::{self, count, local_time};
use crate::config::Config;
use crate::control::{Reply, Request};
use crate::failure::paragraph;
use crate::message::UnixTime;
use crate::poll::{Phase, Snapshot, unix_now};
use crate::status::{AccountStatus, State, Status};

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
    let look = || match client::answer(config, &Request::Status)? {
        Reply::Status(status) => Ok(*status),
        _ => Err(Silence::Broken("it sent a reply that does not match the request".into())),
    };
    if arguments.watch {
        return watch::run(look, arguments.json);
    }
    match look() {
        Ok(status) => {
            show(&status, arguments.json);
            status.exit_code()
        }
        Err(silence) => client::complain(&silence),
    }
}

/// Writes it; `false` if nobody reads it any more.
fn show(status: &Status, json: bool) -> bool {
    match json {
        true => output::print_json(status),
        false => Picture::of(status).print(),
    }
}

/// What is shown of a status.
struct Picture {
    head: String,
    table: String,
    /// What is wrong, a paragraph each.
    troubles: Vec<String>,
}

impl Picture {
    fn of(status: &Status) -> Self {
        let head = format!(
            "postrider {}, process {}, since {}, {}",
            status.version,
            status.pid,
            local_time(status.since),
            status.config_file
        );
        Self { head, table: table(status), troubles: troubles(status) }
    }

    fn print(&self) -> bool {
        let lines = [&self.head, &self.table].map(String::as_str);
        let is_read = output::print(lines[0]) && output::print_as_it_is(lines[1]);
        is_read && self.troubles.iter().all(|trouble| output::print(&format!("\n{trouble}")))
    }
}

fn table(status: &Status) -> String {
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
    output::table(["Account", "State", "Last success", "Next poll", "New today", "Waiting", "Quarantined"], cells)
}

fn troubles(status: &Status) -> Vec<String> {
    let of_account = |account: &AccountStatus| {
        let text = paragraph(account.error.as_ref()?, account.advice.as_deref());
        Some(format!("{}: {text}", account.account))
    };
    let of_file =
        |error: &String| format!("The configuration file is broken; the service runs with the one before it:\n{error}");
    status.accounts.iter().filter_map(of_account).chain(status.config_error.as_ref().map(of_file)).collect()
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
