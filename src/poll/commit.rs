//! From received to delivered: each batch is synced, recorded, and only then moved or sent.
//!
//! The order is the guarantee: sync the files, sync `tmp/`, record them as staged, move them, sync
//! `new/`; after that a deletion may be asked for.  A message that goes by SMTP is recorded before
//! it is sent, and its acceptance immediately afterwards.

mod identify;
mod publishing;
mod sending;
mod syncing;

use std::sync::Arc;

pub(super) use identify::Contents;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::destination::OpenDestination;
use super::error::PollError;
use super::piece::{Parcel, Received, State};
use super::report::Tally;
use crate::attempt::Attempts;
use crate::clock::unix_now;
use crate::event::Event;
use crate::message::{MessageKey, MessageNumber, Name, Origin};
use crate::plan::Policy;
use crate::store::{Change, Ending, Settled, Stage, Store, StoreError, Target, TargetState};

/// Makes batches durable, one after the other.
pub(super) struct Committer<'a> {
    pub(super) account: &'a Name,
    /// What stands for the account in what is made for it.
    pub(super) origin: &'a Origin,
    pub(super) host: &'a str,
    /// The account's policy, which decides what is due.
    pub(super) policy: &'a Policy,
    pub(super) store: &'a Store,
    pub(super) destinations: &'a Arc<[OpenDestination]>,
    pub(super) attempts: &'a Attempts,
    /// The account puts a `Received` field before its mail, by which a mail loop is recognised.
    pub(super) traced: bool,
    /// Messages that are delivered everywhere and may be deleted.
    pub(super) deletable: mpsc::UnboundedSender<(MessageNumber, MessageKey)>,
    pub(super) tally: Tally,
    pub(super) contents: Contents,
    /// Completed deliveries into Maildirs whose record waits for the next transaction.
    pub(super) moved: Vec<Settled>,
    /// The deadline of the poll.
    pub(super) deadline: Instant,
}

impl Committer<'_> {
    /// Takes batches until they end.  Returns the tally, and the deliveries whose record is still
    /// to be made: the caller writes it together with what it learns from QUIT.
    pub(super) async fn run(
        mut self,
        mut batches: mpsc::Receiver<Vec<Received>>,
    ) -> (Tally, Vec<Settled>, Result<(), PollError>) {
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
            batch.into_iter().partition(|received| received.parcels.iter().any(|parcel| parcel.fault().is_none()));
        let unfit: Vec<Settled> = failed.iter().flat_map(|received| self.unfit(received)).collect();
        for received in failed {
            let is_recorded = received.parcels.iter().any(|parcel| matches!(parcel.state, State::Unfit(_)));
            self.tally.unrecorded += u64::from(!is_recorded);
            self.tally.fail(&received.job.key, first_cause(&received));
        }
        if !unfit.is_empty() {
            // So that not every poll retrieves them again.
            let settle = Change::Settle { account: self.account.clone(), outcomes: unfit };
            self.store.apply(vec![settle], unix_now()).await?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut batch = self.record(batch).await?;
        self.publish(&mut batch).await;
        self.send(&mut batch).await?;
        for message in batch {
            self.conclude(message);
        }
        Ok(())
    }

    /// What is recorded of a message that this machine has no room for.
    fn unfit(&self, received: &Received) -> impl Iterator<Item = Settled> {
        received.parcels.iter().filter_map(|parcel| {
            let State::Unfit(why) = &parcel.state else { return None };
            let (key, place) = (received.job.key.clone(), self.destinations[parcel.target].place.clone());
            Some(Settled { key, place, ending: Ending::NotRetrieved(why.clone()) })
        })
    }

    /// One transaction: this batch is staged or being sent, the one before is delivered.
    async fn record(&mut self, batch: Vec<Received>) -> Result<Vec<Received>, StoreError> {
        // From the request on the state may say that a draft is there, even if this poll is dropped
        // before the answer: so the files are kept before the request is made.
        let batch: Vec<Received> = batch.into_iter().map(Received::kept).collect();
        let messages = batch.iter().map(|received| self.stage(received)).collect();
        let places = self.destinations.iter().map(|destination| destination.place.clone()).collect();
        let mut changes = vec![Change::Stage { account: self.account.clone(), messages, places }];
        let outcomes = std::mem::take(&mut self.moved);
        if !outcomes.is_empty() {
            changes.insert(0, Change::Settle { account: self.account.clone(), outcomes: outcomes.clone() });
        }
        if let Err(error) = self.store.apply(changes, unix_now()).await {
            // What was moved before stays staged.
            self.moved = outcomes;
            // After another failure the transaction may be found whole at the next start; then
            // the files are looked for; if it is not found, they are removed.
            if matches!(error, StoreError::Database { full: true, .. } | StoreError::Busy { .. }) {
                self.discard(&batch);
            }
            return Err(error);
        }
        Ok(batch)
    }

    fn stage(&self, received: &Received) -> Stage {
        let target = |parcel: &Parcel| Target {
            place: self.destinations[parcel.target].place.clone(),
            state: match (&parcel.state, parcel.fault()) {
                (State::Staged(name), _) => TargetState::Staged(name.clone()),
                (_, Some(cause)) => TargetState::Deferred(cause.to_owned()),
                (_, None) => TargetState::Sending,
            },
        };
        Stage {
            key: received.job.key.clone(),
            octets: received.octets,
            digest: received.digest,
            listed: received.job.octets,
            message_id: received.head.message_id.clone(),
            fingerprint: received.head.fingerprint,
            heading: received.head.heading.clone(),
            header_only: received.job.header_only,
            targets: received.parcels.iter().map(target).collect(),
        }
    }

    /// Removes the drafts of a batch that is certainly not recorded.
    fn discard(&self, batch: &[Received]) {
        for parcel in batch.iter().flat_map(|received| &received.parcels) {
            if let (State::Staged(name), Some(maildir)) = (&parcel.state, &self.destinations[parcel.target].maildir) {
                maildir.discard(name);
            }
        }
    }

    /// Counts a message, logs it, and releases it for deletion once every destination has it.
    fn conclude(&mut self, received: Received) {
        for parcel in &received.parcels {
            let (account, uid) = (self.account.clone(), received.job.key.clone());
            let destination = self.destinations[parcel.target].place.destination.clone();
            if parcel.is_delivered() {
                Event::Delivered { account, uid, destination, octets: received.octets }.tell();
            } else {
                let cause = parcel.fault().map(str::to_owned);
                Event::NotDelivered { account, uid, destination, cause }.tell();
            }
        }
        if !received.parcels.iter().all(Parcel::is_delivered) {
            self.tally.fail(&received.job.key, first_cause(&received));
            return;
        }
        self.tally.delivered += 1;
        self.tally.octets += received.octets;
        if received.job.completes {
            // The session may have ended, and its receiver with it; then nothing can be deleted.
            let _ = self.deletable.send((received.job.number, received.job.key));
        }
    }
}

fn first_cause(received: &Received) -> String {
    received.parcels.iter().find_map(Parcel::fault).unwrap_or("the destination failed").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::{Destination, Kind, Outlet, maildir};
    use crate::header::Head;
    use crate::poll::piece::{Job, Supposed};

    fn destination(path: &std::path::Path) -> OpenDestination {
        let name = Name::new("home").expect("a name");
        let kind = Kind::Maildir(maildir::Settings::private(path.to_owned()));
        let destination = Arc::new(Destination { name, kind });
        let place = destination.place("machine");
        OpenDestination::open(Arc::new(Outlet::new(destination)), place, false, &[])
    }

    fn received(destination: &OpenDestination, name: &str) -> Received {
        let number = MessageNumber::new(1).expect("one");
        let key = MessageKey::new(b"uid", 0).expect("a key");
        let job = Job {
            number,
            key,
            octets: None,
            header_only: false,
            targets: vec![0],
            supposed: Supposed::Listed,
            suspect: false,
            completes: true,
            due: false,
        };
        let mut draft = destination.maildir.as_ref().expect("open").create(|_| name.to_owned()).expect("made");
        draft.write(b"text\n").expect("written");
        let parcels = vec![Parcel { target: 0, state: State::Drafted(draft) }];
        let (head, prefix) = (Head::default(), Vec::new());
        Received { job, octets: 5, digest: [0; 32], as_sent: None, head, prefix, parcels }
    }

    fn committer<'a>(
        account: &'a Name,
        store: &'a Store,
        destinations: &'a Arc<[OpenDestination]>,
        attempts: &'a Attempts,
        deletable: mpsc::UnboundedSender<(MessageNumber, MessageKey)>,
    ) -> Committer<'a> {
        let (tally, contents, moved) = (Tally::default(), Contents::default(), Vec::new());
        let deadline = Instant::now();
        let policy = Box::leak(Box::new(Policy::default()));
        Committer {
            account,
            origin: Box::leak(Box::new(Origin::of(account))),
            host: "host",
            policy,
            store,
            destinations,
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
        let store = crate::store::Possession::take(&dir.path().join("state"))
            .and_then(|possession| possession.open())
            .expect("open")
            .0;
        let path = dir.path().join("Maildir");
        let destinations: Arc<[OpenDestination]> = vec![destination(&path)].into();
        let account = Name::new("a").expect("a name");
        let (deletable, _deletions) = mpsc::unbounded_channel();
        let attempts = Attempts::begin(store.dir(), &account).expect("begun");
        let mut committer = committer(&account, &store, &destinations, &attempts, deletable);
        let mut record = Box::pin(committer.record(vec![received(&destinations[0], "1.a.host")]));
        // The request is made, and the answer is dropped.
        std::future::poll_fn(|cx| std::task::Poll::Ready(record.as_mut().poll(cx).is_ready())).await;
        drop(record);
        let staged = store.staged(None).await.expect("read");
        assert_eq!(staged.iter().map(|delivery| delivery.name.as_str()).collect::<Vec<_>>(), ["1.a.host"]);
        assert!(path.join("tmp/1.a.host").exists(), "the state says that it is there");
    }

    #[tokio::test]
    async fn a_file_that_somebody_removed_from_tmp_is_not_taken_for_delivered() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = crate::store::Possession::take(&dir.path().join("state"))
            .and_then(|possession| possession.open())
            .expect("open")
            .0;
        let path = dir.path().join("Maildir");
        let destinations: Arc<[OpenDestination]> = vec![destination(&path)].into();
        let account = Name::new("a").expect("a name");
        let (deletable, mut deletions) = mpsc::unbounded_channel();
        let attempts = Attempts::begin(store.dir(), &account).expect("begun");
        let mut committer = committer(&account, &store, &destinations, &attempts, deletable);
        let mut staged = committer.record(vec![received(&destinations[0], "1.a.host")]).await.expect("recorded");
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
