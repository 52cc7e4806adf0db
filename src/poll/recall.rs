//! What the state is asked while a listing is taken: by a poll, which may write, or by a command that
//! only looks at the mailbox.

use std::sync::Arc;

use super::destination::OpenDestination;
use super::error::PollError;
use super::suspects::Suspects;
use super::{Context, lost, mailbox, quiet};
use crate::account::Account;
use crate::clock::unix_now;
use crate::header::Heading;
use crate::message::{MessageKey, Name};
use crate::plan::{Identity, Left, Missing, Place, Standing};
use crate::pop3::session::Listing;
use crate::store::{Known, Reader, StoreError};

/// An account's part of the state.
#[derive(Clone, Copy, Debug)]
pub enum Recall<'a> {
    /// Of a poll with its destinations.
    #[expect(private_interfaces, reason = "only a poll makes it")]
    Poll {
        /// The account.
        account: &'a Account,
        /// The state.
        context: &'a Context,
        /// Its destinations, where mail is looked for after the loss of a state.
        destinations: &'a [OpenDestination],
        /// Messages at which sessions end.
        suspects: &'a Suspects,
    },
    /// Of a command that only looks.
    Reader(&'a Look<'a>),
}

/// An account's part of the state as its next poll would find it.
#[derive(Debug)]
pub struct Look<'a> {
    reader: &'a Reader,
    /// What the state calls the mailbox.
    name: Name,
    /// What the state knows belongs to another mailbox.
    is_other: bool,
}

impl<'a> Look<'a> {
    /// The part of the state that belongs to the mailbox of an account; `others` are the configured ones.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn new(reader: &'a Reader, account: &Account, others: &[(Name, String)]) -> Result<Self, StoreError> {
        let found = reader.known_as(&account.name, &mailbox::mailbox(account), others)?;
        let is_other = found.is_none();
        Ok(Self { reader, name: found.unwrap_or_else(|| account.name.clone()), is_other })
    }

    fn known(&self, keys: &[Option<MessageKey>]) -> Result<Known, StoreError> {
        if !self.is_other {
            return self.reader.known(&self.name, keys, unix_now());
        }
        let (standings, sizes) = (vec![None; keys.len()], vec![None; keys.len()]);
        let known = self.reader.known(&self.name, &[], unix_now())?;
        Ok(Known { migrating: known.begun.is_some(), standings, sizes, ..known })
    }

    /// What the state has of messages; an empty heading for one that is not known.
    pub(super) fn headings(&self, keys: &[MessageKey]) -> Result<Vec<Heading>, StoreError> {
        self.reader.headings(&self.name, keys)
    }

    fn missing(&self, keys: &[Option<MessageKey>]) -> Result<Vec<Missing>, StoreError> {
        self.reader.missing(&self.name, if self.is_other { &[] } else { keys })
    }
}

impl Recall<'_> {
    /// The digest by which a listing is recognised; `None` for a command that looks at everything.
    pub(super) fn digest(self, listing: &Listing, places: &[Place]) -> Option<[u8; 32]> {
        match self {
            Recall::Poll { account, .. } => Some(quiet::digest(listing, account, places)),
            Recall::Reader(..) => None,
        }
    }

    /// What is left on the server, if the last look at this listing found nothing to do and still
    /// holds.
    pub(super) async fn quiet(self, digest: Option<[u8; 32]>) -> Result<Option<Left>, PollError> {
        Ok(match (self, digest) {
            (Recall::Poll { account, context, .. }, Some(digest)) => {
                context.store.quiet(&account.name, digest, unix_now()).await?
            }
            _ => None,
        })
    }

    /// Whether the listing's sizes are worth asking for before it was looked at.
    pub(super) async fn expects_news(self) -> Result<bool, PollError> {
        Ok(match self {
            Recall::Poll { account, context, .. } => context.store.expects_news(&account.name).await?,
            Recall::Reader(..) => false,
        })
    }

    /// Whether an earlier session ended at this message.
    pub(super) fn is_suspect(self, key: &MessageKey) -> bool {
        matches!(self, Recall::Poll { suspects, .. } if suspects.contains(key))
    }

    /// This session has ended at a message.
    pub(super) fn suspect(self, key: MessageKey) {
        if let Recall::Poll { suspects, .. } = self {
            suspects.add(key);
        }
    }

    pub(super) async fn known(self, keys: &Arc<Vec<Option<MessageKey>>>) -> Result<Known, PollError> {
        match self {
            Recall::Poll { account, context, destinations, .. } => {
                lost::known(account, context, destinations, keys).await
            }
            Recall::Reader(look) => Ok(look.known(keys)?),
        }
    }

    /// What is known of messages that need not be listed.
    pub(super) async fn standings(self, keys: Vec<Option<MessageKey>>) -> Result<Vec<Option<Standing>>, PollError> {
        Ok(match self {
            Recall::Poll { account, context, .. } => {
                context.store.known(&account.name, Arc::new(keys), unix_now()).await?.standings
            }
            Recall::Reader(look) => look.reader.known(&look.name, &keys, unix_now())?.standings,
        })
    }

    /// What identifies messages besides their unique-ids.
    pub(super) async fn identities(self, keys: Vec<MessageKey>) -> Result<Vec<Option<Identity>>, PollError> {
        Ok(match self {
            Recall::Poll { account, context, .. } => context.store.identities(&account.name, keys).await?,
            Recall::Reader(look) => look.reader.identities(&look.name, &keys)?,
        })
    }

    pub(super) async fn missing(self, keys: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, PollError> {
        Ok(match self {
            Recall::Poll { account, context, .. } => context.store.missing(&account.name, keys).await?,
            Recall::Reader(look) => look.missing(&keys)?,
        })
    }
}
