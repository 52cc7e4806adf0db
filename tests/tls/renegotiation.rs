//! A server that wants a second handshake in a connection, in which it shows another certificate.
//!
//! OpenSSL's client follows it and, under a pin, looks at nothing: the certificate is compared once,
//! after the first handshake.  So there is no second one.

use std::ffi::c_int;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use foreign_types::ForeignTypeRef as _;
use openssl::ssl::{SslContext, SslStream};

use super::server::{self, Certificates};
use super::support::{Listener, wait_until};
use super::{PASSWORD, account, assert_fails, ca, pin};

#[expect(unsafe_code, reason = "the bindings leave it out")]
unsafe extern "C" {
    fn SSL_renegotiate(session: *mut openssl_sys::SSL) -> c_int;
}

/// Asks the client for another handshake.
fn ask_again(stream: &mut SslStream<TcpStream>) -> io::Result<()> {
    #[expect(unsafe_code, reason = "the session lives as long as its stream")]
    // SAFETY: the pointer is that of a session that `stream` holds, and nobody else uses it meanwhile.
    let asked = unsafe { SSL_renegotiate(stream.ssl().as_ptr()) };
    assert_eq!(asked, 1, "no second handshake was asked for");
    stream.do_handshake().map_err(io::Error::other)
}

/// A POP3 server that shows `one`, and `two` in a second handshake, for which it asks after CAPA if
/// it is told to.  Nobody can log in.
struct Turncoat {
    listener: Listener,
    hellos: Arc<AtomicUsize>,
    heard: Arc<Mutex<Vec<String>>>,
    ended: Arc<AtomicUsize>,
}

impl Turncoat {
    fn start(certificates: &Certificates, turns: bool) -> Self {
        let (hellos, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let (count, second) = (Arc::clone(&hellos), certificates.context("two").build());
        let mut first = certificates.context("one");
        // It is called for every hello of a client.
        first.set_servername_callback(move |session, _| {
            if count.fetch_add(1, Ordering::SeqCst) > 0 {
                session.set_ssl_context(&second).expect("the second certificate");
            }
            Ok(())
        });
        let first = first.build();
        let (lines, done) = (Arc::clone(&heard), Arc::clone(&ended));
        let listener = Listener::start_raw(move |socket| {
            let _ = serve(&first, socket, turns, &lines);
            done.fetch_add(1, Ordering::SeqCst);
        });
        Self { listener, hellos, heard, ended }
    }
}

fn serve(context: &SslContext, socket: TcpStream, turns: bool, heard: &Mutex<Vec<String>>) -> io::Result<()> {
    let stream = server::accept(context, socket).map_err(|_| io::ErrorKind::ConnectionAborted)?;
    let mut stream = BufReader::new(stream);
    stream.get_mut().write_all(b"+OK ready\r\n")?;
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        heard.lock().expect("no panic while locked").push(line.trim_end().to_owned());
        if turns && line.starts_with("CAPA") {
            ask_again(stream.get_mut())?;
        }
        let reply: &[u8] = if line.starts_with("USER") { b"+OK\r\n" } else { b"-ERR no\r\n" };
        stream.get_mut().write_all(reply)?;
        line.clear();
    }
    Ok(())
}

#[test]
fn there_is_no_second_handshake_in_which_the_certificate_could_change() {
    let certificates = Certificates::make();
    for keys in [pin(&certificates.file("one")), ca(&certificates.file("one"))] {
        let server = Turncoat::start(&certificates, true);
        assert_fails(&account(server.listener.port, &keys), 69, &["second TLS handshake", "refused"]);
        wait_until("the server to see the end", std::time::Duration::from_secs(10), || {
            server.ended.load(Ordering::SeqCst) == server.listener.connections()
        });
        let heard = server.heard.lock().expect("no panic while locked");
        assert_eq!((server.hellos.load(Ordering::SeqCst), heard.as_slice()), (1, &["CAPA".to_owned()][..]), "{keys}");
        drop(heard);

        // The same server without the second handshake is believed.
        let server = Turncoat::start(&certificates, false);
        assert_fails(&account(server.listener.port, &keys), 77, &["login as \"user1\""]);
        let heard = server.heard.lock().expect("no panic while locked");
        assert!(heard.iter().any(|line| line.contains(PASSWORD)), "{heard:?}");
    }
}
