//! postrider fetches mail from POP3 mailboxes and delivers it.
#![deny(unsafe_code)]

pub mod cli;
pub mod config;
pub mod credential;
pub mod daemon;
pub mod deliver;
pub mod failure;
pub mod header;
pub mod log;
pub mod message;
pub mod net;
pub mod plan;
pub mod poll;
pub mod pop3;
pub mod sasl;
pub mod schedule;
pub mod secret;
pub mod spool;
pub mod store;
pub mod text;
pub mod trace;
