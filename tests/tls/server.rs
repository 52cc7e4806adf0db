//! A server of TLS made here, for what Dovecot does not do.

use std::io::{Read, Write};
use std::path::PathBuf;

use openssl::ssl::{HandshakeError, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslStream, SslVersion};
use tempfile::TempDir;

use super::openssl;
use super::support::private_dir;

/// Two certificates for `localhost`, `one` and `two`, each signed by itself.
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let dir = private_dir();
        for name in ["one", "two"] {
            let key = format!("{name}-key");
            let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"];
            let files = ["-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", name];
            openssl(dir.path(), &[&new[..], &files].concat());
        }
        Self { dir }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A server that shows one of them.
    pub(crate) fn context(&self, name: &str) -> SslContextBuilder {
        let mut context = SslContextBuilder::new(SslMethod::tls_server()).expect("a context");
        context.set_certificate_file(self.file(name), SslFiletype::PEM).expect("a certificate");
        context.set_private_key_file(self.file(&format!("{name}-key")), SslFiletype::PEM).expect("its key");
        context.set_max_proto_version(Some(SslVersion::TLS1_2)).expect("a version");
        context
    }
}

/// The server's end of the handshake.
pub(crate) fn accept<S: Read + Write>(context: &SslContext, stream: S) -> Result<SslStream<S>, HandshakeError<S>> {
    Ssl::new(context).expect("a session").accept(stream)
}
