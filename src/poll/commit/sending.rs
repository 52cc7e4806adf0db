//! What goes by SMTP: several connections side by side, each answer recorded at once.

use tracing::warn;

use super::{Committer, Staged};
use crate::attempt::Slot;
use crate::clock::unix_now;
use crate::deliver::maildir;
use crate::deliver::smtp::{DeliveryError, SendError};
use crate::failure::describe;
use crate::poll::error::{DestinationError, PollError};
use crate::poll::piece::{Copy, Received};
use crate::store::{Change, Ending, Outcome, StoreError};

/// So often a message may have passed postrider on its way: a chain of so many collecting servers is none that
/// somebody has set up.
const PASSAGES: usize = 10;

impl Committer<'_> {
    /// Sends what goes by SMTP, as many at a time as the server is given connections; each answer
    /// is recorded before the next message takes its place.
    pub(super) async fn send(&mut self, staged: &mut [Staged]) -> Result<(), PollError> {
        let mut queue: Vec<(usize, usize)> = Vec::new();
        for (message, staged) in staged.iter().enumerate() {
            for (position, (_, copy)) in staged.received.copies.iter().enumerate() {
                if matches!(copy, Copy::Spool(_)) {
                    queue.push((message, position));
                }
            }
        }
        if queue.is_empty() {
            return Ok(());
        }
        queue.reverse();
        let (this, shared) = (&*self, &*staged);
        let width: usize =
            this.sinks.iter().filter_map(|sink| sink.outlet.smtp.as_ref()).map(|pool| pool.width()).sum();
        let queue = std::sync::Mutex::new(queue);
        let queue = &queue;
        let lane = |slot: Slot| async move {
            let mut ended = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
                let Some((message, position)) = next else { return Ok::<_, StoreError>(ended) };
                let job = &shared[message].received.job;
                this.attempts.enter(slot, &job.key, job.suspect);
                let outcome = this.send_one(&shared[message].received, position).await;
                this.attempts.leave(slot);
                let ending = outcome.ending.clone();
                let account = this.account.clone();
                let settle = Change::Settle { account, outcomes: vec![outcome] };
                this.store.apply(vec![settle], unix_now()).await?;
                ended.push((message, position, ending));
            }
        };
        let lanes = futures_util::future::join_all((0..width).map(Slot::Sending).map(lane)).await;
        let mut sent = Vec::new();
        for ended in lanes {
            for (message, position, ending) in ended? {
                let key = &shared[message].received.job.key;
                match ending {
                    Ending::Delivered(_) => sent.push((message, position)),
                    Ending::Quarantined(cause) => self.tally.quarantine(key, cause),
                    Ending::Deferred(cause) | Ending::NotRetrieved(cause) => self.tally.fail(key, cause),
                }
            }
        }
        for (message, position) in sent {
            staged[message].delivered[position] = true;
        }
        Ok(())
    }

    async fn send_one(&self, received: &Received, position: usize) -> Outcome {
        let (target, copy) = &received.copies[position];
        let sink = &self.sinks[*target];
        let (key, place) = (received.job.key.clone(), sink.place.clone());
        let (Copy::Spool(spool), Some(pool), true) = (copy, &sink.outlet.smtp, sink.is_up()) else {
            return Outcome { key, place, ending: Ending::Deferred("the destination cannot be used".into()) };
        };
        if self.traced && received.head.passages > PASSAGES {
            let passages = received.head.passages;
            let reason = format!(
                "it goes in a circle: by its Received fields it has passed postrider {passages} times.  Look where \
                 this destination's server passes mail on to"
            );
            warn!(account = %self.account, uid = %key, destination = %place.destination, "quarantined: {reason}");
            return Outcome { key, place, ending: Ending::Quarantined(reason) };
        }
        let message_id = format!("<{}@{}>", maildir::token(self.account, &key), self.host);
        let ending = match pool.send(&received.head, &received.prefix, &message_id, spool).await {
            Ok(accepted) => Ending::Delivered(accepted.reply),
            Err(DeliveryError::Send(SendError::Refused { reason })) => {
                warn!(account = %self.account, uid = %key, destination = %place.destination, "quarantined: {reason}");
                Ending::Quarantined(reason)
            }
            Err(DeliveryError::Send(error)) => {
                let cause = describe(&error);
                match error {
                    SendError::Lost { source, .. } => sink.fail(DestinationError::Smtp(source.into())),
                    SendError::Local(error) => sink.fail(DestinationError::Spool(error)),
                    SendError::Refused { .. } | SendError::Deferred { .. } => {}
                }
                Ending::Deferred(cause)
            }
            Err(DeliveryError::Unavailable(error)) => {
                let cause = describe(&error);
                sink.fail(DestinationError::Smtp(error));
                Ending::Deferred(cause)
            }
        };
        Outcome { key, place, ending }
    }
}
