//! A destination in use.

use std::sync::Arc;

use super::error::OutletError;
use super::health::Health;
use super::maildir::Maildir;
use super::smtp::{DeliveryError, Pool, SendError};
use super::verdict::Verdict;
use super::{Destination, Kind};
use crate::failure::describe;
use crate::header::Head;
use crate::spool::Spool;
use crate::threads;

/// A destination in use.
#[derive(Debug)]
pub struct Outlet {
    /// What it is.
    pub destination: Arc<Destination>,
    /// How messages get there.
    pub way: Way,
    /// Whether it is currently usable.
    pub health: Health,
}

/// How messages get to a destination; see the contract at the head of [`super`].
#[derive(Debug)]
pub enum Way {
    /// They are staged in a Maildir, which each poll opens for itself.
    Staged,
    /// They are handed over.
    HandedOver(Carrier),
}

/// What messages are handed over to: a variant for each kind.
#[derive(Debug)]
pub enum Carrier {
    /// Connections to an SMTP server.
    Smtp(Box<Pool>),
}

/// A message to be handed over.
#[derive(Clone, Copy, Debug)]
pub struct Shipment<'a> {
    /// What its header says.
    pub head: &'a Head,
    /// Trace fields that go in front of it.
    pub prefix: &'a [u8],
    /// The Message-ID that it gets if it has none.
    pub message_id: &'a str,
    /// Its octets.
    pub spool: &'a Spool,
}

/// Whether a destination has a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has the message.
    Yes,
    /// It does not have the message.
    No,
    /// That cannot be found out.
    CannotTell,
}

impl Outlet {
    /// A destination that is going to be used.
    pub fn new(destination: Arc<Destination>) -> Self {
        let way = match &destination.kind {
            Kind::Maildir(_) => Way::Staged,
            Kind::Smtp(settings) => Way::HandedOver(Carrier::Smtp(Box::new(Pool::new(settings.as_ref().clone())))),
        };
        Self { destination, way, health: Health::default() }
    }

    /// What messages are handed over to, if they are.
    pub fn carrier(&self) -> Option<&Carrier> {
        match &self.way {
            Way::Staged => None,
            Way::HandedOver(carrier) => Some(carrier),
        }
    }
}

impl Carrier {
    /// Messages that may be handed over at the same time.
    pub fn lanes(&self) -> usize {
        match self {
            Carrier::Smtp(pool) => pool.width(),
        }
    }

    /// Makes sure that messages can be handed over.
    ///
    /// # Errors
    /// They cannot.
    pub async fn probe(&self) -> Result<(), OutletError> {
        match self {
            Carrier::Smtp(pool) => Ok(pool.probe().await?),
        }
    }

    /// Hands a message over; [`Verdict`] says what that obliges the caller to do.
    pub async fn hand_over(&self, message: Shipment<'_>) -> Verdict {
        let Shipment { head, prefix, message_id, spool } = message;
        match self {
            Carrier::Smtp(pool) => match pool.send(head, prefix, message_id, spool).await {
                Ok(accepted) => Verdict::Delivered(accepted.reply),
                Err(DeliveryError::Unavailable(error)) => Verdict::Unusable(error.into()),
                Err(DeliveryError::Send(error)) => of_send_error(error),
            },
        }
    }

    /// Looks whether a message whose outcome is unknown has arrived.
    pub async fn look_up(&self, _message: Shipment<'_>) -> Found {
        match self {
            // RFC 1047: SMTP has no way to ask.
            Carrier::Smtp(_) => Found::CannotTell,
        }
    }

    /// Closes idle connections.
    pub async fn close(&self) {
        match self {
            Carrier::Smtp(pool) => pool.close().await,
        }
    }
}

fn of_send_error(error: SendError) -> Verdict {
    match error {
        SendError::Refused { reason } => Verdict::Refused(reason),
        SendError::Deferred { .. } => Verdict::Deferred(describe(&error)),
        SendError::Lost { outcome_unknown: true, source } => Verdict::Unknown(OutletError::Smtp(source.into())),
        SendError::Lost { outcome_unknown: false, source } => Verdict::Unusable(OutletError::Smtp(source.into())),
        SendError::Local(error) => Verdict::Unusable(OutletError::Spool(error)),
    }
}

/// Does everything at a destination that a delivery does, without delivering anything; `was_there`: messages have come
/// there before.  Returns what is worth knowing about it.
///
/// # Errors
/// A delivery would fail.
pub async fn rehearse(destination: &Destination, was_there: bool) -> Result<String, OutletError> {
    match &destination.kind {
        Kind::Maildir(settings) => {
            let settings = settings.clone();
            let way = threads::run(move || Maildir::open(&settings, was_there)?.rehearse()).await??;
            Ok(format!("can be written; messages are moved to new/ {way}"))
        }
        Kind::Smtp(settings) => {
            let client = Pool::new(settings.as_ref().clone()).connect().await?;
            let encryption = client.tls_version().unwrap_or("in clear");
            let text = format!("accepts us, {encryption}; extensions: {}", client.extensions().join(", "));
            client.quit().await;
            Ok(text)
        }
    }
}
