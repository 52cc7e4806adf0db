//! A refusal of a password that has worked before.
//!
//! Many servers say nothing but "no" while another session, often our own broken one, holds the mailbox, or while
//! their password backend is out of order.  So a password that has worked is not given up at once: it is tried again
//! within minutes, three times; after that it counts as refused, since it may have been changed there.
//!
//! Only one octet of a digest is kept of a password: it distinguishes it from most others, and is far too little to
//! find the password.

use super::error::PollError;
use super::{Context, mailbox};
use crate::account::Account;
use crate::clock::unix_now;
use crate::pop3::session::SessionError;
use crate::secret::Secret;
use crate::store::{Change, LastLogin, StoreError};

/// How many times in a row a password that has worked may be refused.
const PATIENCE: u32 = 3;

/// Remembers that the password has worked.
pub(super) async fn worked(account: &Account, context: &Context, password: &Secret) -> Result<(), StoreError> {
    let login = LastLogin { mark: Some(mark(account, context, password)), doubts: 0 };
    if context.store.last_login(&account.name).await? == login {
        Ok(())
    } else {
        write_down(account, context, login).await
    }
}

/// What a refusal of the password means: perhaps the password is only in doubt.
pub(super) async fn refused(
    account: &Account,
    context: &Context,
    password: &Secret,
    error: PollError,
) -> Result<PollError, StoreError> {
    let source = match error {
        PollError::Session(source) if is_of_the_password(&source) => source,
        error => return Ok(error),
    };
    let last = context.store.last_login(&account.name).await?;
    if last.mark != Some(mark(account, context, password)) {
        return Ok(source.into());
    }
    if last.doubts >= PATIENCE {
        write_down(account, context, LastLogin::default()).await?;
        return Ok(PollError::Doubted { source: Box::new(source), is_over: true });
    }
    write_down(account, context, LastLogin { doubts: last.doubts + 1, ..last }).await?;
    Ok(PollError::Doubted { source: Box::new(source), is_over: false })
}

/// Whether the password was the reason, as far as the server says.
fn is_of_the_password(error: &SessionError) -> bool {
    use crate::pop3::reply::ResponseCode::{InUse, LoginDelay, SysPerm, SysTemp};
    matches!(error, SessionError::LoginRefused { status, .. } if !status.is_about_the_command())
        && !matches!(error.meaning(), Some(InUse | LoginDelay | SysTemp | SysPerm))
}

async fn write_down(account: &Account, context: &Context, login: LastLogin) -> Result<(), StoreError> {
    let change = Change::Worked { account: account.name.clone(), login };
    context.store.apply(vec![change], unix_now()).await.map(drop)
}

fn mark(account: &Account, context: &Context, password: &Secret) -> u8 {
    let mut digest = blake3::Hasher::new();
    for part in [context.store.local().instance().as_bytes(), mailbox(account).as_bytes(), &password.fingerprint()] {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().as_bytes()[0]
}
