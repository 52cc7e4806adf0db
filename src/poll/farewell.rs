//! The end of a session: what is due is marked for deletion, and QUIT carries it out (RFC 1939 §6).

use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::error::PollError;
use crate::account::Account;
use crate::event::{Event, NoQuit};
use crate::message::{MessageKey, MessageNumber};
use crate::net::Stream;
use crate::pop3::command::Command;
use crate::pop3::session::{Quit, Session, Window};

/// Deletes what is due and sends QUIT; adds to `marked` the deletions that the server has agreed to.  A server that
/// deletes at QUIT what was retrieved is sent no QUIT unless all of that `is_settled`.  Returns the number of
/// deletions that the server has confirmed.
///
/// # Errors
/// The connection broke before QUIT, or the poll's time is over.
pub(super) async fn farewell(
    account: &Account,
    mut session: Session<Stream>,
    due: Vec<(MessageNumber, MessageKey)>,
    marked: &mut Vec<MessageKey>,
    is_settled: bool,
    deadline: Instant,
) -> Result<u64, PollError> {
    let limit = account.deadline;
    let deleting = timeout_at(deadline, delete(account, &mut session, due, marked));
    deleting.await.unwrap_or(Err(PollError::Deadline { limit }))?;
    if session.capabilities().expire_days == Some(0) && !is_settled {
        Event::NotQuit { account: account.name.clone(), why: NoQuit::Withheld }.tell();
        return Ok(0);
    }
    // A server whose answer trickles in gets no more time than for anything else.
    match timeout_at(deadline, session.quit()).await.unwrap_or(Quit::Silence) {
        Quit::Done => return Ok(marked.len() as u64),
        Quit::Refused(text) => {
            Event::NotQuit { account: account.name.clone(), why: NoQuit::Refused(text) }.tell();
        }
        Quit::Silence if marked.is_empty() => debug!(account = %account.name, "QUIT was not answered"),
        Quit::Silence => Event::NotQuit { account: account.name.clone(), why: NoQuit::Unanswered }.tell(),
    }
    Ok(0)
}

async fn delete(
    account: &Account,
    session: &mut Session<Stream>,
    due: Vec<(MessageNumber, MessageKey)>,
    marked: &mut Vec<MessageKey>,
) -> Result<(), PollError> {
    let mut window = Window::new(session);
    let mut due = due.into_iter();
    loop {
        window.fill(session, || due.next().map(|(number, key)| (Command::Dele(number), key)))?;
        let Some(key) = window.pop() else { return Ok(()) };
        let status = session.reply().await?;
        if status.ok {
            marked.push(key);
        } else {
            Event::DeletionRefused { account: Some(account.name.clone()), uid: key, text: status.text }.tell();
        }
    }
}
