//! The system's certificate authorities, read once.
//!
//! async-native-tls builds an OpenSSL context for every connection, and OpenSSL reads the
//! system's bundle for every context: 46 ms of CPU with Debian's 150 authorities (measured,
//! 2026).  So the process starts with OpenSSL's own bundle switched off
//! ([`super::environment_for_openssl`]), and contexts get the authorities parsed here.

use std::path::PathBuf;
use std::sync::OnceLock;

use native_tls::Certificate;

use crate::process;

/// Where systems keep their authorities in one file, in the order of how common they are.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

static ROOTS: OnceLock<Vec<Certificate>> = OnceLock::new();

/// Remembers the user's own bundle before OpenSSL's variable is overwritten.
pub(super) fn remember_environment() {
    process::remember("SSL_CERT_FILE");
}

/// The authorities of the system, or of `SSL_CERT_FILE`.
pub(super) fn system() -> &'static [Certificate] {
    ROOTS.get_or_init(|| {
        let own = process::variable("SSL_CERT_FILE").map(PathBuf::from);
        let candidates = own.into_iter().chain(BUNDLES.map(PathBuf::from));
        let bundle = candidates.filter_map(|path| std::fs::read(path).ok()).next();
        bundle.and_then(|pem| Certificate::stack_from_pem(&pem).ok()).unwrap_or_default()
    })
}
