//! Drafts are made durable where they are: their octets, then their names in `tmp/`.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Committer;
use crate::deliver::maildir::{self, Draft};
use crate::poll::piece::{At, Parcel, Received, State};
use crate::poll::turn;
use crate::threads;

/// Syncs that run at the same time, so that the file system's journal commits merge.
const PARALLEL_SYNCS: usize = 16;

impl Committer<'_> {
    /// Makes drafts durable where they are; a draft that cannot be made durable is removed.
    pub(super) async fn sync(&self, mut batch: Vec<Received>) -> Vec<Received> {
        let mut is_durable = Vec::with_capacity(self.destinations.len());
        for index in 0..self.destinations.len() {
            is_durable.push(self.sync_whole(index, &batch).await);
        }
        let drafts = take_drafts(&mut batch, &is_durable);
        if drafts.is_empty() {
            return batch;
        }
        self.sync_each(drafts, &mut batch).await;
        self.sync_names(batch, &is_durable).await
    }

    /// Syncs drafts one by one, several at a time, and puts them back.
    async fn sync_each(&self, mut drafts: Vec<(At, Draft)>, batch: &mut [Received]) {
        let share = drafts.len().div_ceil(PARALLEL_SYNCS);
        let mut tasks = Vec::new();
        while !drafts.is_empty() {
            let some = drafts.split_off(drafts.len().saturating_sub(share));
            let spots: Vec<At> = some.iter().map(|(at, _)| *at).collect();
            let sync = move || {
                let synced = some.into_iter().map(|(at, draft)| (at, draft.sync().map(|()| draft)));
                synced.collect::<Vec<_>>()
            };
            let task = threads::run_until(turn(self.deadline), sync);
            tasks.push(async move { task.await.map_err(|error| (spots, error)) });
        }
        for synced in join_all(tasks).await {
            match synced {
                Err((spots, error)) => {
                    for at in spots {
                        batch[at.message].parcels[at.parcel].state = State::Failed(error.to_string());
                    }
                }
                Ok(synced) => {
                    for (at, synced) in synced {
                        let parcel = &mut batch[at.message].parcels[at.parcel];
                        let destination = &self.destinations[parcel.target];
                        parcel.state = match synced {
                            Ok(draft) => State::Drafted(draft),
                            Err(error) => State::Failed(
                                destination.fail_with(maildir::draft_failure(&destination.place.location, &error)),
                            ),
                        };
                    }
                }
            }
        }
    }

    /// Whether all drafts of a Maildir, and their names, have been made durable at once.
    async fn sync_whole(&self, index: usize, batch: &[Received]) -> bool {
        let has_draft = |received: &&Received| has_draft(received, index);
        let octets = |received: &Received| received.octets + received.prefix.len() as u64;
        let (files, octets) = batch.iter().filter(has_draft).fold((0, 0), |(n, sum), one| (n + 1, sum + octets(one)));
        let destinations = Arc::clone(self.destinations);
        let sync =
            move || destinations[index].maildir.as_ref().is_some_and(|maildir| maildir.sync_whole(files, octets));
        files > 0 && threads::run_until(turn(self.deadline), sync).await.unwrap_or(false)
    }

    /// Syncs `tmp/` of every other Maildir that has a draft in the batch.
    async fn sync_names(&self, mut batch: Vec<Received>, is_durable: &[bool]) -> Vec<Received> {
        for (index, destination) in self.destinations.iter().enumerate().filter(|(index, _)| !is_durable[*index]) {
            if destination.maildir.is_none() || !batch.iter().any(|received| has_draft(received, index)) {
                continue;
            }
            let destinations = Arc::clone(self.destinations);
            let sync = move || destinations[index].maildir.as_deref().map_or(Ok(()), maildir::Maildir::sync_tmp);
            let failed = match threads::run_until(turn(self.deadline), sync).await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(destination.fail_with(error)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(cause) = failed {
                let parcels = batch.iter_mut().flat_map(|received| &mut received.parcels);
                for parcel in parcels.filter(|parcel| is_draft_of(parcel, index)) {
                    parcel.state = State::Failed(cause.clone());
                }
            }
        }
        batch
    }
}

/// Takes the drafts out of a batch, except those of destinations that are durable already.
fn take_drafts(batch: &mut [Received], is_durable: &[bool]) -> Vec<(At, Draft)> {
    let mut drafts = Vec::new();
    for (message, received) in batch.iter_mut().enumerate() {
        for (parcel, of) in received.parcels.iter_mut().enumerate().filter(|(_, of)| !is_durable[of.target]) {
            match std::mem::replace(&mut of.state, State::Failed("not synced".into())) {
                State::Drafted(draft) => drafts.push((At { message, parcel }, draft)),
                other => of.state = other,
            }
        }
    }
    drafts
}

fn is_draft_of(parcel: &Parcel, target: usize) -> bool {
    parcel.target == target && parcel.is_draft()
}

fn has_draft(received: &Received, target: usize) -> bool {
    received.parcels.iter().any(|parcel| is_draft_of(parcel, target))
}
