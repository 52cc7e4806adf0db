//! The poll itself, step by step.

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::destination::{OpenDestination, is_deliverable};
use super::error::PollError;
use super::farewell::farewell;
use super::jobs::jobs;
use super::ledger::{Facts, Records, ledger};
use super::listing::{Inventory, inventory};
use super::piece::{Job, Supposed};
use super::ready::{Ready, get_ready, or_stop, tell};
use super::recall::Recall;
use super::receive::{NotRetrieved, Transacted};
use super::report::{Report, Tally};
use super::server::Server;
use super::suspects::{Pass, Selected, Suspects, ended_at};
use super::transfer::{Transfer, Transferred};
use super::{Context, mailbox, owed, server, told};
use crate::account::Account;
use crate::clock::unix_now;
use crate::deliver::maildir::MaildirError;
use crate::event::Event;
use crate::message::{MessageKey, MessageNumber};
use crate::net::Stream;
use crate::plan::{Action, Left, Place, Reason};
use crate::pop3::session::Session;
use crate::progress::{Phase, Progress};
use crate::store::{Change, Ending, Settled};
use crate::trace::Trace;

/// Messages that a server refuses alike, from which on the server is the cause and not they.
const ALIKE: usize = 3;

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
    let Ready { destinations, places, turn: _turn, bound, stuck, crashed, doubted, suspects } =
        get_ready(account, context, deadline).await?;

    // 2. Connect and log in.
    progress.enter(Phase::Connecting);
    let (mut session, mut server) = or_stop(context, server::open(account, context, deadline)).await?;
    report.login_delay = session.capabilities().login_delay;

    // 3. What is there, and what is to be done with it.
    progress.enter(Phase::Listing);
    let listed = list(account, context, &destinations, &places, &suspects, &mut session, deadline).await;
    server.learnt(account, session.shape());
    if let Err(error) = &listed {
        let learnt = server.broke(account, error, session.flight(), report);
        let ended = ended_at(account, &places, suspects.found(), error, report);
        record(context, learnt.into_iter().chain(ended).collect()).await?;
    }
    let mut inventory = listed?;
    take_stock(account, context, &mut inventory, bound.into_iter().chain(server.news()), report).await?;

    // 4. A destination is tried before the first message is fetched for it.
    let jobs = jobs(&account.policy, &inventory, &places, (&crashed, &doubted), unix_now());
    or_stop(context, probe(&inventory, &jobs, &destinations, deadline)).await?;
    let selected = select(jobs, &inventory, &destinations, &suspects, pass);
    let wanted = selected.jobs.len();

    // 5. Receive, make durable, deliver; delete on the way what is delivered.
    progress.enter(Phase::Fetching);
    let work = Transfer { account, context, progress, destinations: &destinations, trace: None, deadline };
    let fetched = fetch(work, &mut session, &server, selected, &places, &mut inventory, report).await?;
    let Fetched { mut result, mut facts, mut records, mut transacted, mut due } = fetched;

    // 6. The rest is deleted, which QUIT carries out; a session that went wrong is just dropped.
    progress.enter(Phase::Finishing);
    if facts.may_delete() {
        due.extend(due_by_plan(&inventory));
        let ended = farewell(account, session, due, &mut transacted.marked, facts.is_settled(), deadline).await;
        result = ended.map(|deleted| facts.deleted = deleted);
    }

    // 7. What happened is recorded.
    report.deleted += facts.deleted;
    facts.end(result.is_ok(), report, &transacted, &destinations);
    records.marked = std::mem::take(&mut transacted.marked);
    record(context, ledger(account, &places, &mut inventory, &facts, records, (began, unix_now()))).await?;
    tell(&destinations, wanted > 0, context).await?;
    result.and_then(|()| conclude(&destinations, stuck, &transacted, report, wanted))
}

/// What was retrieved and delivered, and what is to be recorded of it.
struct Fetched {
    result: Result<(), PollError>,
    facts: Facts,
    records: Records,
    transacted: Transacted,
    /// What is to be deleted, since it is delivered.
    due: Vec<(MessageNumber, MessageKey)>,
}

/// Retrieves and delivers what was selected.
async fn fetch(
    work: Transfer<'_>,
    session: &mut Session<Stream>,
    server: &Server,
    Selected { jobs, alone, left }: Selected,
    places: &[Place],
    inventory: &mut Inventory,
    report: &mut Report,
) -> Result<Fetched, PollError> {
    let (account, destinations, mut transacted) = (work.account, work.destinations, Transacted::default());
    report.alone = alone.is_some();
    let (transferred, due) = transfer(work, session, jobs, inventory, &mut transacted).await?;
    let Transferred { received, committed, tally, moved } = transferred;
    let mut facts = Facts::of(received.is_ok(), committed.is_ok(), &transacted, &tally);
    facts.stopped |= !left.is_empty();
    report.suspects = left;
    let mut records = Records { moved, contents: take_in(report, tally), ..Records::default() };
    if let Err(error) = &received {
        records.server_note = server.broke(account, error, session.flight(), report);
        records.ended = ended_at(account, places, std::mem::take(&mut transacted.suspects), error, report);
    }
    records.not_retrieved = not_retrieved(account, destinations, &transacted, report);
    Ok(Fetched { result: received.and(committed), facts, records, transacted, due })
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
        if destination.has_failed() || jobs.iter().any(|job| job.targets.contains(&index)) {
            destination.probe(deadline.into_std()).await?;
        }
    }
    Ok(owed::try_waiting(inventory, destinations, deadline.into_std()).await?)
}

/// Which of the jobs this session does.
fn select(
    mut jobs: Vec<Job>,
    inventory: &Inventory,
    destinations: &[OpenDestination],
    suspects: &Suspects,
    pass: &Pass,
) -> Selected {
    jobs.retain(|job| is_deliverable(job, destinations));
    for (index, _) in destinations.iter().enumerate().filter(|(_, destination)| destination.is_on_trial()) {
        let first = jobs.iter().position(|job| job.targets.contains(&index));
        let mut position = 0..;
        jobs.retain(|job| position.next() == first || !job.targets.contains(&index));
    }
    suspects.select(jobs, pass, due_by_plan(inventory).next().is_some())
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
    let Left { too_large, waiting, quarantined, deferred, ignored, nameless } = inventory.left;
    report.listed = inventory.listed as u64;
    report.too_large = too_large;
    report.waiting = waiting;
    report.ignored = ignored;
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
    report.set_aside += tally.quarantined;
    report.unrecorded += tally.unrecorded;
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
    let of_the_server = are_of_the_server(transacted);
    for NotRetrieved { job, why, will_pass } in &transacted.not_retrieved {
        Event::NotRetrieved { account: account.name.clone(), uid: job.key.clone(), cause: why.clone() }.tell();
        report.failures.entry(job.key.clone()).or_insert_with(|| why.clone());
        if job.supposed == Supposed::Nameless {
            // In the next session it may have another number.
            continue;
        }
        let ending = if *will_pass || of_the_server { Ending::NotNow } else { Ending::NotRetrieved };
        let of_target = |&target: &usize| Settled {
            key: job.key.clone(),
            place: destinations[target].place.clone(),
            ending: ending(format!("the mailbox's server does not hand it out: {why}")),
        };
        outcomes.extend(job.targets.iter().map(of_target));
    }
    outcomes
}

/// Whether refusals say nothing about the messages: the server hands out none, and says the same of several.
fn are_of_the_server(transacted: &Transacted) -> bool {
    let words = |refused: &NotRetrieved| refused.why.replace(|c: char| c.is_ascii_digit(), "");
    let refused = &transacted.not_retrieved;
    let same = refused.first().map(words);
    transacted.retrieved == 0 && refused.len() >= ALIKE && refused.iter().all(|one| Some(words(one)) == same)
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
