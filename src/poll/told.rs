//! Mail that will never come is reported once, when it is first seen: in the log, which a quiet `fetch` shows too.
//!
//! A message that goes into quarantine is not reported here: the poll in which that happens fails.

use std::collections::HashSet;

use super::Context;
use super::error::PollError;
use super::listing::Inventory;
use crate::account::Account;
use crate::event::{Event, LeftBehind};
use crate::plan::{Action, Listed, Reason, Step};
use crate::store::Change;

/// Messages that the log names at most.
const NAMED: usize = 3;

/// Messages that are remembered as reported at most.
const REMEMBERED: usize = 10_000;

/// Reports what was not reported yet; returns what is to be remembered.
pub(super) async fn tell(
    account: &Account,
    context: &Context,
    inventory: &Inventory,
) -> Result<Option<Change>, PollError> {
    let left: Vec<(LeftBehind, &Listed)> =
        inventory.steps.iter().filter_map(|step| Some((why(step)?, &inventory.listing()[step.index]))).collect();
    if left.is_empty() {
        return Ok(None);
    }
    let before = context.store.told(&account.name).await?.unwrap_or_default();
    let known: HashSet<&str> = before.lines().collect();
    let marks: Vec<String> = left.iter().map(|&(why, listed)| mark(why, listed)).collect();
    for why in [LeftBehind::TooLarge, LeftBehind::Nameless] {
        let news = left.iter().zip(&marks).filter(|((of, _), mark)| *of == why && !known.contains(mark.as_str()));
        let names: Vec<String> = news.map(|((_, listed), _)| name(listed)).collect();
        if !names.is_empty() {
            say(account, why, &names);
        }
    }
    let told = marks.into_iter().take(REMEMBERED).collect::<Vec<_>>().join("\n");
    Ok((told != before).then(|| Change::Tell { account: account.name.clone(), told }))
}

fn why(step: &Step) -> Option<LeftBehind> {
    match (&step.reason, &step.action) {
        (Reason::TooLarge { .. }, Action::Leave) => Some(LeftBehind::TooLarge),
        (Reason::NoUniqueId, _) => Some(LeftBehind::Nameless),
        _ => None,
    }
}

/// A short mark that distinguishes a message from others.
fn mark(why: LeftBehind, listed: &Listed) -> String {
    let octets = listed.octets.unwrap_or(0).to_le_bytes();
    let mut digest = blake3::Hasher::new();
    digest.update(&[why as u8]);
    match &listed.key {
        Some(key) => digest.update(key.uid()).update(&key.occurrence().to_le_bytes()),
        None => digest.update(&octets),
    };
    digest.finalize().to_hex()[..16].to_owned()
}

fn name(listed: &Listed) -> String {
    let octets = listed.octets.map_or(String::new(), |octets| format!(" ({octets} octets)"));
    match &listed.key {
        Some(key) => format!("{key}{octets}"),
        None => format!("number {}{octets}", listed.number),
    }
}

fn say(account: &Account, why: LeftBehind, names: &[String]) {
    let messages = names.len();
    let mut named = names[..messages.min(NAMED)].join(", ");
    if messages > NAMED {
        named.push_str(", ...");
    }
    Event::LeftOnServer { account: account.name.clone(), why, messages: messages as u64, named }.tell();
}
