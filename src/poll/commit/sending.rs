//! Messages are handed over, several at a time, and each verdict is recorded at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;

use super::Committer;
use crate::attempt::Slot;
use crate::clock::unix_now;
use crate::deliver::maildir;
use crate::deliver::{Carrier, Found, Shipment, Verdict, Way};
use crate::event::Event;
use crate::message::MessageKey;
use crate::plan::Place;
use crate::poll::error::PollError;
use crate::poll::piece::{At, Parcel, Received, State};
use crate::store::{Change, Ending, Settled, StoreError};

/// How many times a message may have passed through postrider: no real chain of collecting servers is longer.
const PASSAGES: usize = 10;

impl Committer<'_> {
    /// Hands over what is not staged, as many messages at a time to each destination as it has lanes; each verdict
    /// is recorded before the next message takes its place.
    pub(super) async fn send(&mut self, batch: &mut [Received]) -> Result<(), PollError> {
        let queues = to_send(batch);
        if queues.is_empty() {
            return Ok(());
        }
        let (this, shared) = (&*self, &*batch);
        let width = |target: usize| this.destinations[target].carrier().map_or(1, Carrier::lanes);
        let lanes = queues.iter().flat_map(|(&target, queue)| std::iter::repeat_n(queue, width(target)));
        let lanes = lanes.enumerate().map(|(number, queue)| async move {
            let slot = Slot::Sending(number);
            let mut ended = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(at) = next else { return Ok::<_, StoreError>(ended) };
                let received = &shared[at.message];
                this.attempts.enter(slot, &received.job.key, received.job.suspect);
                let outcome = this.send_one(received, &received.parcels[at.parcel]).await;
                this.attempts.leave(slot);
                let ending = outcome.ending.clone();
                let account = this.account.clone();
                let settle = Change::Settle { account, outcomes: vec![outcome] };
                this.store.apply(vec![settle], unix_now()).await?;
                ended.push((at, ending));
            }
        });
        let lanes = join_all(lanes).await;
        for ended in lanes {
            for (at, ending) in ended? {
                let received = &mut batch[at.message];
                let cause = match ending {
                    Ending::Delivered(_) => {
                        received.parcels[at.parcel].state = State::Delivered;
                        continue;
                    }
                    Ending::Quarantined(cause) => {
                        self.tally.quarantine(&received.job.key, cause.clone());
                        cause
                    }
                    Ending::Deferred(cause)
                    | Ending::NotNow(cause)
                    | Ending::NotRetrieved(cause)
                    | Ending::Suspect(cause)
                    | Ending::Doubted(cause)
                    | Ending::NotTried(cause) => cause,
                };
                self.tally.fail(&received.job.key, cause.clone());
                received.parcels[at.parcel].state = State::Failed(cause);
            }
        }
        Ok(())
    }

    async fn send_one(&self, received: &Received, parcel: &Parcel) -> Settled {
        let destination = &self.destinations[parcel.target];
        let (key, place) = (received.job.key.clone(), destination.place.clone());
        let (State::Spooled(spool), Way::HandedOver(lanes), true) =
            (&parcel.state, &destination.outlet.way, destination.is_up())
        else {
            return Settled { key, place, ending: Ending::NotTried(destination.why_not()) };
        };
        if self.traced && received.head.passages > PASSAGES {
            let passages = received.head.passages;
            let reason = format!(
                "mail loop: by its Received fields it has passed through postrider {passages} times.  Check where this \
                 destination's server forwards mail to"
            );
            self.tell_of_quarantine(&key, &place, &reason);
            return Settled { key, place, ending: Ending::Quarantined(reason) };
        }
        let message_id = format!("<{}@{}>", maildir::token(self.origin, &key), self.host);
        let shipment = Shipment { head: &received.head, prefix: &received.prefix, message_id: &message_id, spool };
        let ending = match lanes.hand_over(shipment).await {
            Verdict::Delivered(reply) => {
                destination.worked();
                Ending::Delivered(reply)
            }
            Verdict::Refused(reason) => {
                self.tell_of_quarantine(&key, &place, &reason);
                Ending::Quarantined(reason)
            }
            Verdict::Deferred(cause) => Ending::Deferred(cause),
            Verdict::Declined(declined) => destination.judge(&key, declined),
            Verdict::Unknown(error) => match lanes.carrier().look_up(shipment).await {
                Found::Yes => Ending::Delivered("found there".to_owned()),
                Found::No | Found::CannotTell => destination.judge_end(&key, error),
            },
            Verdict::Broken(error) => destination.judge_end(&key, error),
            Verdict::Unusable(error) => Ending::Deferred(destination.fail_with(error)),
        };
        Settled { key, place, ending }
    }

    fn tell_of_quarantine(&self, key: &MessageKey, place: &Place, cause: &str) {
        let (account, uid, destination) = (self.account.clone(), key.clone(), place.destination.clone());
        Event::Quarantined { account, uid, destination, cause: cause.to_owned() }.tell();
    }
}

/// What is handed over to each destination, in the order in which it came.
fn to_send(batch: &[Received]) -> BTreeMap<usize, Mutex<VecDeque<At>>> {
    let mut queues: BTreeMap<usize, VecDeque<At>> = BTreeMap::new();
    for (message, received) in batch.iter().enumerate() {
        let parcels = received.parcels.iter().enumerate();
        for (parcel, of) in parcels.filter(|(_, parcel)| matches!(parcel.state, State::Spooled(_))) {
            queues.entry(of.target).or_default().push_back(At { message, parcel });
        }
    }
    queues.into_iter().map(|(target, queue)| (target, Mutex::new(queue))).collect()
}
