//! The handshake: which authorities, which versions, which certificate.

use async_native_tls::{TlsConnector, TlsStream};
use native_tls::{Protocol, TlsConnectorBuilder};
use openssl::x509::X509;
use sha2::{Digest, Sha256};

use super::tapped::Tapped;
use super::{CertificateFault, Endpoint, NetError, TlsFault, TlsVersion, Trust, identity, pem, roots};
use crate::{text, threads};

/// The variable that keeps OpenSSL from reading the system's bundle for every connection, and
/// its value.  The binary sets it before it starts any thread; the bundle is read once instead.
pub fn environment_for_openssl() -> (&'static str, &'static str) {
    roots::remember_environment();
    ("SSL_CERT_FILE", "/dev/null")
}

/// Reads the files of a trust as a connection will, so that a bad one is found early.
///
/// # Errors
/// [`NetError::File`] for the first file that cannot be used.
pub fn check_files(trust: &Trust) -> Result<(), NetError> {
    builder(trust).map(|_| ())
}

pub(super) async fn handshake(endpoint: &Endpoint, stream: Tapped) -> Result<TlsStream<Tapped>, NetError> {
    let trust = endpoint.trust.clone();
    // The builder reads files.
    let builder = threads::run(move || builder(&trust)).await.unwrap_or_else(|error| {
        // Like the system's own error, so that it counts as a shortage.
        let source = std::io::Error::new(std::io::ErrorKind::WouldBlock, error.to_string());
        Err(NetError::Resolve { host: endpoint.shown(), source })
    })?;
    let connector = TlsConnector::from(builder);
    let host = endpoint.shown();
    let mut stream = connector.connect(endpoint.server_name(), stream).await.map_err(|error| refused(&host, &error))?;
    let certificate = stream.peer_certificate().map_err(|error| refused(&host, &error))?;
    let der = certificate.and_then(|certificate| certificate.to_der().ok()).unwrap_or_default();
    // OpenSSL falls back to the common name where there is no DNS name, and the TLS library cannot prevent it.
    if endpoint.trust.verifies_name() && !is_address(endpoint.server_name()) && !has_dns_name(&der) {
        let (cause, fault) = ("the certificate is refused: it has no DNS name".to_owned(), CertificateFault::NoName);
        return Err(NetError::Handshake { host, cause, fault: Some(fault), lack: None });
    }
    if let Some(pin) = &endpoint.trust.pin {
        let found: [u8; 32] = Sha256::digest(&der).into();
        if found != *pin {
            return Err(NetError::Pin { host, found: text::hex(&found) });
        }
    }
    // The server that was verified now must stay the same.
    stream.get_mut().establish();
    Ok(stream)
}

/// What a handshake that accepts any certificate shows of a server.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// It speaks TLS.
    pub(super) is_tls: bool,
    /// Its certificate, in DER.
    pub(super) certificate: Option<Vec<u8>>,
}

/// Looks at a server over a connection that has no other use.
pub(super) async fn look(endpoint: &Endpoint, tapped: Tapped) -> Seen {
    let mut builder = native_tls::TlsConnector::builder();
    builder.disable_built_in_roots(true).danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
    match TlsConnector::from(builder).connect(endpoint.server_name(), tapped).await {
        Ok(stream) => {
            let certificate = stream.peer_certificate().ok().flatten();
            Seen { is_tls: true, certificate: certificate.and_then(|certificate| certificate.to_der().ok()) }
        }
        // An alert is TLS too.
        Err(error) => Seen { is_tls: crate::failure::describe(&error).contains("alert"), certificate: None },
    }
}

fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a certificate has a DNS name in its subjectAltName (RFC 5280 §4.2.1.6); the common name has not
/// counted since RFC 9525 §2, and name constraints of an authority do not apply to it everywhere.
fn has_dns_name(der: &[u8]) -> bool {
    let names = X509::from_der(der).ok().and_then(|certificate| certificate.subject_alt_names());
    names.is_some_and(|names| names.iter().any(|name| name.dnsname().is_some()))
}

/// A builder for a trust.  The authorities are either the ones of `ca_file` or the system's; a
/// pin alone needs none.
fn builder(trust: &Trust) -> Result<TlsConnectorBuilder, NetError> {
    let mut builder = native_tls::TlsConnector::builder();
    builder.disable_built_in_roots(true).min_protocol_version(Some(match trust.min_version {
        TlsVersion::V1_2 => Protocol::Tlsv12,
        TlsVersion::V1_3 => Protocol::Tlsv13,
    }));
    match (&trust.ca_file, &trust.pin) {
        (Some(path), _) => {
            for certificate in pem::read_authorities(path)? {
                builder.add_root_certificate(certificate);
            }
        }
        (None, Some(_)) => {
            builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
        }
        (None, None) => {
            for certificate in roots::authorities()? {
                builder.add_root_certificate(certificate.clone());
            }
        }
    }
    if let Some((certificate, key)) = &trust.client_certificate {
        builder.identity(identity::read(certificate, key)?);
    }
    Ok(builder)
}

fn refused(host: &str, error: &native_tls::Error) -> NetError {
    let (cause, fault) = reason(&crate::failure::describe(error));
    let lack = lack(&cause).filter(|_| fault.is_none());
    NetError::Handshake { host: host.to_owned(), cause, fault, lack }
}

/// Why client and server cannot agree; OpenSSL's words are the only clue here.
fn lack(cause: &str) -> Option<TlsFault> {
    let has = |words: &[&str]| words.iter().any(|word| cause.contains(word));
    if has(&["unsafe legacy renegotiation"]) {
        return Some(TlsFault::Renegotiation);
    }
    if has(&["too small", "too weak", "md too", "signature type", "signature algorithm", "legacy sigalg", "bad dh"]) {
        return Some(TlsFault::Weak);
    }
    if has(&["version of TLS in common", "no protocols available", "version too low"]) {
        return Some(TlsFault::Version);
    }
    let refusals = ["shared cipher", "handshake failure", "insufficient security", "cipher", "certificate required"];
    has(&refusals).then_some(TlsFault::Agreement)
}

/// What OpenSSL's error means.  Its text is all that the TLS library passes on:
/// `error:CODE:library:function:reason:file:line:`, followed, in parentheses, by what is wrong
/// with the certificate.
fn reason(text: &str) -> (String, Option<CertificateFault>) {
    let reason = text.split(':').nth(4).filter(|_| text.starts_with("error:")).unwrap_or(text).trim();
    if !text.contains("certificate verify failed") {
        return match reason {
            "wrong version number" | "packet length too long" | "http request" => {
                ("the server does not speak TLS here".to_owned(), None)
            }
            // The server's alert, and OpenSSL's errors about a version that was not offered.
            "tlsv1 alert protocol version" | "unsupported protocol" | "wrong ssl version" => {
                ("the server and `tls-min` have no version of TLS in common".to_owned(), None)
            }
            // Dovecot 2.3 closes without an alert.
            "" | "unexpected EOF" => ("the server closed the connection".to_owned(), None),
            _ => (reason.to_owned(), None),
        };
    }
    let wrong = text.rsplit_once('(').map_or(reason, |(_, wrong)| wrong.trim_end_matches(')').trim());
    let fault = match wrong {
        "certificate has expired" | "certificate is not yet valid" => CertificateFault::Time,
        "hostname mismatch" | "Hostname mismatch" | "IP address mismatch" => CertificateFault::Name,
        _ if wrong.contains("issuer") || wrong.contains("self-signed") || wrong.contains("self signed") => {
            CertificateFault::Authority
        }
        _ => CertificateFault::Other,
    };
    let wrong = match (fault, wrong) {
        (CertificateFault::Name, _) => "it is for another name",
        (
            CertificateFault::Authority,
            "unable to get local issuer certificate" | "unable to get issuer certificate",
        ) => "this machine does not know the authority that has issued it",
        (CertificateFault::Time, "certificate has expired") => "it has expired",
        (CertificateFault::Time, _) => "it is not valid yet",
        _ => wrong,
    };
    (format!("the certificate is refused: {wrong}"), Some(fault))
}

/// The version in a server's hello (RFC 5246 §7.4.1.3, RFC 8446 §4.1.3): that of the
/// supported_versions extension, or else the legacy field.
pub(super) fn version_of(handshake: &[u8]) -> &'static str {
    match server_version(handshake) {
        Some(0x0304) => "TLS 1.3",
        Some(0x0303) => "TLS 1.2",
        Some(0x0302) => "TLS 1.1",
        Some(0x0301) => "TLS 1.0",
        _ => "TLS",
    }
}

fn server_version(octets: &[u8]) -> Option<u16> {
    const SUPPORTED_VERSIONS: u16 = 43;
    let u16_at = |at: usize| Some(u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]));
    // Record header (5), handshake type 2 and length (4), version (2), random (32), session id.
    if *octets.first()? != 22 || *octets.get(5)? != 2 {
        return None;
    }
    let legacy = u16_at(9)?;
    let session = usize::from(*octets.get(43)?);
    // Cipher suite (2), compression (1), length of the extensions (2).
    let mut at = 44 + session + 5;
    while let (Some(kind), Some(length)) = (u16_at(at), u16_at(at + 2)) {
        if kind == SUPPORTED_VERSIONS {
            return u16_at(at + 4);
        }
        at += 4 + usize::from(length);
    }
    Some(legacy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_two_lack_is_told_apart_from_a_wrong_port() {
        for (text, want) in [
            (
                "error:0A000152:SSL routines:f:unsafe legacy renegotiation disabled:f.c:1:",
                Some(TlsFault::Renegotiation),
            ),
            ("error:0A00018A:SSL routines:f:dh key too small:f.c:1:", Some(TlsFault::Weak)),
            ("error:0A00018E:SSL routines:f:ca md too weak:f.c:1:", Some(TlsFault::Weak)),
            ("error:0A00018F:SSL routines:f:ee key too small:f.c:1:", Some(TlsFault::Weak)),
            ("error:0A000172:SSL routines:f:wrong signature type:f.c:1:", Some(TlsFault::Weak)),
            ("error:0A000102:SSL routines:f:unsupported protocol:f.c:1:", Some(TlsFault::Version)),
            ("error:0A00042E:SSL routines:f:tlsv1 alert protocol version:f.c:1:", Some(TlsFault::Version)),
            ("error:0A0000C1:SSL routines:f:no shared cipher:f.c:1:", Some(TlsFault::Agreement)),
            ("error:0A000410:SSL routines:f:sslv3 alert handshake failure:f.c:1:", Some(TlsFault::Agreement)),
            ("error:0A00010B:SSL routines:f:wrong version number:f.c:1:", None),
            ("unexpected EOF", None),
            ("Connection reset by peer (os error 104)", None),
        ] {
            assert_eq!(lack(&reason(text).0), want, "{text}");
            if let Some(fault) = want {
                assert!(!fault.advice().contains("`port`"), "{text}");
            }
        }
    }

    #[test]
    fn the_version_is_read_from_the_servers_hello() {
        let mut hello = vec![22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0x13, 0x01, 0]);
        let mut old = hello.clone();
        old.extend([0, 0]);
        assert_eq!(version_of(&old), "TLS 1.2");
        hello.extend([0, 12, 0, 51, 0, 2, 9, 9, 0, 43, 0, 2, 3, 4]);
        assert_eq!(version_of(&hello), "TLS 1.3");
        for cut in 0..hello.len() {
            version_of(&hello[..cut]);
        }
    }

    #[test]
    fn a_file_without_an_end_is_not_read_for_ever() {
        let dir = tempfile::tempdir().expect("a directory");
        let large = dir.path().join("large");
        std::fs::File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("a file of a terabyte");
        for (path, want) in [("/dev/zero".into(), "is a device, not a file"), (large, "is longer than 16 MiB")] {
            let trust = Trust { ca_file: Some(path), ..Trust::default() };
            let text = check_files(&trust).expect_err("no certificate").to_string();
            assert!(text.contains(want), "{text}");
        }
    }

    #[test]
    fn what_openssl_says_is_put_into_words() {
        for (text, want, fault) in [
            (
                "error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../ssl/record/ssl3_record.c:350:",
                "the server does not speak TLS here",
                None,
            ),
            (
                "error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:../ssl/record/rec.c:1:SSL alert number 70",
                "the server and `tls-min` have no version of TLS in common",
                None,
            ),
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed:../ssl/x.c:18: (certificate has expired)",
                "the certificate is refused: it has expired",
                Some(CertificateFault::Time),
            ),
            ("unexpected EOF", "the server closed the connection", None),
            ("unexpected EOF during handshake", "unexpected EOF during handshake", None),
        ] {
            assert_eq!(reason(text), (want.to_owned(), fault));
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, "not a certificate").expect("written");
        let trust = Trust { ca_file: Some(path), ..Trust::default() };
        assert!(matches!(check_files(&trust), Err(NetError::File { .. })));
    }

    proptest::proptest! {
        #[test]
        fn the_version_is_that_of_the_first_supported_versions_extension_whatever_surrounds_it(
            session in 0..=32_u8,
            before in proptest::collection::vec((44..99_u16, 0..20_u8), 0..4),
            version in proptest::sample::select(vec![0x0301_u16, 0x0302, 0x0303, 0x0304, 0x7f1c]),
            junk in proptest::collection::vec(0_u8.., 0..80),
        ) {
            let mut hello = vec![22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];
            hello.extend([7; 32]);
            hello.push(session);
            hello.extend(vec![8; usize::from(session)]);
            hello.extend([0x13, 0x01, 0, 0, 90]);
            for (kind, length) in before {
                hello.extend(kind.to_be_bytes());
                hello.extend([0, length]);
                hello.extend(vec![9; usize::from(length)]);
            }
            proptest::prop_assert_eq!(version_of(&hello), "TLS 1.2");
            hello.extend([0, 43, 0, 2]);
            hello.extend(version.to_be_bytes());
            hello.extend(&junk);
            let names = [(0x0301, "TLS 1.0"), (0x0302, "TLS 1.1"), (0x0303, "TLS 1.2"), (0x0304, "TLS 1.3")];
            let want = names.iter().find(|(known, _)| *known == version).map_or("TLS", |(_, name)| name);
            proptest::prop_assert_eq!(version_of(&hello), want);
            version_of(&junk);
        }
    }
}
