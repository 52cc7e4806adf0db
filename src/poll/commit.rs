//! From received to delivered: each batch is synced, recorded, and only then moved or sent.
//!
//! The order is the promise: sync the files, sync `tmp/`, record them as staged, move them, sync
//! `new/`; after that a deletion may be asked for.  A message by SMTP is recorded before it is
//! sent, and its acceptance at once after it.

mod identify;
mod sending;

use std::sync::Arc;

use futures_util::future::join_all;
pub(super) use identify::Contents;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

use super::error::PollError;
use super::moving::{Moved, move_all};
use super::piece::{Copy, Received};
use super::report::Tally;
use super::sink::Sink;
use super::turn;
use crate::attempt::Attempts;
use crate::clock::unix_now;
use crate::deliver::maildir::{self, Draft};
use crate::message::{MessageKey, MessageNumber, Name};
use crate::plan::Policy;
use crate::store::{Change, Ending, Outcome, Stage, Store, StoreError, Target, TargetState};
use crate::threads;

/// Syncs that run at the same time, so that the file system's journal commits merge.
const PARALLEL_SYNCS: usize = 16;

/// Makes batches durable, one after the other.
pub(super) struct Committer<'a> {
    pub(super) account: &'a Name,
    pub(super) host: &'a str,
    /// The account's, for what is due.
    pub(super) policy: &'a Policy,
    pub(super) store: &'a Store,
    pub(super) sinks: &'a Arc<[Sink]>,
    pub(super) attempts: &'a Attempts,
    /// The account puts a `Received` field before its mail, by which mail that goes in a circle is known.
    pub(super) traced: bool,
    /// Messages that are delivered everywhere and may be deleted.
    pub(super) deletable: mpsc::UnboundedSender<(MessageNumber, MessageKey)>,
    pub(super) tally: Tally,
    pub(super) contents: Contents,
    /// Deliveries into Maildirs that are made, and whose record waits for the next transaction.
    pub(super) moved: Vec<Outcome>,
    /// The poll's.
    pub(super) deadline: Instant,
}

/// A message of a batch after staging.
struct Staged {
    received: Received,
    /// For each copy: its file's name, if it is a draft.
    names: Vec<Option<String>>,
    /// For each copy: whether it is delivered.
    delivered: Vec<bool>,
}

impl Staged {
    /// Leaves the drafts of a message where they are: they are not removed any more.
    fn keep(mut received: Received) -> Self {
        let keep = |copy: &mut Copy| match std::mem::replace(copy, Copy::Failed(String::new())) {
            Copy::Draft(draft) => Some(draft.keep()),
            other => {
                *copy = other;
                None
            }
        };
        let names: Vec<Option<String>> = received.copies.iter_mut().map(|(_, copy)| keep(copy)).collect();
        let delivered = vec![false; names.len()];
        Self { received, names, delivered }
    }
}

impl Committer<'_> {
    /// Takes batches until they end.  Gives the tally, and the deliveries whose record is still
    /// to be made: the caller writes it together with what it learns from QUIT.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Vec<Received>>,
    ) -> (Tally, Vec<Outcome>, Result<(), PollError>) {
        while let Some(batch) = batches.recv().await {
            if let Err(error) = self.commit(batch).await {
                // Closing the channel stops the stager, and through it the session.
                return (self.tally, self.moved, Err(error));
            }
        }
        (self.tally, self.moved, Ok(()))
    }

    async fn commit(&mut self, batch: Vec<Received>) -> Result<(), PollError> {
        let batch = self.identify(batch).await?;
        let batch = self.sync(batch).await;
        let (batch, failed): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|received| received.copies.iter().any(|(_, copy)| copy.fault().is_none()));
        let unfit: Vec<Outcome> = failed.iter().flat_map(|received| self.unfit(received)).collect();
        for received in failed {
            self.tally.fail(&received.job.key, first_cause(&received));
        }
        if !unfit.is_empty() {
            // So that it is not retrieved by each poll.
            let settle = Change::Settle { account: self.account.clone(), outcomes: unfit };
            self.store.apply(vec![settle], unix_now()).await?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut staged = self.record(batch).await?;
        self.publish(&mut staged).await;
        self.send(&mut staged).await?;
        for message in staged {
            self.conclude(message);
        }
        Ok(())
    }

    /// What is written down of a message that this machine has no room for.
    fn unfit(&self, received: &Received) -> impl Iterator<Item = Outcome> {
        let outcome = |(target, copy): &(usize, Copy)| match copy {
            Copy::Unfit(why) => {
                let (key, place) = (received.job.key.clone(), self.sinks[*target].place.clone());
                Some(Outcome { key, place, ending: Ending::NotRetrieved(why.clone()) })
            }
            _ => None,
        };
        received.copies.iter().filter_map(outcome)
    }

    /// Makes drafts durable where they are; a draft that cannot be is gone afterwards.
    async fn sync(&self, mut batch: Vec<Received>) -> Vec<Received> {
        let mut is_durable = Vec::with_capacity(self.sinks.len());
        for index in 0..self.sinks.len() {
            is_durable.push(self.sync_whole(index, &batch).await);
        }
        let mut drafts: Vec<(usize, usize, Draft)> = Vec::new();
        for (index, received) in batch.iter_mut().enumerate() {
            let copies = received.copies.iter_mut().enumerate();
            for (position, (_, copy)) in copies.filter(|(_, (target, _))| !is_durable[*target]) {
                match std::mem::replace(copy, Copy::Failed("not synced".into())) {
                    Copy::Draft(draft) => drafts.push((index, position, draft)),
                    other => *copy = other,
                }
            }
        }
        if drafts.is_empty() {
            return batch;
        }
        let share = drafts.len().div_ceil(PARALLEL_SYNCS);
        let mut tasks = Vec::new();
        while !drafts.is_empty() {
            let some = drafts.split_off(drafts.len().saturating_sub(share));
            let places: Vec<_> = some.iter().map(|(index, position, _)| (*index, *position)).collect();
            let sync = move || {
                some.into_iter()
                    .map(|(index, position, draft)| (index, position, draft.sync().map(|()| draft)))
                    .collect::<Vec<_>>()
            };
            let task = threads::run_until(turn(self.deadline), sync);
            tasks.push(async move { task.await.map_err(|error| (places, error)) });
        }
        for synced in join_all(tasks).await {
            let synced = match synced {
                Ok(synced) => synced,
                Err((places, error)) => {
                    for (index, position) in places {
                        batch[index].copies[position].1 = Copy::Failed(error.to_string());
                    }
                    continue;
                }
            };
            for (index, position, synced) in synced {
                let (target, copy) = &mut batch[index].copies[position];
                *copy = match synced {
                    Ok(draft) => Copy::Draft(draft),
                    Err(error) => {
                        let sink = &self.sinks[*target];
                        Copy::Failed(sink.fail_maildir(maildir::draft_failure(&sink.place.location, &error)))
                    }
                };
            }
        }
        self.sync_names(batch, &is_durable).await
    }

    /// Whether all drafts of a Maildir, and their names, have been made durable at once.
    async fn sync_whole(&self, index: usize, batch: &[Received]) -> bool {
        let has_draft = |received: &&Received| {
            received.copies.iter().any(|(target, copy)| *target == index && matches!(copy, Copy::Draft(_)))
        };
        let octets = |received: &Received| received.octets + received.prefix.len() as u64;
        let (files, octets) = batch.iter().filter(has_draft).fold((0, 0), |(n, sum), one| (n + 1, sum + octets(one)));
        let sinks = Arc::clone(self.sinks);
        let sync = move || sinks[index].maildir.as_ref().is_some_and(|maildir| maildir.sync_whole(files, octets));
        files > 0 && threads::run_until(turn(self.deadline), sync).await.unwrap_or(false)
    }

    /// Syncs `tmp/` of every other Maildir that has a copy in the batch.
    async fn sync_names(&self, mut batch: Vec<Received>, is_durable: &[bool]) -> Vec<Received> {
        for (index, sink) in self.sinks.iter().enumerate().filter(|(index, _)| !is_durable[*index]) {
            let is_draft = |(target, copy): &(usize, Copy)| *target == index && matches!(copy, Copy::Draft(_));
            if sink.maildir.is_none() || !batch.iter().any(|received| received.copies.iter().any(is_draft)) {
                continue;
            }
            let sinks = Arc::clone(self.sinks);
            let sync = move || sinks[index].maildir.as_deref().map_or(Ok(()), maildir::Maildir::sync_tmp);
            let failed = match threads::run_until(turn(self.deadline), sync).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(sink.fail_maildir(error)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(cause) = failed {
                let copies = batch.iter_mut().flat_map(|received| &mut received.copies);
                for (_, copy) in copies.filter(|copy| is_draft(copy)) {
                    *copy = Copy::Failed(cause.clone());
                }
            }
        }
        batch
    }

    /// One transaction: this batch is staged or being sent, the one before is delivered.
    async fn record(&mut self, batch: Vec<Received>) -> Result<Vec<Staged>, StoreError> {
        // From the request on the state may say that a draft is there, whether or not anybody is
        // left to hear the answer: so the files are kept before it is asked.
        let staged: Vec<Staged> = batch.into_iter().map(Staged::keep).collect();
        let messages = staged.iter().map(|staged| self.stage(staged)).collect();
        let places = self.sinks.iter().map(|sink| sink.place.clone()).collect();
        let mut changes = vec![Change::Stage { account: self.account.clone(), messages, places }];
        let outcomes = std::mem::take(&mut self.moved);
        if !outcomes.is_empty() {
            changes.insert(0, Change::Settle { account: self.account.clone(), outcomes: outcomes.clone() });
        }
        if let Err(error) = self.store.apply(changes, unix_now()).await {
            // What was moved before stays staged.
            self.moved = outcomes;
            // After another failure the transaction may be found whole at the next start; then
            // the files are looked for, and are removed if it is not.
            if matches!(error, StoreError::Database { full: true, .. } | StoreError::Busy { .. }) {
                self.discard(&staged);
            }
            return Err(error);
        }
        Ok(staged)
    }

    fn stage(&self, staged: &Staged) -> Stage {
        let received = &staged.received;
        let targets = received.copies.iter().zip(&staged.names).map(|((target, copy), name)| Target {
            place: self.sinks[*target].place.clone(),
            state: match (copy, name) {
                (_, Some(name)) => TargetState::Staged(name.clone()),
                (copy, None) => match copy.fault() {
                    Some(cause) => TargetState::Deferred(cause.to_owned()),
                    None => TargetState::Sending,
                },
            },
        });
        Stage {
            key: received.job.key.clone(),
            octets: received.octets,
            digest: received.digest,
            listed: received.job.octets,
            message_id: received.head.message_id.clone(),
            fingerprint: received.head.fingerprint,
            header_only: received.job.header_only,
            targets: targets.collect(),
        }
    }

    /// Removes the drafts of a batch that is certainly not recorded.
    fn discard(&self, staged: &[Staged]) {
        for Staged { received, names, .. } in staged {
            for ((target, _), name) in received.copies.iter().zip(names) {
                if let (Some(name), Some(maildir)) = (name, &self.sinks[*target].maildir) {
                    maildir.discard(name);
                }
            }
        }
    }

    /// Moves drafts into `new/` and makes that durable.
    async fn publish(&mut self, staged: &mut [Staged]) {
        for (index, sink) in self.sinks.iter().enumerate() {
            let mut moves = Vec::new();
            for (message, staged) in staged.iter().enumerate() {
                for (position, name) in staged.names.iter().enumerate() {
                    if let Some(name) = name
                        && staged.received.copies[position].0 == index
                    {
                        moves.push((message, position, name.clone()));
                    }
                }
            }
            if moves.is_empty() {
                continue;
            }
            let sinks = Arc::clone(self.sinks);
            let work = move || sinks[index].maildir.as_ref().map(|maildir| move_all(maildir, moves));
            let Moved { moved, vanished, result } = match threads::run_until(turn(self.deadline), work).await {
                Ok(Some(moved)) => moved,
                Ok(None) => continue,
                Err(error) => {
                    warn!(account = %self.account, "moving a batch failed: {error}");
                    continue;
                }
            };
            let outcome = |message: usize, ending| {
                let key = staged[message].received.job.key.clone();
                Outcome { key, place: sink.place.clone(), ending }
            };
            let why = "its file has vanished from tmp/".to_owned();
            self.moved.extend(vanished.iter().map(|(message, ..)| outcome(*message, Ending::Deferred(why.clone()))));
            match result {
                Ok(()) => {
                    let delivered =
                        moved.iter().map(|(message, _, name)| outcome(*message, Ending::Delivered(name.clone())));
                    self.moved.extend(delivered);
                    for (message, position, _) in moved {
                        staged[message].delivered[position] = true;
                    }
                }
                // They stay staged; the next poll finds out how far the moves have come.
                Err(error) => sink.fail(error),
            }
        }
    }

    /// Counts a message, tells the log, and gives it free for deletion if it is delivered everywhere.
    fn conclude(&mut self, staged: Staged) {
        let Staged { received, delivered, .. } = staged;
        for ((target, _), delivered) in received.copies.iter().zip(&delivered) {
            let (account, uid, destination) = (self.account, &received.job.key, &self.sinks[*target].place.destination);
            if *delivered {
                info!(%account, %uid, octets = received.octets, %destination, "delivered");
            } else {
                warn!(%account, %uid, %destination, "not delivered");
            }
        }
        if delivered.iter().all(|&delivered| delivered) {
            self.tally.delivered += 1;
            self.tally.octets += received.octets;
            if received.job.completes {
                // The receiver may be gone with the session; then there is nothing to delete with.
                let _ = self.deletable.send((received.job.number, received.job.key));
            }
        } else {
            self.tally.fail(&received.job.key, first_cause(&received));
        }
    }
}

fn first_cause(received: &Received) -> String {
    let mut causes = received.copies.iter().filter_map(|(_, copy)| copy.fault());
    causes.find(|cause| !cause.is_empty()).unwrap_or("the destination failed").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::{Destination, Kind, Outlet};
    use crate::header::Head;
    use crate::poll::piece::{Claim, Job};

    fn sink(path: &std::path::Path) -> Sink {
        let name = Name::new("home").expect("a name");
        let kind = Kind::Maildir(maildir::Settings::private(path.to_owned()));
        let destination = Arc::new(Destination { name, kind });
        let place = destination.place("machine");
        Sink::open(Arc::new(Outlet::new(destination)), place, false)
    }

    fn received(sink: &Sink, name: &str) -> Received {
        let number = MessageNumber::new(1).expect("one");
        let key = MessageKey::new(b"uid", 0).expect("a key");
        let job = Job {
            number,
            key,
            octets: None,
            header_only: false,
            targets: vec![0],
            claim: Claim::Listed,
            suspect: false,
            completes: true,
            due: false,
        };
        let mut draft = sink.maildir.as_ref().expect("open").create(|_| name.to_owned()).expect("made");
        draft.write(b"text\n").expect("written");
        let copies = vec![(0, Copy::Draft(draft))];
        let (head, prefix) = (Head::default(), Vec::new());
        Received { job, octets: 5, digest: [0; 32], as_sent: None, head, prefix, copies }
    }

    fn committer<'a>(
        account: &'a Name,
        store: &'a Store,
        sinks: &'a Arc<[Sink]>,
        attempts: &'a Attempts,
        deletable: mpsc::UnboundedSender<(MessageNumber, MessageKey)>,
    ) -> Committer<'a> {
        let (tally, contents, moved) = (Tally::default(), Contents::default(), Vec::new());
        let deadline = Instant::now();
        let policy = Box::leak(Box::new(Policy::default()));
        Committer {
            account,
            host: "host",
            policy,
            store,
            sinks,
            attempts,
            traced: true,
            deletable,
            tally,
            contents,
            moved,
            deadline,
        }
    }

    #[tokio::test]
    async fn a_draft_outlives_a_poll_that_is_dropped_while_it_is_recorded() {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            crate::store::Claim::take(&dir.path().join("state")).and_then(|claim| claim.open()).expect("open").0;
        let path = dir.path().join("Maildir");
        let sinks: Arc<[Sink]> = vec![sink(&path)].into();
        let account = Name::new("a").expect("a name");
        let (deletable, _deletions) = mpsc::unbounded_channel();
        let attempts = Attempts::begin(store.dir(), &account).expect("begun");
        let mut committer = committer(&account, &store, &sinks, &attempts, deletable);
        let mut record = Box::pin(committer.record(vec![received(&sinks[0], "1.a.host")]));
        // The request is made; the answer finds nobody.
        std::future::poll_fn(|cx| std::task::Poll::Ready(record.as_mut().poll(cx).is_ready())).await;
        drop(record);
        let staged = store.staged(None).await.expect("read");
        assert_eq!(staged.iter().map(|delivery| delivery.name.as_str()).collect::<Vec<_>>(), ["1.a.host"]);
        assert!(path.join("tmp/1.a.host").exists(), "the state says that it is there");
    }

    #[tokio::test]
    async fn a_file_that_somebody_removed_from_tmp_is_not_taken_for_delivered() {
        let dir = tempfile::tempdir().expect("a directory");
        let store =
            crate::store::Claim::take(&dir.path().join("state")).and_then(|claim| claim.open()).expect("open").0;
        let path = dir.path().join("Maildir");
        let sinks: Arc<[Sink]> = vec![sink(&path)].into();
        let account = Name::new("a").expect("a name");
        let (deletable, mut deletions) = mpsc::unbounded_channel();
        let attempts = Attempts::begin(store.dir(), &account).expect("begun");
        let mut committer = committer(&account, &store, &sinks, &attempts, deletable);
        let mut staged = committer.record(vec![received(&sinks[0], "1.a.host")]).await.expect("recorded");
        std::fs::remove_file(path.join("tmp/1.a.host")).expect("removed");
        committer.publish(&mut staged).await;
        staged.into_iter().for_each(|staged| committer.conclude(staged));
        assert!(deletions.try_recv().is_err() && committer.tally.failures.len() == 1);
        let outcomes = std::mem::take(&mut committer.moved);
        store.apply(vec![Change::Settle { account: account.clone(), outcomes }], 1).await.expect("written");
        assert!(store.staged(None).await.expect("read").is_empty());
        let standing = store.standing(&account, MessageKey::new(b"uid", 0).expect("a key")).await.expect("read");
        assert!(matches!(standing, Some(crate::plan::Standing::Open(_))), "{standing:?}");
    }
}
