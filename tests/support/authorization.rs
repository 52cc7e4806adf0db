//! A scripted authorization server (OAuth 2.0), by HTTP or HTTPS, and a browser of a few lines.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use oauth2::url::{Url, form_urlencoded};

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// As `/token`.
    pub path: String,
    /// The request line and the header.
    pub head: String,
    /// The fields of the body.
    pub form: BTreeMap<String, String>,
}

/// Answers by a function, and keeps what it was asked.
pub struct AuthorizationServer {
    /// The port.
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopping: Arc<AtomicBool>,
}

type Answer = dyn Fn(&Asked) -> Vec<u8> + Send + Sync;

impl AuthorizationServer {
    /// In clear.  `answer` returns the octets of a whole response; without any, nothing is sent at all.
    pub fn start(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(answer))
    }

    /// With a certificate and its key in PEM.
    pub fn start_tls(cert: &Path, key: &Path, answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let read = |path| std::fs::read(path).expect("a file of PEM");
        let identity = native_tls::Identity::from_pkcs8(&read(cert), &read(key)).expect("a certificate and its key");
        Self::listen(Some(native_tls::TlsAcceptor::new(identity).expect("TLS")), Arc::new(answer))
    }

    fn listen(tls: Option<native_tls::TlsAcceptor>, answer: Arc<Answer>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind to a free port");
        let port = listener.local_addr().expect("own address").port();
        let server = Self { port, asked: Arc::default(), stopping: Arc::default() };
        let (asked, stopping) = (Arc::clone(&server.asked), Arc::clone(&server.stopping));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (tls, asked, answer) = (tls.clone(), Arc::clone(&asked), Arc::clone(&answer));
                thread::spawn(move || match tls {
                    None => serve(stream, &asked, &*answer),
                    Some(tls) => serve(tls.accept(stream).map_err(io::Error::other)?, &asked, &*answer),
                });
            }
        });
        server
    }

    /// Everything it was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic while locked").clone()
    }

    /// The fields of the requests for a grant, as `refresh_token`.
    pub fn grants(&self, kind: &str) -> Vec<BTreeMap<String, String>> {
        let of_kind = |asked: &Asked| asked.form.get("grant_type").is_some_and(|grant| grant == kind);
        self.asked().into_iter().filter(of_kind).map(|asked| asked.form).collect()
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: impl Read + Write, asked: &Mutex<Vec<Asked>>, answer: &Answer) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let request = Asked { path, head, form: form_urlencoded::parse(&body).into_owned().collect() };
    asked.lock().expect("no panic while locked").push(request.clone());
    let octets = answer(&request);
    if octets.is_empty() {
        // Silent until the client has had enough.
        let _ = reader.read(&mut [0; 1]);
        return Ok(());
    }
    reader.get_mut().write_all(&octets)?;
    reader.get_mut().flush()
}

/// An answer of HTTP with a body of JSON.
pub fn json(status: u16, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// Tokens, as a provider gives them.
pub fn tokens(access: &str, refresh: Option<&str>, expires_in: u64) -> Vec<u8> {
    let refresh = refresh.map_or(String::new(), |token| format!(",\"refresh_token\":\"{token}\""));
    json(
        200,
        &format!("{{\"access_token\":\"{access}\",\"token_type\":\"Bearer\",\"expires_in\":{expires_in}{refresh}}}"),
    )
}

/// Goes to an address; returns the status and the whole response.
pub fn browse(address: &str) -> io::Result<(u16, String)> {
    let url = Url::parse(address).map_err(io::Error::other)?;
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut stream = TcpStream::connect((host.trim_matches(['[', ']']), url.port().unwrap_or(80)))?;
    let target = &url[oauth2::url::Position::BeforePath..];
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Ok((status, text))
}
