//! Looks at a server over a second connection, to explain what is wrong with the first: whether the server waits
//! for TLS, and which certificate it shows.
//!
//! Nothing that is seen there is trusted, and nothing is sent but a handshake (and the command before it).

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use openssl::asn1::Asn1StringRef;
use openssl::nid::Nid;
use openssl::x509::{X509, X509NameRef};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use super::{Endpoint, NetError, Stream, TlsMode, dial, tls};
use crate::text;

/// Time for the greeting of a server that does not wait for the client.
const GREETING: Duration = Duration::from_secs(3);

/// Time for a look.
const LIMIT: Duration = Duration::from_secs(2);

/// The most names of a certificate that are shown.
const NAMES: usize = 5;

/// Waits for a server's greeting in clear.  If none comes soon, looks whether the server speaks TLS at once:
/// then each side would wait for the other, and the result is `None`.
pub async fn greeted<T>(endpoint: &Endpoint, limit: Duration, greeting: impl Future<Output = T>) -> Option<T> {
    if endpoint.tls == TlsMode::Implicit {
        return Some(greeting.await);
    }
    let mut greeting = pin!(greeting);
    if let Ok(came) = timeout(GREETING.min(limit / 2), &mut greeting).await {
        return Some(came);
    }
    let speaks_tls = async {
        if !speaks_tls(endpoint).await {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        came = &mut greeting => Some(came),
        () = speaks_tls => None,
    }
}

/// Whether a server speaks TLS at once.
async fn speaks_tls(endpoint: &Endpoint) -> bool {
    let look = async {
        let stream = dial::open(endpoint, LIMIT).await.ok()?;
        seen(endpoint, stream).await.is_tls.then_some(())
    };
    timeout(LIMIT, look).await.ok().flatten().is_some()
}

/// What a handshake on a connection in clear shows.
async fn seen(endpoint: &Endpoint, stream: Stream) -> tls::Seen {
    match stream {
        Stream::Clear(tapped) => tls::look(endpoint, tapped).await,
        Stream::Tls(_) => tls::Seen::default(),
    }
}

/// Describes a server's certificate, as seen on another connection that is ready for a handshake; `None`: it
/// cannot be seen.
pub async fn certificate(endpoint: &Endpoint, ready: impl Future<Output = Option<Stream>>) -> Option<String> {
    let look = async {
        let stream = ready.await?;
        describe(&seen(endpoint, stream).await.certificate?)
    };
    timeout(LIMIT + LIMIT, look).await.ok().flatten()
}

/// The same where the server speaks TLS at once.
pub(super) async fn certificate_at_once(endpoint: &Endpoint) -> Option<String> {
    certificate(endpoint, async { dial::open(endpoint, LIMIT).await.ok() }).await
}

/// Adds the description of the certificate to an error about it.
pub fn explained(error: NetError, seen: Option<String>) -> NetError {
    match (error, seen) {
        (NetError::Handshake { host, cause, fault: Some(fault), lack }, Some(seen)) => {
            NetError::Handshake { host, cause: format!("{cause} ({seen})"), fault: Some(fault), lack }
        }
        (error, _) => error,
    }
}

/// Names, issuer, dates and fingerprint.
fn describe(der: &[u8]) -> Option<String> {
    let certificate = X509::from_der(der).ok()?;
    let mut names: Vec<String> = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        let address = name.ipaddress().and_then(|octets| match octets.len() {
            4 => <[u8; 4]>::try_from(octets).ok().map(|octets| std::net::IpAddr::from(octets).to_string()),
            _ => <[u8; 16]>::try_from(octets).ok().map(|octets| std::net::IpAddr::from(octets).to_string()),
        });
        names.extend(name.dnsname().map(|name| text::escape(name.as_bytes(), 100)).or(address));
    }
    if names.is_empty() {
        names.extend(first(certificate.subject_name(), &[Nid::COMMONNAME]));
    }
    let more = if names.len() > NAMES { format!(" and {} more", names.len() - NAMES) } else { String::new() };
    names.truncate(NAMES);
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let issuer = first(certificate.issuer_name(), &[Nid::COMMONNAME, Nid::ORGANIZATIONNAME]);
    let issuer = issuer.unwrap_or_else(|| "nobody".to_owned());
    let print: [u8; 32] = Sha256::digest(der).into();
    Some(format!(
        "it is for {names}{more}; issued by {issuer}; valid from {} to {}; sha256:{}",
        certificate.not_before(),
        certificate.not_after(),
        text::hex(&print)
    ))
}

/// The first of these parts that the name has.
fn first(name: &X509NameRef, parts: &[Nid]) -> Option<String> {
    let text = |data: &Asn1StringRef| data.to_string().ok().map(|text| text::escape(text.as_bytes(), 100));
    parts.iter().find_map(|&part| name.entries_by_nid(part).next().and_then(|entry| text(entry.data())))
}
