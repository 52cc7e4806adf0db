//! The transport below a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::tunnel::{LastLine, Tunnel};

/// What carries the octets of a connection.
#[derive(Debug)]
pub(super) enum Transport {
    /// To the server itself.
    Direct(TcpStream),
    /// To a proxy, and from there by an unknown route.
    Proxied(TcpStream),
    /// To a command of the operator's.
    Tunnel(Box<Tunnel>),
}

impl Transport {
    /// The server's address.
    ///
    /// # Errors
    /// It is not known: a proxy or a command is at the other end.
    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Transport::Direct(tcp) => tcp.peer_addr(),
            Transport::Proxied(_) | Transport::Tunnel(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// The address of this end, as far as it means anything to the server.
    ///
    /// # Errors
    /// It means nothing to the server.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Transport::Direct(tcp) => tcp.local_addr(),
            Transport::Proxied(_) | Transport::Tunnel(_) => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// Whether a command of the operator's carries the octets.
    pub(super) fn is_operators(&self) -> bool {
        matches!(self, Transport::Tunnel(_))
    }

    /// Where a command's end will be recorded.
    pub(super) fn last_line(&self) -> Option<LastLine> {
        match self {
            Transport::Tunnel(tunnel) => Some(tunnel.last_line()),
            Transport::Direct(_) | Transport::Proxied(_) => None,
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Direct(tcp) | Transport::Proxied(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Transport::Direct(tcp) | Transport::Proxied(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Direct(tcp) | Transport::Proxied(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Transport::Direct(tcp) | Transport::Proxied(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tunnel(tunnel) => Pin::new(tunnel.as_mut()).poll_shutdown(cx),
        }
    }
}
