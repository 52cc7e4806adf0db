//! Commands whose replies are still to come.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Session, SessionError};
use crate::pop3::command::Command;

/// Commands that wait for their replies, each with what its reply answers, in order: as many as the session has
/// room for with PIPELINING (RFC 2449 §6.6), one without.
#[derive(Debug)]
pub struct Window<Q> {
    asked: VecDeque<Q>,
    pipelining: bool,
}

impl<Q> Window<Q> {
    /// An empty window, as wide as the session's server allows.
    pub fn new<S>(session: &Session<S>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Self { asked: VecDeque::new(), pipelining: session.capabilities().pipelining }
    }

    /// Queues commands as long as there is room and `next` has one.
    ///
    /// # Errors
    /// Nothing was asked, and the server has said something.
    pub fn fill<S>(
        &mut self,
        session: &mut Session<S>,
        mut next: impl FnMut() -> Option<(Command<'static>, Q)>,
    ) -> Result<(), SessionError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while self.asked.is_empty() || (self.pipelining && session.has_room()) {
            if self.asked.is_empty() {
                session.check_in_step()?;
            }
            let Some((command, question)) = next() else { break };
            session.queue(command);
            self.asked.push_back(question);
        }
        Ok(())
    }

    /// What the next reply answers; `None`: no reply is to come.
    pub fn pop(&mut self) -> Option<Q> {
        self.asked.pop_front()
    }
}
