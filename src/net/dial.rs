//! Name, addresses, connection, handshake: one after the other, all within one time.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::race::{ATTEMPT_DELAY, interleaved, race};
use super::{CONNECT_TIMEOUT, Endpoint, NetError, Stream, TlsMode};

/// Connects to a server; encrypted and verified for [`TlsMode::Implicit`], in clear otherwise.
/// The addresses of the host are tried side by side (RFC 8305).
///
/// # Errors
/// What each address failed of, or the step that took longer than `limit`.
pub async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Stream, NetError> {
    let step = format!("connecting to {}", endpoint.shown());
    within(limit, &step, async {
        let stream = Stream::clear(dial(endpoint).await?);
        match endpoint.tls {
            TlsMode::Implicit => stream.secure(endpoint).await,
            TlsMode::StartTls | TlsMode::None => Ok(stream),
        }
    })
    .await?
}

/// Waits for a step, but not longer than `limit`.
///
/// # Errors
/// [`NetError::Timeout`] with the step's name.
pub async fn within<T>(limit: Duration, step: &str, work: impl Future<Output = T>) -> Result<T, NetError> {
    timeout(limit, work).await.map_err(|_| NetError::Timeout { step: step.to_owned(), limit })
}

async fn dial(endpoint: &Endpoint) -> Result<TcpStream, NetError> {
    let host = &endpoint.host;
    let resolve = |source| NetError::Resolve { host: host.clone(), source };
    let addresses = tokio::net::lookup_host((host.as_str(), endpoint.port)).await.map_err(resolve)?;
    dial_any(host, addresses).await
}

/// Connects to one of a host's addresses.
async fn dial_any(host: &str, addresses: impl IntoIterator<Item = SocketAddr>) -> Result<TcpStream, NetError> {
    let addresses = interleaved(addresses);
    if addresses.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "it has no address");
        return Err(NetError::Resolve { host: host.to_owned(), source });
    }
    let attempt = async |address| {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    };
    let stream = race(addresses, ATTEMPT_DELAY, attempt).await;
    let stream = stream.map_err(|failed| NetError::Connect { host: host.to_owned(), failed })?;
    // Small commands must not wait for the answer to the one before.
    let _ = stream.set_nodelay(true);
    Ok(stream)
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
        let stream = dial_any("x.example", [closed().await, open]).await.expect("connected");
        assert_eq!(stream.peer_addr().ok(), Some(open));
    }

    #[tokio::test]
    async fn when_all_addresses_fail_each_is_told() {
        let (one, other) = (closed().await, closed().await);
        let error = dial_any("x.example", [one, other]).await.expect_err("refused").to_string();
        let told = |address| error.contains(&format!("{address}: Connection refused"));
        assert!(told(one) && told(other) && error.starts_with("connecting to x.example: "), "{error}");
        let alone = dial_any("x.example", [one]).await.expect_err("refused").to_string();
        assert!(alone.starts_with(&format!("connecting to x.example ({one}): Connection refused")), "{alone}");
    }

    #[tokio::test]
    async fn a_host_without_addresses_is_one_that_cannot_be_looked_up() {
        let error = dial_any("x.example", []).await.expect_err("no address");
        assert!(matches!(error, NetError::Resolve { .. }), "{error}");
    }
}
