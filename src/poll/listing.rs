//! What is on the server, what is known of it, and what is to be done with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::proof::{ListedAs, learn};
use super::recall::Recall;
use super::recognise::{Recognised, Recognition, recognise};
use crate::account::Account;
use crate::clock::unix_now;
use crate::message::{MessageKey, UnixTime};
use crate::plan::{self, Action, Gone, Initial, Left, Listed, Place, Reason, Retention, Standing, Step, Targets};
use crate::pop3::session::{Entry, Session};
use crate::store::Quiet;

/// A listing with its plan.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The messages, in the server's order, as far as they are known.
    pub recognised: Recognised,
    /// One step for each of them.
    pub steps: Vec<Step>,
    /// The server has no unique-ids: messages are known by their content.
    pub nameless: bool,
    /// Messages that the server has, those included that need not be looked at.
    pub listed: usize,
    /// Those of them that are left there for now.
    pub left: Left,
    /// Messages that the state remembers and the server no longer has.
    pub(super) gone: Gone,
    /// The digest of the listing, and the revision of the account's state, if the listing may be recognised by them.
    pub(super) look: Option<([u8; 32], i64)>,
}

impl Inventory {
    /// The messages, in the server's order.
    pub fn listing(&self) -> &[Listed] {
        &self.recognised.listing
    }

    /// Messages that are to be fetched.
    pub(super) fn fetches(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.action, Action::Fetch(_))).count()
    }

    /// What is to be remembered of this listing after a poll that has delivered all that was to be
    /// fetched, if that leaves nothing to do with it.  What was decided must be on record by then.
    pub(super) fn quiet(&mut self, account: &Account, places: &[Place], now: UnixTime) -> Option<Quiet> {
        let (digest, revision) = self.look.filter(|_| self.recognised.is_settled())?;
        let mut has_changed = false;
        for step in &self.steps {
            match step.action {
                Action::Leave => continue,
                Action::Fetch(Targets::All) => self.recognised.listing[step.index].standing = Some(Standing::Done(now)),
                // Other destinations may still wait for it.
                Action::Fetch(Targets::Only(_)) | Action::FetchHeader(_) | Action::Confirm | Action::Delete => {
                    return None;
                }
            }
            has_changed = true;
        }
        let (listing, policy) = (&self.recognised.listing, &account.policy);
        if has_changed {
            self.steps = plan::plan(listing, policy, places, now);
        }
        let until = plan::quiet_until(listing, &self.steps, policy, now)?;
        Some(Quiet { digest, until, left: Left::of(&self.steps), revision })
    }
}

/// What the server has.
enum Asked {
    /// The last poll found nothing to do with the very same listing.
    Known { listed: usize, left: Left },
    /// Without unique-ids there is no `digest`; where nothing distinguishes the listing from others, the inner one is
    /// `None`.
    Listed { entries: Vec<Entry>, digest: Option<Option<[u8; 32]>> },
}

/// Asks for the unique-ids, or where the server has none and the settings allow it, for the numbers.
async fn ask<S>(
    account: &Account,
    places: &[Place],
    session: &mut Session<S>,
    memory: &Recall<'_>,
) -> Result<Asked, PollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Where news is likely, or sizes cost little, a round trip is saved.
    let sizes_follow = memory.expects_news().await?;
    let Some(listing) = session.uidl(sizes_follow).await? else {
        let policy = &account.policy;
        // What was there at the first poll could not be told from what is new.
        if policy.retention == Retention::Delete && policy.initial == Initial::All {
            return Ok(Asked::Listed { entries: session.list().await?, digest: None });
        }
        if !session.is_empty() {
            return Err(PollError::NoUniqueIds);
        }
        pass_sizes(session).await?;
        return Ok(Asked::Listed { entries: Vec::new(), digest: Some(None) });
    };
    let digest = memory.digest(&listing, places);
    if let Some(left) = memory.quiet(digest).await? {
        pass_sizes(session).await?;
        return Ok(Asked::Known { listed: listing.len(), left });
    }
    Ok(Asked::Listed { entries: listing.entries(), digest: Some(digest) })
}

/// Reads sizes that are not needed, if they were asked for.
async fn pass_sizes<S>(session: &mut Session<S>) -> Result<(), PollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if session.outstanding() > 0 {
        session.sizes(&mut []).await?;
    }
    Ok(())
}

/// Asks what is there and decides what to do with it; `places` are the account's destinations.  Nothing is changed,
/// here or on the server.  A poll gets no messages if the last one found nothing to do and nothing has changed.
///
/// # Errors
/// The server refuses, breaks off, or has no UIDL where it is needed; the state cannot be read.
pub async fn inventory<S>(
    account: &Account,
    places: &[Place],
    session: &mut Session<S>,
    memory: Recall<'_>,
) -> Result<Inventory, PollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut entries, digest) = match ask(account, places, session, &memory).await? {
        Asked::Known { listed, left } => return Ok(Inventory { listed, left, ..Inventory::default() }),
        Asked::Listed { entries, digest } => (entries, digest),
    };
    let nameless = digest.is_none();
    // Sizes are found by number; servers list in order, but need not.
    entries.sort_by_key(|entry| entry.number);
    entries.dedup_by_key(|entry| entry.number);
    let keys = Arc::new(keys(&mut entries));
    let mut known = memory.known(&keys).await?;
    let keys = Arc::unwrap_or_clone(keys);
    if !nameless && !session.is_empty() {
        session.sizes(&mut entries).await?;
    }
    let shared = shared(&keys);
    let listed = entries.into_iter().zip(keys).zip(std::mem::take(&mut known.standings)).zip(shared);
    let listing: Vec<Listed> = listed
        .map(|(((Entry { number, octets, .. }, key), standing), shared)| Listed {
            number,
            key,
            shared,
            octets,
            standing,
        })
        .collect();
    let (revision, gone) = (known.revision, known.gone);
    learn_shape(session, &listing).await?;
    let recognition = recognise(account, session, memory, listing, known).await?;
    let (recognised, steps) = planned(account, places, session, recognition).await?;
    let (listed, left) = (recognised.listing.len(), Left::of(&steps));
    let look = digest.flatten().map(|digest| (digest, revision));
    Ok(Inventory { recognised, steps, nameless, listed, left, gone, look })
}

/// Learns what the server's answers look like, if that is wanted: before anything is retrieved whose place only these
/// answers show.
async fn learn_shape<S>(session: &mut Session<S>, listing: &[Listed]) -> Result<(), PollError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if let (None, Some(first)) = (session.shape(), listing.first()) {
        let message = ListedAs { number: first.number, key: first.key.clone(), octets: first.octets };
        let shape = learn(session, &message).await?;
        session.expect_shape(Some(shape));
    }
    Ok(())
}

/// Plans what is to be done, and makes sure that what is to be deleted is what was delivered.
async fn planned<S: AsyncRead + AsyncWrite + Unpin>(
    account: &Account,
    places: &[Place],
    session: &mut Session<S>,
    mut recognition: Recognition<'_>,
) -> Result<(Recognised, Vec<Step>), PollError> {
    let now = unix_now();
    let plan = |listing: &[Listed]| plan::plan(listing, &account.policy, places, now);
    let mut steps = plan(&recognition.result.listing);
    let due = steps.iter().filter(|step| step.action == Action::Delete);
    let due: Vec<usize> = due.map(|step| step.index).collect();
    if !due.is_empty() {
        let is_fetched = |step: &&Step| !matches!(step.action, Action::Leave | Action::Delete);
        let most = account.policy.max_messages.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let room = most.saturating_sub(steps.iter().filter(is_fetched).count());
        recognition.confirm(session, due, room).await?;
        steps = plan(&recognition.result.listing);
    }
    let recognised = recognition.finish();
    let is_confirmed = |step: &Step| recognised.confirmed.contains(&step.index);
    for step in steps.iter_mut().filter(|step| step.action == Action::Delete && !is_confirmed(step)) {
        let is_next = !recognised.examined(step.index);
        (step.action, step.reason) =
            (Action::Leave, if is_next { Reason::EnoughForNow } else { Reason::Unconfirmable });
    }
    // One of two that share a unique-id may be unconfirmed now.
    plan::keep_shared(&recognised.listing, &mut steps);
    Ok((recognised, steps))
}

/// Unique-ids with their occurrence: identical copies may share one.  They are taken out of the
/// entries.
pub(super) fn keys(entries: &mut [Entry]) -> Vec<Option<MessageKey>> {
    let mut counts: HashMap<&[u8], u32> = HashMap::with_capacity(entries.len());
    let mut occurrence = |uid| {
        let count = counts.entry(uid).or_insert(0);
        *count += 1;
        *count - 1
    };
    let occurrences: Vec<u32> = entries.iter().map(|entry| entry.uid.as_deref().map_or(0, &mut occurrence)).collect();
    let key = |(entry, occurrence): (&mut Entry, u32)| MessageKey::of_octets(entry.uid.take()?, occurrence);
    entries.iter_mut().zip(occurrences).map(key).collect()
}

/// For each key, whether another one has the same unique-id.
fn shared(keys: &[Option<MessageKey>]) -> Vec<bool> {
    let later = keys.iter().flatten().filter(|key| key.occurrence() > 0);
    let uids: HashSet<&[u8]> = later.map(MessageKey::uid).collect();
    keys.iter().map(|key| key.as_ref().is_some_and(|key| uids.contains(key.uid()))).collect()
}
