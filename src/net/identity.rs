//! Our own certificate and its key, in the formats that PEM files usually have.
//!
//! A key is PKCS #8 (RFC 5958), PKCS #1 (RFC 8017) or SEC 1 (RFC 5915), in a file of its own or in that of
//! the certificate.  A certificate is followed by those of its chain.  An encrypted key is refused:
//! nobody is there to enter the pass phrase.  Every fault that can be found is found before any
//! connection is made.

use std::path::Path;

use native_tls::Identity;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContextBuilder, SslMethod};
use openssl::x509::X509;
use zeroize::Zeroizing;

use super::NetError;
use super::pem::{self, bad};

/// The most octets of a block's label that are shown; `ENCRYPTED PRIVATE KEY` has 21.
const LABEL_LIMIT: usize = 40;

/// Reads both files, which may be one.
///
/// # Errors
/// [`NetError::File`] for the faulty one.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Identity, NetError> {
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    match chain.iter().position(|certificate| fits(certificate, &private)) {
        Some(0) => {}
        Some(_) => {
            let what = "holds the certificate of the key behind another one; it must be the first";
            return Err(bad(certificate, what));
        }
        None => return Err(bad(key, format!("is not the key of the certificate in {}", certificate.display()))),
    }
    identity(&chain, &private).map_err(|error| bad(certificate, format!("cannot be used: {error}")))
}

/// The certificates of a file, at least one.
fn read_chain(path: &Path) -> Result<Vec<X509>, NetError> {
    let file = pem::read(path)?;
    let blocks = pem::blocks(&file);
    let certificates = blocks.iter().filter(|block| block.is_certificate()).enumerate().map(|(index, block)| {
        X509::from_pem(block.text)
            .map_err(|_| bad(path, format!("holds a certificate that is damaged, number {}", index + 1)))
    });
    let chain = certificates.collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() { Err(bad(path, "holds no certificate in PEM (BEGIN CERTIFICATE)")) } else { Ok(chain) }
}

fn read_key(path: &Path) -> Result<PKey<Private>, NetError> {
    let file = pem::read(path)?;
    let blocks = pem::blocks(&file);
    let block = blocks.iter().find(|block| block.is_key());
    let block = block.ok_or_else(|| bad(path, "holds no private key in PEM (BEGIN PRIVATE KEY)"))?;
    if block.is_encrypted() {
        let what =
            format!("holds a key that is encrypted; decrypt it with: openssl pkey -in {} -out NEW", path.display());
        return Err(bad(path, what));
    }
    // Without a callback OpenSSL would ask on the terminal.
    PKey::private_key_from_pem_callback(block.text, |_| Ok(0)).map_err(|_| {
        let what = format!(
            "holds a key that OpenSSL cannot read (BEGIN {})",
            crate::text::escape(block.label.as_bytes(), LABEL_LIMIT)
        );
        bad(path, what)
    })
}

fn fits(certificate: &X509, key: &PKey<Private>) -> bool {
    certificate.public_key().is_ok_and(|public| public.public_eq(key))
}

/// Converts both for the TLS library, which takes PKCS #8.  OpenSSL checks them here, and not only at
/// the first connection: it refuses keys that are too short.
fn identity(chain: &[X509], key: &PKey<Private>) -> Result<Identity, String> {
    let reason = |error: ErrorStack| {
        let first = error.errors().first().and_then(|error| error.reason());
        first.map_or_else(|| error.to_string(), str::to_owned)
    };
    let encoded = || {
        let mut context = SslContextBuilder::new(SslMethod::tls_client())?;
        context.set_private_key(key)?;
        let mut certificates = Vec::new();
        for certificate in chain.iter() {
            certificates.extend(certificate.to_pem()?);
        }
        if let Some(own) = chain.first() {
            context.set_certificate(own)?;
        }
        Ok((certificates, Zeroizing::new(key.private_key_to_pem_pkcs8()?)))
    };
    let (certificates, key) = encoded().map_err(reason)?;
    Identity::from_pkcs8(&certificates, &key).map_err(|error| error.to_string())
}
