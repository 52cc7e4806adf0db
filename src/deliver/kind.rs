//! What a kind of destination says about itself.

use std::path::Path;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::carrier::Carrier;
use super::error::OutletError;
use crate::credential::SecretSource;
use crate::message::Name;
use crate::net::Endpoint;
use crate::plan::Place;

/// The settings of a kind of destination.
pub trait Settings {
    /// The place that it leads to, as the state knows it, under this name and from the machine with this instance word.
    fn place(&self, destination: Name, machine: &str) -> Place;

    /// What it is, in one line for people.
    fn summary(&self) -> String;

    /// What other parts of the program need to know of it.
    fn facts(&self) -> Facts<'_>;

    /// What messages are handed over to; `None`: they are staged in a Maildir.
    fn carrier(&self) -> Option<Box<dyn Carrier>>;

    /// Does everything that a delivery does, without delivering anything; `was_there`: messages have come there before.
    /// Returns what the operator should know about it.
    ///
    /// # Errors
    /// A delivery would fail.
    fn rehearse(&self, was_there: bool) -> BoxFuture<'_, Result<String, OutletError>>;
}

/// What other parts of the program need to know of a destination.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'s> {
    /// The path of this machine that it writes to: no two destinations may have the same, and the service's unit must
    /// allow it.
    pub writes_to: Option<&'s Path>,
    /// The server that it connects to.
    pub endpoint: Option<&'s Endpoint>,
    /// How long it may be silent.
    pub timeout: Option<Duration>,
    /// Where the secret that it logs in with comes from.
    pub secret: Option<&'s SecretSource>,
    /// `Delivered-To` fields get another name on the way there.
    pub renames_delivered_to: bool,
}
