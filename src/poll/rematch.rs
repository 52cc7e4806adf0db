//! New messages are matched with missing ones by their headers: while a server gives its mail other unique-ids, and
//! where a message is too large to be compared by its content.

use std::collections::HashSet;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::recognise::{AT_A_TIME, Recognition};
use crate::message::unique_id;
use crate::plan::{self, Listed, Standing};
use crate::pop3::session::Session;
use crate::store::{Change, Known, Renamed};

impl Recognition<'_> {
    /// Matches what is unknown with what is missing while unique-ids change, and remembers whether
    /// there is something left to match.
    pub(super) async fn rename<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
    ) -> Result<(), PollError> {
        let unknown = self.unknown();
        let before = self.known.migrating;
        let has_migrated = || {
            let Known { remembered, missing, .. } = self.known;
            plan::has_migrated(self.result.listing.len(), unknown.len(), remembered, missing)
        };
        let migrating = !unknown.is_empty() && (before || self.distrusted || has_migrated());
        if migrating {
            let (unknown, later) = unknown.split_at(unknown.len().min(AT_A_TIME));
            self.read_heads(session, unknown.iter().copied()).await?;
            self.missing().await?;
            self.match_headers(unknown).await?;
            self.ignore_older(unknown);
            for &index in later {
                self.result.listing[index].standing = Some(Standing::Later);
            }
        } else {
            self.match_oversize(session, &unknown).await?;
        }
        let listing = &self.result.listing;
        let is_later = |listed: &Listed| listed.standing == Some(Standing::Later);
        let left = migrating && unknown.iter().any(|&index| listing[index].standing.is_none());
        let left = left || listing.iter().any(is_later);
        (self.result.migrating, self.known.migrating) = (left, left);
        if before != left {
            self.result.decided.push(Change::Migrate { account: self.account.name.clone(), migrating: left });
        }
        Ok(())
    }

    /// Gives new messages the standing of missing ones with the same header, which are missing
    /// no longer.
    async fn match_headers(&mut self, unknown: &[usize]) -> Result<(), PollError> {
        // A header that proved nothing matches nothing.
        let is_unclear = |index: usize| matches!(self.result.listing[index].standing, Some(Standing::Unclear { .. }));
        let fingerprint = |&index: &usize| {
            let head = self.heads.get(self.result.listing[index].number).filter(|_| !is_unclear(index));
            head?.fingerprint
        };
        let new = unknown.iter().map(|index| (fingerprint(index), self.result.listing[*index].octets));
        let new: Vec<_> = new.collect();
        let missing = self.missing.get_or_insert_default();
        let pairs = plan::match_headers(missing, &new);
        let keys = pairs.iter().map(|&(from, _)| Some(missing[from].key.clone())).collect();
        let standings = self.memory.standings(keys).await?;
        let mut renamed = Vec::with_capacity(pairs.len());
        let mut matched = HashSet::with_capacity(pairs.len());
        for ((from, to), standing) in pairs.into_iter().zip(standings) {
            let (old, listed) = (&missing[from], &mut self.result.listing[unknown[to]]);
            let (Some(to), Some(standing)) = (listed.key.clone(), standing.or_else(|| self.apart.remove(&old.key)))
            else {
                continue;
            };
            listed.standing = Some(match standing {
                // Its content was not seen.
                Standing::Done(at) => Standing::Matched { at, digest: old.digest },
                other => other,
            });
            renamed.push(Renamed { from: old.key.clone(), to, proven: false });
            matched.insert(from);
        }
        let mut unmatched = Vec::with_capacity(missing.len() - matched.len());
        for (index, missing) in missing.drain(..).enumerate() {
            if !matched.contains(&index) {
                unmatched.push(missing);
            }
        }
        *missing = unmatched;
        self.result.matched += renamed.len();
        if !renamed.is_empty() {
            self.result.decided.push(Change::Rename { account: self.account.name.clone(), renamed });
        }
        Ok(())
    }

    /// Compares by its header what is too large to be fetched and has the size of a missing message: its content
    /// cannot be compared.
    async fn match_oversize<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        unknown: &[usize],
    ) -> Result<(), PollError> {
        let Some(limit) = self.account.policy.max_size else { return Ok(()) };
        let octets = |index: usize| self.result.listing[index].octets;
        let too_large = unknown.iter().copied().filter(|&index| octets(index).is_some_and(|octets| octets > limit));
        let too_large: Vec<usize> = too_large.collect();
        if too_large.is_empty() {
            return Ok(());
        }
        let sizes: HashSet<u64> = self.missing().await?.iter().filter_map(|missing| missing.listed).collect();
        let listing = &self.result.listing;
        let may_be = |index: &usize| listing[*index].octets.is_some_and(|octets| sizes.contains(&octets));
        let candidates: Vec<usize> = too_large.into_iter().filter(may_be).collect();
        if candidates.is_empty() {
            return Ok(());
        }
        self.read_heads(session, candidates.iter().copied()).await?;
        self.match_headers(&candidates).await
    }

    /// Leaves alone what is older than the first poll: nothing else is known of the messages that it left alone.
    fn ignore_older(&mut self, unknown: &[usize]) {
        let Some(limit) = self.ignored_before() else { return };
        let ignored = self.missing.iter().flatten().filter(|missing| missing.ignored);
        let ignored: HashSet<(&[u8], Option<u64>)> =
            ignored.map(|missing| (unique_id(missing.key.uid()), missing.listed)).collect();
        if ignored.is_empty() {
            return;
        }
        let listing = &self.result.listing;
        // Without a date, the unique-id and the size decide.
        let is_same = |listed: &Listed| {
            listed.octets.is_some()
                && listed.key.as_ref().is_some_and(|key| ignored.contains(&(key.uid(), listed.octets)))
        };
        let is_ignored = |&&index: &&usize| {
            let date = self.heads.get(listing[index].number).and_then(|head| head.date);
            listing[index].standing.is_none() && date.map_or_else(|| is_same(&listing[index]), |date| date < limit)
        };
        let older: Vec<usize> = unknown.iter().filter(is_ignored).copied().collect();
        let keys = self.ignore(&older);
        if !keys.is_empty() {
            self.result.decided.push(Change::Ignore { account: self.account.name.clone(), keys });
        }
    }
}
