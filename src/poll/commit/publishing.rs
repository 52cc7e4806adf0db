//! Drafts that are on record are moved into `new/`, and that is made durable.

use std::sync::Arc;

use super::Committer;
use crate::deliver::maildir::{Maildir, MaildirError};
use crate::event::Event;
use crate::poll::piece::{At, Received, State};
use crate::poll::turn;
use crate::store::{Ending, Settled};
use crate::threads;

/// A parcel that is to be moved.
struct Move {
    at: At,
    /// Its file's name.
    name: String,
}

/// How far the moves of a batch have come.
struct Moved {
    moved: Vec<Move>,
    /// They were removed from `tmp/`: if the next look took them for moved, they would be lost.
    vanished: Vec<Move>,
    result: Result<(), MaildirError>,
}

/// Moves files into `new/` and makes that durable.
fn move_all(maildir: &Maildir, moves: Vec<Move>) -> Moved {
    let (mut moved, mut vanished, mut result) = (Vec::with_capacity(moves.len()), Vec::new(), Ok(()));
    for one in moves {
        match maildir.publish(&one.name) {
            Ok(()) => moved.push(one),
            Err(_) if maildir.has_lost(&one.name) => vanished.push(one),
            // The others are still tried.
            Err(error) => result = Err(error),
        }
    }
    let synced = maildir.sync_new();
    Moved { moved, vanished, result: result.and(synced) }
}

impl Committer<'_> {
    /// Moves drafts into `new/` and makes that durable.
    pub(super) async fn publish(&mut self, batch: &mut [Received]) {
        for (index, destination) in self.destinations.iter().enumerate() {
            let moves = moves(batch, index);
            if moves.is_empty() {
                continue;
            }
            let destinations = Arc::clone(self.destinations);
            let work = move || destinations[index].maildir.as_ref().map(|maildir| move_all(maildir, moves));
            let Moved { moved, vanished, result } = match threads::run_until(turn(self.deadline), work).await {
                Ok(Some(moved)) => moved,
                Ok(None) => continue,
                Err(error) => {
                    Event::NotMoved { account: self.account.clone(), cause: error.to_string() }.tell();
                    continue;
                }
            };
            let outcome = |at: At, ending| {
                let key = batch[at.message].job.key.clone();
                Settled { key, place: destination.place.clone(), ending }
            };
            let why = "its file has vanished from tmp/".to_owned();
            self.moved.extend(vanished.iter().map(|one| outcome(one.at, Ending::Deferred(why.clone()))));
            match result {
                Ok(()) => {
                    self.moved.extend(moved.iter().map(|one| outcome(one.at, Ending::Delivered(one.name.clone()))));
                    for Move { at, .. } in moved {
                        batch[at.message].parcels[at.parcel].state = State::Delivered;
                    }
                }
                // They stay staged; the next poll finds out how far the moves have come.
                Err(error) => destination.fail(error),
            }
        }
    }
}

/// What is to be moved at one destination.
fn moves(batch: &[Received], target: usize) -> Vec<Move> {
    let mut moves = Vec::new();
    for (message, received) in batch.iter().enumerate() {
        for (parcel, of) in received.parcels.iter().enumerate().filter(|(_, of)| of.target == target) {
            if let State::Staged(name) = &of.state {
                moves.push(Move { at: At { message, parcel }, name: name.clone() });
            }
        }
    }
    moves
}
