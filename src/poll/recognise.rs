//! Unique-ids are not taken at their word: one may vanish and come back, be given to another
//! message, or change for all of them when a server is migrated.
//!
//! Nothing that vanishes is forgotten.  What comes back is compared by its header.  When most of
//! a listing is unknown and most of what was known is missing, new messages are matched with the
//! missing ones: by their headers if the server has TOP, else by their content as they come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::heads::heads;
use super::memory::Memory;
use super::proof::Landmark;
use super::{Account, unix_now};
use crate::header::Head;
use crate::message::{CONTENT_UID_PREFIX, MessageKey, MessageNumber, UnixTime};
use crate::plan::{self, Initial, Listed, Missing, Standing};
use crate::pop3::session::Session;
use crate::store::{Change, Known, Renamed};

/// A listing whose messages are known as far as they can be before they are retrieved.
#[derive(Debug, Default)]
pub struct Recognised {
    /// The messages, in the server's order.
    pub listing: Vec<Listed>,
    /// What is to be recorded before anything else.
    pub(super) decided: Vec<Change>,
    /// Messages that new ones may turn out to be by their content: while unique-ids change, or
    /// where there are none.
    pub(super) elsewhere: HashMap<[u8; 32], Vec<MessageKey>>,
    /// Messages that were matched by their headers.
    pub(super) matched: usize,
    /// Unique-ids change, and not all are matched.
    pub(super) migrating: bool,
}

impl Recognised {
    /// Whether there is nothing to record, and nothing that is still to be found out.
    pub(super) fn is_settled(&self) -> bool {
        self.decided.is_empty() && self.elsewhere.is_empty() && !self.migrating
    }
}

type Heads = HashMap<MessageNumber, Head>;

/// Finds out what is the first poll's to ignore, what has vanished or come back, and what is known
/// under another unique-id.
pub(super) async fn recognise<S: AsyncRead + AsyncWrite + Unpin>(
    account: &Account,
    session: &mut Session<S>,
    memory: Memory<'_>,
    listing: Vec<Listed>,
    known: Known,
) -> Result<Recognised, PollError> {
    let is_unknown = |&index: &usize| listing[index].standing.is_none() && listing[index].key.is_some();
    let unknown: Vec<usize> = (0..listing.len()).filter(is_unknown).collect();
    let migrating = !unknown.is_empty()
        && (known.migrating || plan::has_migrated(listing.len(), unknown.len(), known.remembered, known.missing));
    let nameless = listing.iter().any(|listed| listed.key.is_none());
    let mut missing = match migrating || nameless || known.newly_missing > 0 {
        true => memory.missing(listing.iter().map(|listed| listed.key.clone()).collect()).await?,
        false => Vec::new(),
    };
    let by_date = known.begun.is_none() && matches!(account.policy.initial, Initial::Since(_));
    let asked = unknown.iter().filter(|_| by_date || migrating);
    let asked = asked.chain(known.returned.iter().map(|(index, ..)| index));
    let landmark = |&index: &usize| {
        let Listed { number, ref key, octets, .. } = listing[index];
        Landmark { number, key: key.clone(), octets }
    };
    let messages: Vec<Landmark> = asked.map(landmark).collect();
    let heads = if messages.is_empty() { Heads::new() } else { heads(session, messages).await? };

    let mut recognition = Recognition { account, heads, result: Recognised { listing, ..Recognised::default() } };
    recognition.begin(known.begun);
    recognition.sight(&missing, &known);
    if migrating {
        recognition.match_headers(&mut missing, &unknown, memory).await?;
        recognition.ignore_older(&missing, &unknown, known.begun);
    }
    let is_left = |&index: &usize| recognition.result.listing[index].standing.is_none();
    let left = migrating && unknown.iter().any(is_left);
    recognition.migrate(known.migrating, left);
    if left || nameless {
        recognition.compare(missing);
    }
    Ok(recognition.result)
}

struct Recognition<'a> {
    account: &'a Account,
    heads: Heads,
    result: Recognised,
}

impl Recognition<'_> {
    fn ignore(&mut self, indexes: &[usize]) -> Vec<MessageKey> {
        let mut keys = Vec::with_capacity(indexes.len());
        for &index in indexes {
            let listed = &mut self.result.listing[index];
            listed.standing = Some(Standing::Ignored);
            keys.extend(listed.key.clone());
        }
        keys
    }

    /// What the first poll finds and is to leave alone.
    fn begin(&mut self, begun: Option<UnixTime>) {
        if begun.is_some() {
            return;
        }
        let dates = self.heads.iter().filter_map(|(number, head)| Some((*number, head.date?))).collect();
        let initial = self.account.policy.initial;
        let ignored = plan::initially_ignored(&self.result.listing, initial, &dates, unix_now());
        let ignored = self.ignore(&ignored);
        self.result.decided.push(Change::Begin { account: self.account.name.clone(), ignored });
    }

    /// Notes what has vanished and what is back; another message with the unique-id of one that
    /// had vanished is new.
    fn sight(&mut self, missing: &[Missing], known: &Known) {
        let gone: Vec<MessageKey> =
            missing.iter().filter(|missing| !missing.was_missing).map(|missing| missing.key.clone()).collect();
        let mut back = known.resighted.clone();
        for (index, message_id, fingerprint) in &known.returned {
            let listed = &mut self.result.listing[*index];
            // Both must differ: some servers write a header anew each time.
            let is_other = self.heads.get(&listed.number).is_some_and(|head| {
                let differs = |new: bool, old: bool, same: bool| new && old && !same;
                differs(head.fingerprint.is_some(), fingerprint.is_some(), head.fingerprint == *fingerprint)
                    && differs(head.message_id.is_some(), message_id.is_some(), head.message_id == *message_id)
            });
            match is_other {
                true => listed.standing = Some(Standing::Reused),
                false => back.push(*index),
            }
        }
        let back = back.into_iter().filter_map(|index| self.result.listing[index].key.clone()).collect();
        for (keys, listed) in [(gone, false), (back, true)] {
            if !keys.is_empty() {
                self.result.decided.push(Change::Sight { account: self.account.name.clone(), keys, listed });
            }
        }
    }

    /// Gives new messages the standing of missing ones with the same header, which are missing
    /// no longer.
    async fn match_headers(
        &mut self,
        missing: &mut Vec<Missing>,
        unknown: &[usize],
        memory: Memory<'_>,
    ) -> Result<(), PollError> {
        let listing = &mut self.result.listing;
        let fingerprint = |&index: &usize| self.heads.get(&listing[index].number)?.fingerprint;
        let new: Vec<_> = unknown.iter().map(fingerprint).collect();
        let pairs = plan::match_headers(missing, &new);
        let keys = pairs.iter().map(|&(from, _)| Some(missing[from].key.clone())).collect();
        let known = memory.known(&Arc::new(keys)).await?;
        let mut renamed = Vec::with_capacity(pairs.len());
        for (&(from, to), standing) in pairs.iter().zip(known.standings) {
            let (old, listed) = (&missing[from], &mut listing[unknown[to]]);
            let Some(to) = listed.key.clone() else { continue };
            listed.standing = match standing {
                // Its content is not seen.
                Some(Standing::Done(at)) => Some(Standing::Matched { at, digest: old.digest }),
                other => other,
            };
            renamed.push(Renamed { from: old.key.clone(), to, proven: false });
        }
        let matched: HashSet<usize> = pairs.into_iter().map(|(from, _)| from).collect();
        let mut index = 0..;
        missing.retain(|_| index.next().is_none_or(|index| !matched.contains(&index)));
        self.result.matched = renamed.len();
        if !renamed.is_empty() {
            self.result.decided.push(Change::Rename { account: self.account.name.clone(), renamed });
        }
        Ok(())
    }

    /// Of what the first poll has left alone nothing is known but that it came before it.
    fn ignore_older(&mut self, missing: &[Missing], unknown: &[usize], begun: Option<UnixTime>) {
        let (Some(begun), true) = (begun, missing.iter().any(|missing| missing.ignored)) else { return };
        let (listing, heads) = (&self.result.listing, &self.heads);
        let is_older = |&&index: &&usize| {
            let date = heads.get(&listing[index].number).and_then(|head| head.date);
            listing[index].standing.is_none() && date.is_some_and(|date| date < begun)
        };
        let older: Vec<usize> = unknown.iter().filter(is_older).copied().collect();
        let keys = self.ignore(&older);
        if !keys.is_empty() {
            self.result.decided.push(Change::Ignore { account: self.account.name.clone(), keys });
        }
    }

    /// Remembers whether there is something left to match.
    fn migrate(&mut self, before: bool, migrating: bool) {
        self.result.migrating = migrating;
        if before != migrating {
            self.result.decided.push(Change::Migrate { account: self.account.name.clone(), migrating });
        }
    }

    /// What the content of new messages is compared with.
    fn compare(&mut self, missing: Vec<Missing>) {
        for missing in missing {
            // What is known by its content is found by it anyway.
            if let Some(digest) = missing.digest
                && !missing.key.uid().starts_with(CONTENT_UID_PREFIX)
            {
                self.result.elsewhere.entry(digest).or_default().push(missing.key);
            }
        }
    }
}
