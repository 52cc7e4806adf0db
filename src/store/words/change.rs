//! What can change in the state, in the domain's words.

use std::sync::Arc;

use super::account::{AccountMemory, LastLogin, Quiet};
use super::destination::DestinationTrouble;
use super::host::{Host, HostMemory};
use super::known::Renamed;
use super::lost::LostChange;
use super::staged::{Resolution, StagedDelivery};
use crate::header::Heading;
use crate::message::{Fingerprint, MessageKey, Name};
#[cfg(doc)]
use crate::plan::Patience;
use crate::plan::{Place, Prune};

/// One change.
#[derive(Clone, Debug)]
pub enum Change {
    /// The account leads to this mailbox.
    Bind {
        /// The account.
        account: Name,
        /// The mailbox: host, port, username and the way to it.
        mailbox: String,
        /// The mailboxes that the accounts of the configuration lead to.
        others: Arc<[(Name, String)]>,
    },
    /// The account, with all that is known of it, has another name.
    RenameAccount {
        /// Its former name.
        from: Name,
        /// Its name from now on.
        to: Name,
    },
    /// It was reported that the account's server has no TOP.
    TellBySize {
        /// The account.
        account: Name,
    },
    /// The destinations that the account's mail is decided for from now on.
    DecideFor {
        /// The account.
        account: Name,
        /// Its destinations.
        deliver: Vec<Name>,
    },
    /// An account's first poll: these messages are left alone for ever.
    Begin {
        /// The account.
        account: Name,
        /// Messages to ignore.
        ignored: Vec<MessageKey>,
    },
    /// Messages that are received and safe in `tmp/` or about to be sent.
    Stage {
        /// The account.
        account: Name,
        /// The messages.
        messages: Vec<Stage>,
        /// The account's destinations: a message that was only tried at another place is no longer owed there.
        places: Vec<Place>,
    },
    /// How deliveries ended.
    Settle {
        /// The account.
        account: Name,
        /// The deliveries.
        outcomes: Vec<Settled>,
    },
    /// Messages that all destinations of their account have: what is owed to other places is given up.
    Close {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
    },
    /// The server confirmed the deletion of messages.
    Delete {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
    },
    /// Messages that the account is to leave alone from now on.
    Ignore {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
    },
    /// Messages that share their unique-id with another one, and of which nothing else is known yet: the record that
    /// they were there shows later that one of them has gone.
    Seen {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
    },
    /// Whether known messages are in the listing.
    Sight {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
        /// They are.
        listed: bool,
    },
    /// The server has given the unique-ids of these messages to others, or may have.
    SetApart {
        /// The account.
        account: Name,
        /// What each was known by, and what it is known by from now on ([`MessageKey::apart`]).
        keys: Vec<(MessageKey, MessageKey)>,
    },
    /// What LIST says of messages.
    Listed {
        /// The account.
        account: Name,
        /// The messages with their sizes.
        sizes: Vec<(MessageKey, u64)>,
    },
    /// Messages have other unique-ids now.
    Rename {
        /// The account.
        account: Name,
        /// The messages.
        renamed: Vec<Renamed>,
    },
    /// The content of messages proves or refutes that they are the ones that were delivered.
    Confirm {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
        /// The content is the same.
        same: bool,
    },
    /// Whether the account's unique-ids have changed, and not all are matched yet.
    Migrate {
        /// The account.
        account: Name,
        /// They have.
        migrating: bool,
    },
    /// A session has retrieved every message of a server without unique-ids: what is known by
    /// its content and was not among them is gone.
    Retrieved {
        /// The account.
        account: Name,
        /// The messages that were among them.
        keys: Vec<MessageKey>,
    },
    /// The same messages are listed again after their deletion was confirmed.
    Reappear {
        /// The account.
        account: Name,
        /// The messages.
        keys: Vec<MessageKey>,
    },
    /// The program crashed while it handled messages.
    Crash {
        /// The account.
        account: Name,
        /// The messages, and whether it was for the second time in a row.
        deaths: Vec<(MessageKey, bool)>,
        /// The account's destinations.
        places: Vec<Place>,
    },
    /// A session ended at messages.
    SessionEnd {
        /// The account.
        account: Name,
        /// The messages that may be the cause.
        keys: Vec<MessageKey>,
        /// The account's destinations.
        places: Vec<Place>,
        /// How it ended.
        cause: String,
    },
    /// What became of staged deliveries that an earlier process left behind.
    Resolve(Vec<(StagedDelivery, Resolution)>),
    /// How an account's polls go.
    Remember {
        /// The account.
        account: Name,
        /// What to remember.
        memory: AccountMemory,
    },
    /// What is known of the password that the account logged in with last.
    Worked {
        /// The account.
        account: Name,
        /// What is known.
        login: LastLogin,
    },
    /// Which mail that stays on the server for good was reported.
    Tell {
        /// The account.
        account: Name,
        /// The marks of all such mail, one per line.
        told: String,
    },
    /// What was learnt of a server.
    Host {
        /// The server.
        host: Host,
        /// All that is remembered of it from now on.
        memory: HostMemory,
    },
    /// A destination does not work.
    DestinationFails(DestinationTrouble),
    /// A destination does not fail now, and no message was there to prove that it works: the failure is forgotten unless
    /// messages wait there.
    DestinationIdle {
        /// Its name.
        name: Name,
    },
    /// A destination works, or has other settings now: what was put off there is due.
    DestinationWorks {
        /// Its name.
        name: Name,
    },
    /// A change to lost states.
    Lost(LostChange),
    /// A look at an account's listing left nothing to do.
    Quiet {
        /// The account.
        account: Name,
        /// The look.
        quiet: Quiet,
    },
    /// Messages that have been gone from the server for a long time are forgotten.
    Prune {
        /// The account.
        account: Name,
        /// How many messages, and how long they must have been gone.
        prune: Prune,
        /// Deleted messages that the server still lists: these are kept.
        listed: Vec<MessageKey>,
    },
    /// Whether headings are recorded from now on; if not, those on record are removed.
    RecordHeadings(bool),
    /// Quarantined messages are tried again or given up.
    Release {
        /// The account.
        account: Name,
        /// One message; `None`: all of the account.
        key: Option<MessageKey>,
        /// Whether they are tried again or given up.
        release: Release,
    },
}

/// Whose messages a change may concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Concern<'a> {
    Nothing,
    Account(&'a Name),
    All,
}

impl Change {
    /// Whose messages it may concern.
    pub(in crate::store) fn concern(&self) -> Concern<'_> {
        match self {
            // A forgotten message is in no listing whose digest is on record.
            Self::Prune { .. }
            | Self::Remember { .. }
            | Self::Quiet { .. }
            | Self::Host { .. }
            | Self::Worked { .. }
            | Self::Tell { .. }
            | Self::RecordHeadings(_)
            | Self::TellBySize { .. }
            // Its own accounts are looked up (destination.rs).
            | Self::DestinationWorks { .. }
            | Self::DestinationIdle { .. }
            | Self::DestinationFails(_) => Concern::Nothing,
            Self::Resolve(_) | Self::Lost(_) => Concern::All,
            Self::RenameAccount { from: account, .. }
            | Self::Stage { account, .. }
            | Self::Bind { account, .. }
            | Self::DecideFor { account, .. }
            | Self::Begin { account, .. }
            | Self::Settle { account, .. }
            | Self::Close { account, .. }
            | Self::Delete { account, .. }
            | Self::Ignore { account, .. }
            | Self::Seen { account, .. }
            | Self::Sight { account, .. }
            | Self::SetApart { account, .. }
            | Self::Listed { account, .. }
            | Self::Rename { account, .. }
            | Self::Confirm { account, .. }
            | Self::Migrate { account, .. }
            | Self::Retrieved { account, .. }
            | Self::Reappear { account, .. }
            | Self::Crash { account, .. }
            | Self::SessionEnd { account, .. }
            | Self::Release { account, .. } => Concern::Account(account),
        }
    }
}

/// A message on its way, with all of its destinations.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The message.
    pub key: MessageKey,
    /// Octets as stored, without trace headers.
    pub octets: u64,
    /// BLAKE3 of the same.
    pub digest: [u8; 32],
    /// Its size by LIST, if LIST gave one.
    pub listed: Option<u64>,
    /// Its Message-ID, if it has one.
    pub message_id: Option<String>,
    /// The digest of its header, if that identifies it.
    pub fingerprint: Option<Fingerprint>,
    /// What people know it by.
    pub heading: Heading,
    /// Whether this is only the header of a larger message.
    pub header_only: bool,
    /// Its destinations, each once.
    pub targets: Vec<Target>,
}

/// One destination of a message on its way.
#[derive(Clone, Debug)]
pub struct Target {
    /// The destination.
    pub place: Place,
    /// How far it is.
    pub state: TargetState,
}

/// How far a message is at a destination when its batch is made durable.
#[derive(Clone, Debug)]
pub enum TargetState {
    /// In the Maildir's `tmp` under this name.
    Staged(String),
    /// About to be sent.
    Sending,
    /// It failed before; tried again later.
    Deferred(String),
}

/// How one delivery ended.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The message.
    pub key: MessageKey,
    /// The destination.
    pub place: Place,
    /// How it ended.
    pub ending: Ending,
}

/// The endings of a delivery.
#[derive(Clone, Debug)]
pub enum Ending {
    /// It is there: the file's name, or the server's reply.
    Delivered(String),
    /// It is tried again later, and why.
    Deferred(String),
    /// Its destination does not work, and why: it is tried as soon as that one is tried again.
    NotTried(String),
    /// The server does not hand it out now, and why: it is tried again later.
    NotNow(String),
    /// The server does not hand it out, and why: it is tried again later, but after some attempts no longer
    /// automatically ([`Patience`]).
    NotRetrieved(String),
    /// The destination refuses it, or the connection ends at it, and how; the message may be the cause: the same.
    Suspect(String),
    /// The destination treats other messages alike, and how: it is tried again later, after others.
    Doubted(String),
    /// Refused for good, and why.
    Quarantined(String),
}

/// What the operator wants with quarantined messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Try again.
    Retry,
    /// Give up; the message counts as done.
    Skip,
}
