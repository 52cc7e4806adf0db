//! `postrider history`: what was fetched, where it went, when it was deleted.

use super::output::{self, local_time, size};
use super::terminal::Size;
use crate::config::Whereabouts;
use crate::message::Name;
use crate::store::{HistoryEntry, HistoryFilter, Reader, StoreError};

/// The width of a terminal from which the files of messages, and the replies of servers, are shown.
const WIDE: usize = 160;

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
    account: Option<Name>,
    /// Only messages whose unique-id, Message-ID, file name or reply holds TEXT
    #[arg(short, long, value_name = "TEXT")]
    search: Option<String>,
    /// Show at most N, the newest ones; 0: all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Write it as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, places: &Whereabouts) -> u8 {
    show(arguments, places).unwrap_or_else(|error| output::complain_code(None, &error))
}

fn show(arguments: &Arguments, places: &Whereabouts) -> Result<u8, StoreError> {
    let filter = HistoryFilter {
        account: arguments.account.clone(),
        search: arguments.search.clone(),
        limit: if arguments.limit == 0 { usize::MAX } else { arguments.limit },
    };
    let reader = Reader::open(&places.state_dir)?;
    if !super::accounts::is_known(arguments.account.as_ref(), &reader, places)? {
        return Ok(super::USAGE);
    }
    let events = reader.history(&filter)?;
    if events.is_empty() {
        super::accounts::say_nothing("Nothing of that kind has been fetched yet.", arguments.json, &reader, places);
    }
    if arguments.json {
        let _ = output::print_json(&events);
    } else if !events.is_empty() {
        print(&events);
    }
    Ok(0)
}

fn print(events: &[HistoryEntry]) {
    let is_narrow = Size::of(&std::io::stdout()).is_some_and(|size| size.columns < WIDE);
    let cells = events.iter().map(|event| {
        let what = match event.deleted_at {
            Some(_) => format!("{}, deleted", event.state),
            None => event.state.to_owned(),
        };
        let place = match &event.detail {
            Some(_) if event.state == "delivered" && is_narrow => event.destination.clone(),
            // The file as it was moved into the Maildir; a mail program may have moved it since.
            Some(name) if event.state == "delivered" && event.is_maildir => {
                format!("{}: {}/new/{name}", event.destination, event.location)
            }
            Some(reply) if event.state == "delivered" => format!("{}: {} {reply}", event.destination, event.location),
            Some(detail) => format!("{}: {detail}", event.destination),
            None => event.destination.clone(),
        };
        [
            local_time(event.at),
            event.account.clone(),
            event.octets.map_or_else(|| "-".to_owned(), size),
            what,
            event.message_id.clone().unwrap_or_else(|| format!("unique-id {}", event.uid)),
            place,
        ]
    });
    output::print_table(["Time", "Account", "Size", "State", "Message", "Where"], cells);
}
