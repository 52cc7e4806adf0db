//! The layer below TLS: it remembers the beginning of the handshake, reads ahead, and refuses a second handshake.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::records::Records;
use super::transport::Transport;

/// A transport that remembers the first octets of a handshake and refuses a second one.  The TLS
/// library does not report the version, but the server's hello holds it.
#[derive(Debug)]
pub struct Tapped {
    pub(super) transport: Transport,
    /// For TLS only: in clear, what follows may be for another reader.
    ahead: Ahead,
    pub(super) seen: Vec<u8>,
    /// `Some` from the beginning of TLS.
    records: Option<Records>,
}

impl Tapped {
    pub(super) fn new(transport: Transport) -> Self {
        Self { transport, ahead: Ahead::default(), seen: Vec::new(), records: None }
    }

    /// TLS begins.
    pub(super) fn follow(&mut self) {
        self.records = Some(Records::default());
    }

    /// The handshake is done.
    pub(super) fn establish(&mut self) {
        if let Some(records) = &mut self.records {
            records.establish();
        }
    }
}

/// What was read from a transport and not asked for yet.  The TLS library asks for the header of
/// each record, and then for the record.
#[derive(Debug, Default)]
struct Ahead {
    octets: Box<[u8]>,
    start: usize,
    end: usize,
}

/// The largest record of TLS with its header.
const AHEAD_OCTETS: usize = 17 * 1024;

impl Ahead {
    fn poll_read(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start == self.end {
            if buf.remaining() >= AHEAD_OCTETS {
                return Pin::new(transport).poll_read(cx, buf);
            }
            if self.octets.is_empty() {
                self.octets = vec![0; AHEAD_OCTETS].into_boxed_slice();
            }
            let mut more = ReadBuf::new(&mut self.octets);
            std::task::ready!(Pin::new(transport).poll_read(cx, &mut more))?;
            (self.start, self.end) = (0, more.filled().len());
        }
        let octets = buf.remaining().min(self.end - self.start);
        buf.put_slice(&self.octets[self.start..self.start + octets]);
        self.start += octets;
        Poll::Ready(Ok(()))
    }
}

/// Octets of the handshake that are remembered; a server's hello is far shorter.
const TAP_OCTETS: usize = 1024;

impl AsyncRead for Tapped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = match this.records {
            None => Pin::new(&mut this.transport).poll_read(cx, buf),
            Some(_) => this.ahead.poll_read(&mut this.transport, cx, buf),
        };
        if let Some(records) = &mut this.records {
            let new = &buf.filled()[before..];
            this.seen.extend_from_slice(&new[..new.len().min(TAP_OCTETS - this.seen.len())]);
            records.follow(new)?;
        }
        result
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().transport).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().transport).poll_shutdown(cx)
    }
}
