//! `postrider list`: what is on the server and what would be done with it.  Changes nothing.

use serde::Serialize;

use super::output;
use super::progress::Bars;
use crate::account::Account;
use crate::clock::unix_now;
use crate::config::Config;
use crate::plan::{Action, Listed, Place, Step};
use crate::poll::{self, Inventory, Look, PollError, Recall};
use crate::pop3::session::{SessionError, Shape};
use crate::process::log;
use crate::store::{Lost, Reader};
use crate::transcript;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account
    #[arg(value_name = "ACCOUNT", add = super::completions::accounts())]
    account: String,
    /// Write it as JSON
    #[arg(long)]
    json: bool,
}

/// A message, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row {
    number: u32,
    uid: Option<String>,
    occurrence: u32,
    octets: Option<u64>,
    action: &'static str,
    reason: String,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let accounts = match super::accounts::choose(config, std::slice::from_ref(&arguments.account)) {
        Ok(accounts) => accounts,
        Err(code) => return code,
    };
    let Some(account) = accounts.first() else { return 0 };
    log::start_command(tracing::Level::WARN, false, std::io::stderr);
    let bars = Bars::new(true);
    let spinner = bars.spin(&format!("account {}: looking at the mailbox", account.name));
    let server = format!("account {}: {}", account.name, account.endpoint.shown());
    let looking = transcript::of(account.name.as_str(), look(account, config));
    let looked = super::runtime::block_on_until_signal(bars.telling(&server, Some(account.timeout), looking));
    drop(spinner);
    match looked {
        Err(error) => output::complain_code(Some(&account.name), &error),
        Ok(inventory) => {
            let rows = inventory.steps.iter().map(|step| row(step, &inventory.listing()[step.index]));
            if arguments.json {
                let _ = output::print_json(&rows.collect::<Vec<_>>());
            } else {
                print(rows.collect())
            }
            0
        }
    }
}

/// Looks once more at a server whose answers seem to be out of place: they may have a shape of their own.
async fn look(account: &Account, config: &Config) -> Result<Inventory, PollError> {
    match look_once(account, config, Some(Shape::default())).await {
        Err(PollError::Session(SessionError::Displaced { .. })) => look_once(account, config, None).await,
        looked => looked,
    }
}

async fn look_once(account: &Account, config: &Config, shape: Option<Shape>) -> Result<Inventory, PollError> {
    let reader = Reader::open(&config.state_dir)?;
    let client = poll::connect(account).await?;
    let mut session = poll::log_in(account, client).await?;
    session.expect_shape(shape);
    if reader.known(&account.name, &[], unix_now())?.lost != Lost::No {
        output::say(&format!(
            "postrider: the state of account {} was lost; its next poll looks for its messages in the Maildirs, and \
             what it finds is shown as new here",
            account.name
        ));
    }
    let look = Look::new(&reader, account, &poll::mailboxes(&config.accounts))?;
    let destinations = config.destinations.iter().filter(|destination| account.deliver.contains(&destination.name));
    let instance = reader.instance()?;
    let places: Vec<Place> = destinations.map(|destination| destination.place(&instance)).collect();
    let inventory = poll::inventory(account, &places, &mut session, Recall::Reader(&look)).await?;
    session.quit().await;
    Ok(inventory)
}

fn row(step: &Step, listed: &Listed) -> Row {
    let action = match step.action {
        Action::Leave => "leave",
        Action::Fetch(_) => "fetch",
        Action::FetchHeader(_) => "fetch header",
        Action::Confirm => "compare",
        Action::Delete => "delete",
    };
    Row {
        number: listed.number.value(),
        uid: listed.key.as_ref().map(|key| crate::text::escape(key.uid(), 512)),
        occurrence: listed.key.as_ref().map_or(0, |key| key.occurrence()),
        octets: listed.octets,
        action,
        reason: step.reason.to_string(),
    }
}

fn print(rows: Vec<Row>) {
    if rows.is_empty() {
        output::say("The mailbox is empty.");
        return;
    }
    let cells = rows.into_iter().map(|row| {
        let octets = row.octets.map_or_else(|| "-".to_owned(), |octets| octets.to_string());
        [row.number.to_string(), octets, row.uid.unwrap_or_else(|| "-".into()), row.action.to_owned(), row.reason]
    });
    output::print_table(["No.", "Octets", "Unique-id", "Action", "Reason"], cells);
}
