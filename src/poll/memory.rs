//! What the state is asked while a listing is taken: by a poll through the [`Store`], by a look
//! at the mailbox through a [`Reader`] beside it.

use crate::message::{MessageKey, Name};
use crate::plan::Missing;
use crate::store::{Known, Reader, Store, StoreError};

/// An account's part of the state.
#[derive(Clone, Copy, Debug)]
pub enum Memory<'a> {
    /// Of a process that may write.
    Store(&'a Store, &'a Name),
    /// Of one that only looks.
    Reader(&'a Reader, &'a Name),
}

impl Memory<'_> {
    pub(super) async fn known(self, keys: Vec<Option<MessageKey>>) -> Result<Known, StoreError> {
        match self {
            Memory::Store(store, account) => store.known(account, keys).await,
            Memory::Reader(reader, account) => reader.known(account, &keys),
        }
    }

    pub(super) async fn missing(self, keys: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, StoreError> {
        match self {
            Memory::Store(store, account) => store.missing(account, keys).await,
            Memory::Reader(reader, account) => reader.missing(account, &keys),
        }
    }
}
