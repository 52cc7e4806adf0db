//! The values of absent keys that take a number, a time or a switch.  For words it is the `Default` of their type.

use std::time::Duration;

/// Concurrent polls.
pub(super) const MAX_CONCURRENT_POLLS: usize = 100;
/// Concurrent polls at one host: fewer than servers commonly allow.
pub(super) const MAX_POLLS_PER_HOST: usize = 10;
/// Whether From, Subject and Date are kept in the state.
pub(super) const RECORD_HEADERS: bool = true;
/// Whether an account is polled.
pub(super) const ENABLED: bool = true;
/// Whether a `Received:` header is put before each message.
pub(super) const RECEIVED_HEADER: bool = true;
/// Time between polls.
pub(super) const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How long messages that the server no longer has are remembered.
pub(super) const HISTORY: Duration = Duration::from_secs(180 * 86_400);
/// How long a server may be silent before the connection is ended.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a poll may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(60 * 60);
