//! Messages whose unique-id is not enough are compared by their headers.
//!
//! Where a header shows a different message, or proves nothing, the unique-id is freed: the message
//! is fetched, and its content tells whether it is new.  A server that has given one unique-id to
//! another message may have done so with all of them, and all are compared.

use std::collections::{HashMap, HashSet};

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::recognise::Recognition;
use crate::header::Head;
use crate::message::{Fingerprint, MessageKey, unique_id};
use crate::plan::{Doubt, Identity, Likeness, Listed, Missing, Standing};
use crate::pop3::session::Session;

/// For unique-ids that several messages have or had: the fingerprint of each message known by them, if it has one.
type Fingerprints = HashMap<Box<[u8]>, Vec<Option<Fingerprint>>>;

/// What became of a doubt.
enum Verdict {
    /// It is the same message for certain.
    Same,
    /// It counts as the same, and that is not certain.
    Believed,
    /// A later poll has room to compare its content.
    Later,
    /// Its unique-id is freed.
    Apart(Standing),
}

impl Recognition<'_> {
    /// Settles doubts as far as headers can.
    ///
    /// # Errors
    /// The connection broke, or the state cannot be read.
    pub(super) async fn examine<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        mut doubts: Vec<(usize, Doubt)>,
    ) -> Result<(), PollError> {
        let shared = |(index, doubt): &(usize, Doubt)| (*doubt == Doubt::Shared).then_some(*index);
        let shared: Vec<usize> = doubts.iter().filter_map(shared).collect();
        self.set_absent_apart(&shared).await?;
        while !doubts.is_empty() {
            self.read_heads(session, doubts.iter().map(|(index, _)| *index)).await?;
            let keys = doubts.iter().filter_map(|(index, _)| self.result.listing[*index].key.clone()).collect();
            let identities = self.memory.identities(keys).await?;
            let known = self.fingerprints_of_sharing(session, &doubts).await?;
            let (mut apart, mut is_another) = (Vec::new(), false);
            for ((index, doubt), identity) in doubts.into_iter().zip(identities) {
                let identity = identity.unwrap_or_default();
                let verdict = self.judge(index, doubt, &identity, &known);
                if !matches!(verdict, Verdict::Later) {
                    self.examined.insert(index);
                }
                match verdict {
                    Verdict::Same => {
                        self.result.confirmed.insert(index);
                    }
                    Verdict::Believed | Verdict::Later => {}
                    Verdict::Apart(standing) => {
                        is_another |= standing == Standing::Reused;
                        let mut missing = self.missing_of(index, identity);
                        if standing != Standing::Reused {
                            // It proves nothing, for this message or any other.
                            missing.fingerprint = None;
                        }
                        apart.push((index, missing, standing));
                    }
                }
            }
            self.set_apart(apart).await?;
            // Once for all that are left.
            doubts = if is_another && !self.distrusted {
                self.others().into_iter().map(|index| (index, Doubt::Distrusted)).collect()
            } else {
                Vec::new()
            };
            self.distrusted |= is_another;
        }
        Ok(())
    }

    /// Known messages that were not compared yet.
    fn others(&self) -> Vec<usize> {
        let is_left = |(index, listed): &(usize, &Listed)| {
            let is_known = !matches!(listed.standing, None | Some(Standing::Deleted(_)));
            is_known && listed.key.is_some() && !self.examined.contains(index)
        };
        self.result.listing.iter().enumerate().filter(is_left).map(|(index, _)| index).collect()
    }

    fn judge(&mut self, index: usize, doubt: Doubt, identity: &Identity, known: &Fingerprints) -> Verdict {
        let listed = &self.result.listing[index];
        let is_same_size = identity.listed.is_some() && identity.listed == listed.octets;
        if listed.standing == Some(Standing::Ignored) {
            return self.judge_ignored(index, doubt, is_same_size);
        }
        let likeness = self.heads.get(listed.number).map(|head| match compare(identity, head) {
            Likeness::Same if self.is_ambiguous(index, head.fingerprint, known) => Likeness::Unclear,
            likeness => likeness,
        });
        match (likeness, doubt) {
            (Some(Likeness::Same), _) => Verdict::Same,
            (Some(Likeness::Other), _) => Verdict::Apart(Standing::Reused),
            (None, Doubt::Deletion) if is_same_size && !self.heads.has_top() && !listed.shared => {
                self.result.by_size = true;
                Verdict::Same
            }
            // Nothing is known that its content could be compared with.
            _ if identity.digest.is_none() => Verdict::Believed,
            (_, Doubt::Returned) if is_same_size || listed.octets.is_none() || identity.listed.is_none() => {
                Verdict::Believed
            }
            // What cannot be fetched now stays known, or it would be new for a later poll.
            (_, Doubt::Deletion) if self.room == 0 => Verdict::Later,
            _ => {
                self.room -= usize::from(doubt == Doubt::Deletion);
                let at = match listed.standing {
                    Some(Standing::Done(at) | Standing::Matched { at, .. }) => Some(at),
                    _ => None,
                };
                Verdict::Apart(Standing::Unclear { at })
            }
        }
    }

    /// Judges a message that the first poll left alone: only its size is known, and that it came before
    /// that poll.
    fn judge_ignored(&self, index: usize, doubt: Doubt, is_same_size: bool) -> Verdict {
        let listed = &self.result.listing[index];
        let date = self.heads.get(listed.number).and_then(|head| head.date);
        let is_believed = match (date, self.ignored_before()) {
            (Some(date), Some(limit)) => date < limit,
            (None, Some(_)) => is_same_size || (doubt == Doubt::Returned && listed.octets.is_none()),
            (_, None) => true,
        };
        if is_believed { Verdict::Believed } else { Verdict::Apart(Standing::Unclear { at: None }) }
    }

    /// The fingerprints of all messages that are known by doubtful unique-ids which several messages have or had.  The
    /// headers of those that are listed are read.
    async fn fingerprints_of_sharing<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        doubts: &[(usize, Doubt)],
    ) -> Result<Fingerprints, PollError> {
        let had_several: HashSet<&[u8]> = self.known.shared.iter().map(|(uid, _)| &**uid).collect();
        let uids = doubts.iter().filter_map(|(index, _)| {
            let uid = self.result.listing[*index].key.as_ref()?.uid();
            (self.sharing.contains_key(uid) || had_several.contains(uid)).then(|| Box::from(uid))
        });
        let mut known: Fingerprints = uids.map(|uid| (uid, Vec::new())).collect();
        if known.is_empty() {
            return Ok(known);
        }
        let listed: Vec<usize> = known.keys().filter_map(|uid| self.sharing.get(uid)).flatten().copied().collect();
        self.read_heads(session, listed.iter().copied()).await?;
        // A message that no longer shares its unique-id is among the doubts.
        let all = listed.into_iter().chain(doubts.iter().map(|(index, _)| *index)).collect::<HashSet<usize>>();
        let keys: Vec<MessageKey> =
            all.into_iter().filter_map(|index| self.result.listing[index].key.clone()).collect();
        let keys: Vec<MessageKey> = keys.into_iter().filter(|key| known.contains_key(key.uid())).collect();
        let identities = self.memory.identities(keys.clone()).await?;
        for (key, identity) in keys.iter().zip(identities) {
            if let (Some(identity), Some(all)) = (identity, known.get_mut(key.uid())) {
                all.push(identity.fingerprint);
            }
        }
        for missing in self.missing().await? {
            if let Some(all) = known.get_mut(unique_id(missing.key.uid())) {
                all.push(missing.fingerprint);
            }
        }
        Ok(known)
    }

    /// Whether several messages with one unique-id have the same header, so that it proves nothing.
    fn is_ambiguous(&self, index: usize, fingerprint: Option<Fingerprint>, known: &Fingerprints) -> bool {
        let listing = &self.result.listing;
        let Some(uid) = listing[index].key.as_ref().map(MessageKey::uid) else { return true };
        let Some(fingerprints) = known.get(uid) else { return false };
        let may_be = |known: &&Option<Fingerprint>| known.is_none() || **known == fingerprint;
        let has_same = |&other: &usize| {
            other != index && self.heads.get(listing[other].number).is_none_or(|head| head.fingerprint == fingerprint)
        };
        fingerprints.iter().filter(may_be).count() > 1
            || self.sharing.get(uid).is_some_and(|others| others.iter().any(has_same))
    }

    fn missing_of(&self, index: usize, identity: Identity) -> Missing {
        let Listed { key, standing, .. } = &self.result.listing[index];
        Missing {
            // It gets another key when it is set apart.
            key: key.clone().unwrap_or_else(|| MessageKey::of_content(&[0; 32], 0)),
            digest: identity.digest,
            fingerprint: identity.fingerprint,
            ignored: *standing == Some(Standing::Ignored),
            was_missing: true,
            listed: identity.listed,
        }
    }
}

fn compare(identity: &Identity, head: &Head) -> Likeness {
    identity.compare(head.message_id.as_deref(), head.fingerprint)
}
