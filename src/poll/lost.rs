//! The first listing after the state was lost: what the Maildirs hold counts as delivered there,
//! and nothing is fetched on a guess.
//!
//! The listing names the messages, and the names of the files show which of them are in a Maildir
//! (`deliver::maildir::token`).  What is found nowhere is new, or was delivered to a place that cannot
//! be searched; [`judge`] says when that is no longer for a program to decide.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::destination::OpenDestination;
use super::error::PollError;
use super::{Context, mailbox};
use crate::account::Account;
use crate::clock::unix_now;
use crate::deliver::maildir::{self, Held};
use crate::event::Event;
use crate::message::{MessageKey, Name, Origin};
use crate::plan::{self, Identity, Initial, Oversize, Place, Policy, Retention, Standing};
use crate::store::{Adopted, Adoption, Change, FoundFile, Known, Lost, LostChange, StoreError, Whereabouts};
use crate::threads;

/// Files by the tokens of their messages, with their Maildirs.
type Files = HashMap<String, Vec<(PathBuf, FoundFile)>>;

/// Whether a Maildir of the account must exist: it existed before the state was lost.
pub(super) async fn expects_maildirs(account: &Account, context: &Context) -> Result<bool, StoreError> {
    let lost = context.store.lost(&account.name).await?;
    Ok(!matches!(lost, Lost::No | Lost::Unknown))
}

/// What the state knows of a listing, once it knows again what the Maildirs hold.
pub(super) async fn known(
    account: &Account,
    context: &Context,
    destinations: &[OpenDestination],
    keys: &Arc<Vec<Option<MessageKey>>>,
) -> Result<Known, PollError> {
    let store = &context.store;
    let known = store.known(&account.name, Arc::clone(keys), unix_now()).await?;
    if known.lost == Lost::No {
        let is_new = known.begun.is_none() && known.standings.iter().all(Option::is_none);
        if is_new && mailbox::recognise(account, context, keys).await? {
            return Ok(store.known(&account.name, Arc::clone(keys), unix_now()).await?);
        }
        return Ok(known);
    }
    for destination in destinations {
        read_late(context, destination).await?;
    }
    let origins = store.origins(&account.name).await?;
    let of_key = |key| origins.iter().map(move |origin| maildir::token(origin, key));
    let tokens = keys.iter().flatten().flat_map(of_key).collect();
    let files = store.files(tokens).await?;
    let (files, held) = threads::run(move || {
        let held = look_into(&files);
        (files, held)
    })
    .await?;
    let places: Vec<_> =
        destinations.iter().map(|destination| (destination.place.clone(), destination.is_maildir())).collect();
    let case = Case {
        account: &account.name,
        origins: &origins,
        policy: &account.policy,
        lost: known.lost,
        places: &places,
        files: &files,
        held: &held,
    };
    let (adoption, count) = judge(&case, keys, &known.standings)?;
    let Count { found, total } = count;
    let unclear = adoption.messages.iter().filter(|message| message.is_unclear()).count();
    store.apply(vec![Change::Lost(LostChange::Adopt(adoption))], unix_now()).await?;
    Event::LostStateMadeOut { account: account.name.clone(), found: found as u64, total: total as u64 }.tell();
    if unclear > 0 {
        Event::PerhapsDelivered { account: account.name.clone(), messages: unclear as u64 }.tell();
    }
    Ok(store.known(&account.name, Arc::clone(keys), unix_now()).await?)
}

/// Reads a Maildir that could not be read when the state was rebuilt.
async fn read_late(context: &Context, destination: &OpenDestination) -> Result<(), PollError> {
    if !destination.is_maildir() || !context.store.is_unread(destination.place.location.clone()).await? {
        return Ok(());
    }
    if let Some(failure) = destination.failure(false) {
        return Err(failure);
    }
    let maildir = destination.place.location.clone();
    let path = maildir.clone();
    let found = match threads::run(move || maildir::scan(&path, None)).await? {
        Ok(found) => found,
        Err(error) => {
            destination.fail(maildir::scan_failure(&maildir, &error));
            return destination.failure(false).map_or(Ok(()), Err);
        }
    };
    let files = found.into_iter().map(|found| FoundFile { token: found.token, name: found.path, at: found.at });
    let change = LostChange::Files { maildir, files: Some(files.collect()) };
    context.store.apply(vec![Change::Lost(change)], unix_now()).await?;
    Ok(())
}

/// What the files hold; those that cannot be read are left out.
fn look_into(files: &Files) -> HashMap<PathBuf, Held> {
    let paths = files.values().flatten().map(|(maildir, file)| maildir.join(&file.name));
    paths.filter_map(|path| maildir::hold(&path).ok().map(|held| (path, held))).collect()
}

/// An account with what was found of its mail.
struct Case<'a> {
    account: &'a Name,
    /// What stands for it in the names of files.
    origins: &'a [Origin],
    policy: &'a Policy,
    lost: Lost,
    /// Its destinations, and whether they are Maildirs.
    places: &'a [(Place, bool)],
    files: &'a Files,
    held: &'a HashMap<PathBuf, Held>,
}

/// How much of a listing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    found: usize,
    total: usize,
}

/// Decides what becomes of each message of the listing.
///
/// # Errors
/// Too little was found: the operator has to say what the rest is.
fn judge(
    case: &Case<'_>,
    keys: &[Option<MessageKey>],
    standings: &[Option<Standing>],
) -> Result<(Adoption, Count), PollError> {
    let (mut messages, mut missing, mut count) = (Vec::new(), Vec::new(), Count::default());
    for (key, standing) in keys.iter().zip(standings) {
        let Some(key) = key else { continue };
        count.total += 1;
        let files = case.files_of(key);
        match standing {
            Some(
                Standing::Ignored
                | Standing::Done(_)
                | Standing::Matched { .. }
                | Standing::Reused
                | Standing::Deleted(_),
            ) => {}
            None if files.is_empty() => {
                missing.push(key.clone());
                continue;
            }
            standing => messages.extend(case.adopt(key, standing.as_ref(), &files)),
        }
        count.found += 1;
    }
    let must_ask = !missing.is_empty() && must_ask(case, count);
    if case.lost == Lost::Lost && must_ask {
        let Count { found, total } = count;
        return Err(PollError::Lost { account: case.account.clone(), found, total });
    }
    let ignored = if case.lost == Lost::Seen { missing } else { Vec::new() };
    let begun = case.lost != Lost::Unknown;
    Ok((Adoption { account: case.account.clone(), messages, ignored, begun }, count))
}

/// Whether the operator has to say what the messages are that were found nowhere.
fn must_ask(case: &Case<'_>, count: Count) -> bool {
    let Policy { retention, initial, .. } = case.policy;
    // A mail server cannot be searched: each message may have been sent to it.
    let is_blind = !case.places.iter().any(|(_, is_maildir)| *is_maildir);
    // What `initial` has left alone must not be fetched, because then it would be deleted.
    let would_delete_old = *initial != Initial::All && *retention != Retention::Keep;
    // Never fetch everything again.  Where mail is deleted after its delivery, what is there is new.
    let is_strange = *retention != Retention::Delete && count.found * 2 < count.total;
    is_blind || would_delete_old || is_strange
}

impl Case<'_> {
    /// The files that hold a message.
    fn files_of(&self, key: &MessageKey) -> Vec<(PathBuf, FoundFile)> {
        let tokens = self.origins.iter().map(|origin| maildir::token(origin, key));
        tokens.filter_map(|token| self.files.get(&token)).flatten().cloned().collect()
    }

    /// What is known of a message that was found, or is on record and not delivered everywhere.
    fn adopt(&self, key: &MessageKey, standing: Option<&Standing>, files: &[(PathBuf, FoundFile)]) -> Option<Adopted> {
        let on_record = match standing {
            Some(Standing::Open(deliveries) | Standing::HeaderOnly(deliveries)) => &deliveries[..],
            _ => &[],
        };
        let first = files.first().and_then(|(maildir, file)| self.held.get(&maildir.join(&file.name)));
        let mut places = Vec::new();
        let targets: Vec<Place> = self.places.iter().map(|(place, _)| place.clone()).collect();
        for (place, is_maildir) in self.places {
            let progress = plan::at_place(on_record, place, &targets);
            if progress.iter().any(|delivery| plan::is_over(&delivery.state)) {
                continue;
            }
            let found = files.iter().find(|(maildir, _)| *is_maildir && self.is_at(maildir, place));
            match found {
                Some((maildir, file)) => places.push((place.clone(), self.delivered(maildir, file))),
                // On record, or the operator wants it: it is delivered as usual.
                None if !progress.is_empty() || self.lost == Lost::FetchAgain => {}
                None => {
                    let why = "the state was lost: it is unknown whether it was delivered here";
                    places.push((place.clone(), Whereabouts::Unclear(why.to_owned())));
                }
            }
        }
        let header_only = first.is_some_and(|held| held.header_only && self.takes_headers());
        let content = first.filter(|held| !held.header_only).map(|held| {
            let (message_id, fingerprint) = (held.head.message_id.clone(), held.head.fingerprint);
            (held.octets, Identity { message_id, fingerprint, digest: Some(held.digest), ..Identity::default() })
        });
        let is_news = standing.is_none() || !places.is_empty();
        is_news.then(|| Adopted { key: key.clone(), content, header_only, places })
    }

    /// Whether a file in a Maildir counts as delivered to this place.  With one destination it does
    /// wherever it was found: its owner may have filed it in another Maildir of ours.
    fn is_at(&self, maildir: &Path, place: &Place) -> bool {
        self.places.len() == 1 || place.location == maildir
    }

    fn delivered(&self, maildir: &Path, file: &FoundFile) -> Whereabouts {
        let unclear = |why: &str| Whereabouts::Unclear(format!("the state was lost, and {why}"));
        let keeps = self.policy.retention == Retention::Keep;
        match self.held.get(&maildir.join(&file.name)) {
            None if !keeps => unclear("its file could not be read to see whether it is whole"),
            // The server's copy must not be deleted if only a header was delivered.
            Some(held) if held.header_only && !keeps && !self.takes_headers() => {
                unclear("its file holds a header and nothing else")
            }
            _ => {
                let name = file.name.rsplit('/').next().unwrap_or(&file.name);
                let name = name.split(':').next().unwrap_or(name);
                Whereabouts::Delivered(name.to_owned(), file.at)
            }
        }
    }

    fn takes_headers(&self) -> bool {
        self.policy.max_size.is_some() && self.policy.oversize == Oversize::Headers
    }
}

#[cfg(test)]
mod tests;
