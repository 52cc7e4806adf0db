//! Delivery by SMTP.

use std::time::Duration;

use crate::credential::SecretSource;
use crate::net::Endpoint;

/// Settings of an SMTP destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The server.
    pub endpoint: Endpoint,
    /// User name and password, if it wants a login.
    pub login: Option<(String, SecretSource)>,
    /// Whom the mail is for: at least one address.
    pub recipients: Vec<String>,
    /// The envelope's sender; `None`: the message's own (Return-Path, else From).  An empty
    /// string is the null sender.
    pub sender: Option<String>,
    /// The name in EHLO; `None`: this host's.
    pub hello: Option<String>,
    /// Silence that ends the connection; RFC 5321 §4.5.3.2 sets the floor for single steps.
    pub timeout: Duration,
}
