//! A connection, in clear or encrypted, behind one type.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_native_tls::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Endpoint, NetError, tls};

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
        Stream::Clear(Tapped { tcp, seen: Vec::new(), tapping: false })
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
                tapped.tapping = true;
                tls::handshake(endpoint, tapped).await.map(|stream| Stream::Tls(Box::new(stream)))
            }
        }
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// The version that the server chose, as `TLS 1.3`; `None` in clear.
    pub fn tls_version(&self) -> Option<&'static str> {
        match self {
            Stream::Clear(_) => None,
            Stream::Tls(stream) => Some(tls::version_of(&stream.get_ref().seen)),
        }
    }

    /// The address of the other end.
    pub fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.tcp().peer_addr()
    }

    /// The address of this end.
    pub fn local_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.tcp().local_addr()
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Clear(tapped) => &tapped.tcp,
            Stream::Tls(stream) => &stream.get_ref().tcp,
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

/// A TCP connection that remembers the first octets of a handshake: the TLS library does not
/// tell the version, the server's hello does.
#[derive(Debug)]
pub struct Tapped {
    tcp: TcpStream,
    seen: Vec<u8>,
    tapping: bool,
}

/// A server's hello is far shorter.
const TAP_OCTETS: usize = 1024;

impl AsyncRead for Tapped {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let result = Pin::new(&mut this.tcp).poll_read(cx, buf);
        if this.tapping {
            let new = &buf.filled()[before..];
            this.seen.extend_from_slice(&new[..new.len().min(TAP_OCTETS - this.seen.len())]);
            this.tapping = this.seen.len() < TAP_OCTETS;
        }
        result
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tcp).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}
