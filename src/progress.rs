//! How far a poll is: counters that cost nothing when no client watches them.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// What a poll is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It has not begun.
    #[default]
    Waiting,
    /// Connecting and logging in.
    Connecting,
    /// Asking what is on the server.
    Listing,
    /// Receiving and delivering.
    Fetching,
    /// Deleting, and ending the session.
    Finishing,
    /// Over.
    Ended,
}

/// Counters of one poll.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    messages: AtomicU64,
    messages_total: AtomicU64,
    octets: AtomicU64,
    octets_total: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Snapshot {
    /// What it is doing.
    pub phase: Phase,
    /// Messages received.
    pub messages: u64,
    /// Messages to receive.
    pub messages_total: u64,
    /// Octets received.
    pub octets: u64,
    /// Octets to receive, as the server lists them.
    pub octets_total: u64,
}

impl Progress {
    /// Takes over the counters that another process reports for its poll.
    pub fn mirror(&self, snapshot: &Snapshot) {
        self.messages.store(snapshot.messages, Relaxed);
        self.octets.store(snapshot.octets, Relaxed);
        self.expect(snapshot.messages_total, snapshot.octets_total);
        self.enter(snapshot.phase);
    }

    /// Enters a phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    /// Sets what is going to be received.
    pub fn expect(&self, messages: u64, octets: u64) {
        self.messages_total.store(messages, Relaxed);
        self.octets_total.store(octets, Relaxed);
    }

    /// Counts octets that were received.
    pub fn add_octets(&self, octets: u64) {
        self.octets.fetch_add(octets, Relaxed);
    }

    /// Counts a message that is complete.
    pub fn add_message(&self) {
        self.messages.fetch_add(1, Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let phase = match self.phase.load(Relaxed) {
            0 => Phase::Waiting,
            1 => Phase::Connecting,
            2 => Phase::Listing,
            3 => Phase::Fetching,
            4 => Phase::Finishing,
            _ => Phase::Ended,
        };
        Snapshot {
            phase,
            messages: self.messages.load(Relaxed),
            messages_total: self.messages_total.load(Relaxed),
            octets: self.octets.load(Relaxed),
            octets_total: self.octets_total.load(Relaxed),
        }
    }
}
