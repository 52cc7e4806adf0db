//! The connection under a session: a bounded read buffer, lines, and a limit on silence.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::{SessionError, Stage};
use crate::pop3::multiline::Decoder;
use crate::pop3::reply::{self, Status};
use crate::transcript::{Hidden, NOT_SHOWN, Transcript};

/// One buffer, reused: the TLS library clears what it is given, so a larger one costs time.
const BUFFER_OCTETS: usize = 32 * 1024;

/// The most octets of a status line or a line of a listing.  RFC 2449 says 512; unique-ids and error
/// texts of real servers are longer.
pub(super) const LINE_LIMIT: usize = 8 * 1024;

/// The most octets of a whole listing, kept or not: a million messages with unique-ids of 70
/// octets.  A listing that is kept has less room (`ration.rs`).
pub(super) const LISTING_OCTETS: usize = 100 << 20;

/// A connection with its buffers.
pub(super) struct Wire<S> {
    stream: S,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    /// The output is sent before anything is read.
    sends_first: bool,
    silence: Duration,
    transcript: Transcript,
    /// The secrets that are never shown if the server repeats them, for as long as the connection lives.
    hidden: Arc<Hidden>,
    /// The stage at which CAPA was refused, if nothing has come since.
    refused_capa: Option<Stage>,
    /// The last line has ended in a bare LF.
    bare: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S, silence: Duration) -> Self {
        let buffer = vec![0; BUFFER_OCTETS].into_boxed_slice();
        let transcript = Transcript::start(None);
        let (start, end, output) = (0, 0, Vec::new());
        let (sends_first, hidden, refused_capa, bare) = (false, Arc::default(), None, false);
        Self { stream, buffer, start, end, output, sends_first, silence, transcript, hidden, refused_capa, bare }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    /// The connection itself, if nothing that was read from it would be lost.
    pub(super) fn into_stream(self) -> Option<S> {
        (self.start == self.end).then_some(self.stream)
    }

    pub(super) fn silence(&self) -> Duration {
        self.silence
    }

    /// Hides a secret in the transcript and in everything that the server says.
    pub(super) fn hide(&mut self, secret: &[u8]) {
        self.transcript.hide(secret);
        Arc::make_mut(&mut self.hidden).add(secret);
    }

    /// The same for a message of a login, which the transcript hides itself.
    pub(super) fn hide_sent(&mut self, message: &[u8]) {
        Arc::make_mut(&mut self.hidden).add_sent(message);
    }

    /// The secrets to hide in what the server says.
    pub(super) fn hidden(&self) -> Arc<Hidden> {
        Arc::clone(&self.hidden)
    }

    /// Notes that CAPA was refused: if the connection ends at the next command, that may be why.
    pub(super) fn has_refused_capa(&mut self, stage: Stage) {
        self.refused_capa = Some(stage);
    }

    fn perhaps_of_capa(&mut self, error: SessionError) -> SessionError {
        match self.refused_capa.take() {
            Some(stage) => SessionError::Capabilities { stage, source: Box::new(error) },
            None => error,
        }
    }

    /// Octets that have come and are not yet read.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Where commands are put until [`Wire::flush`], or until the server is waited for.
    pub(super) fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// Has the output sent before more is read: nothing that comes before answers it.
    pub(super) fn send_first(&mut self) {
        self.sends_first = true;
    }

    /// Sends what is in the output, and wipes it: it may be a password.
    pub(super) async fn flush(&mut self, step: &(dyn Fn() -> String + Sync)) -> Result<(), SessionError> {
        self.sends_first = false;
        if self.output.is_empty() {
            return Ok(());
        }
        self.transcript.sent(&self.output);
        let send = async {
            self.stream.write_all(&self.output).await?;
            self.stream.flush().await
        };
        let sent = timeout(self.silence, send).await;
        zeroize::Zeroize::zeroize(&mut self.output);
        let error = match sent {
            Err(_) => SessionError::Silence { step: step(), limit: self.silence },
            Ok(Err(source)) => SessionError::Io { step: step(), source },
            Ok(Ok(())) => return Ok(()),
        };
        Err(self.perhaps_of_capa(error))
    }

    /// Reads more into the buffer, which must have room.  The output is sent before this waits: the
    /// server may be waiting for it.
    async fn fill(&mut self, step: &(dyn Fn() -> String + Sync)) -> Result<(), SessionError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let read = if self.output.is_empty() || self.sends_first { None } else { self.read_what_has_come().await };
        let read = match read {
            Some(read) => Ok(read),
            None => {
                self.flush(step).await?;
                timeout(self.silence, self.stream.read(&mut self.buffer[self.end..])).await
            }
        };
        let error = match read {
            Err(_) => SessionError::Silence { step: step(), limit: self.silence },
            Ok(Err(source)) => SessionError::Io { step: step(), source },
            Ok(Ok(0)) => SessionError::Closed { step: step() },
            Ok(Ok(octets)) => {
                self.end += octets;
                self.refused_capa = None;
                return Ok(());
            }
        };
        Err(self.perhaps_of_capa(error))
    }

    /// Reads without waiting; `None` if nothing has come.
    async fn read_what_has_come(&mut self) -> Option<io::Result<usize>> {
        let mut more = ReadBuf::new(&mut self.buffer[self.end..]);
        poll_fn(|cx| {
            Poll::Ready(match Pin::new(&mut self.stream).poll_read(cx, &mut more) {
                Poll::Pending => None,
                Poll::Ready(read) => Some(read.map(|()| more.filled().len())),
            })
        })
        .await
    }

    /// The next line without its end (CRLF or LF), given to `read`.
    pub(super) async fn line<T>(
        &mut self,
        step: &(dyn Fn() -> String + Sync),
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, SessionError> {
        let mut searched = 0;
        loop {
            let unread = self.unread();
            if let Some(newline) = memchr::memchr(b'\n', &unread[searched..]).map(|at| searched + at)
                && newline <= LINE_LIMIT
            {
                let line = &self.buffer[self.start..self.start + newline];
                self.bare = !line.ends_with(b"\r");
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                self.transcript.heard_line(line);
                let value = read(line);
                self.start += newline + 1;
                return Ok(value);
            }
            if unread.len() > LINE_LIMIT {
                return Err(SessionError::LongLine { step: step(), limit: LINE_LIMIT });
            }
            searched = unread.len();
            self.fill(step).await?;
        }
    }

    /// A status line.
    pub(super) async fn status(&mut self, step: &(dyn Fn() -> String + Sync)) -> Result<Status, SessionError> {
        self.status_with(step, |_| ()).await.map(|(status, ())| status)
    }

    /// A status line, with what `read` makes of the octets after its first word.
    pub(super) async fn status_with<T>(
        &mut self,
        step: &(dyn Fn() -> String + Sync),
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<(Status, T), SessionError> {
        let hidden = self.hidden();
        let parse = |line: &[u8]| match Status::parse(line) {
            Some(status) if hidden.is_in(line) => Ok((status.with_text(NOT_SHOWN), read(reply::behind_status(line)))),
            Some(status) => Ok((status, read(reply::behind_status(line)))),
            None => Err(hidden.shown(line)),
        };
        self.line(step, parse).await?.map_err(|line| SessionError::OutOfStep { step: step(), line })
    }

    /// The lines of a multi-line response up to its final dot, un-stuffed, given to `each`, which may
    /// abort it.
    pub(super) async fn lines(
        &mut self,
        step: &(dyn Fn() -> String + Sync),
        limit: usize,
        mut each: impl FnMut(&[u8]) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let mut octets = 0;
        for _ in 0..=limit {
            let ended = self
                .line(step, |line| match line {
                    b"." => Ok(true),
                    _ => {
                        octets += line.len();
                        each(line.strip_prefix(b".").unwrap_or(line)).map(|()| false)
                    }
                })
                .await??;
            if ended {
                return Ok(());
            }
            if octets > LISTING_OCTETS {
                return Err(SessionError::LargeListing { step: step(), limit: LISTING_OCTETS });
            }
        }
        Err(SessionError::LongListing { step: step(), limit })
    }

    /// A decoder for the body after the status line that was just read.
    pub(super) fn decoder(&self) -> Decoder {
        Decoder::behind(self.bare)
    }

    /// Decodes what has come of a body, waiting for more only if nothing has; the decoder knows
    /// whether the body is complete.
    pub(super) async fn body_piece(
        &mut self,
        step: &(dyn Fn() -> String + Sync),
        decoder: &mut Decoder,
        out: &mut Vec<u8>,
    ) -> Result<(), SessionError> {
        if self.start == self.end {
            self.fill(step).await?;
        }
        let octets = decoder.decode(&self.buffer[self.start..self.end], out);
        self.transcript.heard_message(octets, decoder.is_done());
        self.start += octets;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listing_without_an_end_is_ended() {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move {
            let line = [&[b'u'; LINE_LIMIT - 2][..], b"\r\n"].concat();
            while theirs.write_all(&line).await.is_ok() {}
        });
        let mut wire = Wire::new(ours, Duration::from_secs(9));
        let mut kept = 0;
        let ended = wire
            .lines(&|| "UIDL".into(), usize::MAX - 1, |line| {
                kept += line.len();
                Ok(())
            })
            .await;
        assert!(matches!(ended, Err(SessionError::LargeListing { .. })), "{ended:?}");
        assert!(kept <= LISTING_OCTETS + LINE_LIMIT);
    }
}
