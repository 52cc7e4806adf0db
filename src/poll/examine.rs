//! Messages whose unique-id is not enough are compared by their headers.
//!
//! Where a header says that a message is another, or cannot tell, its unique-id is given free: the
//! message is fetched, and its content tells whether it is new.  A server that has given one
//! unique-id to another message may have done so with all of them, and all are looked at.

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::recognise::Recognition;
use crate::header::Head;
use crate::message::{Fingerprint, MessageKey, MessageNumber};
use crate::plan::{Doubt, Identity, Likeness, Listed, Missing, Standing};
use crate::pop3::session::Session;

/// What became of a doubt.
enum Verdict {
    /// It is the same message for certain.
    Same,
    /// It counts as the same, and that is not certain.
    Believed,
    /// Its unique-id is given free.
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
            let (mut apart, mut is_another) = (Vec::new(), false);
            for ((index, doubt), identity) in doubts.into_iter().zip(identities) {
                self.examined.insert(index);
                let identity = identity.unwrap_or_default();
                match self.judge(index, doubt, &identity) {
                    Verdict::Same => {
                        self.result.confirmed.insert(index);
                    }
                    Verdict::Believed => {}
                    Verdict::Apart(standing) => {
                        is_another |= standing == Standing::Reused;
                        let mut missing = self.missing_of(index, identity);
                        if standing != Standing::Reused {
                            // It tells nothing, of this message or of any other.
                            missing.fingerprint = None;
                        }
                        apart.push((index, missing, standing));
                    }
                }
            }
            self.set_apart(apart).await?;
            // Once for all that are left.
            doubts = match is_another && !self.distrusted {
                true => self.others().into_iter().map(|index| (index, Doubt::Distrusted)).collect(),
                false => Vec::new(),
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

    fn judge(&mut self, index: usize, doubt: Doubt, identity: &Identity) -> Verdict {
        let listed = &self.result.listing[index];
        let is_same_size = identity.listed.is_some() && identity.listed == listed.octets;
        if listed.standing == Some(Standing::Ignored) {
            return self.judge_ignored(index, doubt, is_same_size);
        }
        let likeness = self.heads.get(listed.number).map(|head| match compare(identity, head) {
            Likeness::Same if self.is_ambiguous(listed, head.fingerprint) => Likeness::Unclear,
            likeness => likeness,
        });
        match (likeness, doubt) {
            (Some(Likeness::Same), _) => Verdict::Same,
            (Some(Likeness::Other), _) => Verdict::Apart(Standing::Reused),
            (None, Doubt::Deletion) if is_same_size && !self.heads.has_top() && !listed.shared => {
                self.result.by_size = true;
                Verdict::Same
            }
            // Nothing is known that its content could be compared with, or it is too large to be fetched.
            _ if identity.digest.is_none() || self.is_too_large(listed) => Verdict::Believed,
            (_, Doubt::Returned) if is_same_size || listed.octets.is_none() || identity.listed.is_none() => {
                Verdict::Believed
            }
            _ => {
                let at = match listed.standing {
                    Some(Standing::Done(at) | Standing::Matched { at, .. }) => Some(at),
                    _ => None,
                };
                Verdict::Apart(Standing::Unclear { at })
            }
        }
    }

    /// Of a message that the first poll has left alone nothing is known but its size, and that it came
    /// before that poll.
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

    /// Whether a header is one of several with the same unique-id, and tells nothing.
    fn is_ambiguous(&self, listed: &Listed, fingerprint: Option<Fingerprint>) -> bool {
        let Some(uid) = listed.key.as_ref().map(MessageKey::uid) else { return true };
        let has_same = |&number: &MessageNumber| {
            number != listed.number && self.heads.get(number).is_none_or(|head| head.fingerprint == fingerprint)
        };
        self.had_several.contains(uid) || self.sharing.get(uid).is_some_and(|numbers| numbers.iter().any(has_same))
    }

    fn is_too_large(&self, listed: &Listed) -> bool {
        matches!((listed.octets, self.account.policy.max_size), (Some(octets), Some(limit)) if octets > limit)
    }

    fn missing_of(&self, index: usize, identity: Identity) -> Missing {
        let Listed { key, standing, .. } = &self.result.listing[index];
        Missing {
            // It gets another one when it is set apart.
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
