//! What the state is asked while a listing is taken: by a poll, which may write, or by a look at
//! the mailbox beside it.

use std::sync::Arc;

use super::error::PollError;
use super::sink::Sink;
use super::{Account, Context, lost, quiet, unix_now};
use crate::message::{MessageKey, Name};
use crate::plan::{Left, Missing};
use crate::pop3::session::Listing;
use crate::store::{Known, Reader};

/// An account's part of the state.
#[derive(Clone, Copy, Debug)]
pub enum Memory<'a> {
    /// Of a poll with its destinations.
    #[expect(private_interfaces, reason = "only a poll makes it")]
    Poll {
        /// The account.
        account: &'a Account,
        /// The state.
        context: &'a Context,
        /// Its destinations, where mail is looked for after the loss of a state.
        sinks: &'a [Sink],
    },
    /// Of one that only looks.
    Reader(&'a Reader, &'a Name),
}

impl Memory<'_> {
    /// The digest by which a listing is known again; none for one that looks at everything.
    pub(super) fn digest(self, listing: &Listing) -> Option<[u8; 32]> {
        match self {
            Memory::Poll { account, .. } => Some(quiet::digest(listing, account)),
            Memory::Reader(..) => None,
        }
    }

    /// What is left on the server, if the last look at this listing has found nothing to do and
    /// still holds.
    pub(super) async fn quiet(self, digest: Option<[u8; 32]>) -> Result<Option<Left>, PollError> {
        Ok(match (self, digest) {
            (Memory::Poll { account, context, .. }, Some(digest)) => {
                context.store.quiet(&account.name, digest, unix_now()).await?
            }
            _ => None,
        })
    }

    /// Whether the listing is worth its sizes before anybody has looked at it.
    pub(super) async fn expects_news(self) -> Result<bool, PollError> {
        Ok(match self {
            Memory::Poll { account, context, .. } => context.store.expects_news(&account.name).await?,
            Memory::Reader(..) => false,
        })
    }

    pub(super) async fn known(self, keys: &Arc<Vec<Option<MessageKey>>>) -> Result<Known, PollError> {
        match self {
            Memory::Poll { account, context, sinks } => lost::known(account, context, sinks, keys).await,
            Memory::Reader(reader, account) => Ok(reader.known(account, keys)?),
        }
    }

    pub(super) async fn missing(self, keys: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, PollError> {
        Ok(match self {
            Memory::Poll { account, context, .. } => context.store.missing(&account.name, keys).await?,
            Memory::Reader(reader, account) => reader.missing(account, &keys)?,
        })
    }
}
