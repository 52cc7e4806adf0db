//! Why something is done with a message, in the words that `postrider list` shows.

use std::fmt;

use crate::message::UnixTime;
use crate::text::local_time;

/// Why a step was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum Reason {
    New,
    Unfinished,
    Over,
    Kept,
    RetentionOver,
    RetentionUntil(UnixTime),
    Ignored,
    HeaderOnly,
    TooLarge { octets: u64, limit: u64 },
    EnoughForNow,
    Deferred(UnixTime),
    Unconfirmed,
    Quarantined,
    NoUniqueId,
    ByContent,
    Reappeared,
    Shared,
    Reused,
    Unclear,
    Unconfirmable,
    Unproven,
    Doubtful,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |at: &UnixTime| local_time(*at);
        match self {
            Reason::New => f.write_str("new"),
            Reason::Unfinished => f.write_str("not yet delivered everywhere"),
            Reason::Over => f.write_str("delivered; the other destinations are no longer the account's"),
            Reason::Kept => f.write_str("delivered; retention is keep"),
            Reason::RetentionOver => f.write_str("delivered, and its retention is over"),
            Reason::RetentionUntil(at) => write!(f, "delivered; kept until {}", time(at)),
            Reason::Ignored => f.write_str("was there before the first poll (initial)"),
            Reason::HeaderOnly => f.write_str("larger than max-size; its header was delivered"),
            Reason::TooLarge { octets, limit } => write!(f, "{octets} octets, above max-size ({limit})"),
            Reason::EnoughForNow => f.write_str("max-messages is reached; it waits for the next poll"),
            Reason::Deferred(until) => write!(f, "its delivery failed; next try after {}", time(until)),
            Reason::Unconfirmed => f.write_str("perhaps in a Maildir that is not there now"),
            Reason::Quarantined => f.write_str("in quarantine"),
            Reason::NoUniqueId => f.write_str("the server gives it no usable unique-id, and it is not to be deleted"),
            Reason::ByContent => f.write_str("without a unique-id; its content tells whether it is new"),
            Reason::Reappeared => {
                f.write_str("it was deleted and is listed again; its content tells whether it is new")
            }
            Reason::Reused => f.write_str("new; the server has given it the unique-id of an older message"),
            Reason::Unclear => {
                f.write_str("its unique-id may be another message's; its content tells whether it is new")
            }
            Reason::Unconfirmable => {
                f.write_str("its retention is over, but nothing proves that it is the message that was delivered")
            }
            Reason::Unproven => {
                f.write_str("its retention is over; its header matches, and its content tells whether it was delivered")
            }
            Reason::Doubtful => {
                f.write_str("delivered according to its header, but not confirmed by its content: it is never deleted")
            }
            Reason::Shared => f.write_str("delivered; kept until all messages with its unique-id are"),
        }
    }
}
