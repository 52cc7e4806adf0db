//! The stream under lettre, which bounds what a server may say and how long it may take.
//!
//! lettre has no timeouts of its own and reads lines of any length.  So every octet from the
//! server goes through [`Replies`], and one clock runs whenever the server is waited for: a write
//! has to make progress within [`BLOCK_LIMIT`], and everything that a write asks for has to be
//! answered within the limit that [`Wire::set_reply_limit`] sets.  When it runs out, the stream
//! fails, and the connection is dropped.
//!
//! lettre owns the stream that it speaks through.  So it gets one handle to the wire, and the owner
//! of the lettre connection keeps another, to write messages and to ask what was heard.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::reply::Replies;
use crate::net::Stream;
use crate::transcript::Transcript;

/// Time for the server to take another part of a message (RFC 5321 §4.5.3.2.5).
const BLOCK_LIMIT: Duration = Duration::from_secs(3 * 60);

/// Octets that are read at a time; replies are short.
const READ_SIZE: usize = 2048;

/// What the clock runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Write,
    Reply,
}

/// A connection to an SMTP server.
#[derive(Debug)]
pub(super) struct Wire {
    stream: Stream,
    replies: Replies,
    clock: Pin<Box<Sleep>>,
    /// What the clock runs for, and how long.
    waiting: Waiting,
    limit: Duration,
    reply_limit: Duration,
    /// The server has ended the connection.
    closed: bool,
    /// The next line that is written is dropped.
    swallow_line: bool,
    transcript: Transcript,
}

impl Wire {
    /// Takes over a connection to a server; replies may take `limit` each.
    pub(super) fn new(stream: Stream, server: &str, limit: Duration) -> Self {
        Self {
            stream,
            replies: Replies::default(),
            clock: Box::pin(sleep(limit)),
            waiting: Waiting::Nothing,
            limit,
            reply_limit: limit,
            closed: false,
            swallow_line: false,
            transcript: Transcript::start(Some(server.to_owned())),
        }
    }

    /// What is said, for the log.
    pub(super) fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }

    /// From now on neither the transcript nor a reply shows this.
    pub(super) fn hide(&mut self, secret: &[u8]) {
        self.transcript.hide(secret);
        self.replies.hide(secret);
    }

    /// Sets how long replies may take, from the next write on.
    pub(super) fn set_reply_limit(&mut self, limit: Duration) {
        self.reply_limit = limit;
    }

    /// How many replies have come in.
    pub(super) fn replies(&self) -> usize {
        self.replies.complete()
    }

    /// Whether the server has ended the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The connection.
    pub(super) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// The connection, if the server has said nothing that was not asked for: what came in clear
    /// must not be mistaken for what comes encrypted.
    pub(super) fn into_quiet_stream(self) -> Option<Stream> {
        self.replies.is_quiet().then_some(self.stream)
    }

    /// Writes a command and reads its reply; an empty command only reads.
    ///
    /// # Errors
    /// The connection broke, took too long, or the server talks out of turn.
    pub(super) async fn exchange(&mut self, command: &str) -> io::Result<(u16, Vec<String>)> {
        if !command.is_empty() {
            if !self.replies.is_quiet() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply to no command"));
            }
            self.write_all(command.as_bytes()).await?;
            self.flush().await?;
        }
        loop {
            if let Some(reply) = self.replies.take_reply() {
                return Ok(reply);
            }
            // Read without taking: a reply is taken as a whole.
            if std::future::poll_fn(|cx| self.poll_hear(cx)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Makes lettre believe that it has just connected: its greeting and the answer to its EHLO
    /// are made up, its EHLO is dropped.
    ///
    /// # Errors
    /// The server has said something that was not asked for.
    pub(super) fn hand_over(mut self, answer: &str) -> io::Result<SharedWire> {
        if !self.replies.is_quiet() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply to no command"));
        }
        self.replies = Replies::default();
        let made_up = format!("220 ready\r\n{answer}");
        self.replies.feed(made_up.as_bytes()).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        self.swallow_line = true;
        Ok(SharedWire(Arc::new(Mutex::new(self))))
    }

    /// Reads some of what the server says; 0 at the end of the stream.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut octets = [0; READ_SIZE];
        let mut buf = ReadBuf::new(&mut octets);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
            Poll::Ready(result) => result?,
            Poll::Pending => {
                let limit = self.reply_limit;
                return self.poll_clock(cx, Waiting::Reply, limit).map(Err);
            }
        }
        let heard = buf.filled();
        self.closed |= heard.is_empty();
        self.transcript.heard(heard);
        self.replies.feed(heard).map_err(|what| io::Error::new(io::ErrorKind::InvalidData, what))?;
        Poll::Ready(Ok(heard.len()))
    }

    /// Starts the clock if it is not running for this; ready when it has run out.
    fn poll_clock(&mut self, cx: &mut Context<'_>, waiting: Waiting, limit: Duration) -> Poll<io::Error> {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.limit = limit;
            let now = Instant::now();
            self.clock.as_mut().reset(now.checked_add(limit).unwrap_or(now + BLOCK_LIMIT));
        }
        ready!(self.clock.as_mut().poll(cx));
        let what = format!("no answer within {} s", self.limit.as_secs_f32());
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, what))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.replies.ready().is_empty() {
            if ready!(this.poll_hear(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let ready = this.replies.ready();
        let taken = ready.len().min(buf.remaining());
        buf.put_slice(&ready[..taken]);
        this.replies.take(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.swallow_line {
            let end = memchr::memchr(b'\n', buf).map(|at| at + 1);
            this.swallow_line = end.is_none();
            return Poll::Ready(Ok(end.unwrap_or(buf.len())));
        }
        match Pin::new(&mut this.stream).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) => {
                this.waiting = Waiting::Nothing;
                this.transcript.sent(&buf[..written]);
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.poll_clock(cx, Waiting::Write, BLOCK_LIMIT).map(Err),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_flush(cx) {
            Poll::Pending => this.poll_clock(cx, Waiting::Write, BLOCK_LIMIT).map(Err),
            flushed => flushed,
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_shutdown(cx) {
            Poll::Pending => this.poll_clock(cx, Waiting::Write, BLOCK_LIMIT).map(Err),
            closed => closed,
        }
    }
}

/// One of two handles to a wire: lettre's, and its owner's.  They are used in turn.
#[derive(Clone, Debug)]
pub(super) struct SharedWire(Arc<Mutex<Wire>>);

impl SharedWire {
    /// The wire, for as long as nothing is waited for.
    pub(super) fn lock(&self) -> MutexGuard<'_, Wire> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for SharedWire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(cx, buf)
    }
}

impl AsyncWrite for SharedWire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for SharedWire {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.lock().stream.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair(limit: Duration) -> (Wire, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let stream = TcpStream::connect(address).await.expect("connected");
        let (server, _) = listener.accept().await.expect("accepted");
        (Wire::new(Stream::clear(stream), "test", limit), server)
    }

    #[tokio::test]
    async fn a_reply_has_its_time_even_if_it_comes_octet_by_octet() {
        let (mut wire, mut server) = pair(Duration::from_millis(150)).await;
        let drip = tokio::spawn(async move {
            while server.write_all(b"2").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let error = wire.exchange("NOOP\r\n").await.expect_err("too slow");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drip.abort();
    }

    #[tokio::test]
    async fn time_between_commands_does_not_count() {
        let (mut wire, mut server) = pair(Duration::from_millis(400)).await;
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            server.write_all(b"250 ok\r\n").await.expect("written");
            assert_eq!(wire.exchange("NOOP\r\n").await.expect("a reply").0, 250);
        }
    }

    #[tokio::test]
    async fn an_endless_or_foreign_reply_is_an_error() {
        for said in [&[b'2'; 9000][..], b"HTTP/1.1 400\r\n"] {
            let (mut wire, mut server) = pair(Duration::from_secs(10)).await;
            server.write_all(said).await.expect("written");
            let error = wire.exchange("").await.expect_err("no reply");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn what_was_said_out_of_turn_is_not_taken_along() {
        let (mut wire, mut server) = pair(Duration::from_secs(10)).await;
        server.write_all(b"220 go\r\n250 more\r\n").await.expect("written");
        assert_eq!(wire.exchange("").await.expect("a reply").0, 220);
        let error = wire.exchange("EHLO x\r\n").await.expect_err("out of step");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(wire.into_quiet_stream().is_none());
    }
}
