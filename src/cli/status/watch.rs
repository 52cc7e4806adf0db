//! `postrider status --watch`: shows the status repeatedly; on a terminal in the alternate screen, which is left at
//! the end, with the problems always visible.

use std::io;
use std::time::Duration;

use super::{Picture, Seen, Silence, client, look, output, show};
use crate::cli::terminal::{Size, wrapped};
use crate::config::Whereabouts;
use crate::process::signals::Signals;
use crate::process::status::Status;

/// How often the status is read.
const REFRESH: Duration = Duration::from_secs(1);

/// Enters the terminal's other screen, and leaves it (xterm's private mode 1049).
const ENTER: &[u8] = b"\x1b[?1049h";
const LEAVE: &[u8] = b"\x1b[?1049l";
/// Moves the cursor to the top left; clears the rest of a line, and the rest of the screen.
const HOME: &str = "\x1b[H";
const WIPE_LINE: &str = "\x1b[K";
const WIPE_REST: &str = "\x1b[J";

/// Shows the status until a signal comes, the output cannot be written, or there is no service.
pub(super) fn run(places: &mut Whereabouts, json: bool) -> u8 {
    let first = match look(places) {
        Ok(seen) if seen.absence.is_none() => seen,
        Ok(seen) => return shown_last(&seen, json),
        Err(silence) => return crate::cli::tell_of_broken(client::complain(&silence), places),
    };
    let is_drawn = !json && Size::of(&io::stdout()).is_some();
    if is_drawn {
        let _ = output::write(ENTER);
    }
    let ended = crate::cli::runtime::block_on(watch(first, places, json));
    if is_drawn {
        let _ = output::write(LEAVE);
    }
    match ended {
        Ok(seen) if seen.absence.is_some() => shown_last(&seen, json),
        Ok(seen) => seen.status.exit_code(),
        Err(silence) => crate::cli::tell_of_broken(client::complain(&silence), places),
    }
}

/// Shows what is on record if there is no service; returns the exit code.
fn shown_last(seen: &Seen, json: bool) -> u8 {
    show(&seen.status, json);
    seen.conclude()
}

async fn watch(mut seen: Seen, places: &mut Whereabouts, json: bool) -> Result<Seen, Silence> {
    let mut signals = Signals::of_command().ok();
    loop {
        let is_read = match Size::of(&io::stdout()).filter(|_| !json) {
            Some(size) => draw(seen.status.clone(), size),
            None => show(&seen.status, json),
        };
        if !is_read {
            return Ok(seen);
        }
        let signal = async {
            match &mut signals {
                Some(signals) => signals.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = tokio::time::sleep(REFRESH) => {}
            _ = signal => return Ok(seen),
        }
        seen = tokio::task::block_in_place(|| {
            if places.broken().is_some() {
                *places = places.again(&|name| std::env::var_os(name));
            }
            look(places)
        })?;
        if seen.absence.is_some() {
            return Ok(seen);
        }
    }
}

/// Draws over the previous picture; accounts with problems come first.
fn draw(mut status: Status, size: Size) -> bool {
    status.accounts.sort_by_key(|account| (account.error.is_none(), account.undelivered.is_empty()));
    let lines = lines(&Picture::of(&status), size);
    let text = lines.iter().map(|line| format!("{line}{WIPE_LINE}")).collect::<Vec<_>>().join("\r\n");
    output::write(format!("{HOME}{text}{WIPE_REST}").as_bytes()).is_ok()
}

/// The lines that fit on the terminal: the head, then the table, and the problems, which get up to half of the rest
/// before the table gets more.
fn lines(picture: &Picture, size: Size) -> Vec<String> {
    let Size { rows, columns } = size;
    let cut = |line: &str| line.chars().take(columns).collect::<String>();
    let of = |text: &str| wrapped(text, columns).lines().map(cut).collect::<Vec<_>>();
    let mut lines: Vec<String> = picture.head.iter().map(|head| cut(head)).collect();
    let table: Vec<String> = picture.table.iter().flat_map(|table| table.lines()).map(cut).collect();
    let troubles: Vec<String> =
        picture.troubles.iter().flat_map(|trouble| [vec![String::new()], of(trouble)].concat()).collect();
    let room = rows.saturating_sub(lines.len());
    let for_table = table.len().min(room.saturating_sub(troubles.len()).max(room / 2));
    lines.extend(shortened(table, for_table));
    let left = rows.saturating_sub(lines.len());
    lines.extend(shortened(troubles, left));
    lines.iter().map(|line| cut(line)).collect()
}

/// At most `most` lines; if lines are dropped, the last line says so.
fn shortened(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most && most > 0 {
        let more = lines.len() - (most - 1);
        lines.truncate(most - 1);
        lines.push(format!("... and {more} more lines (postrider status)"));
    }
    lines.truncate(most);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(accounts: usize, troubles: usize) -> Picture {
        let row = |n: usize| format!("account{n}  idle  3 s ago");
        let table = std::iter::once("Account  State".to_owned()).chain((0..accounts).map(row));
        let trouble = |n: usize| format!("account{n}: {}", "the server is not there and does not answer ".repeat(5));
        let troubles = (0..troubles).map(trouble).collect();
        Picture { head: Some("postrider ".repeat(12)), table: Some(table.collect::<Vec<_>>().join("\n")), troubles }
    }

    #[test]
    fn what_is_wrong_is_in_sight_on_every_terminal_and_nothing_is_wider_or_higher_than_it() {
        for (rows, columns) in [(24, 80), (24, 40), (10, 40), (50, 200), (6, 20), (2, 20)] {
            for (accounts, troubles) in [(1, 1), (100, 1), (3, 30), (100, 100), (5, 0), (0, 0)] {
                let lines = lines(&picture(accounts, troubles), Size { rows, columns });
                assert!(lines.len() <= rows, "{rows}x{columns} {accounts} {troubles}: {} lines", lines.len());
                assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:?}");
                if rows >= 10 && troubles > 0 {
                    assert!(lines.iter().any(|line| line.starts_with("account0: the server")), "{lines:?}");
                }
                if rows >= 10 && accounts > 0 {
                    assert!(lines.iter().any(|line| line.starts_with("account0  idle")), "{lines:?}");
                }
            }
        }
    }
}
