//! What holds where a key with a number, a time or a switch is not there.  For words it is the `Default` of their type.

use std::time::Duration;

/// Polls at the same time.
pub(super) const MAX_CONCURRENT_POLLS: usize = 100;
/// Those at one host: fewer than servers commonly allow.
pub(super) const MAX_POLLS_PER_HOST: usize = 10;
/// An account is polled.
pub(super) const ENABLED: bool = true;
/// A `Received:` header is put before each message.
pub(super) const RECEIVED_HEADER: bool = true;
/// Time between polls.
pub(super) const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// How long messages are remembered that the server has no more.
pub(super) const HISTORY: Duration = Duration::from_secs(180 * 86_400);
/// Silence of a server that ends a connection.
pub(super) const TIMEOUT: Duration = Duration::from_secs(60);
/// Time that a poll may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(60 * 60);
