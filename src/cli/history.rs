//! `postrider history`: what was fetched, where it went, when it was deleted.

use super::columns;
use super::output::{self, local_time, size};
use super::terminal::{COLUMNS, Size, wrapped};
use crate::config::Whereabouts;
use crate::message::Name;
use crate::store::{HistoryEntry, HistoryFilter, Reader, StoreError};

/// The width of a terminal from which everything is shown.
const WIDE: usize = 160;

/// Where a reason stands below its line.
const INDENT: &str = "    ";

const DELIVERED: &str = "delivered";

/// Arguments of `history`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only this account
    #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
    account: Option<Name>,
    /// Only messages whose unique-id, Message-ID, file name or reply holds TEXT, or whose From or Subject does, in upper
    /// or lower case
    #[arg(short, long, value_name = "TEXT")]
    search: Option<String>,
    /// Show at most N, the newest ones; 0: all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Show everything, one line for each delivery: sizes, Message-IDs, files and replies, too
    #[arg(short, long)]
    long: bool,
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
        print(&events, arguments.long);
    }
    Ok(0)
}

fn print(events: &[HistoryEntry], is_long: bool) {
    let columns = Size::of(&std::io::stdout()).map(|size| size.columns);
    if is_long || columns.is_some_and(|columns| columns >= WIDE) {
        output::print_table(
            ["Time", "Account", "Size", "State", "From", "Subject", "Message", "Where"],
            events.iter().map(everything),
        );
    } else {
        output::print_as_it_is(&overview(events, columns.unwrap_or(COLUMNS)).join("\n"));
    }
}

/// All that is known of a delivery.
fn everything(event: &HistoryEntry) -> [String; 8] {
    let what = match event.deleted_at {
        Some(_) => format!("{}, deleted", event.state),
        None => event.state.to_owned(),
    };
    let place = match &event.detail {
        // The file as it was moved into the Maildir; a mail program may have moved it since.
        Some(name) if event.state == DELIVERED && event.is_maildir => {
            format!("{}: {}/new/{name}", event.destination, event.location)
        }
        Some(reply) if event.state == DELIVERED => format!("{}: {} {reply}", event.destination, event.location),
        Some(detail) => format!("{}: {detail}", event.destination),
        None => event.destination.clone(),
    };
    let known = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        local_time(event.at),
        event.account.clone(),
        event.octets.map_or_else(|| "-".to_owned(), size),
        what,
        known(&event.heading.from),
        known(&event.heading.subject),
        message(event),
        place,
    ]
}

/// What identifies a message.
fn message(event: &HistoryEntry) -> String {
    event.message_id.clone().unwrap_or_else(|| format!("unique-id {}", event.uid))
}

/// A line for each delivery, which fits the columns, and for one that has failed the reason below it.
fn overview(events: &[HistoryEntry], columns: usize) -> Vec<String> {
    let state = |event: &HistoryEntry| match event.deleted_at {
        Some(_) if event.state == DELIVERED => "deleted",
        _ => event.state,
    };
    let head = ["Time", "Account", "State", "From", "Subject"].map(str::to_owned);
    let column = |index: usize, texts: &mut dyn Iterator<Item = &str>| columns::widest(texts).max(head[index].len());
    let account = column(1, &mut events.iter().map(|event| event.account.as_str())).min(columns * 3 / 20);
    let state_width = column(2, &mut events.iter().map(state));
    let rest = columns::left(columns, &[output::MINUTE, account, state_width, 0]);
    let from = column(3, &mut events.iter().filter_map(|event| event.heading.from.as_deref())).min(rest * 2 / 5);
    let widths = [output::MINUTE, account, state_width, from, rest - from];
    let mut lines = vec![columns::line(&head, &widths)];
    for event in events {
        let time = output::local_minute(event.at);
        let from = event.heading.from.as_deref().map_or_else(|| "-".to_owned(), |text| columns::sender(text, from));
        let subject = match &event.heading.subject {
            None if event.heading.is_empty() => message(event),
            subject => subject.clone().unwrap_or_else(|| "-".to_owned()),
        };
        let cells = [
            time,
            columns::cut(&event.account, account),
            state(event).to_owned(),
            from,
            columns::cut(&subject, widths[4]),
        ];
        lines.push(columns::line(&cells, &widths));
        if let (Some(detail), false) = (&event.detail, event.state == DELIVERED) {
            let reason = wrapped(&format!("{}: {detail}", event.destination), columns - INDENT.len());
            lines.extend(reason.lines().map(|line| format!("{INDENT}{line}")));
        }
    }
    lines.iter().map(|line| columns::cut(line, columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Heading;

    fn event(from: &str, subject: &str, state: &'static str) -> HistoryEntry {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        HistoryEntry {
            at: 1_700_000_000,
            account: "work".into(),
            uid: "u1".into(),
            occurrence: 0,
            message_id: None,
            heading: Heading { from: text(from), subject: text(subject), date: None },
            octets: Some(1),
            state,
            destination: "home".into(),
            location: "/home/a/Maildir".into(),
            is_maildir: true,
            detail: Some("why it is so, in many words ".repeat(8)),
            deleted_at: None,
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_whatever_is_in_it() {
        let (long, wide) = ("x".repeat(200), "\u{65e5}\u{672c}".repeat(100));
        let mut events = vec![
            event(&long, &long, "delivered"),
            event(&wide, &wide, "quarantined"),
            event("", "", "deferred"),
            event("a@example.org", "", "skipped"),
            event("e\u{301}".repeat(100).as_str(), "\u{1f600}".repeat(99).as_str(), "delivered"),
        ];
        events[0].account = "n".repeat(64);
        events[1].account = "\u{65e5}".repeat(64);
        for width in [40, 60, 80, 81, 120, 159] {
            for line in overview(&events, width) {
                assert!(columns::width(&line) <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn what_is_not_on_record_is_shown_by_what_identifies_the_message() {
        let mut events = vec![event("", "", "delivered"), event("", "hello", "delivered"), event("a", "", "delivered")];
        let shown = overview(&events, 80);
        for (line, end) in shown.iter().skip(1).zip(["-     unique-id u1", "-     hello", "a     -"]) {
            assert!(line.ends_with(end), "{line}");
        }
        events[0].message_id = Some("<1@x>".into());
        assert!(overview(&events, 80)[1].ends_with("-     <1@x>"));
    }

    #[test]
    fn a_delivery_that_failed_has_its_reason_below_it_and_none_of_it_is_cut_off() {
        let events = [event("a", "b", "deferred"), event("a", "b", "delivered")];
        let shown = overview(&events, 80);
        let reason = shown[2..shown.len() - 1].join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(reason.matches("why it is so").count(), 8, "{shown:#?}");
        assert!(shown[2].starts_with("    home: why"));
        let deleted = HistoryEntry { deleted_at: Some(1), ..event("a", "b", "delivered") };
        assert!(overview(&[deleted], 80)[1].contains("  deleted  "));
    }
}
