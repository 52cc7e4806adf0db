//! What is on the server, what is known of it, and what is to be done with it.

use std::collections::{HashMap, HashSet};

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::{Account, unix_now};
use crate::header::Head;
use crate::message::{MessageKey, MessageNumber, UnixTime};
use crate::plan::{self, Initial, Listed, Step};
use crate::pop3::command::Command;
use crate::pop3::multiline::Decoder;
use crate::pop3::session::{Entry, Session, SessionError};
use crate::store::Known;

/// A listing with its plan.
#[derive(Debug)]
pub struct Inventory {
    /// The messages, in the server's order.
    pub listing: Vec<Listed>,
    /// One step for each of them.
    pub steps: Vec<Step>,
    /// Messages that this first poll leaves alone for ever; to be recorded before anything else.
    pub ignored: Vec<MessageKey>,
    /// Whether this is the account's first poll.
    pub first: bool,
}

/// Asks what is there and decides what to do with it.  `known` looks up the state; nothing is
/// changed, here or on the server.
///
/// # Errors
/// The server refuses, has no UIDL, or breaks off; the state cannot be read.
pub async fn inventory<S, F>(
    account: &Account,
    session: &mut Session<S>,
    known: impl FnOnce(Vec<Option<MessageKey>>) -> F,
) -> Result<Inventory, PollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Result<Known, PollError>>,
{
    let mut entries = session.uidl().await?.ok_or(PollError::NoUniqueIds)?;
    // Sizes are found by number; servers list in order, but need not.
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    let keys = keys(&entries);
    let known = known(keys.clone()).await?;
    // Without anything new nobody needs the sizes, and a large mailbox is listed only once.
    if known
        .standings
        .iter()
        .any(|standing| !matches!(standing, Some(plan::Standing::Done(_) | plan::Standing::Ignored)))
    {
        session.sizes(&mut entries).await?;
    }
    let shared = shared(&keys);
    let listed = entries.into_iter().zip(keys).zip(known.standings).zip(shared);
    let mut listing: Vec<Listed> = listed
        .map(|(((Entry { number, octets, .. }, key), standing), shared)| Listed {
            number,
            key,
            shared,
            octets,
            standing,
        })
        .collect();
    let now = unix_now();
    let mut ignored = Vec::new();
    if !known.begun {
        let dates = match account.policy.initial {
            Initial::Since(_) => dates(session, &listing).await?,
            Initial::All | Initial::None => HashMap::new(),
        };
        for index in plan::initially_ignored(&listing, account.policy.initial, &dates, now) {
            listing[index].standing = Some(plan::Standing::Ignored);
            ignored.extend(listing[index].key.clone());
        }
    }
    let steps = plan::plan(&listing, &account.policy, &account.deliver, now);
    Ok(Inventory { listing, steps, ignored, first: !known.begun })
}

/// Unique-ids with their occurrence: identical copies may share one.
fn keys(entries: &[Entry]) -> Vec<Option<MessageKey>> {
    let mut occurrences: HashMap<&[u8], u32> = HashMap::with_capacity(entries.len());
    entries
        .iter()
        .map(|entry| {
            let uid = entry.uid.as_deref()?;
            let occurrence = occurrences.entry(uid).or_insert(0);
            let key = MessageKey::new(uid, *occurrence);
            *occurrence += 1;
            key
        })
        .collect()
}

/// For each key, whether another one has the same unique-id.
fn shared(keys: &[Option<MessageKey>]) -> Vec<bool> {
    let later = keys.iter().flatten().filter(|key| key.occurrence() > 0);
    let uids: HashSet<&[u8]> = later.map(MessageKey::uid).collect();
    keys.iter().map(|key| key.as_ref().is_some_and(|key| uids.contains(key.uid()))).collect()
}

/// Arrival times by the header, one TOP after the other in a window.  A message that does not
/// tell, or a server without TOP, leaves it out.
async fn dates<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    listing: &[Listed],
) -> Result<HashMap<MessageNumber, UnixTime>, SessionError> {
    let mut dates = HashMap::new();
    let pipelining = session.capabilities().pipelining;
    let mut waiting = listing.iter().map(|listed| listed.number);
    let mut asked = std::collections::VecDeque::new();
    loop {
        while asked.is_empty() || (pipelining && session.has_room()) {
            let Some(number) = waiting.next() else { break };
            session.queue(Command::Top(number, 0));
            asked.push_back(number);
        }
        let Some(number) = asked.pop_front() else { return Ok(dates) };
        if !session.reply().await?.ok {
            continue;
        }
        let (mut decoder, mut header, mut piece) = (Decoder::new(), Vec::new(), Vec::new());
        while !decoder.is_done() {
            piece.clear();
            session.body_piece(&mut decoder, &mut piece).await?;
            let room = crate::header::SCAN_LIMIT.saturating_sub(header.len());
            header.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        if let Some(date) = Head::scan(&header).date {
            dates.insert(number, date);
        }
    }
}
