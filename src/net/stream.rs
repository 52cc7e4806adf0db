//! A connection, in clear or encrypted, behind one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_native_tls::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::records::Records;
use super::transport::Transport;
use super::{Endpoint, NetError, is_own_network, tls};

/// A connection to a server.
#[derive(Debug)]
pub enum Stream {
    /// Readable on the way.
    Clear(Tapped),
    /// Encrypted, the server verified.
    Tls(Box<TlsStream<Tapped>>),
}

impl Stream {
    /// A connection in clear.
    pub fn clear(tcp: TcpStream) -> Self {
        Self::over(Transport::Direct(tcp))
    }

    /// The same by any way.
    pub(super) fn over(transport: Transport) -> Self {
        Stream::Clear(Tapped { transport, ahead: Ahead::default(), seen: Vec::new(), records: None })
    }

    /// Does the handshake and verifies the server.
    ///
    /// # Errors
    /// The handshake or the verification failed; the connection is closed and no octet of ours
    /// but the handshake's was sent.
    pub async fn secure(self, endpoint: &Endpoint) -> Result<Self, NetError> {
        match self {
            Stream::Tls(_) => Ok(self),
            Stream::Clear(mut tapped) => {
                tapped.records = Some(Records::default());
                let epitaph = tapped.transport.epitaph();
                let stream = tls::handshake(endpoint, tapped).await;
                // The TLS library does not tell why its transport has failed.
                let ended = || epitaph.as_ref().and_then(|epitaph| epitaph.get().cloned());
                let stream = stream.map_err(|error| ended().map_or(error, |how| NetError::CommandEnded { how }))?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Whether nobody on the way can read it: it is encrypted, or goes to this machine, to a private
    /// network or into a command of the operator's.  Where a proxy sends it, nobody knows.
    pub fn is_private(&self) -> bool {
        self.is_encrypted()
            || self.transport().is_operators()
            || self.peer_addr().is_ok_and(|peer| is_own_network(peer.ip()))
    }

    /// The version that the server chose, as `TLS 1.3`; `None` in clear.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self {
            Stream::Clear(_) => None,
            Stream::Tls(stream) => Some(tls::version_of(&stream.get_ref().seen)),
        }
    }

    /// The server's address.
    ///
    /// # Errors
    /// It is not known, because something else is at the other end.
    pub fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.transport().peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// As [`Stream::peer_addr`].
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.transport().local_addr()
    }

    fn transport(&self) -> &Transport {
        match self {
            Stream::Clear(tapped) => &tapped.transport,
            Stream::Tls(stream) => &stream.get_ref().transport,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(tapped) => Pin::new(tapped).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Clear(tapped) => Pin::new(tapped).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(tapped) => Pin::new(tapped).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Clear(tapped) => Pin::new(tapped).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// A transport that remembers the first octets of a handshake, and has no second one: the TLS
/// library does not tell the version, the server's hello does.
#[derive(Debug)]
pub struct Tapped {
    transport: Transport,
    /// Only of TLS: in clear somebody else may read on.
    ahead: Ahead,
    seen: Vec<u8>,
    /// Followed from the beginning of TLS.
    records: Option<Records>,
}

impl Tapped {
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

/// A record of TLS with its header, of the largest kind.
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

/// A server's hello is far shorter.
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
