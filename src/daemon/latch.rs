//! Refused logins: a digest of what was refused tells whether it has changed since.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::poll::Account;

/// A digest of everything that a login depends on: server, user name, mechanism, secret.  `None`
/// if the secret cannot be had.
pub(super) async fn fingerprint(account: &Account) -> Option<[u8; 32]> {
    let secret = account.secret.read().await.ok()?;
    let mut settings = String::new();
    let _ = write!(settings, "{:?}\0{}\0{:?}\0", account.endpoint, account.username, account.auth);
    let mut hash = Sha256::new();
    hash.update(settings.as_bytes());
    hash.update(secret.fingerprint());
    Some(hash.finalize().into())
}
