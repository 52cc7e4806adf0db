//! A connection, in clear or encrypted, behind one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_native_tls::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tapped::Tapped;
use super::transport::Transport;
use super::{Endpoint, NetError, is_own_network, tls};

/// A connection to a server.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Clear(Tapped),
    /// Encrypted, to a verified server.
    Tls(Box<TlsStream<Tapped>>),
}

impl Stream {
    /// A connection in clear.
    pub fn clear(tcp: TcpStream) -> Self {
        Self::over(Transport::Direct(tcp))
    }

    /// The same over any transport.
    pub(super) fn over(transport: Transport) -> Self {
        Stream::Clear(Tapped::new(transport))
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
                tapped.follow();
                let last_line = tapped.transport.last_line();
                let stream = tls::handshake(endpoint, tapped).await;
                // The TLS library does not report why its transport failed.
                let ended = || last_line.as_ref().and_then(|last_line| last_line.get().cloned());
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
    /// network or into a command of the operator's.  Where a proxy sends it is not known.
    pub fn is_private(&self) -> bool {
        self.is_encrypted()
            || self.transport().is_operators()
            || self.peer_addr().is_ok_and(|peer| is_own_network(peer.ip()))
    }

    /// The version that the server chose, such as `TLS 1.3`; `None` in clear.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self {
            Stream::Clear(_) => None,
            Stream::Tls(stream) => Some(tls::version_of(&stream.get_ref().seen)),
        }
    }

    /// The server's address.
    ///
    /// # Errors
    /// It is not known, because a proxy or a command is at the other end.
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
