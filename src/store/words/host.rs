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

/// What is remembered of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMemory {
    /// What it announces before the login, a line each, and when it was asked.
    pub capabilities: Option<(Vec<String>, UnixTime)>,
    /// Until when it gets one command at a time.
    pub lock_step_until: UnixTime,
    /// What else it was found not to stand, bits that mean something to who sets them, and until when that is believed.
    pub lessons: (u32, UnixTime),
}
