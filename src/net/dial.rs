//! Name, address, connection, handshake: one after the other, each within a time.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CONNECT_TIMEOUT, Endpoint, NetError, Stream, TlsMode};

/// Connects to a server; encrypted and verified for [`TlsMode::Implicit`], in clear otherwise.
/// Every address of the host is tried in turn.
///
/// # Errors
/// The last address's failure, or the step that took longer than `limit`.
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
    let mut failure = resolve(io::Error::new(io::ErrorKind::NotFound, "it has no address"));
    for address in addresses {
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let source = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => {
                // Small commands must not wait for the answer to the one before.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(source) => source,
        };
        failure = NetError::Connect { host: host.clone(), address, source };
    }
    Err(failure)
}
