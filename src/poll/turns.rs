//! Which accounts are being polled, so that no poll takes away what another one is writing.
//!
//! An account whose mailbox is known under another account's name takes over that part of the state
//! (`poll/mailbox.rs`).  It must not do so while a poll that began under the old configuration is using it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, OwnedMutexGuard};

use crate::message::Name;

/// The accounts that are being polled by this process.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    polled: Arc<Mutex<HashMap<Name, usize>>>,
    ended: Arc<Notify>,
    /// Held while an account's part of the state may move.
    moving: Arc<tokio::sync::Mutex<()>>,
}

/// An account is being polled as long as this lives.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    account: Name,
}

impl Turns {
    /// Until this is dropped, no other account's part of the state moves.
    pub(super) async fn moving(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.moving).lock_owned().await
    }

    /// Whether an account is being polled.
    pub(super) fn is_polled(&self, account: &str) -> bool {
        self.lock().keys().any(|polled| polled.as_str() == account)
    }

    /// From now on an account is being polled.
    pub(super) fn begin(&self, account: &Name) -> Turn {
        *self.lock().entry(account.clone()).or_default() += 1;
        Turn { turns: self.clone(), account: account.clone() }
    }

    /// The end of any poll after this call.
    pub(super) fn ended(&self) -> Notified<'_> {
        self.ended.notified()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, usize>> {
        self.polled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut polled = self.turns.lock();
        if let Some(count) = polled.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                polled.remove(&self.account);
            }
        }
        drop(polled);
        self.turns.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        Name::new(name).expect("a name")
    }

    #[tokio::test]
    async fn an_account_is_polled_until_its_last_poll_ends_and_that_is_told() {
        let turns = Turns::default();
        let (first, second) = (turns.begin(&name("a")), turns.begin(&name("a")));
        drop(first);
        assert!(turns.is_polled("a") && !turns.is_polled("b"));
        let ended = turns.ended();
        drop(second);
        ended.await;
        assert!(!turns.is_polled("a"));
    }
}
