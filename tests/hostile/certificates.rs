//! The certificates that the servers show, from an authority of their own or from an unknown one.

use super::support::private_dir;
use native_tls::{Identity, TlsAcceptor};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Certificates in a directory of their own.
pub(crate) struct Certificates {
    dir: TempDir,
}

impl Certificates {
    /// Makes them.
    pub(crate) fn make() -> Self {
        let certificates = Self { dir: private_dir() };
        certificates.authority("ca");
        certificates.authority("strange-ca");
        certificates.certificate("good", "ca", "DNS:localhost,IP:127.0.0.1");
        certificates.certificate("elsewhere", "ca", "DNS:elsewhere.example");
        certificates.certificate("stranger", "strange-ca", "DNS:localhost,IP:127.0.0.1");
        certificates
    }

    /// The file of the authority that the client knows.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A server that shows one of them.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        let read = |kind| std::fs::read(self.dir.path().join(format!("{name}{kind}.pem"))).expect("a certificate");
        let identity = Identity::from_pkcs8(&read(""), &read("-key")).expect("an identity");
        TlsAcceptor::new(identity).expect("an acceptor")
    }

    fn authority(&self, name: &str) {
        self.issue(name, &format!("/CN=test {name}"), &["-addext", "basicConstraints=critical,CA:TRUE"]);
    }

    fn certificate(&self, name: &str, authority: &str, names: &str) {
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}-key.pem"));
        let (names, end) = (format!("subjectAltName={names}"), "basicConstraints=critical,CA:FALSE");
        self.issue(name, "/CN=localhost", &["-CA", &ca, "-CAkey", &ca_key, "-addext", &names, "-addext", end]);
    }

    fn issue(&self, name: &str, subject: &str, args: &[&str]) {
        let (key, file) = (format!("{name}-key.pem"), format!("{name}.pem"));
        self.openssl(&[&["-keyout", &key, "-out", &file, "-subj", subject], args].concat());
    }

    fn openssl(&self, args: &[&str]) {
        let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3"];
        let output = Command::new("openssl").args(new).args(args).current_dir(&self.dir).output().expect("openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
