//! `postrider check`: explains the configuration; `--connect` tries it out.

mod local;

use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::output::{self, count, size};
use super::progress::Bars;
use crate::account::{Account, Credential};
use crate::clock::unix_now;
use crate::config::Config;
use crate::credential::SecretSource;
use crate::failure::{Class, Failure, describe, paragraph};
use crate::message::Name;
use crate::oauth::Grant;
use crate::plan::{Initial, Retention};
use crate::poll::{self, PollError};
use crate::pop3::session::{SessionError, Shape};
use crate::process::log;
use crate::store::Reader;
use crate::transcript;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Log in to every account and try every destination, without fetching anything
    #[arg(long)]
    connect: bool,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    output::print(&format!("{}: good", config.file.display()));
    let mut worst = local::state(config, arguments.connect);
    for account in &config.accounts {
        output::print(&format!("account {}: {}", account.name, describe_account(account)));
    }
    for destination in &config.destinations {
        output::print(&format!("destination {}: {}", destination.name, destination.summary()));
    }
    for warning in &config.warnings {
        output::say(&format!("warning: {warning}"));
    }
    worst = worst.max(local::secrets(config)).max(local::sandbox(config, arguments.connect));
    for account in &config.accounts {
        if let Some(Err(error)) = account.credential.grant().map(Grant::check) {
            let text = paragraph(&describe(&error), error.advice().as_deref());
            output::say(&format!("note: account {}: {text}", account.name));
        }
    }
    local::renamings(config);
    if !arguments.connect {
        return worst.map_or(0, Class::exit_code);
    }
    log::start_command(tracing::Level::WARN, false, std::io::stderr);
    worst.max(super::runtime::block_on_until_signal(connect_all(config))).map_or(0, Class::exit_code)
}

fn describe_account(account: &Account) -> String {
    let endpoint = &account.endpoint;
    let what = match &account.credential {
        Credential::Token(_) => "token",
        Credential::Password(_) | Credential::OAuth(_) | Credential::Certificate => "password",
    };
    let password = match account.credential.source() {
        None => match account.credential.grant() {
            Some(grant) => format!("signs in at {} (OAuth 2.0)", grant.provider.name),
            None => "with its certificate".to_owned(),
        },
        Some(SecretSource::Inline(_)) => format!("{what} from the configuration"),
        Some(SecretSource::File(path)) => format!("{what} from {}", path.display()),
        Some(SecretSource::Command(argv)) => {
            format!("{what} from the command {}", argv.first().map_or("", String::as_str))
        }
        Some(SecretSource::Credential(name)) => format!("{what} from the credential {name}"),
    };
    let retention = match account.policy.retention {
        Retention::Keep => "keeps mail on the server".to_owned(),
        Retention::Delete => "deletes mail after delivery".to_owned(),
        Retention::After(time) => format!("deletes mail {} after delivery", period(time)),
    };
    let initial = match account.policy.initial {
        Initial::All => String::new(),
        Initial::None => ", does not fetch mail from before the first poll".to_owned(),
        Initial::Since(time) => format!(", does not fetch mail older than {} at the first poll", period(time)),
    };
    let limit = account.policy.max_size.map_or(String::new(), |octets| format!(", up to {} each", size(octets)));
    let targets: Vec<&str> = account.deliver.iter().map(|name| name.as_str()).collect();
    let state = if account.enabled { "" } else { "disabled; " };
    format!(
        "{state}{} at {}{} ({}), {password}; every {}; {retention}{initial}{limit}; to {}",
        account.username,
        endpoint.shown(),
        endpoint.route.shown(),
        endpoint.tls.words(),
        period(account.interval),
        targets.join(" and "),
    )
}

/// `90 s`, `5 min`, `2 h`, `14 days`: in the largest unit that divides the time.
fn period(time: std::time::Duration) -> String {
    let seconds = time.as_secs();
    for (unit, name) in [(86_400, "day"), (3600, "h"), (60, "min")] {
        if seconds >= unit && seconds.is_multiple_of(unit) {
            return match name {
                "day" => count(seconds / unit, name),
                _ => format!("{} {name}", seconds / unit),
            };
        }
    }
    format!("{seconds} s")
}

/// Tries everything concurrently; returns the class of the failure that needs the most attention.
async fn connect_all(config: &Config) -> Option<Class> {
    let bars = Bars::new(true);
    let mut tries = JoinSet::new();
    for account in config.accounts.iter().filter(|account| account.enabled) {
        let (account, bars) = (Arc::clone(account), bars.clone());
        let spinner = bars.spin(&format!("account {}", account.name));
        let state_dir = config.state_dir.clone();
        tries.spawn(async move {
            let work = transcript::of(account.name.as_str(), try_account(&account, &state_dir));
            let server = format!("account {}: {}", account.name, account.endpoint.shown());
            let tried = bars.telling(&server, Some(account.timeout), work).await;
            drop(spinner);
            match tried {
                Ok(text) => {
                    bars.print(&format!("account {}: {text}", account.name));
                    None
                }
                Err(error) => {
                    bars.say(&complaint(Some(&account.name), &error));
                    Some(error.class())
                }
            }
        });
    }
    for destination in &config.destinations {
        let destination = Arc::clone(destination);
        let (state_dir, bars) = (config.state_dir.clone(), bars.clone());
        let spinner = bars.spin(&format!("destination {}", destination.name));
        tries.spawn(async move {
            // A state that cannot be read is reported where it is needed.
            let knows = |path| Reader::open(&state_dir).and_then(|reader| reader.knows(path)).unwrap_or(false);
            let known = destination.writes_to().is_some_and(knows);
            let server = destination.endpoint().map_or(String::new(), |endpoint| format!(": {}", endpoint.shown()));
            let what = format!("destination {}{server}", destination.name);
            let tried = bars.telling(&what, destination.timeout(), destination.settings().rehearse(known)).await;
            drop(spinner);
            match tried {
                Ok(text) => {
                    bars.print(&format!("destination {}: {text}", destination.name));
                    None
                }
                Err(source) => {
                    let error = PollError::Destination {
                        name: destination.name.clone(),
                        source: Arc::new(source),
                        others_work: false,
                    };
                    bars.say(&complaint(None, &error));
                    Some(error.class())
                }
            }
        });
    }
    let mut worst = None;
    while let Some(ended) = tries.join_next().await {
        worst = worst.max(ended.unwrap_or(Some(Class::TryLater)));
    }
    worst
}

fn complaint(account: Option<&Name>, error: &PollError) -> String {
    output::paragraph(account, &describe(error), error.advice().as_deref())
}

/// Tries once more where the server's answers seem to be out of place: they may have a shape of their own.
async fn try_account(account: &Account, state_dir: &Path) -> Result<String, PollError> {
    match try_account_once(account, state_dir, Some(Shape::default())).await {
        Err(PollError::Session(SessionError::Displaced { .. })) => try_account_once(account, state_dir, None).await,
        tried => tried,
    }
}

async fn try_account_once(account: &Account, state_dir: &Path, shape: Option<Shape>) -> Result<String, PollError> {
    let client = poll::connect(account).await?;
    let encryption = client.stream().tls_version().unwrap_or("in clear");
    let capabilities = if client.capabilities().announced {
        client.capabilities().lines.join(", ")
    } else {
        "none announced".to_owned()
    };
    let mut session = poll::log_in(account, client).await?;
    session.expect_shape(shape);
    let totals = session.stat().await?;
    let dates_matter = matches!(account.policy.initial, Initial::Since(_)) && !was_polled(account, state_dir);
    let lacks_top =
        dates_matter && totals.is_none_or(|(messages, _)| messages > 0) && poll::lacks_top(&mut session).await?;
    session.quit().await;
    if lacks_top {
        return Err(PollError::NoTop);
    }
    let held = totals.map_or("mail (the server does not say how much)".to_owned(), |(messages, octets)| {
        format!("{} ({} on the server)", count(u64::from(messages), "message"), size(octets))
    });
    Ok(format!("logged in, {encryption}, {held}; capabilities: {capabilities}"))
}

/// Whether `initial` was applied before; a state that cannot be read is reported where it is needed.
fn was_polled(account: &Account, state_dir: &Path) -> bool {
    let known = Reader::open(state_dir).and_then(|reader| reader.known(&account.name, &[], unix_now()));
    known.is_ok_and(|known| known.begun.is_some())
}
