//! Connections to servers: the endpoint, the kind of TLS, and the deadline.
//!
//! [`connect`] resolves, connects to the address that answers first and, for [`TlsMode::Implicit`],
//! completes the handshake, all under one deadline.  [`Stream::secure`] turns a clear connection
//! into an encrypted one (STLS, STARTTLS).  Nothing is sent on an encrypted stream before the
//! certificate is verified.

mod connecting;
mod crowd;
mod dial;
mod error;
mod identity;
mod look;
mod pem;
mod race;
mod records;
mod roots;
mod route;
mod socks;
mod stream;
mod tapped;
mod tls;
mod transport;
mod tunnel;

use std::path::PathBuf;
use std::time::Duration;

pub use connecting::{connect, within};
pub use crowd::{Crowd, Seat};
pub use error::{CertificateFault, NetError, TlsFault};
pub use look::{certificate, explained, greeted};
pub use route::{Proxy, Route};
pub use socks::{ProxyFault, ask as ask_proxy};
pub use stream::Stream;
pub use tls::{check_files, environment_for_openssl};

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// From the first octet (RFC 8314).
    Implicit,
    /// After a command in clear (RFC 2595 STLS, RFC 3207 STARTTLS); without TLS the connection fails.
    StartTls,
    /// Not at all: everything is readable on the way.
    None,
}

impl TlsMode {
    /// The mode in words, to be shown.
    pub fn words(self) -> &'static str {
        match self {
            TlsMode::Implicit => "TLS",
            TlsMode::StartTls => "STARTTLS",
            TlsMode::None => "in clear",
        }
    }
}

/// The oldest version of TLS to accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    V1_2,
    /// RFC 8446.
    V1_3,
}

/// How the server is verified, and how we authenticate ourselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Certificate authorities to trust instead of the system's: a file in PEM.
    pub ca_file: Option<PathBuf>,
    /// SHA-256 of the server's certificate (DER).  Replaces the system's authorities; together
    /// with `ca_file` both must agree.
    pub pin: Option<[u8; 32]>,
    /// The name that the certificate must carry, if it is not the host's.
    pub server_name: Option<String>,
    /// The oldest version to accept.
    pub min_version: TlsVersion,
    /// Our own certificate and its key, both in PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// A server, and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: TlsMode,
    /// How the server is verified.
    pub trust: Trust,
    /// How it is reached.
    pub route: Route,
}

impl Trust {
    /// Whether the name in the certificate is verified; with a pin alone, only the pin is.
    fn verifies_name(&self) -> bool {
        self.ca_file.is_some() || self.pin.is_none()
    }
}

impl Endpoint {
    /// `host:port` as it is shown.
    pub fn shown(&self) -> String {
        shown(&self.host, self.port)
    }

    /// The name that the certificate must carry.
    pub fn server_name(&self) -> &str {
        self.trust.server_name.as_deref().unwrap_or(&self.host)
    }

    /// Whether nobody else can read what is sent in clear, as far as the settings show.
    pub fn is_private(&self) -> bool {
        self.route.is_private(&self.host)
    }
}

fn shown(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a host is this machine by its name or address.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether an address is of this machine or of a private network (RFC 1918, RFC 4193, link-local),
/// so that what is sent there in clear does not cross the Internet.
pub fn is_own_network(address: std::net::IpAddr) -> bool {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// Time for one address to accept a connection.  Others are tried meanwhile; if none answers, the
/// message can name them all before the deadline of the whole connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
