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
    /// The destination refuses this message, and does not say that its content is why.  The caller tries it again later,
    /// in the end leaves it to the operator, and goes on with others, unless several are refused alike.
    Declined {
        /// What it says.
        error: OutletError,
        /// Equal for messages that are refused alike.
        like: String,
    },
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
