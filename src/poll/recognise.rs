//! Unique-ids are not taken at face value: one may go missing and come back, or be given to another
//! message, and all of them may change when a server is migrated.
//!
//! Nothing that goes missing is forgotten.  Where a unique-id is not enough (`plan::doubtful`), the
//! message is compared by its header (`examine.rs`).  When most of a listing is unknown and most of
//! what was known is missing, or the server is seen to use unique-ids again, new messages are
//! matched with the missing ones by their headers (`rematch.rs`).  What is left is fetched, and compared by
//! its content as it comes (`commit/identify.rs`).

use std::collections::{HashMap, HashSet};

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::heads::{Heads, heads};
use super::proof::ListedAs;
use super::recall::Recall;
use crate::account::Account;
use crate::clock::unix_now;
use crate::message::{CONTENT_UID_PREFIX, MessageKey, UnixTime};
use crate::plan::{self, Initial, Listed, Missing, Standing};
use crate::pop3::session::Session;
use crate::store::{Change, Known};

/// Headers that one poll asks for at most, so that a slow server's mailbox is compared over several polls.
pub(super) const AT_A_TIME: usize = 20_000;

/// A listing whose messages are known as far as they can be before they are retrieved.
#[derive(Debug, Default)]
pub struct Recognised {
    /// The messages, in the server's order.
    pub listing: Vec<Listed>,
    /// What is to be recorded before anything else.
    pub(super) decided: Vec<Change>,
    /// Sizes by LIST that differ from those in the state.
    pub(super) sizes: Vec<(MessageKey, u64)>,
    /// Messages that those without a unique-id may turn out to be by their content.
    pub(super) elsewhere: HashMap<[u8; 32], Vec<MessageKey>>,
    /// Messages that were matched by their headers.
    pub(super) matched: usize,
    /// Unique-ids change, and not all are matched.
    pub(super) migrating: bool,
    /// Messages that certainly are what was delivered, by their index: they may be deleted.
    pub(super) confirmed: HashSet<usize>,
    /// Messages that were compared, whatever the result.
    examined: HashSet<usize>,
    /// Messages are confirmed by their sizes, since the server has no TOP.
    pub(super) by_size: bool,
}

impl Recognised {
    /// Whether a message was compared with what is known of it.
    pub(super) fn examined(&self, index: usize) -> bool {
        self.examined.contains(&index)
    }

    /// Whether there is nothing to record but sizes, and nothing that is still to be found out.
    pub(super) fn is_settled(&self) -> bool {
        self.decided.is_empty() && self.elsewhere.is_empty() && !self.migrating
    }
}

/// A listing that is being recognised.
pub(super) struct Recognition<'a> {
    pub(super) account: &'a Account,
    pub(super) memory: Recall<'a>,
    pub(super) heads: Heads,
    pub(super) result: Recognised,
    /// What the state knew.
    pub(super) known: Known,
    /// Messages that are remembered and not in the listing; `None`: not asked for yet.
    pub(super) missing: Option<Vec<Missing>>,
    /// What was known of those that were set apart.
    pub(super) apart: HashMap<MessageKey, Standing>,
    /// Messages that share a unique-id now, by their index.
    pub(super) sharing: HashMap<Box<[u8]>, Vec<usize>>,
    /// How many messages that are due can be fetched in this poll to be compared.
    pub(super) room: usize,
    /// Messages that only a later poll compares.
    postponed: HashSet<usize>,
    /// Messages that were compared, whatever the result.
    pub(super) examined: HashSet<usize>,
    /// The server is seen to have given a unique-id to another message.
    pub(super) distrusted: bool,
}

/// Finds out what the first poll is to ignore, what is missing or has come back, and what is known
/// under another unique-id.
pub(super) async fn recognise<'a, S: AsyncRead + AsyncWrite + Unpin>(
    account: &'a Account,
    session: &mut Session<S>,
    memory: Recall<'a>,
    listing: Vec<Listed>,
    known: Known,
) -> Result<Recognition<'a>, PollError> {
    let mut sharing: HashMap<Box<[u8]>, Vec<usize>> = HashMap::new();
    for (index, listed) in listing.iter().enumerate().filter(|(_, listed)| listed.shared) {
        let uid = listed.key.iter().map(|key| key.uid().into());
        uid.for_each(|uid| sharing.entry(uid).or_default().push(index));
    }
    let result = Recognised { listing, ..Recognised::default() };
    let (heads, missing, apart) = (Heads::default(), None, HashMap::new());
    let (postponed, examined, distrusted) = (HashSet::new(), HashSet::new(), false);
    let mut recognition = Recognition {
        account,
        memory,
        heads,
        result,
        known,
        missing,
        apart,
        sharing,
        room: 0,
        postponed,
        examined,
        distrusted,
    };
    recognition.begin(session).await?;
    recognition.see();
    let mut doubts = {
        let Recognition { result, known, .. } = &recognition;
        plan::doubtful(&result.listing, &known.sizes, &known.returned, &known.shared)
    };
    recognition.postponed.extend(doubts.drain(doubts.len().min(AT_A_TIME)..).map(|(index, _)| index));
    recognition.examine(session, doubts).await?;
    recognition.rename(session).await?;
    recognition.sight().await?;
    Ok(recognition)
}

impl Recognition<'_> {
    /// Messages with a unique-id under which they are not known.
    pub(super) fn unknown(&self) -> Vec<usize> {
        let is_unknown = |listed: &Listed| {
            listed.key.is_some() && matches!(listed.standing, None | Some(Standing::Reused | Standing::Unclear { .. }))
        };
        let listing = self.result.listing.iter().enumerate();
        listing.filter(|(_, listed)| is_unknown(listed)).map(|(index, _)| index).collect()
    }

    /// Reads the headers of messages that were not read yet.
    pub(super) async fn read_heads<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        indexes: impl IntoIterator<Item = usize>,
    ) -> Result<(), PollError> {
        let listed_as = |index: usize| {
            let Listed { number, ref key, octets, .. } = self.result.listing[index];
            ListedAs { number, key: key.clone(), octets }
        };
        let messages = indexes.into_iter().map(listed_as).filter(|message| !self.heads.is_asked(message.number));
        let is_suspect = |message: &ListedAs| message.key.as_ref().is_some_and(|key| self.memory.is_suspect(key));
        let (suspects, messages): (Vec<ListedAs>, Vec<ListedAs>) = messages.partition(is_suspect);
        // What cannot be asked for is as if it were refused.
        suspects.iter().for_each(|message| self.heads.refuse(message.number));
        if messages.is_empty() {
            return Ok(());
        }
        let asked: Vec<_> = messages.iter().map(|message| (message.number, message.key.clone())).collect();
        let result = heads(session, messages, &mut self.heads).await;
        if result.is_err()
            && let Some(number) = session.at()
            && let Some((_, Some(key))) = asked.into_iter().find(|(asked, _)| *asked == number)
        {
            self.memory.suspect(key);
        }
        Ok(result?)
    }

    pub(super) fn ignore(&mut self, indexes: &[usize]) -> Vec<MessageKey> {
        let mut keys = Vec::with_capacity(indexes.len());
        for &index in indexes {
            let listed = &mut self.result.listing[index];
            listed.standing = Some(Standing::Ignored);
            keys.extend(listed.key.clone());
        }
        keys
    }

    /// Begins the account's state with what the first poll finds and is to leave alone.
    async fn begin<S: AsyncRead + AsyncWrite + Unpin>(&mut self, session: &mut Session<S>) -> Result<(), PollError> {
        if self.known.begun.is_some() {
            return Ok(());
        }
        let initial = self.account.policy.initial;
        if matches!(initial, Initial::Since(_)) {
            let unknown = self.unknown();
            let is_any = !unknown.is_empty();
            self.read_heads(session, unknown).await?;
            if is_any && self.heads.are_refused() {
                return Err(PollError::NoTop);
            }
        }
        let dates = self.heads.iter().filter_map(|(number, head)| Some((number, head.date?))).collect();
        let ignored = plan::initially_ignored(&self.result.listing, initial, &dates, unix_now());
        let ignored = self.ignore(&ignored);
        self.result.decided.push(Change::Begin { account: self.account.name.clone(), ignored });
        Ok(())
    }

    /// Notes messages that share their unique-id with another one.
    fn see(&mut self) {
        let listing = &self.result.listing;
        let indexes = plan::numbers_of_shared(listing, &self.known.shared).into_iter();
        let only_seen = indexes.map(|index| &listing[index]).filter(|listed| listed.standing.is_none());
        let keys: Vec<MessageKey> = only_seen.filter_map(|listed| listed.key.clone()).collect();
        if !keys.is_empty() {
            self.result.decided.push(Change::Seen { account: self.account.name.clone(), keys });
        }
    }

    /// Sets apart the missing messages that had the unique-id of one of these.
    pub(super) async fn set_absent_apart(&mut self, indexes: &[usize]) -> Result<(), PollError> {
        let uids: HashSet<Box<[u8]>> =
            indexes.iter().filter_map(|&index| Some(self.result.listing[index].key.as_ref()?.uid().into())).collect();
        if uids.is_empty() {
            return Ok(());
        }
        let is_one = |missing: &&mut Missing| uids.contains(missing.key.uid());
        let mut keys = Vec::new();
        for missing in self.missing().await?.iter_mut().filter(is_one) {
            let apart = missing.key.apart(fastrand::u64(..));
            keys.push((std::mem::replace(&mut missing.key, apart.clone()), apart));
            missing.was_missing = true;
        }
        let before = self.memory.standings(keys.iter().map(|(key, _)| Some(key.clone())).collect()).await?;
        for ((_, apart), standing) in keys.iter().zip(before) {
            self.apart.extend(standing.map(|standing| (apart.clone(), standing)));
        }
        if !keys.is_empty() {
            self.result.decided.push(Change::SetApart { account: self.account.name.clone(), keys });
        }
        Ok(())
    }

    /// What is remembered and not in the listing, including what was set apart.
    pub(super) async fn missing(&mut self) -> Result<&mut Vec<Missing>, PollError> {
        if self.missing.is_none() {
            let keys = self.result.listing.iter().map(|listed| listed.key.clone()).collect();
            self.missing = Some(self.memory.missing(keys).await?);
        }
        Ok(self.missing.get_or_insert_default())
    }

    /// Frees the unique-ids of messages: what was known by them is missing from now on.
    pub(super) async fn set_apart(&mut self, apart: Vec<(usize, Missing, Standing)>) -> Result<(), PollError> {
        if apart.is_empty() {
            return Ok(());
        }
        self.missing().await?;
        let mut keys = Vec::with_capacity(apart.len());
        for (index, mut missing, standing) in apart {
            let Some(listed) = self.result.listing.get_mut(index) else { continue };
            let Some(key) = listed.key.clone() else { continue };
            missing.key = key.apart(fastrand::u64(..));
            if let Some(before) = listed.standing.replace(standing) {
                self.apart.insert(missing.key.clone(), before);
            }
            keys.push((key, missing.key.clone()));
            self.missing.get_or_insert_default().push(missing);
        }
        self.result.decided.push(Change::SetApart { account: self.account.name.clone(), keys });
        Ok(())
    }

    /// What came before this time was left alone at the first poll.
    pub(super) fn ignored_before(&self) -> Option<UnixTime> {
        let begun = self.known.begun?;
        Some(match self.account.policy.initial {
            Initial::Since(time) => begun.saturating_sub(i64::try_from(time.as_secs()).unwrap_or(i64::MAX)),
            Initial::All | Initial::None => begun,
        })
    }

    /// Notes what is missing and what is back.
    async fn sight(&mut self) -> Result<(), PollError> {
        let nameless = self.result.listing.iter().any(|listed| listed.key.is_none());
        if nameless || self.known.newly_missing > 0 {
            self.missing().await?;
        }
        let missing = self.missing.as_deref().unwrap_or_default();
        let gone: Vec<MessageKey> =
            missing.iter().filter(|missing| !missing.was_missing).map(|missing| missing.key.clone()).collect();
        let listing = &self.result.listing;
        let is_back = |listed: &&Listed| !matches!(listed.standing, Some(Standing::Reused | Standing::Unclear { .. }));
        let examined = |index: &&usize| !self.postponed.contains(index);
        let back = self.known.returned.iter().filter(examined).map(|&index| &listing[index]).filter(is_back);
        let back: Vec<MessageKey> = back.filter_map(|listed| listed.key.clone()).collect();
        for (keys, listed) in [(gone, false), (back, true)] {
            if !keys.is_empty() {
                self.result.decided.push(Change::Sight { account: self.account.name.clone(), keys, listed });
            }
        }
        if nameless {
            self.compare();
        }
        Ok(())
    }

    /// Collects what the content of messages without a unique-id is compared with.
    fn compare(&mut self) {
        for missing in self.missing.iter().flatten() {
            // What is known by its content is found anyway.
            if let Some(digest) = missing.digest
                && !missing.key.uid().starts_with(CONTENT_UID_PREFIX)
            {
                self.result.elsewhere.entry(digest).or_default().push(missing.key.clone());
            }
        }
    }

    /// Makes sure that messages which are to be deleted are what was delivered; `room` of them can be fetched for that.
    ///
    /// # Errors
    /// The connection broke, or the state cannot be read.
    pub(super) async fn confirm<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        due: Vec<usize>,
        room: usize,
    ) -> Result<(), PollError> {
        self.room = room;
        let due = due.into_iter().filter(|index| !self.result.confirmed.contains(index)).take(AT_A_TIME);
        let doubts = due.map(|index| (index, plan::Doubt::Deletion)).collect();
        let distrusted = self.distrusted;
        self.examine(session, doubts).await?;
        if self.distrusted && !distrusted {
            self.rename(session).await?;
        }
        Ok(())
    }

    /// The result.
    pub(super) fn finish(mut self) -> Recognised {
        self.result.examined = std::mem::take(&mut self.examined);
        for (index, listed) in self.result.listing.iter().enumerate() {
            let is_known = !matches!(
                listed.standing,
                None | Some(Standing::Reused | Standing::Unclear { .. } | Standing::Deleted(_) | Standing::Later)
            ) && !self.postponed.contains(&index)
                // What is only believed keeps the size by which it is doubted.
                && (!self.result.examined.contains(&index) || self.result.confirmed.contains(&index));
            let before = self.known.sizes.get(index).copied().flatten();
            if let (true, Some(key), Some(octets)) = (is_known, &listed.key, listed.octets)
                && before != Some(octets)
            {
                self.result.sizes.push((key.clone(), octets));
            }
        }
        self.result
    }
}
