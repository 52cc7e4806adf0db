//! Connects to a server; with implicit TLS, the connection is encrypted and verified.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

use super::{Endpoint, NetError, Stream, TlsMode, dial, look};

/// Connects to a server; encrypted and verified for [`TlsMode::Implicit`], in clear otherwise.
/// The addresses of the host are tried side by side (RFC 8305).
///
/// # Errors
/// Why each address failed, or which step took longer than `limit`.
pub async fn connect(endpoint: &Endpoint, limit: Duration) -> Result<Stream, NetError> {
    let until = Instant::now() + limit;
    let stream = dial::open(endpoint, limit).await?;
    match endpoint.tls {
        TlsMode::Implicit => {
            let step = || format!("TLS handshake with {}{}", endpoint.shown(), endpoint.route.shown());
            let secured = timeout_at(until, stream.secure(endpoint)).await;
            match secured.map_err(|_| NetError::Timeout { step: step(), limit })? {
                Err(error) if error.is_of_certificate() => {
                    Err(look::explained(error, look::certificate_at_once(endpoint).await))
                }
                secured => secured,
            }
        }
        TlsMode::StartTls | TlsMode::None => Ok(stream),
    }
}

/// Waits for a step, but not longer than `limit`.
///
/// # Errors
/// [`NetError::Timeout`] with the step's name.
pub async fn within<T>(limit: Duration, step: &str, work: impl Future<Output = T>) -> Result<T, NetError> {
    timeout(limit, work).await.map_err(|_| NetError::Timeout { step: step.to_owned(), limit })
}
