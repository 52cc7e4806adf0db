//! The journey itself, step by step.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tracing::{debug, info, warn};

use super::error::PollError;
use super::listing::{Inventory, inventory};
use super::memory::Memory;
use super::piece::{Claim, Job};
use super::receive::Harvest;
use super::recover::recover;
use super::report::{Report, Tally};
use super::sink::{Sink, is_deliverable};
use super::transfer::{Transfer, Transferred};
use super::{Context, host, lost, mailbox, owed, told};
use crate::account::Account;
use crate::clock::unix_now;
use crate::message::{MessageKey, MessageNumber};
use crate::net::Stream;
use crate::plan::{self, Action, Left, Listed, Place, Reason, Retention, Standing, Step, Targets};
use crate::pop3::command::Command;
use crate::pop3::session::{Quit, Session};
use crate::progress::{Phase, Progress};
use crate::store::{Change, Ending, Outcome};
use crate::trace::Trace;
use crate::{attempt, threads};

pub(super) async fn run(
    account: &Account,
    context: &Context,
    progress: &Progress,
    report: &mut Report,
    deadline: Instant,
) -> Result<(), PollError> {
    let began = unix_now();
    let late = || PollError::Deadline { limit: account.deadline };

    // 1. Nothing is fetched that cannot be delivered.
    let sinks = open_sinks(account, context, deadline).await?;
    let beginning = timeout_at(deadline, mailbox::begin(account, context));
    let (_turn, bound) = or_stop(context, async { beginning.await.unwrap_or_else(|_| Err(late())) }).await?;
    let stuck = owed::blame(&sinks, recover(&context.store, Some(&account.name), deadline).await?);
    refuse_all_down(&sinks)?;
    let crashed = crashed(account, context, &sinks).await?;

    // 2. Connect and log in.
    progress.enter(Phase::Connecting);
    let (mut session, server) = or_stop(context, host::open(account, context, deadline)).await?;

    report.login_delay = session.capabilities().login_delay;

    // 3. What is there, and what is to be done with it.
    progress.enter(Phase::Listing);
    let memory = Memory::Poll { account, context, sinks: &sinks };
    let places: Vec<Place> = sinks.iter().map(|sink| sink.place.clone()).collect();
    let work = timeout_at(deadline, inventory(account, &places, &mut session, memory));
    let listed = or_stop(context, async { work.await.unwrap_or_else(|_| Err(late())) }).await;
    let mut inventory = match listed {
        Ok(inventory) => inventory,
        Err(error) => {
            let (lesson, slower) = server.broke(account, &error, session.flight());
            report.slower = slower;
            if let Some(lesson) = lesson {
                context.store.apply(vec![lesson], unix_now()).await?;
            }
            return Err(error);
        }
    };
    let mut decided = decided(account, &mut inventory);
    decided.extend(bound);
    decided.extend(server.news());
    if !decided.is_empty() {
        context.store.apply(decided, unix_now()).await?;
    }
    report.recognised = inventory.recognised.matched as u64;
    if report.recognised > 0 {
        let messages = report.recognised;
        warn!(account = %account.name, messages, "the server has given its mail new unique-ids; these messages were recognised");
    }
    if inventory.recognised.by_size && mailbox::is_first_to_tell(account, context).await? {
        warn!(account = %account.name, "the server has no TOP: before a deletion only the unique-id and the size can be compared");
    }
    count(&inventory, report);
    if let Some(told) = told::tell(account, context, &inventory).await? {
        context.store.apply(vec![told], unix_now()).await?;
    }
    let mut jobs = jobs(account, &inventory, &sinks);
    // What was died of comes last.
    jobs.iter_mut().for_each(|job| job.suspect = crashed.contains(&job.key));
    jobs.sort_by_key(|job| job.suspect);

    // 4. A destination by network is tried before the first message is fetched for it.
    for (index, sink) in sinks.iter().enumerate() {
        if jobs.iter().any(|job| job.targets.contains(&index)) {
            or_stop(context, async { Ok(sink.probe(deadline.into_std()).await?) }).await?;
        }
    }
    or_stop(context, async { Ok(owed::try_waiting(&inventory, &sinks, deadline.into_std()).await?) }).await?;
    jobs.retain(|job| is_deliverable(job, &sinks));

    // 5. Receive, make durable, deliver; delete on the way what is delivered.
    progress.enter(Phase::Fetching);
    progress.expect(jobs.len() as u64, jobs.iter().filter_map(|job| job.octets).fold(0, u64::saturating_add));
    let (deletable, mut deletions) = mpsc::unbounded_channel();
    let mut harvest = Harvest::default();
    let wanted = jobs.len();
    let Transferred { received, committed, tally, moved } = match wanted {
        0 => Transferred::default(),
        _ => {
            let trace = account.received_header.then(|| trace(account, &session));
            let work = Transfer { account, context, progress, sinks: &sinks, trace: trace.as_ref(), deadline };
            let elsewhere = std::mem::take(&mut inventory.recognised.elsewhere);
            work.run(&mut session, jobs, &mut harvest, deletable, &mut deletions, elsewhere).await?
        }
    };
    let (lesson, slower) =
        received.as_ref().err().map(|error| server.broke(account, error, session.flight())).unwrap_or_default();
    report.slower = slower;
    let whole = received.is_ok() && committed.is_ok() && !harvest.stopped && harvest.not_retrieved.is_empty();
    // "Popped" servers delete at QUIT what was retrieved: has it all come to its end?
    let is_settled = tally.delivered + tally.reappeared + tally.recognised == harvest.retrieved;
    let retrieved = whole.then(|| retrieved(account, &inventory, &tally)).flatten();
    let delivered = tally.delivered;
    take_in(report, tally);

    // 6. The rest is deleted, and QUIT makes it true; a session that went wrong is just dropped.
    progress.enter(Phase::Finishing);
    let mut changes = Vec::new();
    if !moved.is_empty() {
        changes.push(Change::Settle { account: account.name.clone(), outcomes: moved });
    }
    changes.extend(not_retrieved(account, &sinks, &harvest, report));
    changes.extend(retrieved);
    changes.extend(lesson);
    if inventory.recognised.migrating && whole && report.failures.is_empty() && report.waiting == 0 {
        changes.push(Change::Migrate { account: account.name.clone(), migrating: false });
    }
    let mut result = received.and(committed);
    if result.is_ok() {
        let mut due: Vec<(MessageNumber, MessageKey)> = std::iter::from_fn(|| deletions.try_recv().ok()).collect();
        due.extend(inventory.steps.iter().filter(|step| step.action == Action::Delete).filter_map(|step| {
            let listed = &inventory.listing()[step.index];
            Some((listed.number, listed.key.clone()?))
        }));
        result = finish(account, session, due, &mut harvest, report, deadline, is_settled).await;
    }
    if report.deleted > 0 {
        changes.push(Change::Delete { account: account.name.clone(), keys: std::mem::take(&mut harvest.marked) });
    }
    let is_all = whole && result.is_ok() && delivered == inventory.fetches() as u64 && harvest.marked.is_empty();
    let is_well = report.failures.is_empty() && sinks.iter().all(Sink::is_up);
    if is_all && is_well && report.deleted == 0 {
        // The next poll that finds the same need not look at it.
        let quiet = inventory.quiet(account, &places, began);
        changes.extend(quiet.map(|quiet| Change::Quiet { account: account.name.clone(), quiet }));
    }
    changes.extend(forgotten(account, &inventory).filter(|_| result.is_ok()));
    if !changes.is_empty() {
        context.store.apply(changes, unix_now()).await?;
    }
    sinks.iter().for_each(|sink| sink.tell(wanted > 0));
    result?;
    stuck.into_iter().for_each(|(index, error)| sinks[index].fail(error));
    conclude(&sinks, &harvest, report, wanted)
}

/// Opens the account's destinations.
async fn open_sinks(account: &Account, context: &Context, deadline: Instant) -> Result<Arc<[Sink]>, PollError> {
    let outlets: Vec<_> = account.deliver.iter().filter_map(|name| context.outlets.get(name).cloned()).collect();
    let mut known = Vec::with_capacity(outlets.len());
    let expected = lost::expects_maildirs(account, context).await?;
    for outlet in &outlets {
        known.push(expected || context.store.knows(outlet.destination.location()).await?);
    }
    let open = move || outlets.into_iter().zip(known).map(|(outlet, known)| Sink::open(outlet, known)).collect();
    let sinks: Vec<_> = threads::run_until(deadline, open).await?;
    Sink::refuse_twins(&sinks);
    refuse_all_down(&sinks)?;
    Ok(sinks.into())
}

/// Ends a poll none of whose destinations works.
fn refuse_all_down(sinks: &[Sink]) -> Result<(), PollError> {
    if sinks.iter().any(Sink::is_up) {
        return Ok(());
    }
    sinks.iter().for_each(|sink| sink.tell(false));
    Err(sinks.iter().find_map(|sink| sink.failure(false)).unwrap_or(PollError::Stopped))
}

/// Messages that an earlier process, or a poll of this one, has died of; they are recorded.
async fn crashed(account: &Account, context: &Context, sinks: &[Sink]) -> Result<Vec<MessageKey>, PollError> {
    let deaths = attempt::left(context.store.dir(), &account.name);
    let keys = deaths.iter().map(|death| death.key.clone()).collect();
    if !deaths.is_empty() {
        for death in &deaths {
            warn!(account = %account.name, uid = %death.key, "the program has died while it handled this message");
        }
        let places = sinks.iter().map(|sink| sink.place.clone()).collect();
        let deaths = deaths.into_iter().map(|death| (death.key, death.again)).collect();
        let crash = Change::Crash { account: account.name.clone(), deaths, places };
        // A death that is not counted is better than one that is counted twice.
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

/// What is to be forgotten of what the server has no more.
fn forgotten(account: &Account, inventory: &Inventory) -> Option<Change> {
    // Missing messages are what others are compared with, and one without a unique-id may be any of them.
    if inventory.recognised.migrating || inventory.listing().iter().any(|listed| listed.key.is_none()) {
        return None;
    }
    let prune = plan::prune(inventory.gone, account.history, unix_now())?;
    let is_deleted = |listed: &&Listed| matches!(listed.standing, Some(Standing::Deleted(_)));
    let listed = inventory.listing().iter().filter(is_deleted).filter_map(|listed| listed.key.clone()).collect();
    Some(Change::Prune { account: account.name.clone(), prune, listed })
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

/// What is to be received, for whom.
fn jobs(account: &Account, inventory: &Inventory, sinks: &[Sink]) -> Vec<Job> {
    let (policy, now) = (&account.policy, unix_now());
    let job = |step: &Step| {
        let listed = &inventory.listing()[step.index];
        let (targets, header_only) = match &step.action {
            Action::Fetch(targets) => (indexes(targets, sinks), false),
            Action::FetchHeader(targets) => (indexes(targets, sinks), true),
            Action::Prove => (Vec::new(), false),
            Action::Leave | Action::Delete => return None,
        };
        if targets.is_empty() && step.action != Action::Prove {
            return None;
        }
        let claim = match listed.standing {
            _ if listed.key.is_none() => Claim::Nameless,
            Some(Standing::Deleted(digest)) => Claim::Deleted(digest),
            Some(Standing::Matched { digest: Some(digest), .. }) => Claim::Delivered(digest),
            None | Some(Standing::Reused | Standing::Unclear { .. }) => Claim::New,
            _ => Claim::Listed,
        };
        let due = match listed.standing {
            Some(Standing::Unclear { at }) => at.is_some_and(|at| plan::is_due(policy, at, now)),
            _ => step.action == Action::Prove,
        };
        let deletes = policy.retention == Retention::Delete && !header_only && !listed.shared;
        let completes = deletes && completes(listed, &targets, sinks);
        let (number, octets) = (listed.number, listed.octets);
        // Until its content is there, a message without unique-id is called by its number.
        let key = listed.key.clone().or_else(|| MessageKey::new(format!("number:{number}").as_bytes(), 0))?;
        Some(Job { number, key, octets, header_only, targets, claim, suspect: false, completes, due })
    };
    inventory.steps.iter().filter_map(job).collect()
}

/// What a server without unique-ids has, if every message of it was retrieved.
fn retrieved(account: &Account, inventory: &Inventory, tally: &Tally) -> Option<Change> {
    let nameless = inventory.listing().iter().filter(|listed| listed.key.is_none()).count();
    let is_concerned = inventory.nameless || nameless > 0;
    let (account, keys) = (account.name.clone(), tally.contents.clone());
    (is_concerned && keys.len() == nameless).then_some(Change::Retrieved { account, keys })
}

fn indexes(targets: &Targets, sinks: &[Sink]) -> Vec<usize> {
    let wanted = |sink: &Sink| match targets {
        Targets::All => true,
        Targets::Only(names) => names.contains(&sink.place.destination),
    };
    (0..sinks.len()).filter(|&index| wanted(&sinks[index])).collect()
}

/// Whether a message is delivered everywhere once the targets of this fetch have it.
fn completes(listed: &Listed, targets: &[usize], sinks: &[Sink]) -> bool {
    let deliveries = match &listed.standing {
        Some(Standing::Open(deliveries)) => &deliveries[..],
        _ => &[],
    };
    let places: Vec<Place> = sinks.iter().map(|sink| sink.place.clone()).collect();
    let has_it = |place: &Place| plan::has_it(deliveries, place, &places);
    (0..places.len()).all(|index| targets.contains(&index) || has_it(&places[index]))
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

fn take_in(report: &mut Report, tally: Tally) {
    report.delivered += tally.delivered;
    report.reappeared += tally.reappeared;
    report.recognised += tally.recognised;
    report.octets += tally.octets;
    report.quarantined += tally.quarantined;
    report.failures.extend(tally.failures);
}

/// The record of messages that the server listed and did not hand out.
fn not_retrieved(account: &Account, sinks: &[Sink], harvest: &Harvest, report: &mut Report) -> Option<Change> {
    let mut outcomes = Vec::new();
    for (job, why) in &harvest.not_retrieved {
        warn!(account = %account.name, uid = %job.key, "not retrieved: {why}");
        report.failures.entry(job.key.clone()).or_insert_with(|| why.clone());
        if job.claim == Claim::Nameless {
            // In the next session it may have another number.
            continue;
        }
        let of_target = |&target: &usize| Outcome {
            key: job.key.clone(),
            place: sinks[target].place.clone(),
            ending: Ending::NotRetrieved(why.clone()),
        };
        outcomes.extend(job.targets.iter().map(of_target));
    }
    (!outcomes.is_empty()).then(|| Change::Settle { account: account.name.clone(), outcomes })
}

/// Deletes what is due and says QUIT.  On success the report holds the number of deletions that
/// the server has confirmed.
async fn finish(
    account: &Account,
    mut session: Session<Stream>,
    due: Vec<(MessageNumber, MessageKey)>,
    harvest: &mut Harvest,
    report: &mut Report,
    deadline: Instant,
    is_settled: bool,
) -> Result<(), PollError> {
    let limit = account.deadline;
    timeout_at(deadline, delete(account, &mut session, due, harvest))
        .await
        .unwrap_or(Err(PollError::Deadline { limit }))?;
    if session.capabilities().expire_days == Some(0) && !is_settled {
        info!(account = %account.name, "ended without QUIT: the server would delete what is not delivered");
        return Ok(());
    }
    // A server that lets its answer drip has no more time than for anything else.
    match timeout_at(deadline, session.quit()).await.unwrap_or(Quit::Silence) {
        Quit::Done => report.deleted = harvest.marked.len() as u64,
        Quit::Refused(text) => warn!(account = %account.name, "QUIT refused: {text}"),
        Quit::Silence if harvest.marked.is_empty() => debug!(account = %account.name, "QUIT was not answered"),
        Quit::Silence => warn!(account = %account.name, "QUIT was not answered: deletions are tried again"),
    }
    Ok(())
}

async fn delete(
    account: &Account,
    session: &mut Session<Stream>,
    due: Vec<(MessageNumber, MessageKey)>,
    harvest: &mut Harvest,
) -> Result<(), PollError> {
    let pipelining = session.capabilities().pipelining;
    let mut due = due.into_iter();
    let mut asked = std::collections::VecDeque::new();
    loop {
        while asked.is_empty() || (pipelining && session.has_room()) {
            if asked.is_empty() {
                session.check_in_step()?;
            }
            let Some((number, key)) = due.next() else { break };
            session.queue(Command::Dele(number));
            asked.push_back(key);
        }
        let Some(key) = asked.pop_front() else { return Ok(()) };
        let status = session.reply().await?;
        match status.ok {
            true => harvest.marked.push(key),
            false => warn!(account = %account.name, uid = %key, "DELE refused: {}", status.text),
        }
    }
}

/// What is still to be told once everything is written down.
fn conclude(sinks: &[Sink], harvest: &Harvest, report: &Report, wanted: usize) -> Result<(), PollError> {
    let others_work = sinks.iter().any(Sink::is_up);
    if let Some(error) = sinks.iter().find_map(|sink| sink.failure(others_work)) {
        return Err(error);
    }
    if let Some(first) = report.failures.values().next() {
        return Err(PollError::Undelivered { count: report.failures.len(), total: wanted, first: first.clone() });
    }
    if harvest.stopped {
        return Err(PollError::Stopped);
    }
    Ok(())
}
