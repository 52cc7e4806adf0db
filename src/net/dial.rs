//! Opens a connection: name resolution, addresses, proxy or command, all within one deadline.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::race::{ATTEMPT_DELAY, interleaved, race};
use super::transport::Transport;
use super::tunnel::Tunnel;
use super::{CONNECT_TIMEOUT, Endpoint, NetError, Route, Stream, socks};
use crate::threads;

/// Opens a connection to a server, on which nothing was sent yet.
///
/// # Errors
/// Why each address failed, or that it took longer than `limit`.
pub(super) async fn open(endpoint: &Endpoint, limit: Duration) -> Result<Stream, NetError> {
    let step = || format!("connecting to {}{}", endpoint.shown(), endpoint.route.shown());
    let reached = timeout(limit, reach(endpoint)).await;
    Ok(Stream::over(reached.map_err(|_| NetError::Timeout { step: step(), limit })??))
}

async fn reach(endpoint: &Endpoint) -> Result<Transport, NetError> {
    let (host, port) = (endpoint.host.as_str(), endpoint.port);
    match &endpoint.route {
        Route::Direct { source } => dial(host, port, *source).await.map(Transport::Direct),
        Route::Proxy { proxy, source } => {
            let unreached = |error| NetError::ProxyAway { proxy: proxy.shown(), source: Box::new(error) };
            let mut stream = dial(&proxy.host, proxy.port, *source).await.map_err(unreached)?;
            let unwilling = |fault| NetError::Proxy { proxy: proxy.shown(), server: endpoint.shown(), fault };
            socks::ask(&mut stream, proxy, host, port).await.map_err(unwilling)?;
            Ok(Transport::Proxied(stream))
        }
        Route::Command(argv) => Ok(Transport::Tunnel(Box::new(Tunnel::start(argv)?))),
    }
}

/// Connects to a host by its name, from the source address if there is one.
async fn dial(host: &str, port: u16, source: Option<IpAddr>) -> Result<TcpStream, NetError> {
    let resolve = |source| NetError::Resolve { host: host.to_owned(), source };
    dial_any(host, look_up(host, port).await.map_err(resolve)?, source).await
}

/// The addresses of a host.
async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = host.to_owned();
    // The system's resolver blocks.
    let looked_up = threads::run(move || (host.as_str(), port).to_socket_addrs().map(Iterator::collect)).await;
    looked_up.unwrap_or_else(|error| Err(io::Error::new(io::ErrorKind::WouldBlock, error)))
}

/// Connects to one of a host's addresses; with a source, to one of its family.
async fn dial_any(
    host: &str,
    addresses: impl IntoIterator<Item = SocketAddr>,
    source: Option<IpAddr>,
) -> Result<TcpStream, NetError> {
    let addresses: Vec<SocketAddr> = addresses.into_iter().collect();
    if addresses.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        return Err(NetError::Resolve { host: host.to_owned(), source });
    }
    let in_reach = |address: &SocketAddr| source.is_none_or(|source| source.is_ipv6() == address.is_ipv6());
    let addresses = interleaved(addresses.into_iter().filter(in_reach));
    if let Some(source) = source {
        if addresses.is_empty() {
            return Err(NetError::Family { host: host.to_owned(), from: source });
        }
        // Reported once, not as a failure of every address.
        bound(source).map_err(|cause| NetError::Source { from: source, cause })?;
    }
    let attempt = async |address| {
        let connecting = async {
            match source {
                Some(source) => bound(source)?.connect(address).await,
                None => TcpStream::connect(address).await,
            }
        };
        timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    };
    let stream = race(addresses, ATTEMPT_DELAY, attempt).await;
    let stream = stream.map_err(|failed| NetError::Connect { host: host.to_owned(), failed })?;
    // Small commands must not wait for the reply to the one before.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// A socket that connects from an address of this machine.
fn bound(source: IpAddr) -> io::Result<TcpSocket> {
    let socket = if source.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.bind(SocketAddr::new(source, 0))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("its address");
        (listener, address)
    }

    /// An address that refuses.
    async fn closed() -> SocketAddr {
        listener().await.1
    }

    #[tokio::test]
    async fn a_dead_address_does_not_keep_from_a_live_one() {
        let (_listener, open) = listener().await;
        let stream = dial_any("x.example", [closed().await, open], None).await.expect("connected");
        assert_eq!(stream.peer_addr().ok(), Some(open));
    }

    #[tokio::test]
    async fn when_all_addresses_fail_each_is_told() {
        let (one, other) = (closed().await, closed().await);
        let error = dial_any("x.example", [one, other], None).await.expect_err("refused").to_string();
        let told = |address| error.contains(&format!("{address}: Connection refused"));
        assert!(told(one) && told(other) && error.starts_with("connecting to x.example: "), "{error}");
        let alone = dial_any("x.example", [one], None).await.expect_err("refused").to_string();
        assert!(alone.starts_with(&format!("connecting to x.example ({one}): Connection refused")), "{alone}");
    }

    #[tokio::test]
    async fn a_host_without_addresses_is_one_that_cannot_be_looked_up() {
        let error = dial_any("x.example", [], None).await.expect_err("no address");
        assert!(matches!(error, NetError::Resolve { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_source_decides_which_addresses_are_tried_and_from_where() {
        let (listener, open) = listener().await;
        let source = "127.0.0.2".parse().ok();
        let addresses = ["[::1]:1".parse().expect("an address"), open];
        let _stream = dial_any("x.example", addresses, source).await.expect("connected");
        let (_, peer) = listener.accept().await.expect("accepted");
        assert_eq!(Some(peer.ip()), source);

        let of_ipv6 = dial_any("x.example", [open], "::1".parse().ok()).await.expect_err("no such address");
        assert!(matches!(of_ipv6, NetError::Family { .. }), "{of_ipv6}");
        let foreign = dial_any("x.example", [open], "192.0.2.1".parse().ok()).await.expect_err("not ours");
        assert!(foreign.to_string().starts_with("connecting from 192.0.2.1: Cannot assign"), "{foreign}");
    }
}
