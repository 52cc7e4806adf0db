//! Where messages go: one file and one variant for each kind of destination.
//!
//! A [`Destination`] is what the configuration says; an [`Outlet`] is one in use, shared by all
//! polls that deliver to it.

mod health;
pub mod maildir;
pub mod smtp;

use std::sync::Arc;

pub use health::{Health, Lapse};

use crate::message::Name;
use crate::plan::Place;

/// A named destination of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of destinations, with their settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Maildir on this machine.
    Maildir(maildir::Settings),
    /// A server that takes the mail by SMTP.
    Smtp(Box<smtp::Settings>),
}

impl Destination {
    /// Where it leads as the state knows it, from the machine of this instance word.
    pub fn place(&self, machine: &str) -> Place {
        let name = self.name.clone();
        match &self.kind {
            Kind::Maildir(settings) => Place::maildir(name, &settings.path, machine),
            Kind::Smtp(settings) => {
                Place::server(name, "smtp", settings.endpoint.shown(), &settings.recipients.join(","))
            }
        }
    }
}

/// A destination in use.
#[derive(Debug)]
pub struct Outlet {
    /// What it is.
    pub destination: Arc<Destination>,
    /// Its connections, if it is a server.
    pub smtp: Option<smtp::Pool>,
    /// How it does.
    pub health: Health,
}

impl Outlet {
    /// A destination that is going to be used.
    pub fn new(destination: Arc<Destination>) -> Self {
        let smtp = match &destination.kind {
            Kind::Maildir(_) => None,
            Kind::Smtp(settings) => Some(smtp::Pool::new(settings.as_ref().clone())),
        };
        Self { destination, smtp, health: Health::default() }
    }
}
