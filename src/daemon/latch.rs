//! Refused logins: a digest of what was refused tells whether it has changed since.
//!
//! The digest is kept in the state, so that a restart does not try the same password again; it is
//! stretched and salted, because a short password could be found from a plain one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::oauth::Grant;
use crate::poll::Account;
use crate::threads;

/// Rounds of hashing: some hundredths of a second for us, and for every guess of somebody else.
const ROUNDS: usize = 200_000;

/// A digest of everything that a login depends on: server, user name, mechanism, secret; salted by
/// a word of this state directory.  `None` if the secret cannot be had.
pub(super) async fn fingerprint(account: &Account, salt: &str) -> Option<[u8; 32]> {
    let secret = match (account.credential.source(), account.credential.grant()) {
        (Some(source), _) => source.read().await.ok()?.fingerprint(),
        (None, Some(grant)) => granted(grant).await?,
        (None, None) => [0; 32],
    };
    let mut settings = String::new();
    let _ = write!(settings, "{salt}\0{:?}\0{}\0{:?}\0", account.endpoint, account.username, account.auth);
    let stretch = move || {
        let mut digest = secret;
        for _ in 0..ROUNDS {
            digest = Sha256::new().chain_update(settings.as_bytes()).chain_update(digest).finalize().into();
        }
        digest
    };
    threads::run(stretch).await.ok()
}

/// The same of what a login by OAuth 2.0 depends on: who has signed in, and the client's secret.  The
/// tokens themselves change with every renewal.
async fn granted(grant: &Grant) -> Option<[u8; 32]> {
    let client = match &grant.provider.client_secret {
        Some(source) => source.read().await.ok()?.fingerprint(),
        None => [0; 32],
    };
    // Here, and not among the settings, which are hashed in every round.
    let provider = Sha256::digest(format!("{:?}", grant.provider));
    let digest = Sha256::new().chain_update(grant.vault.fingerprint()?).chain_update(client).chain_update(provider);
    Some(digest.finalize().into())
}
