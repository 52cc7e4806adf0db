//! What a poll of an account begins with: the mailbox that the account leads to, and where its mail is to go.
//!
//! The state knows both.  If the mailbox has changed, no unique-id is believed (`store::Change::Bind`); for
//! a new destination the operator is told which mail will not go there.

use std::sync::Arc;

use super::Context;
use super::error::PollError;
use super::turns::Turn;
use crate::account::Account;
use crate::attempt;
use crate::clock::unix_now;
use crate::event::Event;
use crate::failure::describe;
use crate::message::{MessageKey, Name};
use crate::net::Route;
use crate::oauth::Vault;
use crate::plan::Place;
use crate::store::Change;

/// The mailbox that an account leads to, as the state knows it: host, port and username, and the route to it where
/// that decides which server answers.
pub fn mailbox(account: &Account) -> String {
    let endpoint = &account.endpoint;
    let host = endpoint.host.to_ascii_lowercase();
    let mut mailbox = format!("{host}\n{}\n{}", endpoint.port, account.username);
    let way = match &endpoint.route {
        Route::Direct { .. } => String::new(),
        Route::Proxy { proxy, .. } => proxy.shown(),
        // An argument may be a secret.
        Route::Command(argv) => blake3::hash(argv.join("\0").as_bytes()).to_hex().to_string(),
    };
    if !way.is_empty() {
        mailbox.push('\n');
        mailbox.push_str(&way);
    }
    mailbox
}

/// Begins a poll: binds the account's part of the state to its mailbox.  For an account of which nothing is known
/// yet, returns what is to be recorded together with its first listing.
pub(super) async fn begin(account: &Account, context: &Context) -> Result<(Turn, Vec<Change>), PollError> {
    loop {
        let ended = context.turns.ended();
        let moving = context.turns.moving().await;
        if let Some(changes) = bind(account, context).await? {
            return Ok((context.turns.begin(&account.name), changes));
        }
        drop(moving);
        ended.await;
    }
}

/// The same; `None`: another account's poll is writing what is known of the mailbox.
async fn bind(account: &Account, context: &Context) -> Result<Option<Vec<Change>>, PollError> {
    let binding = context.store.binding(&account.name).await?;
    let mailbox = mailbox(account);
    if binding.mailbox.as_ref() != Some(&mailbox) {
        let (name, others) = (account.name.clone(), context.mailboxes.clone());
        let former = former(account, &mailbox, context).await?;
        let change = Change::Bind { account: name.clone(), mailbox, others };
        let (former, is_guess) = former.map_or((None, false), |(former, is_guess)| (Some(former), is_guess));
        if former.as_ref().is_some_and(|former| context.turns.is_polled(former)) {
            return Ok(None);
        }
        if binding.mailbox.is_none() && former.is_none() {
            return Ok(Some(vec![change, Change::DecideFor { account: name, deliver: account.deliver.clone() }]));
        }
        let guessed = former.as_deref().filter(|_| is_guess).and_then(Name::new);
        let rename = guessed.map(|from| Change::RenameAccount { from, to: name.clone() });
        // The row of a renaming is no message.
        let renamed = usize::from(rename.is_some());
        let changes = rename.into_iter().chain([change]).collect();
        let messages = context.store.apply(changes, unix_now()).await?.saturating_sub(renamed);
        if let Some(former) = former {
            taken_over(account, context, &former).await;
        }
        if messages > 0 {
            Event::MailboxChanged { account: name, messages: messages as u64 }.tell();
        }
    }
    tell_of_new_destinations(account, context).await?;
    Ok(Some(Vec::new()))
}

/// Where the account's mail goes.
fn places(account: &Account, context: &Context) -> Vec<Place> {
    let outlets = account.deliver.iter().filter_map(|name| context.outlets.get(name));
    outlets.map(|outlet| outlet.destination.place(context.store.instance())).collect()
}

/// The name under which the state knows what the account takes over, if that is not its own, and whether that is a guess.
async fn former(account: &Account, mailbox: &str, context: &Context) -> Result<Option<(String, bool)>, PollError> {
    let (mailbox, others, name) = (mailbox.to_owned(), context.mailboxes.clone(), &account.name);
    let known_as = context.store.known_as(name, mailbox.clone(), others.clone()).await?;
    let deliver = places(account, context);
    Ok(match known_as {
        Some(known) => Some((known, false)).filter(|(known, _)| known != name.as_str()),
        None => context.store.alike(name, mailbox, others, deliver).await?.map(|alike| (alike, true)),
    })
}

/// Whether the listing of an account of which nothing is known is that of an account which is not polled any more; then
/// what is known of that one was taken over.
pub(super) async fn recognise(
    account: &Account,
    context: &Context,
    keys: &Arc<Vec<Option<MessageKey>>>,
) -> Result<bool, PollError> {
    let (mailbox, others) = (mailbox(account), context.mailboxes.clone());
    let deliver = places(account, context);
    let familiar = context.store.familiar(mailbox.clone(), others.clone(), deliver, Arc::clone(keys)).await?;
    let Some(from) = familiar.and_then(|name| Name::new(&name)) else { return Ok(false) };
    loop {
        // A poll that began under the former configuration may still write there.
        let ended = context.turns.ended();
        if !context.turns.is_polled(from.as_str()) {
            break;
        }
        ended.await;
    }
    let to = account.name.clone();
    let rename = Change::RenameAccount { from: from.clone(), to: to.clone() };
    let bind = Change::Bind { account: to, mailbox, others };
    context.store.apply(vec![rename, bind], unix_now()).await?;
    taken_over(account, context, from.as_str()).await;
    Ok(true)
}

/// Reports that an account has taken over what is known of another one's mailbox.  If that one is gone, the rest that
/// belongs to its name goes along.
async fn taken_over(account: &Account, context: &Context, former: &str) {
    // A name that was freed is the account's own, or that of one that leads elsewhere now.
    let Some(from) = former.split('\n').next().and_then(Name::new).filter(|from| *from != account.name) else { return };
    let is_gone = !context.mailboxes.iter().any(|(name, _)| *name == from);
    if is_gone && from.as_str() == former {
        attempt::rename(context.store.dir(), &from, &account.name);
        if account.credential.grant().is_some()
            && let Err(error) = Vault::new(context.store.dir(), &from).hand_to(&account.name).await
        {
            Event::NotRecorded { account: Some(account.name.clone()), cause: describe(&error) }.tell();
        }
    }
    Event::MailboxTakenOver { account: account.name.clone(), from, is_gone }.tell();
}

/// Whether it was not yet reported that the account's server has no TOP; from now on it counts as reported.
pub(super) async fn is_first_to_tell(account: &Account, context: &Context) -> Result<bool, PollError> {
    let is_first = !context.store.binding(&account.name).await?.by_size;
    if is_first {
        context.store.apply(vec![Change::TellBySize { account: account.name.clone() }], unix_now()).await?;
    }
    Ok(is_first)
}

/// Reports, once, the mail on the server that was delivered before a destination was added and does not go there.
///
/// # Errors
/// The state cannot be read or written.
pub async fn tell_of_new_destinations(account: &Account, context: &Context) -> Result<(), PollError> {
    let before = context.store.binding(&account.name).await?.deliver;
    let is_same = |before: &Vec<String>| before.iter().map(String::as_str).eq(account.deliver.iter().map(Name::as_str));
    if before.as_ref().is_some_and(is_same) {
        return Ok(());
    }
    let before = before.unwrap_or_default();
    // For an account that was never polled there is nothing to report.
    let added =
        account.deliver.iter().filter(|name| !before.is_empty() && !before.iter().any(|was| was == name.as_str()));
    for destination in added {
        let messages = context.store.never_meant_for(&account.name, destination).await?;
        let (account, destination) = (account.name.clone(), destination.clone());
        Event::DestinationAdded { account, destination, messages }.tell();
    }
    let change = Change::DecideFor { account: account.name.clone(), deliver: account.deliver.clone() };
    context.store.apply(vec![change], unix_now()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_host_port_username_and_the_way_and_no_secret_of_it() {
        let base = super::super::tests::account();
        let changed = |change: fn(&mut Account)| {
            let mut account = base.clone();
            change(&mut account);
            mailbox(&account)
        };
        assert_eq!(changed(|account| account.endpoint.host = "POP.example.org".into()), mailbox(&base));
        let others = [
            changed(|account| account.endpoint.host = "mx.example.org".into()),
            changed(|account| account.endpoint.port = 110),
            changed(|account| account.username = "Alice".into()),
            changed(|account| account.endpoint.route = Route::Command(vec!["ssh".into(), "sekrit".into()])),
            changed(|account| account.endpoint.route = Route::Command(vec!["ssh".into()])),
        ];
        for (index, other) in others.iter().enumerate() {
            assert_ne!(*other, mailbox(&base));
            assert!(!others[..index].contains(other) && !other.contains("sekrit"));
        }
    }
}
