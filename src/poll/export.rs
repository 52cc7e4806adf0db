//! Messages as they are on the server, for the operator: nothing is delivered, recorded or deleted.

use std::collections::HashSet;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::error::PollError;
use super::{listing, open};
use crate::account::Account;
use crate::message::MessageKey;
use crate::pop3::command::Command;
use crate::pop3::session::{Session, SessionError};

/// A receiver of exported messages.
pub trait Exported {
    /// A message begins.
    ///
    /// # Errors
    /// It cannot be written; the export ends.
    fn begin(&mut self, key: &MessageKey) -> io::Result<()>;
    /// Octets of the message, with lines ending in LF.
    ///
    /// # Errors
    /// It cannot be written; the export ends.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;
    /// The message is whole.
    ///
    /// # Errors
    /// It cannot be written; the export ends.
    fn end(&mut self) -> io::Result<()>;
}

/// Retrieves messages.  Returns the keys of those that the server has.
///
/// # Errors
/// No login, the server breaks off or does not hand out a message, or it cannot be written.
pub async fn export(
    account: &Account,
    wanted: &HashSet<MessageKey>,
    to: &mut impl Exported,
) -> Result<HashSet<MessageKey>, PollError> {
    let deadline = Instant::now() + account.deadline;
    let mut session = open(account, deadline).await?;
    let work = retrieve(&mut session, wanted, to);
    let exported = timeout_at(deadline, work).await.unwrap_or(Err(PollError::Deadline { limit: account.deadline }))?;
    // Where QUIT deletes what was retrieved, the connection is dropped instead.
    if session.capabilities().expire_days != Some(0) {
        session.quit().await;
    }
    Ok(exported)
}

async fn retrieve<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    wanted: &HashSet<MessageKey>,
    to: &mut impl Exported,
) -> Result<HashSet<MessageKey>, PollError> {
    let mut entries = match session.uidl(false).await? {
        Some(listing) => listing.entries(),
        None if session.is_empty() => Vec::new(),
        None => return Err(PollError::NoUniqueIds),
    };
    let keys = listing::keys(&mut entries);
    let mut exported = HashSet::new();
    for (entry, key) in entries.iter().zip(keys) {
        let Some(key) = key.filter(|key| wanted.contains(key)) else { continue };
        let status = session.command(Command::Retr(entry.number)).await?;
        if !status.ok {
            let step = format!("RETR {}", entry.number);
            return Err(SessionError::Refused { step, status }.into());
        }
        to.begin(&key).map_err(PollError::Export)?;
        let (mut decoder, mut piece) = (session.decoder(), Vec::new());
        while !decoder.is_done() {
            piece.clear();
            session.body_piece(&mut decoder, &mut piece).await?;
            to.write(&piece).map_err(PollError::Export)?;
        }
        to.end().map_err(PollError::Export)?;
        exported.insert(key);
    }
    Ok(exported)
}
