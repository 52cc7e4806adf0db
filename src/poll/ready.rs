//! What a poll needs before it connects: its destinations, its turn, and what earlier runs have left.

use std::sync::Arc;

use tokio::time::{Instant, timeout_at};

use super::destination::OpenDestination;
use super::error::PollError;
use super::recover::recover;
use super::suspects::Suspects;
use super::turns::Turn;
use super::{Context, lost, mailbox, owed};
use crate::account::Account;
use crate::clock::unix_now;
use crate::deliver::maildir::MaildirError;
use crate::event::Event;
use crate::message::MessageKey;
use crate::plan::Place;
use crate::store::{Change, Doubted};
use crate::{attempt, threads};

/// What a poll has before it connects.
pub(super) struct Ready {
    pub(super) destinations: Arc<[OpenDestination]>,
    pub(super) places: Vec<Place>,
    /// The account's turn, until this is dropped.
    pub(super) turn: Turn,
    /// What ties the account to its mailbox, to be recorded.
    pub(super) bound: Vec<Change>,
    /// Single files that cannot be moved, with the positions of their destinations.
    pub(super) stuck: Vec<(usize, MaildirError)>,
    /// Messages that an earlier run crashed on.
    pub(super) crashed: Vec<MessageKey>,
    /// Messages that destinations have refused.
    pub(super) doubted: Vec<Doubted>,
    /// Messages at which earlier sessions ended.
    pub(super) suspects: Suspects,
}

/// Opens the destinations and finishes what an earlier run left unfinished.
pub(super) async fn get_ready(account: &Account, context: &Context, deadline: Instant) -> Result<Ready, PollError> {
    let doubted = context.store.doubted(&account.name).await?;
    let destinations = open_sinks(account, context, &doubted, deadline).await?;
    let places = destinations.iter().map(|destination| destination.place.clone()).collect();
    let (turn, bound) = begin(account, context, deadline).await?;
    let stuck = owed::blame(&destinations, recover(&context.store, Some(&account.name), deadline).await?);
    refuse_all_down(&destinations, context).await?;
    let crashed = crashed(account, context, &destinations).await?;
    let suspects = Suspects::new(context.store.suspects(&account.name).await?);
    Ok(Ready { destinations, places, turn, bound, stuck, crashed, doubted, suspects })
}

/// Takes the account's turn, and finds the part of the state that belongs to its mailbox.
async fn begin(account: &Account, context: &Context, deadline: Instant) -> Result<(Turn, Vec<Change>), PollError> {
    let late = PollError::Deadline { limit: account.deadline };
    let beginning = timeout_at(deadline, mailbox::begin(account, context));
    or_stop(context, async { beginning.await.unwrap_or(Err(late)) }).await
}

/// Opens the account's destinations.
async fn open_sinks(
    account: &Account,
    context: &Context,
    doubted: &[Doubted],
    deadline: Instant,
) -> Result<Arc<[OpenDestination]>, PollError> {
    let outlets: Vec<_> = account.deliver.iter().filter_map(|name| context.outlets.get(name).cloned()).collect();
    let mut known = Vec::with_capacity(outlets.len());
    let expected = lost::expects_maildirs(account, context).await?;
    for outlet in &outlets {
        let place = outlet.destination.place(context.store.instance());
        let is_known = expected || context.store.knows(place.location.clone()).await?;
        known.push((place, is_known));
    }
    let (pairs, doubted) = (outlets.into_iter().zip(known), doubted.to_vec());
    let open = move |(outlet, (place, is_known))| OpenDestination::open(outlet, place, is_known, &doubted);
    let open = move || pairs.map(open).collect();
    let destinations: Vec<_> = threads::run_until(deadline, open).await?;
    OpenDestination::refuse_twins(&destinations);
    refuse_all_down(&destinations, context).await?;
    Ok(destinations.into())
}

/// Ends the poll if none of its destinations works.
async fn refuse_all_down(destinations: &[OpenDestination], context: &Context) -> Result<(), PollError> {
    if destinations.iter().any(OpenDestination::is_up) {
        return Ok(());
    }
    tell(destinations, false, context).await?;
    Err(destinations.iter().find_map(|destination| destination.failure(false)).unwrap_or(PollError::Stopped))
}

/// Shares with other polls, and with later processes, which destinations work; `used`: they were tried.
pub(super) async fn tell(destinations: &[OpenDestination], used: bool, context: &Context) -> Result<(), PollError> {
    let mut changes = Vec::new();
    for destination in destinations {
        let used = used || destination.has_failed();
        changes.extend(destination.tell(used, context.store.instance()).await);
    }
    if !changes.is_empty() {
        context.store.apply(changes, unix_now()).await?;
    }
    Ok(())
}

/// Messages that an earlier process, or a poll of this one, crashed on; they are recorded.
async fn crashed(
    account: &Account,
    context: &Context,
    destinations: &[OpenDestination],
) -> Result<Vec<MessageKey>, PollError> {
    let deaths = attempt::left(context.store.dir(), &account.name);
    let keys = deaths.iter().map(|death| death.key.clone()).collect();
    if !deaths.is_empty() {
        for death in &deaths {
            Event::DiedAt { account: account.name.clone(), uid: death.key.clone() }.tell();
        }
        let places = destinations.iter().map(|destination| destination.place.clone()).collect();
        let deaths = deaths.into_iter().map(|death| (death.key, death.again)).collect();
        let crash = Change::Crash { account: account.name.clone(), deaths, places };
        // A crash that is not counted is better than one that is counted twice.
        attempt::forget(context.store.dir(), &account.name);
        context.store.apply(vec![crash], unix_now()).await?;
    }
    Ok(keys)
}

/// Work that may be dropped when the process is to end.
pub(super) async fn or_stop<T>(
    context: &Context,
    work: impl Future<Output = Result<T, PollError>>,
) -> Result<T, PollError> {
    tokio::select! {
        biased;
        result = work => result,
        () = context.cancel.cancelled() => Err(PollError::Stopped),
    }
}
