//! What became of a message that was handed over.

use super::error::OutletError;

/// What became of a message at one destination, and what that obliges the caller to do.
#[derive(Debug)]
pub enum Verdict {
    /// The destination has it, and says so with these words, which `history` shows.  The caller records that before
    /// anything else; the message is never handed over again.
    Delivered(String),
    /// The destination does not take this message now.  The caller tries it again later, and goes on with others.
    Deferred(String),
    /// The destination will never take this message, because of its content.  The caller leaves it to the operator, and
    /// goes on with others.
    Refused(String),
    /// The destination refuses this message, and does not say that its content is why.  The caller finds out whether
    /// others are treated alike: then the destination is the cause, else the message.
    Declined(Declined),
    /// The connection ended when the destination may have had the message already (RFC 1047).  If the caller cannot look
    /// the message up, it tries again later, and says that a second copy is possible.  It goes on with others, unless
    /// several end so.
    Unknown(OutletError),
    /// The connection ended at this message, which the destination has not got.  The caller tries it again later, and goes
    /// on with others, unless several end so.
    Broken(OutletError),
    /// The destination cannot be used, whatever the message is; it has not got this one.  The caller tries this and
    /// others again later.
    Unusable(OutletError),
}

/// A refusal that may be about the message or about the destination.
#[derive(Debug)]
pub struct Declined {
    /// What the destination says.
    pub error: OutletError,
    /// Equal for messages that are refused alike; `None`: it is known to take others.
    pub like: Option<String>,
    /// It speaks of all messages: one is enough, unless another one was accepted in the same poll.
    pub of_all: bool,
    /// It says that it will never take the message.
    pub for_good: bool,
}
