//! Which names of a certificate count, and which authorities do where the account names none.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use openssl::ssl::{SslContext, SslContextBuilder, SslFiletype, SslMethod};
use tempfile::TempDir;

use super::support::{Listener, Output, Postrider, private_dir};
use super::{account, assert_fails, ca, openssl, server};

/// Certificates of one authority, `ca`.
struct Authority {
    dir: TempDir,
}

impl Authority {
    fn make() -> Self {
        let dir = private_dir();
        let args =
            ["-subj", "/CN=ca", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca-key", "-out", "ca"];
        openssl(dir.path(), &[&NEW[..], &args].concat());
        Self { dir }
    }

    /// A server whose certificate has `localhost` as its common name, and these alternative names.
    fn server(&self, names: &str) -> Server {
        let ext = format!("subjectAltName={names}");
        let args = ["-subj", "/CN=localhost", "-CA", "ca", "-CAkey", "ca-key", "-keyout", "key", "-out", "leaf"];
        let end = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let names = if names.is_empty() { vec![] } else { vec!["-addext", &ext] };
        openssl(self.dir.path(), &[&NEW[..], &args, &end, &names].concat());
        let mut context = SslContextBuilder::new(SslMethod::tls_server()).expect("a context");
        context.set_certificate_file(self.dir.path().join("leaf"), SslFiletype::PEM).expect("a certificate");
        context.set_private_key_file(self.dir.path().join("key"), SslFiletype::PEM).expect("its key");
        Server::start(context.build())
    }
}

const NEW: [&str; 9] =
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3"];

/// A POP3 server that accepts no login, and keeps what it has heard.
struct Server {
    listener: Listener,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(context: SslContext) -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let lines = Arc::clone(&heard);
        let listener = Listener::start_raw(move |socket| {
            let _ = serve(&context, socket, &lines);
        });
        Self { listener, heard }
    }

    fn heard(&self) -> usize {
        self.heard.lock().expect("no panic while locked").len()
    }
}

fn serve(context: &SslContext, socket: TcpStream, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let stream = server::accept(context, socket).map_err(|_| std::io::ErrorKind::ConnectionAborted)?;
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"+OK ready\r\n")?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        heard.lock().expect("no panic while locked").push(std::mem::take(&mut line));
        stream.get_mut().write_all(b"-ERR no\r\n")?;
    }
    Ok(())
}

#[test]
fn a_common_name_does_not_count_whatever_stands_beside_it() {
    let authority = Authority::make();
    let trusted = ca(&authority.dir.path().join("ca"));
    for names in ["", "IP:192.0.2.1", "email:a@localhost", "URI:https://localhost/"] {
        let server = authority.server(names);
        let words = ["TLS handshake with localhost", "no DNS name", "No password was sent", "subjectAltName"];
        assert_fails(&account(server.listener.port, &trusted), 69, &words);
        let pinned = format!("{trusted}\n{}", super::pin(&authority.dir.path().join("leaf")));
        assert_fails(&account(server.listener.port, &pinned), 69, &words);
        assert_eq!(server.heard(), 0, "{names}");
        // A pin is of the certificate itself.
        let pinned = super::pin(&authority.dir.path().join("leaf"));
        assert_fails(&account(server.listener.port, &pinned), 77, &["login as"]);
    }
    let server = authority.server("DNS:localhost,IP:192.0.2.1");
    assert_fails(&account(server.listener.port, &trusted), 77, &["login as"]);
    // An address is found among the addresses.
    let server = authority.server("IP:127.0.0.1");
    let by_address = account(server.listener.port, &trusted).replace("\"localhost\"", "\"127.0.0.1\"");
    assert_fails(&by_address, 77, &["login as"]);
}

#[test]
fn an_environment_that_names_authorities_replaces_those_of_the_system_even_if_there_are_none() {
    let authority = Authority::make();
    let server = authority.server("DNS:localhost");
    let at = |name: &str| authority.dir.path().join(name).display().to_string();
    std::fs::create_dir(at("folder")).expect("made");
    let hash = openssl(authority.dir.path(), &["x509", "-noout", "-hash", "-in", "ca"]);
    std::fs::copy(at("ca"), at("folder") + "/" + hash.trim() + ".0").expect("copied");
    let fetch = |name: &str, value: String, code: i32| -> Output {
        let mut program = Postrider::with_config(&account(server.listener.port, ""));
        program.env(name, value);
        program.run(&["fetch"]).assert_code(code)
    };
    for (name, value) in
        [("SSL_CERT_FILE", at("nowhere")), ("SSL_CERT_DIR", at("nowhere")), ("SSL_CERT_FILE", String::new())]
    {
        let output = fetch(name, value, 78);
        assert!(output.stderr.contains(&format!("{name}: ")), "{}", output.stderr);
    }
    assert_eq!(server.heard(), 0);
    for (name, value) in [("SSL_CERT_FILE", at("ca")), ("SSL_CERT_DIR", at("folder"))] {
        fetch(name, value, 77);
    }
}
