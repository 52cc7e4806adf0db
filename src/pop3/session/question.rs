//! Questions about one message, to servers whose answers may have a shape of their own.

use tokio::io::{AsyncRead, AsyncWrite};

use super::shape::{Behind, Form, Sample};
use super::{Session, SessionError};
use crate::pop3::command::Command;
use crate::pop3::reply::Status;

/// Lines behind the status line of an answer about one message: more than any server is known to send.
const SAMPLE_LINES: usize = 8;

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// The one line of a listing that follows the `+OK` that was just read, if the form of the answer has lines; `text`
    /// is that of the status line.
    ///
    /// # Errors
    /// The connection broke; it has more lines than one.
    pub async fn answer_in(&mut self, form: Form, text: Vec<u8>) -> Result<Vec<u8>, SessionError> {
        let (step, mut lines) = (self.answered, Vec::new());
        let (limit, is_listing) = match form.behind {
            Behind::Nothing => return Ok(text),
            Behind::Dot => (0, false),
            Behind::Listing => (1, true),
        };
        let take = |line: &[u8]| {
            lines.push(line.to_vec());
            Ok(())
        };
        self.wire.lines(&|| step.text(), limit, take).await?;
        Ok(if is_listing { lines.pop().unwrap_or_default() } else { text })
    }

    /// Asks a question in lock-step, with a NOOP behind it, and reads all that comes up to the reply to NOOP: a server
    /// may answer in more lines than it should.
    ///
    /// # Errors
    /// The connection broke; there are more lines than such an answer can have.
    pub async fn sample(&mut self, command: Command<'_>) -> Result<Sample, SessionError> {
        self.check_in_step()?;
        self.queue(command);
        let (status, text) = self.reply_with(<[u8]>::to_vec).await?;
        let mut sample = Sample { text: status.ok.then_some(text), lines: Vec::new() };
        // The rest of the answer may have come already, so this is not `queue`.
        let _ = Command::Noop.encode(self.wire.output());
        let step = || format!("{command}, with NOOP behind it");
        loop {
            let line = self.wire.line(&step, <[u8]>::to_vec).await?;
            if Status::parse(&line).is_some() {
                return Ok(sample);
            }
            if sample.lines.len() == SAMPLE_LINES {
                let line = self.wire.hidden().shown(&line);
                return Err(SessionError::OutOfStep { step: step(), line });
            }
            sample.lines.push(line);
        }
    }
}
