//! What messages on the server say of themselves, for somebody who looks at the mailbox.  Nothing is recorded.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncWrite};

use super::error::PollError;
use super::heads::{Heads, heads};
use super::listing::Inventory;
use super::proof::ListedAs;
use super::recall::Look;
use crate::header::Heading;
use crate::message::MessageKey;
use crate::plan::{Listed, Standing};
use crate::pop3::session::{Session, SessionError};

/// What is known of the messages of a listing.
#[derive(Debug, Default)]
pub struct Headings {
    /// By the index of the message.
    pub by_index: HashMap<usize, Heading>,
    /// The server was asked, and has no TOP.
    pub lacks_top: bool,
    /// What ended the session before all were read.
    pub error: Option<SessionError>,
}

/// The headings of messages: those that the state has, and of the `newest` messages also those that TOP returns.
///
/// # Errors
/// The server's replies are out of place, or the state cannot be read.
pub async fn headings<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    look: &Look<'_>,
    inventory: &Inventory,
    newest: usize,
) -> Result<Headings, PollError> {
    let listing = inventory.listing();
    let mut found = Headings { by_index: on_record(look, listing)?, ..Headings::default() };
    let first = listing.len().saturating_sub(newest);
    let unknown = (first..listing.len()).filter(|index| !found.by_index.contains_key(index));
    let messages: Vec<ListedAs> = unknown.map(|index| listed_as(&listing[index])).collect();
    if messages.is_empty() {
        return Ok(found);
    }
    let mut read = Heads::default();
    match heads(session, messages, &mut read).await {
        Err(error @ SessionError::Displaced { .. }) => return Err(error.into()),
        result => found.error = result.err(),
    }
    found.lacks_top = !read.has_top();
    for (index, listed) in listing.iter().enumerate().skip(first) {
        if let Some(head) = read.get(listed.number) {
            found.by_index.insert(index, head.heading.clone());
        }
    }
    Ok(found)
}

/// What the state has of messages that are known by their unique-ids.
fn on_record(look: &Look<'_>, listing: &[Listed]) -> Result<HashMap<usize, Heading>, PollError> {
    let is_known = |listed: &Listed| {
        matches!(listed.standing, Some(Standing::Done(_) | Standing::HeaderOnly(_) | Standing::Open(_)))
    };
    let known = listing.iter().enumerate().filter(|(_, listed)| is_known(listed));
    let (indexes, keys): (Vec<usize>, Vec<MessageKey>) =
        known.filter_map(|(index, listed)| Some((index, listed.key.clone()?))).unzip();
    let found = indexes.into_iter().zip(look.headings(&keys)?);
    Ok(found.filter(|(_, heading)| !heading.is_empty()).collect())
}

fn listed_as(listed: &Listed) -> ListedAs {
    ListedAs { number: listed.number, key: listed.key.clone(), octets: listed.octets }
}
