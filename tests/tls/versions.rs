//! Which versions of TLS are spoken.

use std::fs::{Permissions, set_permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use openssl::ssl::SslVersion;

use super::server::{self, Certificates};
use super::support::{Dovecot, Listener, private_dir};
use super::{account, assert_believed, assert_disbelieved, assert_fails, ca, pin};

const WORDS: [&str; 3] = ["TLS handshake with localhost", "No password was sent", "no version of TLS in common"];

/// Dovecot cannot be told the newest version that it may speak; its OpenSSL can.
#[test]
fn a_server_that_knows_no_tls_1_3_is_refused_if_that_is_the_oldest_to_accept() {
    let dir = private_dir();
    // Its login processes, of another user, have to read it.
    set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("its mode");
    let file = dir.path().join("openssl.cnf");
    let text = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nMaxProtocol = TLSv1.2\n";
    std::fs::write(&file, text).expect("written");
    let set = format!("import_environment = OPENSSL_CONF={}", file.display());
    let server = Dovecot::start_with(&["--set", &set]);
    let keys = |version: &str| format!("{}\ntls-min = \"{version}\"", ca(&server.ca()));
    // Dovecot does not say why.
    assert_disbelieved(&server, &keys("1.3"), &["the server closed the connection", "`tls-min`"]);
    let pinned = format!("{}\ntls-min = \"1.3\"", pin(&server.certificate()));
    assert_disbelieved(&server, &pinned, &["the server closed the connection", "`tls-min`"]);
    assert_believed(&server, &keys("1.2"));
    let newer = Dovecot::start();
    assert_believed(&newer, &format!("{}\ntls-min = \"1.3\"", ca(&newer.ca())));
}

/// One that says so, and one that chooses TLS 1.1 although it was not offered.
#[test]
fn nothing_older_than_tls_1_2_is_spoken() {
    let certificates = Certificates::make();
    let mut context = certificates.context("one");
    context.set_security_level(0);
    context.set_cipher_list("DEFAULT:@SECLEVEL=0").expect("ciphers");
    context.set_min_proto_version(None).expect("a version");
    context.set_max_proto_version(Some(SslVersion::TLS1_1)).expect("a version");
    let context = context.build();
    let honest = Listener::start_raw(move |socket| drop(server::accept(&context, socket)));
    let (after, afterwards) = mpsc::channel();
    let stubborn = Listener::start_raw(move |mut socket| {
        let mut header = [0; 5];
        socket.read_exact(&mut header).expect("a record");
        let length = u16::from_be_bytes([header[3], header[4]]);
        socket.read_exact(&mut vec![0; usize::from(length)]).expect("a client's hello");
        // Version, random, no session id, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no compression.
        let hello = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
        let message = [&[2, 0, 0, u8::try_from(hello.len()).expect("short")][..], &hello].concat();
        let record = [&[22, 3, 2, 0, u8::try_from(message.len()).expect("short")][..], &message].concat();
        socket.write_all(&record).expect("sent");
        let mut rest = Vec::new();
        let _ = socket.read_to_end(&mut rest);
        let _ = after.send(rest);
    });
    for server in [&honest, &stubborn] {
        for keys in ["tls-min = \"1.2\"".to_owned(), pin(&certificates.file("one"))] {
            assert_fails(&account(server.port, &keys), 69, &WORDS);
        }
        assert_eq!(server.connections(), 2);
    }
    // All that the second one gets is an alert, of one record.
    for _ in 0..stubborn.connections() {
        let rest = afterwards.recv().expect("the end of a connection");
        assert!(rest.len() == 7 && rest[0] == 21, "{rest:?}");
    }
}
