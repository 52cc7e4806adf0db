//! Errors of a connection, before the server's first reply.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::ProxyFault;
use crate::failure::{Class, Failure, is_shortage, shortage};

/// Why a certificate is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// It has expired, or is not valid yet.
    Time,
    /// It is for another name.
    Name,
    /// It has no DNS name in a subjectAltName.
    NoName,
    /// No trusted authority has signed it.
    Authority,
    /// Anything else.
    Other,
}

/// Why a handshake cannot succeed, although the server does speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFault {
    /// The server cannot renegotiate safely (RFC 5746).
    Renegotiation,
    /// Its keys, signatures or parameters are weaker than OpenSSL allows.
    Weak,
    /// It knows no version of TLS that is allowed.
    Version,
    /// It accepts none of the ciphers, or wants something else that it does not name.
    Agreement,
}

/// A failed connection.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The name has no address.
    #[error("looking up {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No address of the host accepted a connection.
    #[error("connecting to {host}{}", told(failed))]
    Connect {
        /// The name.
        host: String,
        /// Every address that was tried, and why it failed.
        failed: Vec<(SocketAddr, io::Error)>,
    },
    /// The address to connect from does not belong to this machine.
    #[error("connecting from {from}: {cause}")]
    Source {
        /// The address.
        from: IpAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The host has no address in the family of the address to connect from.
    #[error("connecting to {host} from {from}: the host has no {} address", family(from))]
    Family {
        /// The host.
        host: String,
        /// The address to connect from.
        from: IpAddr,
    },
    /// The proxy cannot be reached.
    #[error("proxy {proxy}: {source}")]
    ProxyAway {
        /// The proxy, as `host:port`.
        proxy: String,
        /// The failed connection.
        source: Box<NetError>,
    },
    /// The proxy does not connect.
    #[error("connecting to {server} through the proxy {proxy}: {fault}")]
    Proxy {
        /// The proxy, as `host:port`.
        proxy: String,
        /// The server, as `host:port`.
        server: String,
        /// What the proxy refused or did wrong.
        fault: ProxyFault,
    },
    /// The command that makes the connection cannot be run.
    #[error("connect-command {program:?}: {source}")]
    CommandStart {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// The command that makes the connection has ended.
    #[error("{how}")]
    CommandEnded {
        /// The command and how it ended.
        how: String,
    },
    /// The handshake failed, or the certificate was refused.
    #[error("TLS handshake with {host}: {cause}")]
    Handshake {
        /// The host.
        host: String,
        /// What OpenSSL says.
        cause: String,
        /// The certificate's fault, if that is the reason.
        fault: Option<CertificateFault>,
        /// Why client and server cannot agree, if that is the reason.
        lack: Option<TlsFault>,
    },
    /// The certificate is not the pinned one.
    #[error("TLS handshake with {host}: the certificate's SHA-256 is {found}, not the one of tls-pin")]
    Pin {
        /// The host.
        host: String,
        /// The fingerprint of the server's certificate.
        found: String,
    },
    /// A file of certificates or keys cannot be used.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
        /// Reading it took too long, and may succeed the next time.
        is_late: bool,
    },
    /// A step took longer than it may.
    #[error("{step}: no answer within {} s", limit.as_secs_f32())]
    Timeout {
        /// The step that was waited for.
        step: String,
        /// The time that it had.
        limit: Duration,
    },
}

fn family(address: &IpAddr) -> &'static str {
    if address.is_ipv6() { "IPv6" } else { "IPv4" }
}

/// The most addresses that a message names.
const TOLD: usize = 4;

/// Each address and why it failed, on one line.
fn told(failed: &[(SocketAddr, io::Error)]) -> String {
    if let [(address, source)] = failed {
        return format!(" ({address}): {source}");
    }
    let each = failed.iter().take(TOLD).map(|(address, source)| format!("{address}: {source}"));
    let more = failed.len().checked_sub(TOLD).filter(|&more| more > 0).map(|more| format!("and {more} more"));
    format!(": {}", each.chain(more).collect::<Vec<_>>().join("; "))
}

impl NetError {
    /// Whether the certificate is refused.
    pub fn is_of_certificate(&self) -> bool {
        matches!(self, NetError::Handshake { fault: Some(_), .. })
    }

    /// Whether every address refused the connection.
    pub fn is_refused(&self) -> bool {
        let refused = |(_, source): &(SocketAddr, io::Error)| source.kind() == io::ErrorKind::ConnectionRefused;
        matches!(self, NetError::Connect { failed, .. } if failed.iter().all(refused))
    }
}

impl CertificateFault {
    fn advice(self) -> &'static str {
        match self {
            CertificateFault::Time => {
                "Check this machine's clock; if it is right, the server's operator has to renew the certificate."
            }
            CertificateFault::Name => {
                "Check the spelling of `host`; if it is right, ask the provider for the name in its certificate, and \
                 set it as `tls-server-name`."
            }
            CertificateFault::NoName => {
                "Its common name does not count (RFC 9525): the server's operator has to renew it with a \
                 subjectAltName; `tls-pin` accepts a certificate as it is."
            }
            CertificateFault::Authority => {
                "If the server is the right one, name the file of its certificate authority in `tls-ca`, or its \
                 certificate in `tls-pin`."
            }
            CertificateFault::Other => {
                "The server's operator has to mend it; `tls-pin` accepts a certificate as it is."
            }
        }
    }
}

impl TlsFault {
    pub(super) fn advice(self) -> &'static str {
        match self {
            TlsFault::Renegotiation => {
                "The server's TLS is very old: it cannot renegotiate safely (RFC 5746), and OpenSSL refuses that.  No key \
                 of the configuration mends it: its operator has to.  Until then another program can make the connection \
                 (`connect-command`), or the file that OPENSSL_CONF names can allow it (UnsafeLegacyServerConnect)."
            }
            TlsFault::Weak => {
                "The server's keys or signatures are weaker than OpenSSL allows on this machine.  Its operator has to \
                 renew them.  Until then another program can make the connection (`connect-command`), or the file that \
                 OPENSSL_CONF names can lower the level (CipherString = DEFAULT@SECLEVEL=1)."
            }
            TlsFault::Version => {
                "`tls-min` sets the oldest version that is allowed; \"1.2\" is the oldest that it takes.  If that is too new \
                 for the server, its operator has to mend it."
            }
            TlsFault::Agreement => {
                "Either the server takes none of the ciphers that OpenSSL offers on this machine, which its operator has \
                 to mend, or it wants a certificate of yours (`tls-client-cert`) or another name (`tls-server-name`)."
            }
        }
    }
}

impl Failure for NetError {
    fn class(&self) -> Class {
        match self {
            _ if self.is_shortage() => Class::TryLater,
            NetError::File { is_late: true, .. } => Class::TryLater,
            NetError::File { .. }
            | NetError::CommandStart { .. }
            | NetError::Proxy { fault: ProxyFault::Password(_) | ProxyFault::Field(_), .. } => Class::Configuration,
            _ => Class::Unreachable,
        }
    }

    fn is_shortage(&self) -> bool {
        match self {
            NetError::Resolve { source, .. } | NetError::CommandStart { source, .. } => is_shortage(source),
            NetError::Connect { failed, .. } => failed.iter().any(|(_, source)| is_shortage(source)),
            NetError::Source { cause, .. } => is_shortage(cause),
            NetError::ProxyAway { source, .. } => source.is_shortage(),
            _ => false,
        }
    }

    fn advice(&self) -> Option<String> {
        let text = match self {
            _ if self.is_shortage() => shortage(),
            NetError::Resolve { .. } => "Check the spelling of `host` and this machine's name resolution.".into(),
            NetError::Connect { .. } if self.is_refused() => {
                "Nothing listens there: check `host`, `port` and `tls` (implicit is port 995, starttls and none are 110)."
                    .into()
            }
            NetError::Connect { .. } => "Check the network, a firewall in between, and `host` and `port`.".into(),
            NetError::Source { .. } => {
                "`source-address` must be an address of this machine, on an interface that is up.".into()
            }
            NetError::Family { .. } => "Name a `source-address` of the other family, or another `host`.".into(),
            NetError::ProxyAway { .. } => "Check `proxy`, and that the proxy is running.".into(),
            NetError::Proxy { fault, .. } => fault.advice().into(),
            NetError::CommandStart { .. } | NetError::CommandEnded { .. } => {
                "Run the command by hand as the user that runs postrider: the server must answer on its standard output."
                    .into()
            }
            NetError::Handshake { fault: Some(fault), .. } => format!("No password was sent.  {}", fault.advice()),
            NetError::Handshake { lack: Some(lack), .. } => format!("No password was sent.  {}", lack.advice()),
            NetError::Handshake { .. } => {
                "No password was sent.  Check that `port` and `tls` go together (implicit speaks TLS at once), and \
                 that the server knows a version of TLS that `tls-min` allows."
                    .into()
            }
            NetError::Pin { found, .. } => {
                format!(
                    "No password was sent.  Ask the server's operator whether it has a new certificate; only then \
                     set tls-pin = \"sha256:{found}\"."
                )
            }
            NetError::File { is_late: true, .. } => "It is read again for the next connection.".into(),
            NetError::File { .. } => "Mend or replace the file.".into(),
            NetError::Timeout { .. } => "Check the server and the network; `timeout` sets how long to wait.".into(),
        };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_a_few_addresses_and_counts_the_rest() {
        let failed = |port| (SocketAddr::from(([192, 0, 2, 1], port)), io::ErrorKind::ConnectionRefused.into());
        let told = |ports: std::ops::Range<u16>| {
            NetError::Connect { host: "x.example".into(), failed: ports.map(failed).collect() }.to_string()
        };
        assert_eq!(told(1..2), "connecting to x.example (192.0.2.1:1): connection refused");
        assert!(told(1..5).ends_with("; 192.0.2.1:4: connection refused"), "{}", told(1..5));
        assert!(told(1..7).ends_with("; 192.0.2.1:4: connection refused; and 2 more"), "{}", told(1..7));
    }
}
