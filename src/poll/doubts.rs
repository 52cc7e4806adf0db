//! Refusals that may be about the message or about the destination.
//!
//! A destination that refuses one message is right about it until it treats several different ones alike, with none
//! accepted in between; one is enough if the refusal speaks of all.  From then on it is in doubt itself, until it accepts
//! one.  A message that was refused earlier, while others were accepted, says nothing about the destination.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::{MessageKey, Name};
use crate::store::Doubted;

/// Different messages that are refused alike, from which on the destination is the cause.
const ALIKE: usize = 3;

/// Whom a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    OfMessage,
    /// The destination was in doubt before; there is no reason yet to try no other.
    Open,
    OfDestination,
}

/// What one destination refused in this poll.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Messages that it has refused while it accepted others.
    proven: HashSet<MessageKey>,
    row: Mutex<Row>,
}

#[derive(Debug, Default)]
struct Row {
    /// What it refused since it accepted a message, with what it said.
    refused: Vec<(MessageKey, String)>,
    /// It was in doubt when it was used last.
    was_in_doubt: bool,
    /// It is the cause.
    spread: bool,
    /// It has accepted a message in this poll.
    accepted: bool,
}

impl Doubts {
    /// `doubted`: messages that were refused earlier; `in_doubt`: so was the destination when it was used last.
    pub(super) fn new(destination: &Name, doubted: &[Doubted], in_doubt: bool) -> Self {
        let own = doubted.iter().filter(|doubted| doubted.is_its_own && doubted.destination == *destination);
        let row = Mutex::new(Row { was_in_doubt: in_doubt, ..Row::default() });
        Self { proven: own.map(|doubted| doubted.key.clone()).collect(), row }
    }

    /// Takes a refusal into account.  `like` is equal for messages that are refused alike, `None` if the destination is
    /// known to take others; `of_all`: it speaks of all messages.
    pub(super) fn judge(&self, key: &MessageKey, like: Option<&str>, of_all: bool) -> Judgement {
        let mut row = self.row();
        let Some(like) = like.filter(|_| !self.proven.contains(key)) else { return Judgement::OfMessage };
        if !row.refused.iter().any(|(refused, _)| refused == key) {
            row.refused.push((key.clone(), like.to_owned()));
        }
        let alike = row.refused.iter().filter(|(_, said)| said == like).count();
        row.spread |= alike >= ALIKE || (of_all && !row.accepted);
        match (row.spread, row.was_in_doubt) {
            (true, _) => Judgement::OfDestination,
            (false, true) => Judgement::Open,
            (false, false) => Judgement::OfMessage,
        }
    }

    /// A message was accepted.
    pub(super) fn accept(&self) {
        *self.row() = Row { accepted: true, ..Row::default() };
    }

    /// Whether the destination is the cause, or may be.
    pub(super) fn are_of_destination(&self) -> bool {
        let row = self.row();
        row.spread || row.was_in_doubt
    }

    /// Whether a message was accepted in this poll.
    pub(super) fn have_accepted(&self) -> bool {
        self.row().accepted
    }

    fn row(&self) -> MutexGuard<'_, Row> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Judgement::{OfDestination, OfMessage, Open};
    use super::*;

    fn key(uid: u8) -> MessageKey {
        MessageKey::new(&[b'a' + uid], 0).expect("a key")
    }

    fn judged(doubts: &Doubts, refused: &[(u8, &str)]) -> Vec<Judgement> {
        refused.iter().map(|(uid, like)| doubts.judge(&key(*uid), Some(like), false)).collect()
    }

    #[test]
    fn three_different_messages_that_are_refused_alike_are_not_the_cause() {
        let doubts = Doubts::default();
        assert_eq!(judged(&doubts, &[(0, "550"), (0, "550"), (1, "554"), (1, "550")]), [OfMessage; 4]);
        assert_eq!(judged(&doubts, &[(2, "550"), (3, "550"), (4, "x")]), [OfMessage, OfDestination, OfDestination]);
        doubts.accept();
        assert!(!doubts.are_of_destination() && doubts.have_accepted());
        assert_eq!(judged(&doubts, &[(5, "550"), (6, "550")]), [OfMessage; 2]);
    }

    #[test]
    fn one_refusal_that_speaks_of_all_is_enough_unless_another_message_was_accepted() {
        let doubts = Doubts::default();
        doubts.accept();
        assert_eq!(doubts.judge(&key(0), Some("x"), true), OfMessage);
        let doubts = Doubts::default();
        assert_eq!(doubts.judge(&key(0), Some("x"), true), OfDestination);
    }

    #[test]
    fn a_destination_in_doubt_stays_so_until_it_accepts_a_message_and_is_still_tried_with_several() {
        let hub = Name::new("hub").expect("a name");
        let doubted = |uid, is_its_own| Doubted { key: key(uid), destination: hub.clone(), is_its_own };
        let doubts = Doubts::new(&hub, &[doubted(0, true), doubted(1, false)], true);
        let refused = [(0, "550"), (1, "550"), (2, "550"), (3, "550")];
        assert_eq!(judged(&doubts, &refused), [OfMessage, Open, Open, OfDestination]);
        // That it takes others is known.
        assert_eq!(doubts.judge(&key(4), None, false), OfMessage);
        let elsewhere = Doubts::new(&Name::new("other").expect("a name"), &[doubted(0, true)], true);
        assert_eq!(judged(&elsewhere, &[(0, "550")]), [Open]);
    }
}
