//! What is remembered of servers.

use crate::message::UnixTime;

/// A server: its host, its port, and whether the connection is encrypted from the first octet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// A name or an address.
    pub name: String,
    /// The port.
    pub port: u16,
    /// TLS from the first octet.
    pub is_encrypted: bool,
}

/// What is remembered of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// What it announces before the login, a line each, and when it was asked.
    pub capabilities: Option<(Vec<String>, UnixTime)>,
    /// Until when it gets one command at a time.
    pub lock_step_until: UnixTime,
    /// What else it was found unable to handle, as bits whose meaning the caller defines, and until when that holds.
    pub lessons: (u32, UnixTime),
    /// What its replies look like, in a word of the caller.
    pub replies: Option<String>,
}
