//! What a message that has come whole turns out to be: most are to be delivered, some were.

use std::collections::HashMap;

use tracing::{info, warn};

use super::Committer;
use crate::message::MessageKey;
use crate::plan::{Delivery, Progress, Standing, is_over};
use crate::poll::stage::{Claim, Copy, Received};
use crate::poll::unix_now;
use crate::store::{Change, Renamed, StoreError};

/// What is known of messages by their content.
#[derive(Debug, Default)]
pub(in crate::poll) struct Contents {
    /// Messages that the server may call otherwise now.
    pub(in crate::poll) elsewhere: HashMap<[u8; 32], Vec<MessageKey>>,
    /// So many messages without unique-id have come in this session.
    pub(in crate::poll) occurrences: HashMap<[u8; 32], u32>,
}

impl Contents {
    /// What a message without unique-id is known by: if it had one before, that.
    fn key_of(&mut self, digest: &[u8; 32]) -> MessageKey {
        if let Some(key) = self.elsewhere.get_mut(digest).and_then(Vec::pop) {
            return key;
        }
        let occurrence = self.occurrences.entry(*digest).or_insert(0);
        *occurrence += 1;
        MessageKey::of_content(digest, *occurrence - 1)
    }
}

impl Committer<'_> {
    /// Keeps what is to be delivered; what was delivered before is recorded as what it is.
    pub(super) async fn identify(&mut self, batch: Vec<Received>) -> Result<Vec<Received>, StoreError> {
        let mut wanted = Vec::with_capacity(batch.len());
        let (mut changes, mut deletable) = (Vec::new(), Vec::new());
        let account = self.account;
        for mut received in batch {
            let digest = received.digest;
            let keys = |received: &Received| vec![received.job.key.clone()];
            match received.job.claim {
                Claim::Listed => wanted.push(received),
                Claim::New => match self.contents.elsewhere.get_mut(&digest).and_then(Vec::pop) {
                    Some(from) if !received.job.header_only => {
                        let renamed = vec![Renamed { from, to: received.job.key.clone(), proven: true }];
                        changes.push(Change::Rename { account: account.clone(), renamed });
                        self.tally.recognised += 1;
                    }
                    _ => wanted.push(received),
                },
                Claim::Deleted(known) if known == digest => {
                    warn!(%account, uid = %received.job.key, "the server had confirmed its deletion and lists it again");
                    changes.push(Change::Reappear { account: account.clone(), keys: keys(&received) });
                    self.tally.reappeared += 1;
                    deletable.push(received.job);
                }
                Claim::Deleted(_) => wanted.push(received),
                Claim::Delivered(known) => {
                    let same = known == digest;
                    changes.push(Change::Prove { account: account.clone(), keys: keys(&received), same });
                    self.tally.recognised += 1;
                    match same {
                        true => deletable.push(received.job),
                        false => warn!(%account, uid = %received.job.key, "its content is not what was delivered"),
                    }
                }
                Claim::Nameless => {
                    received.job.key = self.contents.key_of(&digest);
                    self.tally.contents.push(received.job.key.clone());
                    match self.by_content(&mut received).await? {
                        Content::Wanted => wanted.push(received),
                        Content::Delivered => {
                            self.tally.recognised += 1;
                            deletable.push(received.job);
                        }
                        Content::Left => self.tally.fail(&received.job.key, "it waits for the operator".into()),
                    }
                }
            }
        }
        if !changes.is_empty() {
            info!(%account, messages = changes.len(), "known by their content");
            self.store.apply(changes, unix_now()).await?;
        }
        for job in deletable.into_iter().filter(|job| job.completes) {
            // The receiver may be gone with the session; then there is nothing to delete with.
            let _ = self.deletable.send((job.number, job.key));
        }
        Ok(wanted)
    }

    /// Looks up a message without unique-id, and leaves the copies that are still wanted.
    async fn by_content(&self, received: &mut Received) -> Result<Content, StoreError> {
        let standing = self.store.standing(self.account, received.job.key.clone()).await?;
        let deliveries = match standing {
            Some(Standing::Done(_) | Standing::Matched { .. }) => return Ok(Content::Delivered),
            Some(Standing::Open(deliveries) | Standing::HeaderOnly(deliveries)) => deliveries,
            _ => return Ok(Content::Wanted),
        };
        let sinks = self.sinks;
        let progress = |copy: &(usize, Copy)| {
            let destination = &sinks[copy.0].place.destination;
            deliveries.iter().find(|delivery: &&Delivery| delivery.destination == *destination).map(|one| &one.progress)
        };
        let left = received
            .copies
            .iter()
            .filter_map(progress)
            .any(|progress| !is_over(progress) && !matches!(progress, Progress::Deferred(_) | Progress::Sending));
        received.copies.retain(|copy| match progress(copy) {
            Some(progress) => matches!(progress, Progress::Deferred(_) | Progress::Sending),
            None => true,
        });
        received.job.completes &= !left;
        Ok(if received.copies.is_empty() { Content::Left } else { Content::Wanted })
    }
}

/// What is to be done with a message that is known by its content.
enum Content {
    /// It is delivered, to all destinations or to some.
    Wanted,
    /// It was delivered everywhere.
    Delivered,
    /// Only the operator can tell.
    Left,
}
