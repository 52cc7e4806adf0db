//! Our own certificate and its key, in every form in which people have them; and which faults of their
//! files are reported before any server is asked.

use std::path::Path;

use super::support::{Dovecot, Fill, Mix, Postrider, Scripted, count_messages};
use super::{account, assert_fails, ca, openssl};

/// Certificates and keys of user1, by the authority of a server.
struct Files<'s> {
    dir: &'s Path,
}

impl<'s> Files<'s> {
    fn of(server: &'s Dovecot) -> Self {
        Self { dir: server.dir() }
    }

    fn tls(&self) -> std::path::PathBuf {
        self.dir.join("tls")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.tls().join(name)).expect("a file")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.tls().join(name), text).expect("written");
    }

    /// A new key, `NAME-key.pem`, and a certificate for it, `NAME.pem`.
    fn issue(&self, name: &str, authority: &str, kind: &[&str], extension: &str) {
        let (key, file) = (format!("{name}-key.pem"), format!("{name}.pem"));
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}-key.pem"));
        let new = ["req", "-x509", "-nodes", "-days", "3", "-subj", "/CN=user1", "-newkey"];
        let by = ["-CA", &ca, "-CAkey", &ca_key, "-keyout", &key, "-out", &file, "-addext", extension];
        openssl(&self.tls(), &[&new[..], kind, &by].concat());
    }

    /// What a command makes of a key or certificate.
    fn made(&self, args: &[&str]) -> String {
        openssl(&self.tls(), args)
    }

    fn keys(&self, certificate: &str, key: &str) -> String {
        let path = |name: &str| self.tls().join(name).display().to_string();
        format!("tls-client-cert = \"{}\"\ntls-client-key = \"{}\"", path(certificate), path(key))
    }
}

const EC: [&str; 3] = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
const END: &str = "basicConstraints=critical,CA:FALSE";

/// user1's account, whose certificate logs in.
fn external(server: &Dovecot, files: &str) -> String {
    account(server.tls_port, &format!("auth = \"external\"\n{}\n{files}", ca(&server.ca())))
        .replace("password = \"pass1\"\n", "")
}

#[test]
fn a_key_in_every_usual_form_logs_in() {
    let server = Dovecot::start_with(&["--users", "1", "--mechanisms", "plain external"]);
    server.fill("user1", &Fill::new(1, Mix::Tiny));
    let files = Files::of(&server);
    files.issue("rsa", "ca", &["rsa:2048"], END);
    files.issue("ed", "ca", &["ed25519"], END);
    files.issue("middle", "ca", &EC, "basicConstraints=critical,CA:TRUE");
    files.issue("leaf", "middle", &EC, END);
    let (ec, rsa) = (files.read("user1.pem"), files.read("rsa.pem"));
    let ec_key = files.read("user1-key.pem");
    let pkcs1 = files.made(&["pkey", "-traditional", "-in", "rsa-key.pem"]);
    let sec1 = files.made(&["pkey", "-traditional", "-in", "user1-key.pem"]);
    let parameters = files.made(&["ecparam", "-name", "prime256v1"]);
    for (text, label) in
        [(&ec_key, "PRIVATE"), (&pkcs1, "RSA PRIVATE"), (&sec1, "EC PRIVATE"), (&parameters, "EC PARAMETERS")]
    {
        assert!(text.starts_with(&format!("-----BEGIN {label}")), "{text}");
    }
    let bag = "Bag Attributes\n    friendlyName: user1\nKey Attributes: <No Attributes>\n";
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let chain = files.read("leaf.pem") + &files.read("middle.pem");
    for (what, certificate, key) in [
        ("PKCS #8", &ec, &ec_key),
        ("PKCS #8, RSA", &rsa, &files.read("rsa-key.pem")),
        ("PKCS #8, Ed25519", &files.read("ed.pem"), &files.read("ed-key.pem")),
        ("PKCS #1", &rsa, &pkcs1),
        ("SEC 1", &ec, &sec1),
        ("SEC 1 behind its parameters", &ec, &(parameters.clone() + &sec1)),
        ("a chain", &chain, &files.read("leaf-key.pem")),
        ("text before", &files.made(&["x509", "-text", "-in", "user1.pem"]), &(bag.to_owned() + &ec_key)),
        (
            "text before, PKCS #1",
            &(bag.to_owned() + &rsa),
            &files.made(&["rsa", "-traditional", "-text", "-in", "rsa-key.pem"]),
        ),
        ("CRLF", &crlf(&ec), &crlf(&ec_key)),
        ("CRLF, PKCS #1", &crlf(&rsa), &crlf(&pkcs1)),
        ("a byte order mark", &("\u{feff}".to_owned() + &crlf(&ec)), &("\u{feff}".to_owned() + &crlf(&sec1))),
        ("no end of line", &ec.trim_end().to_owned(), &sec1.trim_end().to_owned()),
    ] {
        files.write("c", certificate);
        files.write("k", key);
        files.write("c-k", &format!("{}\n{key}", certificate.trim_end()));
        files.write("k-c", &format!("{}\n{certificate}", key.trim_end()));
        for (certificate, key) in [("c", "k"), ("c-k", "c-k"), ("k-c", "k-c"), ("k-c", "k")] {
            let program = Postrider::with_config(&external(&server, &files.keys(certificate, key)));
            let run = program.run(&["fetch"]);
            assert!(run.code == Some(0), "{what}, {certificate} and {key}: {}", run.stderr);
            assert_eq!(count_messages(&program.path("mail")), 1, "{what}, {certificate} and {key}");
        }
    }
    assert_eq!(server.log().matches("method=EXTERNAL").count(), 13 * 4);

    // It is the chain that does it, and not the leaf alone.
    let words = ["by external", "didn't present valid SSL certificate", "`tls-client-cert`"];
    assert_fails(&external(&server, &files.keys("leaf.pem", "leaf-key.pem")), 77, &words);
}

#[test]
fn a_server_that_wants_a_certificate_gets_no_mail_out_of_a_login_without() {
    let server = Dovecot::start_with(&["--users", "1", "--mechanisms", "plain external"]);
    server.fill("user1", &Fill::new(1, Mix::Tiny));
    let files = Files::of(&server);
    let trust = ca(&server.ca());
    let keys = format!("{trust}\n{}", files.keys("user1.pem", "user1-key.pem"));
    assert_fails(&account(server.tls_port, &trust), 77, &["login as \"user1\""]);
    let program = Postrider::with_config(&account(server.tls_port, &keys));
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("mail")), 1);
    let program = Postrider::with_config(&account(server.port, &format!("tls = \"starttls\"\n{keys}")));
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("mail")), 1);
}

/// Every fault is reported with its file by `check` and by `fetch`, before the server hears of us.
#[test]
fn a_fault_of_the_files_is_told_before_a_server_is_asked() {
    let dovecot = Dovecot::start_with(&["--users", "2", "--mechanisms", "plain external"]);
    let files = Files::of(&dovecot);
    files.issue("rsa", "ca", &["rsa:2048"], END);
    files.issue("short", "ca", &["rsa:512"], END);
    let aes = ["-aes256", "-passout", "pass:secret"];
    files.write(
        "new",
        &files.made(&[&["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "user1-key.pem"], &aes[1..]].concat()),
    );
    files.write("old", &files.made(&[&["pkey", "-traditional", "-in", "rsa-key.pem"], &aes[..]].concat()));
    files.write("old-ec", &files.made(&[&["pkey", "-traditional", "-in", "user1-key.pem"], &aes[..]].concat()));
    files.write("none", &files.made(&["pkey", "-aes256", "-passout", "pass:", "-in", "user1-key.pem"]));
    assert!(files.read("old").contains("Proc-Type: 4,ENCRYPTED"));
    let certificate = files.read("user1.pem");
    files.write("both", &(certificate.clone() + &files.read("new")));
    files.write("swapped", &(files.read("user2.pem") + &certificate));
    files.write("empty", "");
    let base64 = |line: &str| format!("-----BEGIN {line}-----\nTUlJQw==\n-----END {line}-----\n");
    files.write("ssh", &base64("OPENSSH PRIVATE KEY"));
    files.write("damaged", &base64("CERTIFICATE"));
    files.write("damaged-chain", &(certificate.clone() + &base64("CERTIFICATE")));
    files.write("cut", certificate.split("-----END").next().expect("a beginning"));
    files.write("cut-key", files.read("user1-key.pem").split("-----END").next().expect("a beginning"));
    let convert = |name: &str| format!("openssl pkey -in {} -out NEW", files.tls().join(name).display());
    let no_certificate = "holds no certificate in PEM (BEGIN CERTIFICATE)";
    let no_key = "holds no private key in PEM (BEGIN PRIVATE KEY)";
    let server = Scripted::dialogue(&["eof"]);
    for (certificate, key, file, words) in [
        ("user1.pem", "new", "new", vec!["encrypted".to_owned(), convert("new")]),
        ("rsa.pem", "old", "old", vec!["encrypted".to_owned(), convert("old")]),
        ("user1.pem", "old-ec", "old-ec", vec!["encrypted".to_owned(), convert("old-ec")]),
        ("user1.pem", "none", "none", vec!["encrypted".to_owned(), convert("none")]),
        ("both", "both", "both", vec!["encrypted".to_owned(), convert("both")]),
        (
            "user1.pem",
            "user2-key.pem",
            "user2-key.pem",
            vec!["is not the key of the certificate in".to_owned(), "user1.pem".to_owned()],
        ),
        ("user1.pem", "rsa-key.pem", "rsa-key.pem", vec!["is not the key of the certificate in".to_owned()]),
        ("swapped", "user1-key.pem", "swapped", vec!["must be the first".to_owned()]),
        ("user1-key.pem", "user1-key.pem", "user1-key.pem", vec![no_certificate.to_owned()]),
        ("empty", "user1-key.pem", "empty", vec![no_certificate.to_owned()]),
        ("cut", "user1-key.pem", "cut", vec![no_certificate.to_owned()]),
        ("damaged", "user1-key.pem", "damaged", vec!["certificate that is damaged, number 1".to_owned()]),
        ("damaged-chain", "user1-key.pem", "damaged-chain", vec!["certificate that is damaged, number 2".to_owned()]),
        ("user1.pem", "user1.pem", "user1.pem", vec![no_key.to_owned()]),
        ("user1.pem", "empty", "empty", vec![no_key.to_owned()]),
        ("user1.pem", "cut-key", "cut-key", vec![no_key.to_owned()]),
        ("user1.pem", "ssh", "ssh", vec!["OpenSSL cannot read (BEGIN OPENSSH PRIVATE KEY)".to_owned()]),
        ("user1.pem", "nowhere", "nowhere", vec!["No such file".to_owned()]),
        ("short.pem", "short-key.pem", "short.pem", vec!["cannot be used".to_owned(), "too small".to_owned()]),
    ] {
        let program = Postrider::with_config(&account(server.port(), &files.keys(certificate, key)));
        for command in ["check", "fetch"] {
            let run = program.run(&[command]).assert_code(78);
            let fault = format!("{}: ", files.tls().join(file).display());
            let key = if file == certificate { "`tls-client-cert`" } else { "`tls-client-key`" };
            for word in words.iter().map(String::as_str).chain([fault.as_str(), key]) {
                assert!(run.text().contains(word), "{word:?} is not in: {}", run.text());
            }
            assert!(!run.text().contains("pass1"), "{}", run.text());
        }
    }
    assert_eq!(server.connections(), 0);
}
