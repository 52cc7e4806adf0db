//! What messages are handed over to.

use std::fmt::Debug;
use std::sync::Arc;

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::error::OutletError;
use super::verdict::Verdict;
use crate::header::Head;
use crate::spool::Spool;

/// A message to be handed over.
#[derive(Clone, Copy, Debug)]
pub struct Shipment<'a> {
    /// What its header says.
    pub head: &'a Head,
    /// Trace fields that go in front of it.  Their lines end in LF.
    pub prefix: &'a [u8],
    /// The Message-ID, in angle brackets, that the carrier adds if the header has none.
    pub message_id: &'a str,
    /// Its octets, without the prefix.  Their lines end in LF.
    pub spool: &'a Arc<Spool>,
}

/// Whether a destination has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has it.
    Yes,
    /// It does not have it.
    No,
    /// This cannot be determined.
    CannotTell,
}

/// Whether messages can be handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probed {
    /// They can.
    Works,
    /// Only a message shows it.
    Unclear,
}

/// A destination that messages are handed over to; all polls share it.  The contract is at the head of [`super`].
pub trait Carrier: Debug + Send + Sync {
    /// How many messages may be handed over at the same time, by all polls together.
    fn lanes(&self) -> usize {
        1
    }

    /// Makes sure that messages can be handed over.  A folder that `was_there` is not made again: it may be on a disk
    /// that is not mounted now.  `has_failed`: the destination did not work when it was used last, so a closer look is
    /// worth its time.  If that is unclear, the caller tries a single message.
    ///
    /// # Errors
    /// They cannot.
    fn probe(&self, was_there: bool, has_failed: bool) -> BoxFuture<'_, Result<Probed, OutletError>>;

    /// Hands a message over; [`Verdict`] says what the caller has to do then.
    fn hand_over<'a>(&'a self, message: Shipment<'a>) -> BoxFuture<'a, Verdict>;

    /// Finds out whether a message whose outcome is unknown has arrived.
    fn look_up<'a>(&'a self, _message: Shipment<'a>) -> BoxFuture<'a, Found> {
        ready(Found::CannotTell).boxed()
    }

    /// Ends idle connections.
    fn close(&self) -> BoxFuture<'_, ()> {
        ready(()).boxed()
    }
}
