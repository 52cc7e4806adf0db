//! Which servers the program trusts, which TLS it speaks with them, and how it authenticates itself: by
//! the whole program, against Dovecot or, for what Dovecot does not do, a server made here.  A server
//! that is refused gets no password.
//!
//! In `tls/`: the versions (`versions.rs`), which names and authorities count (`names.rs`), our own
//! certificate (`client.rs`), and a server that would change its certificate after the handshake
//! (`renegotiation.rs`).
//!
//! Elsewhere, and not repeated: an unknown authority, an expired certificate, another name, a pin that does
//! not fit and one that does (`errors.rs`); the same with STLS and a foreign authority, what comes before
//! and instead of a handshake (`hostile/corpus/03-stls.txt`, `04-tls.txt`); a login by EXTERNAL with a PKCS #8
//! key, and one with somebody else's (`login.rs`).
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "tls/client.rs"]
mod client;
#[path = "tls/names.rs"]
mod names;
#[path = "tls/renegotiation.rs"]
mod renegotiation;
#[path = "tls/server.rs"]
mod server;
mod support;
#[path = "tls/versions.rs"]
mod versions;

use std::path::Path;
use std::process::Command;

use support::{Dovecot, Output, Postrider, count_messages, maildir};

/// What must never be sent to a server that we do not trust.
const PASSWORD: &str = "pass1";

/// user1's account at `localhost`; `keys` say which servers it trusts.
fn account(port: u16, keys: &str) -> String {
    format!(
        "[accounts.a]\nhost = \"localhost\"\nport = {port}\nusername = \"user1\"\npassword = \"{PASSWORD}\"\n\
         timeout = \"20s\"\n{keys}\ndeliver = \"mail\"\n{}",
        maildir("mail")
    )
}

fn ca(path: &Path) -> String {
    format!("tls-ca = \"{}\"", path.display())
}

fn pin(certificate: &Path) -> String {
    let args = ["x509", "-noout", "-fingerprint", "-sha256", "-in"];
    let text = openssl(Path::new("."), &[&args[..], &[&certificate.display().to_string()]].concat());
    format!("tls-pin = \"sha256:{}\"", text.trim().rsplit('=').next().expect("a fingerprint"))
}

/// Runs `openssl` in a directory, and returns what it prints.
fn openssl(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("openssl").args(args).current_dir(dir).output().expect("run openssl");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A fetch that must end like this, in one paragraph with all of these words.
#[track_caller]
fn assert_fails(config: &str, code: i32, words: &[&str]) -> Output {
    let program = Postrider::with_config(config);
    let run = program.run(&["fetch"]).assert_code(code);
    assert!(run.stderr.lines().count() == 1, "not one paragraph:\n{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
    }
    assert_eq!(count_messages(&program.path("mail")), 0);
    run
}

/// The server is not trusted: no login is tried.
#[track_caller]
fn assert_disbelieved(server: &Dovecot, keys: &str, words: &[&str]) {
    let words = [&["TLS handshake with localhost", "No password was sent"], words].concat();
    assert_fails(&account(server.tls_port, keys), 69, &words);
    assert_fails(&account(server.port, &format!("tls = \"starttls\"\n{keys}")), 69, &words);
    assert!(!server.log().contains("user=<user"), "{}", server.log());
}

#[track_caller]
fn assert_believed(server: &Dovecot, keys: &str) {
    for keys in [keys.to_owned(), format!("tls = \"starttls\"\n{keys}")] {
        let port = if keys.contains("starttls") { server.port } else { server.tls_port };
        Postrider::with_config(&account(port, &keys)).run(&["fetch"]).assert_success();
    }
}

#[test]
fn a_certificate_is_not_believed_before_its_time() {
    let server = Dovecot::start_with(&["--cert", "not-yet"]);
    assert_disbelieved(&server, &ca(&server.ca()), &["it is not valid yet", "clock"]);
    assert_believed(&server, &pin(&server.certificate()));
}

#[test]
fn a_self_signed_certificate_is_believed_by_its_pin_or_as_an_authority_of_its_own() {
    let server = Dovecot::start_with(&["--cert", "self-signed"]);
    assert_disbelieved(&server, "", &["self-signed certificate", "`tls-ca`", "`tls-pin`"]);
    assert_disbelieved(&server, &ca(&server.ca()), &["self-signed certificate"]);
    assert_believed(&server, &pin(&server.certificate()));
    assert_believed(&server, &ca(&server.certificate()));
}

/// The pin is of the certificate: neither its key nor its authority makes another one do.
#[test]
fn a_pin_does_not_outlive_its_certificate() {
    let dir = support::private_dir();
    let file = |name: &str| dir.path().join(name);
    let name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    openssl(dir.path(), &[&["req", "-x509", "-keyout", "key", "-out", "old"], &key[..], &name].concat());
    openssl(dir.path(), &[&["req", "-x509", "-key", "key", "-out", "new"], &name[..]].concat());
    let set = |certificate: &Path| {
        let lines = [("cert", certificate), ("key", &file("key"))]
            .map(|(key, path)| format!("ssl_{key} = <{}", path.display()));
        Dovecot::start_with(&["--set", &lines[0], "--set", &lines[1]])
    };
    assert_believed(&set(&file("old")), &pin(&file("old")));
    let renewed = set(&file("new"));
    let keys = pin(&file("old"));
    assert_disbelieved(&renewed, &keys, &["not the one of tls-pin", "new certificate"]);
    // With an authority too, which believes the new one.
    assert_disbelieved(&renewed, &format!("{keys}\n{}", ca(&file("new"))), &["not the one of tls-pin"]);
    assert_believed(&renewed, &format!("{}\n{}", pin(&file("new")), ca(&file("new"))));
    // And a pin does not stand in for the authority.
    let stranger = Dovecot::start();
    let both = format!("{}\n{}", pin(&stranger.certificate()), ca(&file("new")));
    assert_disbelieved(&stranger, &both, &["does not know the authority"]);
}

#[test]
fn another_name_is_believed_if_it_is_the_one_that_was_named() {
    let server = Dovecot::start_with(&["--cert", "wrong-name"]);
    let named = |name: &str| format!("{}\ntls-server-name = \"{name}\"", ca(&server.ca()));
    assert_disbelieved(&server, &ca(&server.ca()), &["it is for another name", "`tls-server-name`"]);
    assert_disbelieved(&server, &named("example"), &["it is for another name"]);
    assert_disbelieved(&server, &named("sub.elsewhere.example"), &["it is for another name"]);
    assert_believed(&server, &named("elsewhere.example"));
    // The name that was named replaces the host's; it is not one more.
    let server = Dovecot::start();
    let other = format!("{}\ntls-server-name = \"elsewhere.example\"", ca(&server.ca()));
    assert_disbelieved(&server, &other, &["it is for another name"]);
}
