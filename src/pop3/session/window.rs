//! Commands whose replies are outstanding.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Session, SessionError};
use crate::pop3::command::Command;

/// The unanswered commands in order, each with the question that its reply answers: as many as the session has
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
    /// The server has sent something although no command was outstanding.
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

    /// The question that the next reply answers; `None`: no reply is outstanding.
    pub fn pop(&mut self) -> Option<Q> {
        self.asked.pop_front()
    }
}
