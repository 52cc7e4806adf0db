//! HTTP (RFC 9112) to a provider: each request has a connection of its own.
//!
//! No redirect is followed, a response is bounded in size and time, and one that means "not now"
//! (429, 5xx) is a separate error, so that it is never taken for a refusal.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};

use super::provider::Provider;
use super::told;
use crate::net::{self, NetError, Route};
use crate::transcript::Transcript;

/// The most octets of a response: one with several tokens has about ten thousand.
const ANSWER_LIMIT: usize = 256 * 1024;

/// The most octets of a response's header.
const HEADER_LIMIT: usize = 64 * 1024;

/// Time for a connection, a request and its response.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// A request without a usable response.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No connection.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The response is not HTTP, or ended early.
    #[error("sent no response of HTTP")]
    Broken,
    /// The response is too large.
    #[error("sent more than {ANSWER_LIMIT} octets")]
    Large,
    /// The response is a redirect.
    #[error("answered with a redirect")]
    Redirect,
    /// The provider asks to try again later.
    #[error("HTTP status {0}")]
    Unwilling(u16),
}

/// Sends requests to a provider.
#[derive(Clone, Debug)]
pub(super) struct Http {
    pub(super) provider: Arc<Provider>,
    pub(super) route: Route,
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}

impl Http {
    async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let step = format!("asking {host}");
        net::within(TIME_LIMIT, &step, self.exchange_in_time(request)).await?
    }

    async fn exchange_in_time(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri().clone();
        let (host, is_encrypted) = (uri.host().ok_or(HttpError::Broken)?, uri.scheme_str() == Some("https"));
        let port = uri.port_u16().unwrap_or(if is_encrypted { 443 } else { 80 });
        let stream = net::connect(&self.provider.server(host, port, is_encrypted, &self.route), TIME_LIMIT).await?;
        let mut transcript = Transcript::start(Some(host.to_owned()));
        told::request(&mut transcript, &request);
        let request = prepared(request, &uri)?;
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(HEADER_LIMIT);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(|_| HttpError::Broken)?;
        let talk = async {
            let (head, body) = sender.send_request(request).await.map_err(|_| HttpError::Broken)?.into_parts();
            told::status(&transcript, head.status);
            judge(head.status)?;
            let body = Limited::new(body, ANSWER_LIMIT).collect().await;
            let body = body.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() { HttpError::Large } else { HttpError::Broken }
            })?;
            let body = body.to_bytes().to_vec();
            told::answer(&transcript, &body);
            Ok(HttpResponse::from_parts(head, body))
        };
        // `connection` does the I/O; it ends with the exchange.
        tokio::pin!(talk);
        tokio::select! {
            answer = &mut talk => answer,
            _ = connection => talk.await,
        }
    }
}

/// Adds the headers that HTTP/1.1 requires of a client.
fn prepared(request: HttpRequest, uri: &Uri) -> Result<Request<Full<Bytes>>, HttpError> {
    let (mut head, body) = request.into_parts();
    let authority = uri.authority().ok_or(HttpError::Broken)?.as_str();
    head.headers.insert(HOST, HeaderValue::from_str(authority).map_err(|_| HttpError::Broken)?);
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    head.headers.insert(USER_AGENT, HeaderValue::from_static(concat!("postrider/", env!("CARGO_PKG_VERSION"))));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    head.uri = path.parse().map_err(|_| HttpError::Broken)?;
    Ok(Request::from_parts(head, Full::new(Bytes::from(body))))
}

fn judge(status: StatusCode) -> Result<(), HttpError> {
    match status.as_u16() {
        300..=399 => Err(HttpError::Redirect),
        code @ (408 | 429 | 500..) => Err(HttpError::Unwilling(code)),
        _ => Ok(()),
    }
}
