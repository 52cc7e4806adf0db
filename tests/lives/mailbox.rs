//! What the server has of all that ever arrived there, and under which unique-ids.

use super::letter::Writer;
use super::nature::{Ids, Nature};
use super::support::Message;
use fastrand::Rng;
use std::collections::BTreeSet;

/// Messages that a mailbox has at most.
pub(crate) const MOST: usize = 30;

/// A message that has arrived: two of one content are two of these.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// Its letter's index.
    pub(crate) letter: usize,
    pub(crate) whereabouts: Whereabouts,
    uid: String,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// In the mailbox.
    Here,
    /// In another folder of the server.
    Elsewhere,
    /// Deleted, whoever did it.
    Deleted,
}

/// The mailbox.
pub(crate) struct Mailbox {
    nature: Nature,
    pub(crate) writer: Writer,
    /// In the order in which they arrived; a message's place here is its tag.
    pub(crate) arrived: Vec<Arrived>,
    /// The tags of what is there, in the server's order.
    order: Vec<usize>,
    uids: usize,
}

impl Mailbox {
    pub(crate) fn new(nature: Nature) -> Self {
        Self { nature, writer: Writer::default(), arrived: Vec::new(), order: Vec::new(), uids: 0 }
    }

    /// The tags of what is in the mailbox.
    pub(crate) fn here(&self) -> &[usize] {
        &self.order
    }

    /// A message arrives.
    pub(crate) fn arrive(&mut self, letter: usize) -> usize {
        let tag = self.arrived.len();
        self.arrived.push(Arrived { letter, whereabouts: Whereabouts::Elsewhere, uid: String::new() });
        self.enter(tag);
        tag
    }

    /// A message comes into the mailbox, last of all, under a unique-id of its own or of its place.
    pub(crate) fn enter(&mut self, tag: usize) {
        let uid = match self.nature.ids {
            Ids::Stable => {
                self.uids += 1;
                format!("id-{:05}", self.uids)
            }
            // Given when it is listed.
            Ids::Place => String::new(),
            Ids::Reused => {
                let taken: BTreeSet<&str> = self.order.iter().map(|&tag| self.arrived[tag].uid.as_str()).collect();
                let free = (1..).map(|number: usize| number.to_string());
                free.into_iter().find(|uid| !taken.contains(uid.as_str())).expect("a number")
            }
            Ids::Shared => match &self.writer.letters[self.arrived[tag].letter].message_id {
                none if none.is_empty() => "of-nothing".to_owned(),
                message_id => message_id.clone(),
            },
        };
        self.arrived[tag].uid = uid;
        self.arrived[tag].whereabouts = Whereabouts::Here;
        self.order.push(tag);
    }

    /// A message goes from the mailbox.
    pub(crate) fn leave(&mut self, tag: usize, whereabouts: Whereabouts) {
        self.order.retain(|&here| here != tag);
        self.arrived[tag].whereabouts = whereabouts;
    }

    /// The server is another: all that is there has a new unique-id.
    pub(crate) fn migrate(&mut self) {
        for &tag in &self.order {
            self.uids += 1;
            self.arrived[tag].uid = format!("id-{:05}", self.uids);
        }
    }

    /// The listing is in another order from now on.
    pub(crate) fn shuffle(&mut self, random: &mut Rng) {
        random.shuffle(&mut self.order);
    }

    /// What the next session is shown.
    pub(crate) fn listing(&self, random: &mut Rng) -> Vec<Message> {
        let message = |(place, &tag): (usize, &usize)| {
            let Arrived { letter, uid, .. } = &self.arrived[tag];
            let uid = if self.nature.ids == Ids::Place { (place + 1).to_string() } else { uid.clone() };
            self.writer.letters[*letter].listed(&uid, tag, &self.nature, random)
        };
        self.order.iter().enumerate().map(message).collect()
    }

    /// Of all that can be seen without asking for a message: the unique-ids in their order, and STAT's octets.
    pub(crate) fn look(&self) -> (Vec<String>, u64) {
        let uids = self.order.iter().enumerate().map(|(place, &tag)| match self.nature.ids {
            Ids::Place => (place + 1).to_string(),
            _ => self.arrived[tag].uid.clone(),
        });
        (uids.collect(), self.order.iter().map(|&tag| self.writer.letters[self.arrived[tag].letter].octets()).sum())
    }

    /// The contents that are there, in no order.
    pub(crate) fn contents(&self) -> Vec<usize> {
        let mut letters: Vec<usize> = self.order.iter().map(|&tag| self.arrived[tag].letter).collect();
        letters.sort_unstable();
        letters
    }

    /// The session is over: what the server has no more of what it listed was deleted by it.
    pub(crate) fn settle(&mut self, remaining: &[usize]) -> Vec<usize> {
        let gone: Vec<usize> = self.order.iter().copied().filter(|tag| !remaining.contains(tag)).collect();
        gone.iter().for_each(|&tag| self.leave(tag, Whereabouts::Deleted));
        gone
    }

    /// All messages in one of these places.
    pub(crate) fn those(&self, whereabouts: Whereabouts) -> Vec<usize> {
        (0..self.arrived.len()).filter(|&tag| self.arrived[tag].whereabouts == whereabouts).collect()
    }
}
