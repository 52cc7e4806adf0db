//! postrider fetches mail from POP3 mailboxes and delivers it.
#![deny(unsafe_code)]

pub mod config;
pub mod credential;
pub mod deliver;
pub mod failure;
pub mod header;
pub mod message;
pub mod net;
pub mod plan;
pub mod poll;
pub mod pop3;
pub mod sasl;
pub mod secret;
pub mod spool;
pub mod store;
pub mod text;
pub mod trace;
