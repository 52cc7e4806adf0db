//! What is remembered of an account: how its polls went, and what it was polled with.

use crate::message::UnixTime;
use crate::plan::Left;

/// What is remembered of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountMemory {
    /// Failed polls in a row.
    pub failures: u32,
    /// Refused logins in a row.
    pub refusals: u32,
    /// No poll before this.
    pub not_before: UnixTime,
    /// When its last poll ended well.
    pub last_success: Option<UnixTime>,
    /// What was wrong with its last poll.
    pub error: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// The kind of the error, as an exit code; 0: none.
    pub exit_code: u8,
    /// While its login is refused, shows whether the settings or the secret have changed since.
    pub refused: Option<[u8; 32]>,
    /// Messages that waited for the next poll after the last one (`max-messages`).
    pub waiting: u64,
    /// Messages that were left because of their size.
    pub too_large: u64,
    /// Messages that are left since they were there first (`initial`).
    pub ignored: u64,
    /// Messages delivered since a time that the caller chose; only read.
    pub delivered: u64,
    /// Messages in quarantine; only read.
    pub quarantined: u64,
}

/// What is known of the password that an account logged in with last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastLogin {
    /// Distinguishes it from most others; `None`: no password has worked yet, or the one that did is refused for good.
    pub mark: Option<u8>,
    /// How many times in a row that very password was refused since.
    pub doubts: u32,
}

/// A look at a listing that left nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// Distinguishes this listing and the settings that matter from others.
    pub digest: [u8; 32],
    /// When time alone may change what is to be done.
    pub until: UnixTime,
    /// What is left on the server.
    pub left: Left,
    /// [`super::Known::revision`] of the state that was looked at.
    pub revision: i64,
}

/// What is known under an account's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The mailbox that it was polled at; `None`: not known.
    pub mailbox: Option<String>,
    /// Messages on record.
    pub messages: u64,
    /// No mail is known: only how its polls went is recorded, or that its state was lost.
    pub is_blank: bool,
    /// Its state was lost.
    pub is_lost: bool,
}

/// What an account was polled with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The mailbox, as [`crate::store::Change::Bind`] had it; `None`: not known.
    pub mailbox: Option<String>,
    /// The destinations that its mail was decided for; `None`: not known.
    pub deliver: Option<Vec<String>>,
    /// It was reported that the server has no TOP, and that sizes count instead.
    pub by_size: bool,
}
