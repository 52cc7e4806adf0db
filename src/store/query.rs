//! All that the state can be asked, in the domain's words.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::StoreError;
use super::words::{
    AccountMemory, Backlog, Binding, Content, DeliveryTokens, Doubted, FoundFile, Host, HostMemory, Known, LastLogin,
    Lost, StagedDelivery,
};
use crate::message::{MessageKey, Name, Origin, UnixTime};
use crate::plan::{Identity, Left, Missing, Place, Standing};

/// Where an answer is sent.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A question, with where its answer is sent; each is explained at the method of [`super::Store`] that asks it.
pub(super) enum Query {
    Known {
        account: Name,
        keys: Arc<Vec<Option<MessageKey>>>,
        stale: UnixTime,
        reply: Reply<Known>,
    },
    Standing {
        account: Name,
        key: MessageKey,
        reply: Reply<Option<Standing>>,
    },
    Missing {
        account: Name,
        listed: Vec<Option<MessageKey>>,
        reply: Reply<Vec<Missing>>,
    },
    Identities {
        account: Name,
        keys: Vec<MessageKey>,
        reply: Reply<Vec<Option<Identity>>>,
    },
    ByContent {
        account: Name,
        contents: Vec<Content>,
        reply: Reply<Vec<Vec<MessageKey>>>,
    },
    /// What was left, when that was seen, and when time alone may have changed it.
    Quiet {
        account: Name,
        digest: [u8; 32],
        reply: Reply<Option<(Left, UnixTime, UnixTime)>>,
    },
    ExpectsNews {
        account: Name,
        reply: Reply<bool>,
    },
    Staged {
        account: Option<Name>,
        reply: Reply<Vec<StagedDelivery>>,
    },
    Binding {
        account: Name,
        reply: Reply<Binding>,
    },
    KnownAs {
        account: Name,
        mailbox: String,
        others: Arc<[(Name, String)]>,
        reply: Reply<Option<String>>,
    },
    Alike {
        account: Name,
        mailbox: String,
        others: Arc<[(Name, String)]>,
        deliver: Vec<Place>,
        reply: Reply<Option<String>>,
    },
    Familiar {
        mailbox: String,
        others: Arc<[(Name, String)]>,
        deliver: Vec<Place>,
        keys: Arc<Vec<Option<MessageKey>>>,
        reply: Reply<Option<String>>,
    },
    Origins {
        account: Name,
        reply: Reply<Vec<Origin>>,
    },
    NeverMeantFor {
        account: Name,
        destination: Name,
        reply: Reply<u64>,
    },
    Remembered {
        since: UnixTime,
        reply: Reply<Vec<(Name, AccountMemory)>>,
    },
    LastLogin {
        account: Name,
        reply: Reply<LastLogin>,
    },
    Told {
        account: Name,
        reply: Reply<Option<String>>,
    },
    Host {
        host: Host,
        reply: Reply<HostMemory>,
    },
    Suspects {
        account: Name,
        reply: Reply<Vec<MessageKey>>,
    },
    Doubted {
        account: Name,
        reply: Reply<Vec<Doubted>>,
    },
    Backlog {
        reply: Reply<Backlog>,
    },
    IsBlank {
        reply: Reply<bool>,
    },
    Lost {
        account: Name,
        reply: Reply<Lost>,
    },
    Knows {
        maildir: PathBuf,
        reply: Reply<bool>,
    },
    Maildirs {
        reply: Reply<Vec<PathBuf>>,
    },
    IsUnread {
        maildir: PathBuf,
        reply: Reply<bool>,
    },
    Files {
        tokens: Vec<String>,
        reply: Reply<HashMap<String, Vec<(PathBuf, FoundFile)>>>,
    },
    Tokens {
        of_message: fn(&Origin, &MessageKey) -> String,
        of_file: fn(&str) -> Option<String>,
        reply: Reply<DeliveryTokens>,
    },
    Forgotten {
        reply: Reply<Option<UnixTime>>,
    },
    /// `None`: they are not recorded, and some may still be in the file.
    RecordsHeadings {
        reply: Reply<Option<bool>>,
    },
}
