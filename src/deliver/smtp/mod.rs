//! Delivery by SMTP (RFC 5321): each message to every recipient, or to none.
//!
//! [`Client`] keeps one connection and sends messages through it.  What is refused is distinguished
//! from what is put off and from what is unknown ([`SendError`]): nothing is lost, and a message can
//! be sent twice only if the final reply was lost (RFC 1047).
//!
//! The commands, their quoting, the login and the replies are lettre's (`AsyncSmtpConnection`; its
//! transport and pool are not used, since a cancelled send would put a half-used connection back).
//! What lettre leaves open is done here: `opening` greets and encrypts; `wire` bounds what a
//! server may say and how long it may take; `body` makes the message safe for DATA.
//!
//! An eight-bit message is announced if the server has 8BITMIME and sent as it is if it has not:
//! every server since the nineties takes it, and converting it would change what was signed.

mod body;
mod client;
mod command;
mod dialogue;
mod envelope;
mod error;
mod extensions;
mod kind;
mod opening;
mod pool;
mod refusal;
mod rehearsal;
mod reply;
mod trouble;
mod wire;

use std::time::Duration;

use crate::credential::SecretSource;
use crate::net::Endpoint;

pub use body::Converter;
pub use client::{Accepted, Client};
pub use error::{At, Because, SendError, SmtpError};
pub use extensions::Extensions;
pub use pool::{DeliveryError, Pool, UnavailableError};
pub use reply::{Replies, Reply};
pub use trouble::Trouble;

/// Settings of an SMTP destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub endpoint: Endpoint,
    /// User name and password, if it wants a login.
    pub login: Option<(String, SecretSource)>,
    /// Whom the mail is for: at least one address.
    pub recipients: Vec<String>,
    /// The envelope's sender; `None`: the message's own (Return-Path, or else From).  An empty
    /// string is the null sender.
    pub sender: Option<String>,
    /// What becomes of the message's `Delivered-To` fields.
    pub delivered_to: DeliveredTo,
    /// The name in EHLO; `None`: this host's.
    pub hello: Option<String>,
    /// Silence that ends the connection; RFC 5321 §4.5.3.2 sets the floor for single steps.
    pub timeout: Duration,
}

/// What becomes of `Delivered-To` fields on the way to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeliveredTo {
    /// They become `X-Original-Delivered-To`: a server that finds its own field in a message takes that for a loop.
    #[default]
    Rename,
    /// They are passed on as they are.
    Keep,
}
