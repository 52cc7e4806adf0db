//! `postrider list`: what is on the server and what would be done with it.  Changes nothing.

use serde::Serialize;

use super::columns;
use super::output;
use super::progress::Bars;
use crate::account::Account;
use crate::clock::unix_now;
use crate::config::Config;
use crate::header::Heading;
use crate::plan::{Action, Listed, Place, Step};
use crate::poll::{self, Headings, Inventory, Look, PollError, Recall};
use crate::pop3::session::{SessionError, Shape};
use crate::process::log;
use crate::store::{Lost, Reader};
use crate::transcript;

/// Headers that are asked for at most.
const MOST_HEADERS: i64 = 1000;

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account
    #[arg(value_name = "ACCOUNT", add = super::completions::accounts())]
    account: String,
    /// Show From, Subject and Date, too; those of the newest N messages [default: 50] are asked for with TOP if they are
    /// not on record
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "50",
          value_parser = clap::value_parser!(u16).range(1..=MOST_HEADERS))]
    headers: Option<u16>,
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
    /// Only if it is asked for.
    #[serde(flatten)]
    heading: Option<Heading>,
}

/// What is in the mailbox.
struct Found {
    inventory: Inventory,
    /// Only if they are asked for.
    headings: Option<Headings>,
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
    let looking = transcript::of(account.name.as_str(), look(account, config, arguments.headers));
    let looked = super::runtime::block_on_until_signal(bars.telling(&server, Some(account.timeout), looking));
    drop(spinner);
    match looked {
        Err(error) => output::complain_code(Some(&account.name), &error),
        Ok(found) => show(account, found, arguments.json),
    }
}

fn show(account: &Account, Found { inventory, headings }: Found, json: bool) -> u8 {
    let rows = inventory.steps.iter().map(|step| {
        let heading = headings.as_ref().map(|known| known.by_index.get(&step.index).cloned().unwrap_or_default());
        Row { heading, ..row(step, &inventory.listing()[step.index]) }
    });
    if json {
        let _ = output::print_json(&rows.collect::<Vec<_>>());
    } else {
        print(rows.collect(), headings.is_some());
    }
    match headings {
        Some(Headings { error: Some(error), .. }) => {
            output::complain_code(Some(&account.name), &PollError::from(error))
        }
        Some(Headings { lacks_top: true, .. }) => {
            let text = "the server has no TOP: From, Subject and Date are shown only of messages that are on record";
            output::say(&output::paragraph(Some(&account.name), text, None));
            0
        }
        _ => 0,
    }
}

/// Looks once more at a server whose answers seem to be out of place: they may have a shape of their own.
async fn look(account: &Account, config: &Config, headers: Option<u16>) -> Result<Found, PollError> {
    match look_once(account, config, headers, Some(Shape::default())).await {
        Err(PollError::Session(SessionError::Displaced { .. })) => look_once(account, config, headers, None).await,
        looked => looked,
    }
}

async fn look_once(
    account: &Account,
    config: &Config,
    headers: Option<u16>,
    shape: Option<Shape>,
) -> Result<Found, PollError> {
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
    let headings = match headers {
        Some(newest) => Some(poll::headings(&mut session, &look, &inventory, newest.into()).await?),
        None => None,
    };
    if headings.as_ref().is_none_or(|headings| headings.error.is_none()) {
        session.quit().await;
    }
    Ok(Found { inventory, headings })
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
        heading: None,
    }
}

fn print(rows: Vec<Row>, with_headings: bool) {
    if rows.is_empty() {
        output::say("The mailbox is empty.");
        return;
    }
    let cells = rows.into_iter().map(|row| {
        let octets = row.octets.map_or_else(|| "-".to_owned(), |octets| octets.to_string());
        let uid = row.uid.unwrap_or_else(|| "-".into());
        (row.heading, [row.number.to_string(), octets, uid, row.action.to_owned(), row.reason])
    });
    if !with_headings {
        return output::print_table(["No.", "Octets", "Unique-id", "Action", "Reason"], cells.map(|(_, cells)| cells));
    }
    let cells = cells.map(|(heading, [number, octets, uid, action, reason])| {
        let heading = heading.unwrap_or_default();
        let date = heading.date.map_or_else(|| "-".to_owned(), output::local_minute);
        let [from, subject] = columns::heading(&heading);
        [number, octets, uid, action, reason, date, from, subject]
    });
    output::print_table(["No.", "Octets", "Unique-id", "Action", "Reason", "Date", "From", "Subject"], cells);
}
