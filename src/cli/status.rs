//! `postrider status`: what the running service is doing; without a service, what is on record.

mod troubles;
mod watch;

use super::client::{self, Absence, Silence};
use super::output::{self, local_time};
use super::recorded;
use crate::clock::unix_now;
use crate::config::Whereabouts;
use crate::message::UnixTime;
use crate::process::status::{AccountStatus, Standing, State, Status};
use crate::progress::{Phase, Snapshot};

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Write it as JSON
    #[arg(long)]
    json: bool,
    /// Refresh it every second
    #[arg(short, long)]
    watch: bool,
}

pub(super) fn run(arguments: &Arguments, mut places: Whereabouts) -> u8 {
    if arguments.watch {
        return watch::run(&mut places, arguments.json);
    }
    match look(&places) {
        Ok(seen) => {
            show(&seen.status, arguments.json);
            seen.conclude()
        }
        Err(silence) => super::tell_of_broken(client::complain(&silence), &places),
    }
}

/// The result of [`look`].
struct Seen {
    status: Status,
    /// Set if no service runs, and the status is the recorded one.
    absence: Option<Absence>,
    /// The exit code if the record cannot be read.
    fault: u8,
}

impl Seen {
    /// Reports it if there is no service; returns the exit code.
    fn conclude(&self) -> u8 {
        if let Some(absence) = &self.absence {
            output::say(&format!("postrider: {absence}"));
        }
        if self.fault == 0 { self.status.exit_code() } else { super::graver(self.status.exit_code(), self.fault) }
    }
}

/// Asks the service; without one, reads what is on record.
fn look(places: &Whereabouts) -> Result<Seen, Silence> {
    match client::status(places) {
        Ok((status, peer)) => Ok(Seen { status: super::with_fault(status, peer, places), absence: None, fault: 0 }),
        Err(Silence::Absent(absence)) => {
            let (status, fault) = recorded::status(places);
            Ok(Seen { status, absence: Some(absence), fault })
        }
        Err(silence) => Err(silence),
    }
}

/// Writes a status; `false` if the output cannot be written.
fn show(status: &Status, json: bool) -> bool {
    if json { output::print_json(status) } else { Picture::of(status).print() }
}

/// A status as it is shown.
struct Picture {
    head: Option<String>,
    table: Option<String>,
    /// The problems, each in a paragraph.
    troubles: Vec<String>,
}

impl Picture {
    fn of(status: &Status) -> Self {
        let has_accounts = !status.accounts.is_empty();
        let table = (has_accounts || status.running).then(|| table(status));
        Self { head: head(status), table, troubles: troubles::troubles(status) }
    }

    fn print(&self) -> bool {
        self.head.as_ref().is_none_or(|head| output::print(head))
            && self.table.as_ref().is_none_or(|table| output::print_as_it_is(table))
            && self.troubles.iter().all(|trouble| output::print(&format!("\n{trouble}")))
    }
}

fn head(status: &Status) -> Option<String> {
    match (status.pid, status.since) {
        (Some(pid), Some(since)) => {
            let (version, since) = (&status.version, local_time(since));
            Some(format!("postrider {version}, process {pid}, since {since}, {}", status.config_file))
        }
        _ if status.accounts.is_empty() => None,
        _ => Some(format!("No service runs.  This is on record in {}:", status.state_dir)),
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

fn state(account: &AccountStatus) -> String {
    match (account.state, &account.progress) {
        (State::Polling, Some(progress)) => polling(progress),
        (State::Idle | State::Polling, _) => at_rest(account),
        // Recorded by `fetch`, which does not count failures.
        (State::BackingOff, _) if account.failures == 0 => "failing".to_owned(),
        (State::BackingOff, _) => match account.failures {
            1 => "backing off".to_owned(),
            failures => format!("backing off ({failures}x)"),
        },
        (State::LoginRefused, _) => "login refused".to_owned(),
        (State::Disabled, _) => "disabled".to_owned(),
    }
}

/// The state of an account whose polls go well: mail may still be undelivered.
fn at_rest(account: &AccountStatus) -> String {
    let of = |state| account.undelivered.iter().filter(move |one| one.state == state).map(|one| one.messages).max();
    match (of(Standing::Quarantined), of(Standing::Deferred)) {
        (Some(messages), _) => format!("{messages} in quarantine"),
        (None, Some(messages)) => format!("{messages} put off"),
        (None, None) => "idle".to_owned(),
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

/// A time in its two largest units.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}
