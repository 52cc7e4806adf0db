//! A destination in use.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::Destination;
use super::carrier::{Carrier, Shipment};
use super::health::Health;
use super::verdict::Verdict;
use crate::credential;
use crate::failure::Class;

/// A destination in use.
#[derive(Debug)]
pub struct Outlet {
    /// Its settings.
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
    HandedOver(Lanes),
}

/// A carrier with its lanes, which all polls share.
#[derive(Debug)]
pub struct Lanes {
    carrier: Box<dyn Carrier>,
    free: Semaphore,
}

impl Outlet {
    /// Prepares a destination for use.
    pub fn new(destination: Arc<Destination>) -> Self {
        let way = match destination.settings().carrier() {
            None => Way::Staged,
            Some(carrier) => Way::HandedOver(Lanes { free: Semaphore::new(carrier.lanes()), carrier }),
        };
        Self { destination, way, health: Health::default() }
    }

    /// Distinguishes its settings from others, and after a refused login the secret too, which is stretched; `None`: that
    /// cannot be read.
    pub async fn mark(&self, salt: &str, class: Class) -> Option<[u8; 32]> {
        let settings = format!("{:?}", self.destination.kind);
        match self.destination.settings().facts().secret.filter(|_| class == Class::LoginRefused) {
            Some(source) => credential::fingerprint(salt, settings, source.read().await.ok()?.fingerprint()).await,
            None => Some(*blake3::hash(format!("{salt}\0{settings}").as_bytes()).as_bytes()),
        }
    }

    /// The carrier that messages are handed over to, if they are not staged.
    pub fn carrier(&self) -> Option<&dyn Carrier> {
        match &self.way {
            Way::Staged => None,
            Way::HandedOver(lanes) => Some(&*lanes.carrier),
        }
    }
}

impl Lanes {
    /// Hands a message over as soon as a lane is free; [`Verdict`] says what the caller has to do then.
    pub async fn hand_over(&self, message: Shipment<'_>) -> Verdict {
        // It is never closed.
        let _lane = self.free.acquire().await;
        self.carrier.hand_over(message).await
    }

    /// The carrier.
    pub fn carrier(&self) -> &dyn Carrier {
        &*self.carrier
    }
}
