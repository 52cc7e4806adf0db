//! Refused logins: a digest of what was refused shows whether it has changed since.
//!
//! The digest is kept in the state, so that a restart does not try the same password again; it is
//! stretched and salted, because a short password could be found from a plain one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::clock::{seconds_up, unix_now};
use crate::credential;
use crate::message::Name;
use crate::oauth::Grant;
use crate::poll::Summary;
use crate::schedule::Carried;
use crate::store::AccountMemory;

/// A digest of everything that a login depends on: server, user name, mechanism, secret; salted with
/// the instance word of this state directory.  `None` if the secret cannot be read.
pub(crate) async fn fingerprint(account: &Account, salt: &str) -> Option<[u8; 32]> {
    let secret = match (account.credential.source(), account.credential.grant()) {
        (Some(source), _) => source.read().await.ok()?.fingerprint(),
        (None, Some(grant)) => granted(grant).await?,
        (None, None) => [0; 32],
    };
    let mut settings = String::new();
    let _ = write!(settings, "{:?}\0{}\0{:?}\0", account.endpoint, account.username, account.auth);
    credential::fingerprint(salt, settings, secret).await
}

/// The end of a poll, as far as the next one must know it.
pub(crate) struct Ending<'a> {
    pub(crate) summary: &'a Summary,
    /// Whether the account must wait for another reason than its interval.
    pub(crate) must_wait: bool,
    /// The fingerprint of the refused login, if the server has refused it.
    pub(crate) refused: Option<[u8; 32]>,
}

/// What is remembered of an account after a poll.
pub(crate) fn remembered(before: &AccountMemory, schedule: Carried, ending: &Ending<'_>) -> AccountMemory {
    let Carried { failures, refusals, wait } = schedule;
    let Ending { summary, must_wait, refused } = ending;
    let well = summary.error.is_none();
    let seconds = seconds_up(wait);
    AccountMemory {
        failures,
        refusals,
        not_before: if *must_wait { unix_now().saturating_add(seconds) } else { 0 },
        last_success: if well { Some(unix_now()) } else { before.last_success },
        error: summary.error.clone(),
        advice: summary.advice.clone(),
        exit_code: summary.exit_code,
        // A failure of another kind says nothing about what was refused before.
        refused: if well { None } else { refused.or(before.refused) },
        ..left(before, summary)
    }
}

/// What the poll left on the server, as far as it looked.
pub(super) fn left(before: &AccountMemory, summary: &Summary) -> AccountMemory {
    // A poll that failed before the listing does not know.
    let looked = summary.error.is_none() || summary.listed > 0;
    let choose = |now, before| if looked { now } else { before };
    AccountMemory {
        waiting: choose(summary.not_tried() + summary.unrecorded, before.waiting),
        too_large: choose(summary.too_large, before.too_large),
        ignored: choose(summary.ignored, before.ignored),
        ..AccountMemory::default()
    }
}

/// The answer for an account that is not polled because its login was refused: its last result.
pub(crate) fn skipped(account: &Name, memory: &AccountMemory) -> Summary {
    Summary {
        account: account.to_string(),
        error: memory.error.clone(),
        advice: memory.advice.clone(),
        exit_code: memory.exit_code,
        skipped: true,
        next_try: Some(memory.not_before),
        ..Summary::default()
    }
}

/// A digest of what a login by OAuth 2.0 depends on: the sign-in, the client's secret, and the provider.
/// The tokens themselves change with every renewal.
async fn granted(grant: &Grant) -> Option<[u8; 32]> {
    let client = match &grant.provider.client_secret {
        Some(source) => source.read().await.ok()?.fingerprint(),
        None => [0; 32],
    };
    let provider = Sha256::digest(format!("{:?}", grant.provider));
    let digest = Sha256::new().chain_update(grant.vault.fingerprint()?).chain_update(client).chain_update(provider);
    Some(digest.finalize().into())
}
