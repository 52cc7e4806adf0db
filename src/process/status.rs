//! What the service is doing, as clients receive it: the schema of `status --json`.
//!
//! The [`Board`] is written by the service's loop and read by the control socket, each for an
//! instant, so that no client can delay the work.

mod undelivered;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use undelivered::{DestinationStatus, Standing, Undelivered};

use crate::event::{Counts, Event, Fault};
use crate::failure::Class;
use crate::message::{Name, UnixTime};
use crate::progress::{Progress, Snapshot};
use crate::store::Backlog;

/// The version of this schema; fields may be added within a version.
pub const SCHEMA: u32 = 1;

/// The exit code while mail is in quarantine (EX_DATAERR).
pub const QUARANTINE: u8 = 65;

/// How many failing accounts the headline names.
const NAMED: usize = 5;

/// What an account is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for its next poll.
    #[default]
    Idle,
    /// It is being polled.
    Polling,
    /// It waits longer because the last poll failed.
    BackingOff,
    /// The login was refused: it waits until its settings or its password change, or for hours.
    LoginRefused,
    /// It is disabled (`enabled = false`).
    Disabled,
}

/// An account, in words and numbers.  Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct AccountStatus {
    /// Its name.
    pub account: String,
    /// What it is doing.
    pub state: State,
    /// The progress of its poll, while it is polled.
    pub progress: Option<Snapshot>,
    /// When its last successful poll ended.
    pub last_success: Option<UnixTime>,
    /// When its next poll is due.
    pub next_poll: Option<UnixTime>,
    /// Messages delivered since midnight, by this machine's clock.
    pub new_today: u64,
    /// Messages that wait on the server: for their turn, or to be tried again.
    pub waiting: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Messages left on the server because of their size (`max-size`).
    #[serde(default)]
    pub too_large: u64,
    /// Messages left on the server since they were there before the first poll (`initial`).
    #[serde(default)]
    pub ignored: u64,
    /// What is not delivered, and why.
    #[serde(default)]
    pub undelivered: Vec<Undelivered>,
    /// Failed polls in a row.
    pub failures: u32,
    /// What was wrong with the last poll; `null`: nothing.
    pub error: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// The kind of the error, as in sysexits(3); 0: no error.
    pub exit_code: u8,
}

/// The whole service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The program's version.
    pub version: String,
    /// Whether a service runs; if not, this is what is on record.
    #[serde(default = "yes")]
    pub running: bool,
    /// Its process id.
    pub pid: Option<u32>,
    /// When it began.
    pub since: Option<UnixTime>,
    /// The configuration file.
    pub config_file: String,
    /// Where the state is.
    pub state_dir: String,
    /// When the running configuration was read.
    pub config_loaded: Option<UnixTime>,
    /// Why a newer configuration is not used; `null`: the running one is current.
    pub config_error: Option<String>,
    /// The accounts by name.
    pub accounts: Vec<AccountStatus>,
    /// The destinations that do not work, by name.
    #[serde(default)]
    pub destinations: Vec<DestinationStatus>,
}

/// The default of `running`, for a status from an older service, which has no such field.
fn yes() -> bool {
    true
}

impl Status {
    /// The exit code of `status`: 0 if all is well, else that of the failure that needs the most attention.  Mail in
    /// quarantine (65) comes before mail that waits (75), and that before the absence of a service.
    pub fn exit_code(&self) -> u8 {
        let accounts = || self.accounts.iter().filter(|account| account.state != State::Disabled);
        let failed = accounts().filter(|account| account.error.is_some());
        let classes = failed.filter_map(|account| Class::of_exit_code(account.exit_code));
        let config = self.config_error.as_ref().map(|_| Class::Configuration);
        let undelivered = || accounts().flat_map(|account| &account.undelivered);
        match classes.chain(config).max() {
            Some(class) if class != Class::TryLater => class.exit_code(),
            _ if undelivered().any(|one| one.state == Standing::Quarantined) => QUARANTINE,
            _ if undelivered().next().is_some() => Class::TryLater.exit_code(),
            _ if !self.running => Class::Unreachable.exit_code(),
            class => class.map_or(0, Class::exit_code),
        }
    }

    /// Adds what the state knows of mail that is not delivered, and of destinations that do not work.
    pub fn add(&mut self, backlog: Backlog) {
        let Backlog { groups, totals, troubles } = backlog;
        let mut by_account: BTreeMap<String, Vec<Undelivered>> = BTreeMap::new();
        for group in groups {
            by_account.entry(group.account.to_string()).or_default().push(group.into());
        }
        for account in &mut self.accounts {
            account.undelivered = by_account.remove(&account.account).unwrap_or_default();
            let totals = Name::new(&account.account).and_then(|name| totals.get(&name)).copied();
            let (deferred, quarantined) = totals.unwrap_or_default();
            account.waiting += deferred;
            account.quarantined = quarantined;
        }
        self.destinations = troubles.into_iter().map(DestinationStatus::from).collect();
    }
}

/// The status board, which the service's loop writes.
#[derive(Debug, Default)]
pub struct Board {
    /// Everything except the accounts.
    pub service: Status,
    /// The accounts.
    pub accounts: BTreeMap<Name, AccountStatus>,
    /// The polls that are running.
    pub running: BTreeMap<Name, Arc<Progress>>,
    /// The day that `new_today` counts, as days since 1970 in local time.
    pub day: i64,
}

impl Board {
    /// Everything, as it is now.
    pub fn status(&self) -> Status {
        let accounts = self.accounts.iter().map(|(name, account)| {
            let mut account = account.clone();
            if let Some(progress) = self.running.get(name) {
                account.state = State::Polling;
                account.progress = Some(progress.snapshot());
            }
            account
        });
        Status { accounts: accounts.collect(), ..self.service.clone() }
    }

    /// Updates the board after an event.
    pub fn take_in(&mut self, event: &Event, now: UnixTime, today: i64) {
        match event {
            Event::PollEnded { account, counts, stopped, .. } => {
                self.ended(account, counts, stopped.as_ref(), now, today);
            }
            Event::PollFailed { account, counts, fault, .. } => self.ended(account, counts, Some(fault), now, today),
            Event::Reloaded { .. } => {
                self.service.config_loaded = Some(now);
                self.service.config_error = None;
            }
            Event::NotReloaded { text, .. } => self.service.config_error = Some(text.clone()),
            _ => {}
        }
    }

    fn ended(&mut self, name: &Name, counts: &Counts, fault: Option<&Fault>, now: UnixTime, today: i64) {
        self.running.remove(name);
        if self.day != today {
            self.day = today;
            self.accounts.values_mut().for_each(|account| account.new_today = 0);
        }
        let Some(account) = self.accounts.get_mut(name) else { return };
        account.new_today += counts.delivered;
        // A poll that failed before the listing does not know what is left.
        if fault.is_none() || counts.listed > 0 {
            account.waiting = counts.waiting;
            account.quarantined = counts.quarantined;
            account.too_large = counts.too_large;
            account.ignored = counts.ignored;
        }
        account.error = fault.map(|fault| fault.text.clone());
        account.advice = fault.and_then(|fault| fault.advice.clone());
        account.exit_code = fault.map_or(0, |fault| fault.class.exit_code());
        if fault.is_none() {
            account.last_success = Some(now);
            account.failures = 0;
        } else {
            account.failures += 1;
        }
    }

    /// The service in one line, for systemd: how many accounts there are, and which of them fail.
    pub fn headline(&self) -> String {
        let enabled = || self.accounts.values().filter(|account| account.state != State::Disabled);
        let mut line = match enabled().count() {
            1 => "1 account".to_owned(),
            accounts => format!("{accounts} accounts"),
        };
        let failing: Vec<&str> =
            enabled().filter(|account| account.error.is_some()).map(|account| account.account.as_str()).collect();
        if !failing.is_empty() {
            let named = failing[..failing.len().min(NAMED)].join(", ");
            let more = if failing.len() > NAMED { " ..." } else { "" };
            let _ = write!(line, ", {} failing: {named}{more}", failing.len());
        }
        if self.service.config_error.is_some() {
            line.push_str("; the configuration file is broken and not used");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn board() -> (Board, Name) {
        let name = Name::new("a").expect("a name");
        let accounts = [(name.clone(), AccountStatus { account: "a".into(), ..AccountStatus::default() })].into();
        (Board { accounts, service: Status { running: true, ..Status::default() }, ..Board::default() }, name)
    }

    fn ended(name: &Name, delivered: u64) -> Event {
        let counts = Counts { delivered, ..Counts::default() };
        Event::PollEnded { account: name.clone(), counts, time: Duration::ZERO, stopped: None }
    }

    fn failed(name: &Name) -> Event {
        let fault = Fault { text: "login".into(), advice: None, class: Class::LoginRefused };
        Event::PollFailed { account: name.clone(), counts: Counts::default(), time: Duration::ZERO, fault }
    }

    #[test]
    fn new_mail_is_counted_by_the_day() {
        let (mut board, name) = board();
        board.take_in(&ended(&name, 3), 10, 1);
        board.take_in(&ended(&name, 3), 20, 1);
        assert_eq!((board.accounts[&name].new_today, board.accounts[&name].last_success), (6, Some(20)));
        board.take_in(&ended(&name, 3), 30, 2);
        assert_eq!(board.accounts[&name].new_today, 3);
    }

    #[test]
    fn the_exit_code_tells_the_health() {
        let (mut board, name) = board();
        assert_eq!(board.status().exit_code(), 0);
        board.take_in(&failed(&name), 10, 1);
        assert_eq!(board.status().exit_code(), 77);
        board.take_in(&Event::NotReloaded { cause: "SIGHUP", text: "line 3".into() }, 11, 1);
        assert_eq!(board.status().exit_code(), 78);
        board.take_in(&Event::Reloaded { cause: "SIGHUP", new: 0, changed: 1, removed: 0, same: 0 }, 12, 1);
        assert_eq!((board.status().exit_code(), board.status().config_loaded), (77, Some(12)));
        board.take_in(&ended(&name, 0), 20, 1);
        assert_eq!((board.status().exit_code(), board.accounts[&name].failures), (0, 0));
        board.service.running = false;
        assert_eq!(board.status().exit_code(), 69);
    }

    #[test]
    fn the_headline_names_some_of_the_accounts_that_fail() {
        let (mut board, name) = board();
        assert_eq!(board.headline(), "1 account");
        board.take_in(&failed(&name), 10, 1);
        assert_eq!(board.headline(), "1 account, 1 failing: a");
        for number in 0..1000 {
            let (name, other) = (format!("{}{number:03}", "z".repeat(61)), AccountStatus::default());
            let state = if number == 0 { State::Disabled } else { State::Idle };
            let status = AccountStatus { account: name.clone(), state, error: Some("lost".into()), ..other };
            board.accounts.insert(Name::new(&name).expect("a name"), status);
        }
        let line = board.headline();
        assert!(line.starts_with("1000 accounts, 1000 failing: a, zz") && line.ends_with("004 ..."), "{line}");
        assert!(!line.contains("zz000,") && line.len() < 512, "{line}");
        board.take_in(&ended(&name, 0), 20, 1);
        board.service.config_error = Some("line 3".into());
        assert!(board.headline().contains(" 999 failing: z"));
        assert!(board.headline().ends_with("005 ...; the configuration file is broken and not used"));
    }
}
