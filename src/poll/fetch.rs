//! The poll itself, step by step.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::destination::{OpenDestination, is_deliverable};
use super::error::PollError;
use super::farewell::farewell;
use super::jobs::jobs;
use super::ledger::{Facts, Records, ledger};
use super::listing::{Inventory, inventory};
use super::piece::{Job, Supposed};
use super::recall::Recall;
use super::receive::Transacted;
use super::recover::recover;
use super::report::{Report, Tally};
use super::suspects::{Pass, Selected, Suspects};
use super::transfer::{Transfer, Transferred};
use super::turns::Turn;
use super::{Context, lost, mailbox, owed, server, told};
use crate::account::Account;
use crate::clock::unix_now;
use crate::deliver::maildir::MaildirError;
use crate::event::Event;
use crate::failure::describe;
use crate::message::{MessageKey, MessageNumber};
use crate::net::Stream;
use crate::plan::{Action, Left, Place, Reason};
use crate::pop3::session::Session;
use crate::progress::{Phase, Progress};
use crate::store::{Change, Ending, Settled};
use crate::trace::Trace;
use crate::{attempt, threads};

/// Fetches what is new, delivers it, and deletes what the policy wants deleted.
pub(super) async fn run(
    account: &Account,
    context: &Context,
    progress: &Progress,
    report: &mut Report,
    (pass, deadline): (&Pass, Instant),
) -> Result<(), PollError> {
    let began = unix_now();

    // 1. Nothing is fetched that cannot be delivered.
    let Ready { destinations, places, turn: _turn, bound, stuck, crashed, suspects } =
        get_ready(account, context, deadline).await?;

    // 2. Connect and log in.
    progress.enter(Phase::Connecting);
    let (mut session, mut server) = or_stop(context, server::open(account, context, deadline)).await?;
    report.login_delay = session.capabilities().login_delay;

    // 3. What is there, and what is to be done with it.
    progress.enter(Phase::Listing);
    let listed = list(account, context, &destinations, &places, &suspects, &mut session, deadline).await;
    server.learnt(account, session.shape());
    let learn = |error: &PollError| server.broke(account, error, session.flight(), report);
    let mut noted: Vec<Change> = listed.as_ref().err().and_then(learn).into_iter().collect();
    let found = if report.slower { Vec::new() } else { suspects.found() };
    noted.extend(ended_at(account, &places, found, listed.as_ref().err(), false));
    record(context, noted).await?;
    let mut inventory = listed?;
    take_stock(account, context, &mut inventory, bound.into_iter().chain(server.news()), report).await?;

    // 4. A destination is tried before the first message is fetched for it.
    let mut jobs = jobs(&account.policy, &inventory, &places, &crashed, unix_now());
    or_stop(context, probe(&inventory, &jobs, &destinations, deadline)).await?;
    jobs.retain(|job| is_deliverable(job, &destinations));
    let Selected { jobs, alone, left } = suspects.select(jobs, pass, due_by_plan(&inventory).next().is_some());
    let (wanted, is_alone) = (jobs.len(), alone.is_some());
    if let Some(key) = alone.filter(|_| wanted > 0) {
        // If this process does not survive it, the next one knows.
        record(context, ended_at(account, &places, vec![key], None, false).into_iter().collect()).await?;
    }

    // 5. Receive, make durable, deliver; delete on the way what is delivered.
    progress.enter(Phase::Fetching);
    let mut transacted = Transacted::default();
    let work = Transfer { account, context, progress, destinations: &destinations, trace: None, deadline };
    let (transferred, mut due) = transfer(work, &mut session, jobs, &mut inventory, &mut transacted).await?;
    let Transferred { received, committed, tally, moved } = transferred;
    transacted.stopped |= !left.is_empty();
    report.suspects = left;
    let server_note = received.as_ref().err().and_then(|error| server.broke(account, error, session.flight(), report));
    let mut facts = Facts::of(received.is_ok(), committed.is_ok(), &transacted, &tally);
    // Where the number of commands or the shape of the answers may be the cause, no message is.
    let suspects = if report.slower { Vec::new() } else { std::mem::take(&mut transacted.suspects) };
    let cause = received.as_ref().err().map(|error| describe(error)).unwrap_or_default();
    report.failures.extend(suspects.iter().map(|key| (key.clone(), cause.clone())));
    let ended = ended_at(account, &places, suspects, received.as_ref().err(), is_alone);
    let mut records = Records { moved, server_note, ended, contents: take_in(report, tally), ..Records::default() };
    records.not_retrieved = not_retrieved(account, &destinations, &transacted, report);

    // 6. The rest is deleted, which QUIT carries out; a session that went wrong is just dropped.
    progress.enter(Phase::Finishing);
    let mut result = received.and(committed);
    let mut deleted = 0;
    if facts.may_delete() {
        due.extend(due_by_plan(&inventory));
        let ended = farewell(account, session, due, &mut transacted.marked, facts.is_settled(), deadline).await;
        result = ended.map(|count| deleted = count);
    }
    report.deleted += deleted;

    // 7. What happened is recorded.
    facts.deleted = deleted;
    facts.end(result.is_ok(), report, &transacted, &destinations);
    records.marked = std::mem::take(&mut transacted.marked);
    record(context, ledger(account, &places, &mut inventory, &facts, records, (began, unix_now()))).await?;
    destinations.iter().for_each(|destination| destination.tell(wanted > 0));
    result.and_then(|()| conclude(&destinations, stuck, &transacted, report, wanted))
}

/// What a poll has before it connects.
struct Ready {
    destinations: Arc<[OpenDestination]>,
    places: Vec<Place>,
    /// The account's turn, until this is dropped.
    turn: Turn,
    /// What ties the account to its mailbox, to be recorded.
    bound: Vec<Change>,
    /// Single files that cannot be moved, with the positions of their destinations.
    stuck: Vec<(usize, MaildirError)>,
    /// Messages that an earlier run crashed on.
    crashed: Vec<MessageKey>,
    /// Messages at which earlier sessions ended.
    suspects: Suspects,
}

/// Opens the destinations and finishes what an earlier run left unfinished.
async fn get_ready(account: &Account, context: &Context, deadline: Instant) -> Result<Ready, PollError> {
    let destinations = open_sinks(account, context, deadline).await?;
    let places = destinations.iter().map(|destination| destination.place.clone()).collect();
    let (turn, bound) = begin(account, context, deadline).await?;
    let stuck = owed::blame(&destinations, recover(&context.store, Some(&account.name), deadline).await?);
    refuse_all_down(&destinations)?;
    let crashed = crashed(account, context, &destinations).await?;
    let suspects = Suspects::new(context.store.suspects(&account.name).await?);
    Ok(Ready { destinations, places, turn, bound, stuck, crashed, suspects })
}

/// Takes the account's turn, and finds the part of the state that belongs to its mailbox.
async fn begin(account: &Account, context: &Context, deadline: Instant) -> Result<(Turn, Vec<Change>), PollError> {
    let late = PollError::Deadline { limit: account.deadline };
    let beginning = timeout_at(deadline, mailbox::begin(account, context));
    or_stop(context, async { beginning.await.unwrap_or(Err(late)) }).await
}

/// Asks the server what is there, and plans what to do with it.
async fn list(
    account: &Account,
    context: &Context,
    destinations: &[OpenDestination],
    places: &[Place],
    suspects: &Suspects,
    session: &mut Session<Stream>,
    deadline: Instant,
) -> Result<Inventory, PollError> {
    let late = PollError::Deadline { limit: account.deadline };
    let memory = Recall::Poll { account, context, destinations, suspects };
    let work = timeout_at(deadline, inventory(account, places, session, memory));
    or_stop(context, async { work.await.unwrap_or(Err(late)) }).await
}

/// The record of messages at which a session ended, or may end now (without an error).
fn ended_at(
    account: &Account,
    places: &[Place],
    keys: Vec<MessageKey>,
    error: Option<&PollError>,
    is_counted: bool,
) -> Option<Change> {
    if keys.is_empty() {
        return None;
    }
    let cause = error.map_or("the process has not survived it".to_owned(), |error| describe(error));
    if error.is_some() {
        for uid in &keys {
            Event::SessionEndedAt { account: account.name.clone(), uid: uid.clone(), cause: cause.clone() }.tell();
        }
    }
    Some(Change::SessionEnd { account: account.name.clone(), keys, places: places.to_vec(), cause, is_counted })
}

/// Makes changes of the state, if there are any.
async fn record(context: &Context, changes: Vec<Change>) -> Result<(), PollError> {
    if !changes.is_empty() {
        context.store.apply(changes, unix_now()).await?;
    }
    Ok(())
}

/// Records what the listing decides, with what else is new, and reports what it shows.
async fn take_stock(
    account: &Account,
    context: &Context,
    inventory: &mut Inventory,
    news: impl Iterator<Item = Change>,
    report: &mut Report,
) -> Result<(), PollError> {
    let decided = decided(account, inventory).into_iter().chain(news);
    record(context, decided.collect()).await?;
    report.recognised = inventory.recognised.matched as u64;
    if report.recognised > 0 {
        Event::UniqueIdsChanged { account: account.name.clone(), messages: report.recognised }.tell();
    }
    if inventory.recognised.by_size && mailbox::is_first_to_tell(account, context).await? {
        Event::NoTop { account: account.name.clone() }.tell();
    }
    count(inventory, report);
    record(context, told::tell(account, context, inventory).await?.into_iter().collect()).await
}

/// Tries the destinations that are wanted, and those for which messages wait.
async fn probe(
    inventory: &Inventory,
    jobs: &[Job],
    destinations: &[OpenDestination],
    deadline: Instant,
) -> Result<(), PollError> {
    for (index, destination) in destinations.iter().enumerate() {
        if jobs.iter().any(|job| job.targets.contains(&index)) {
            destination.probe(deadline.into_std()).await?;
        }
    }
    Ok(owed::try_waiting(inventory, destinations, deadline.into_std()).await?)
}

/// Receives and delivers the messages of the jobs.  Also returns what is due for deletion by then.
async fn transfer(
    work: Transfer<'_>,
    session: &mut Session<Stream>,
    jobs: Vec<Job>,
    inventory: &mut Inventory,
    transacted: &mut Transacted,
) -> Result<(Transferred, Vec<(MessageNumber, MessageKey)>), PollError> {
    let octets = jobs.iter().filter_map(|job| job.octets).fold(0, u64::saturating_add);
    work.progress.expect(jobs.len() as u64, octets);
    if jobs.is_empty() {
        return Ok((Transferred::default(), Vec::new()));
    }
    let trace = work.account.received_header.then(|| trace(work.account, session));
    let work = Transfer { trace: trace.as_ref(), ..work };
    let (deletable, mut deletions) = mpsc::unbounded_channel();
    let elsewhere = std::mem::take(&mut inventory.recognised.elsewhere);
    let transferred = work.run(session, jobs, transacted, deletable, &mut deletions, elsewhere).await?;
    Ok((transferred, std::iter::from_fn(|| deletions.try_recv().ok()).collect()))
}

/// What the plan wants deleted.
fn due_by_plan(inventory: &Inventory) -> impl Iterator<Item = (MessageNumber, MessageKey)> {
    inventory.steps.iter().filter(|step| step.action == Action::Delete).filter_map(|step| {
        let listed = &inventory.listing()[step.index];
        Some((listed.number, listed.key.clone()?))
    })
}

/// Opens the account's destinations.
async fn open_sinks(
    account: &Account,
    context: &Context,
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
    let open = outlets.into_iter().zip(known);
    let open = move || open.map(|(outlet, (place, is_known))| OpenDestination::open(outlet, place, is_known)).collect();
    let destinations: Vec<_> = threads::run_until(deadline, open).await?;
    OpenDestination::refuse_twins(&destinations);
    refuse_all_down(&destinations)?;
    Ok(destinations.into())
}

/// Ends the poll if none of its destinations works.
fn refuse_all_down(destinations: &[OpenDestination]) -> Result<(), PollError> {
    if destinations.iter().any(OpenDestination::is_up) {
        return Ok(());
    }
    destinations.iter().for_each(|destination| destination.tell(false));
    Err(destinations.iter().find_map(|destination| destination.failure(false)).unwrap_or(PollError::Stopped))
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
async fn or_stop<T>(context: &Context, work: impl Future<Output = Result<T, PollError>>) -> Result<T, PollError> {
    tokio::select! {
        biased;
        result = work => result,
        () = context.cancel.cancelled() => Err(PollError::Stopped),
    }
}

/// What the listing alone decides, to be recorded before anything is fetched.
fn decided(account: &Account, inventory: &mut Inventory) -> Vec<Change> {
    let mut changes = std::mem::take(&mut inventory.recognised.decided);
    let sizes = std::mem::take(&mut inventory.recognised.sizes);
    if !sizes.is_empty() {
        changes.push(Change::Listed { account: account.name.clone(), sizes });
    }
    let over = inventory.steps.iter().filter(|step| step.reason == Reason::Over);
    let keys: Vec<MessageKey> = over.filter_map(|step| inventory.listing()[step.index].key.clone()).collect();
    if !keys.is_empty() {
        changes.push(Change::Close { account: account.name.clone(), keys });
    }
    changes
}

fn count(inventory: &Inventory, report: &mut Report) {
    let Left { too_large, waiting, quarantined, deferred, nameless } = inventory.left;
    report.listed = inventory.listed as u64;
    report.too_large = too_large;
    report.waiting = waiting;
    report.quarantined = quarantined;
    report.deferred = deferred;
    report.nameless = nameless;
}

fn trace(account: &Account, session: &Session<Stream>) -> Trace {
    let stream = session.stream();
    Trace {
        host: account.endpoint.host.clone(),
        address: stream.peer_addr().ok().map(|address| address.ip()),
        tls_version: stream.tls_version(),
        by: crate::text::shown(&crate::machine::host_name()),
    }
}

/// Adds the counts of the deliveries to the report.  Returns the messages without a unique-id that came.
fn take_in(report: &mut Report, tally: Tally) -> Vec<MessageKey> {
    report.delivered += tally.delivered;
    report.reappeared += tally.reappeared;
    report.recognised += tally.recognised;
    report.octets += tally.octets;
    report.quarantined += tally.quarantined;
    report.failures.extend(tally.failures);
    tally.contents
}

/// The record of messages that the server listed and did not hand out.
fn not_retrieved(
    account: &Account,
    destinations: &[OpenDestination],
    transacted: &Transacted,
    report: &mut Report,
) -> Vec<Settled> {
    let mut outcomes = Vec::new();
    for (job, why) in &transacted.not_retrieved {
        Event::NotRetrieved { account: account.name.clone(), uid: job.key.clone(), cause: why.clone() }.tell();
        report.failures.entry(job.key.clone()).or_insert_with(|| why.clone());
        if job.supposed == Supposed::Nameless {
            // In the next session it may have another number.
            continue;
        }
        let of_target = |&target: &usize| Settled {
            key: job.key.clone(),
            place: destinations[target].place.clone(),
            ending: Ending::NotRetrieved(why.clone()),
        };
        outcomes.extend(job.targets.iter().map(of_target));
    }
    outcomes
}

/// The result of the poll once everything is recorded; `stuck`: single files that cannot be moved.
fn conclude(
    destinations: &[OpenDestination],
    stuck: Vec<(usize, MaildirError)>,
    transacted: &Transacted,
    report: &Report,
    wanted: usize,
) -> Result<(), PollError> {
    stuck.into_iter().for_each(|(index, error)| destinations[index].fail(error));
    let others_work = destinations.iter().any(OpenDestination::is_up);
    if let Some(error) = destinations.iter().find_map(|destination| destination.failure(others_work)) {
        return Err(error);
    }
    if let Some(first) = report.failures.values().next() {
        return Err(PollError::Undelivered { count: report.failures.len(), total: wanted, first: first.clone() });
    }
    if transacted.stopped {
        return Err(PollError::Stopped);
    }
    Ok(())
}
