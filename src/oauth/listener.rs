//! A port of this machine to which the browser is sent back (RFC 8252 §7.3).
//!
//! It answers only a GET of the right path; any other request, and one with a wrong state, changes
//! nothing.  Requests are bounded in size and time.  Any user of the machine can connect: silent
//! connections make room for the browser.  And any user can bind a port: where the browser may go to
//! two addresses, the listener has both or uses neither.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, REFERRER_POLICY};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use oauth2::url::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Brought, Refusal, of_query};
use super::error::OAuthError;
use super::provider::{Provider, is_loopback};
use crate::net::{Crowd, Seat};
use crate::secret::Secret;

/// The most octets of a request's header.
const REQUEST_LIMIT: usize = 64 * 1024;

/// Time for one connection.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The most connections at a time; a browser opens a few ahead of need.  Only this many others,
/// between the browser's connection and its request, can push it out.
const CONNECTIONS: usize = 256;

/// How many ports are tried until one is free at both addresses.
const PORTS: usize = 16;

/// A port that waits for the browser.
#[derive(Debug)]
pub struct Listener {
    sockets: Vec<TcpListener>,
    /// The provider's redirect-uri with our port.
    redirect: String,
    path: String,
}

impl Listener {
    /// Binds the port of the provider's redirect-uri, or any port if it has none.
    ///
    /// # Errors
    /// The address does not lead to this machine, or the port cannot be bound.
    pub async fn bind(provider: &Provider) -> Result<Self, OAuthError> {
        let not_here = || OAuthError::NoListener { provider: provider.name.clone() };
        let mut redirect = Url::parse(&provider.redirect).map_err(|_| not_here())?;
        if redirect.scheme() != "http" || !is_loopback(&redirect) {
            return Err(not_here());
        }
        let host = redirect.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let (sockets, port) = match host.parse::<IpAddr>() {
            Ok(address) => {
                let (socket, port) = listen(address, redirect.port().unwrap_or(0)).await?;
                (vec![socket], port)
            }
            // Browsers try both addresses of `localhost`.
            Err(_) => at_both(redirect.port()).await?,
        };
        // A URL that was parsed with a host accepts a port.
        let _ = redirect.set_port(Some(port));
        let (path, text) = (redirect.path().to_owned(), String::from(redirect));
        let bare = if provider.redirect.ends_with('/') { &text } else { text.trim_end_matches('/') };
        Ok(Self { sockets, redirect: bare.to_owned(), path })
    }

    /// The address to which the browser is to be sent.
    pub(super) fn redirect(&self) -> &str {
        &self.redirect
    }

    /// Waits for a code or a refusal that carries our state.
    pub(super) async fn wait(&self, state: &str) -> Result<Secret, Refusal> {
        let (found, mut answers) = mpsc::channel(1);
        let (state, path): (Arc<str>, Arc<str>) = (state.into(), self.path.as_str().into());
        let mut crowd = Crowd::new(CONNECTIONS);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                Some(answer) = answers.recv() => {
                    // The page for the browser is still being sent; no other connection is waited for.
                    drop(crowd);
                    let _ = timeout(TIME_LIMIT, async { while connections.join_next().await.is_some() {} }).await;
                    return answer;
                }
                stream = accept(&self.sockets) => {
                    let Ok(stream) = stream else {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    let Some(place) = crowd.admit() else { continue };
                    let (found, state, path) = (found.clone(), Arc::clone(&state), Arc::clone(&path));
                    connections.spawn(async move {
                        tokio::select! {
                            _ = timeout(TIME_LIMIT, serve(stream, &state, &path, &place, found)) => {}
                            () = place.lost() => {}
                        }
                    });
                }
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }
}

/// Binds both addresses of `localhost` at one port; with only one, any user could bind the other.
async fn at_both(wanted: Option<u16>) -> Result<(Vec<TcpListener>, u16), OAuthError> {
    let mut tries = if wanted.is_some() { 1 } else { PORTS };
    loop {
        let (first, port) = listen(Ipv4Addr::LOCALHOST.into(), wanted.unwrap_or(0)).await?;
        tries -= 1;
        match listen(Ipv6Addr::LOCALHOST.into(), port).await {
            Ok((second, _)) => return Ok((vec![first, second], port)),
            Err(OAuthError::Listen { source, .. }) if has_no_ipv6(&source) => return Ok((vec![first], port)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

/// Whether this machine has no such address, so that nobody else can bind it either.
fn has_no_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::ADDRNOTAVAIL | rustix::io::Errno::AFNOSUPPORT))
}

async fn listen(address: IpAddr, port: u16) -> Result<(TcpListener, u16), OAuthError> {
    let address = SocketAddr::new(address, port);
    let failed = |source: io::Error| OAuthError::Listen { address, source };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let port = socket.local_addr().map_err(failed)?.port();
    Ok((socket, port))
}

async fn accept(sockets: &[TcpListener]) -> io::Result<TcpStream> {
    let accepting = sockets.iter().map(|socket| Box::pin(socket.accept()));
    let (accepted, ..) = futures_util::future::select_all(accepting).await;
    Ok(accepted?.0)
}

async fn serve(
    stream: TcpStream,
    state: &str,
    path: &str,
    place: &Seat,
    found: mpsc::Sender<Result<Secret, Refusal>>,
) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let (status, text) = judge(&request, state, path, place, &found);
        async move { Ok::<_, Infallible>(page(status, text)) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.max_buf_size(REQUEST_LIMIT).keep_alive(false);
    builder.serve_connection(TokioIo::new(stream), service).await
}

/// Takes what a request brings; returns what the browser is shown.
fn judge(
    request: &Request<Incoming>,
    state: &str,
    path: &str,
    place: &Seat,
    found: &mpsc::Sender<Result<Secret, Refusal>>,
) -> (StatusCode, &'static str) {
    if request.method() != Method::GET || request.uri().path() != path {
        return (StatusCode::NOT_FOUND, "Nothing is here.");
    }
    match of_query(request.uri().query().unwrap_or_default(), state) {
        Brought::Nothing => (StatusCode::BAD_REQUEST, "This is not what the provider should have sent."),
        Brought::Foreign => {
            (StatusCode::BAD_REQUEST, "This belongs to another attempt to sign in.  Use the newest address.")
        }
        Brought::Answer(answer) => {
            let text = match answer {
                Ok(_) => "postrider has the provider's answer.  You can close this page.",
                Err(_) => "The provider has refused.  postrider says more in its terminal; you can close this page.",
            };
            // Only this connection is waited for, and the first answer counts.
            place.keep();
            let _ = found.try_send(answer);
            (StatusCode::OK, text)
        }
    }
}

fn page(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let html = format!("<!DOCTYPE html><meta charset=utf-8><title>postrider</title><p>{text}</p>\n");
    let mut response = Response::new(Full::new(Bytes::from(html)));
    *response.status_mut() = status;
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        // The address has the code in it.
        (REFERRER_POLICY, "no-referrer"),
        (CONNECTION, "close"),
    ];
    response.headers_mut().extend(headers.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}
