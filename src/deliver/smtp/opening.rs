//! From a host name to a connection that takes mail: greeting, EHLO, STARTTLS, login.
//!
//! Greeting and EHLO are done here and not by lettre, which reports neither what the server
//! offers beyond its own list nor why it was refused; and STARTTLS has to use our own TLS.
//! Where encryption is wanted, only EHLO (HELO if that is not known) and STARTTLS are sent before it.

use std::net::IpAddr;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;

use super::extensions::Extensions;
use super::wire::{SharedWire, Wire};
use super::{At, Reply, Settings, SmtpError};
use crate::machine::host_name;
use crate::net::{self, Endpoint, Stream, TlsMode};
use crate::secret::Secret;

/// Octets of a host name (RFC 5321 §4.5.3.1.2).
const DOMAIN_LIMIT: usize = 255;

/// A connection that takes mail.
pub(super) struct Opened {
    pub(super) connection: AsyncSmtpConnection,
    pub(super) wire: SharedWire,
    pub(super) extensions: Extensions,
    pub(super) tls_version: Option<&'static str>,
}

/// How a server is greeted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    /// EHLO, and HELO if the server does not know it.
    Extended,
    /// HELO.
    Plain,
}

/// Connects, encrypts and logs in as the settings require.
pub(super) async fn open(settings: &Settings, secret: Option<&Secret>) -> Result<Opened, SmtpError> {
    let first = open_by(Greeting::Extended, settings, secret).await;
    // After HELO, no server offers encryption or logins.
    let needs_extensions = settings.endpoint.tls == TlsMode::StartTls || credentials(settings, secret)?.is_some();
    match first {
        Err(error) if !needs_extensions && hangs_up_at_hello(&error) => {
            open_by(Greeting::Plain, settings, None).await.map_err(|_| error)
        }
        opened => opened,
    }
}

/// Filters and appliances from before 1995 end the connection at a command that they do not know.
fn hangs_up_at_hello(error: &SmtpError) -> bool {
    match error {
        SmtpError::Closed { place } | SmtpError::Broken { place, .. } => matches!(place.step, "EHLO" | "HELO"),
        _ => false,
    }
}

async fn open_by(greeting: Greeting, settings: &Settings, secret: Option<&Secret>) -> Result<Opened, SmtpError> {
    let endpoint = &settings.endpoint;
    let credentials = credentials(settings, secret)?;
    let stream = net::connect(endpoint, settings.timeout).await?;
    let hello = hello(settings, &stream)?;

    let mut wire = Wire::new(stream, &endpoint.shown(), settings.timeout);
    let greeted = say(&mut wire, endpoint, "greeting", "");
    let greeted = net::greeted(endpoint, settings.timeout, greeted).await;
    greeted.unwrap_or_else(|| Err(SmtpError::SpeaksTls { server: endpoint.shown() }))?;
    let mut extensions = greet(&mut wire, endpoint, greeting, &hello).await?;
    if endpoint.tls == TlsMode::StartTls {
        if !extensions.start_tls {
            return Err(SmtpError::NoStartTls { server: endpoint.shown() });
        }
        wire = match encrypt(wire, settings).await {
            Err(SmtpError::Net(error)) if error.is_of_certificate() => {
                let seen = net::certificate(endpoint, ready_for_tls(settings)).await;
                return Err(net::explained(error, seen).into());
            }
            encrypted => encrypted?,
        };
        // What was learnt in clear is forgotten (RFC 3207 §4.2).
        extensions = greet(&mut wire, endpoint, greeting, &hello).await?;
    }

    let tls_version = wire.stream().tls_version();
    let is_private = wire.stream().is_encrypted() || endpoint.is_private();
    let place = || At { server: endpoint.shown(), step: "EHLO" };
    let wire = wire.hand_over(&extensions.answer()).map_err(|error| SmtpError::from_io(place(), error))?;
    let connection = AsyncSmtpConnection::connect_with_transport(Box::new(wire.clone()), &hello)
        .await
        .map_err(|error| SmtpError::from_lettre(place(), &error, wire.lock().is_closed()))?;

    let mut opened = Opened { connection, wire, extensions, tls_version };
    if let Some(credentials) = &credentials {
        if !is_private {
            return Err(SmtpError::ClearLogin { server: endpoint.shown() });
        }
        if let Some(secret) = secret {
            opened.wire.lock().hide(secret.expose());
        }
        opened.log_in(endpoint, credentials).await?;
    }
    Ok(opened)
}

impl Opened {
    async fn log_in(&mut self, endpoint: &Endpoint, credentials: &Credentials) -> Result<(), SmtpError> {
        let server = endpoint.shown();
        // One attempt with one mechanism: any further one may count towards a lock-out.
        let mechanism = match &self.extensions {
            Extensions { plain: true, .. } => Mechanism::Plain,
            Extensions { login: true, .. } => Mechanism::Login,
            _ => return Err(SmtpError::NoMechanism { server }),
        };
        let Err(error) = self.connection.auth(&[mechanism], credentials).await else { return Ok(()) };
        let place = At { server: server.clone(), step: "AUTH" };
        match reply_of(&error) {
            Some(reply) if reply.is_permanent() => Err(SmtpError::LoginRefused { server, reply }),
            Some(reply) => Err(SmtpError::Refused { place, reply }),
            None => Err(SmtpError::from_lettre(place, &error, self.wire.lock().is_closed())),
        }
    }
}

/// The reply that an error of lettre is about, if it is about one.
pub(super) fn reply_of(error: &lettre::transport::smtp::Error) -> Option<Reply> {
    let text = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    error.status().map(|code| Reply::new(code.into(), &text))
}

/// The login, if it may be sent at all: checked before anything is sent to the server.
fn credentials(settings: &Settings, secret: Option<&Secret>) -> Result<Option<Credentials>, SmtpError> {
    let Some((user, _)) = &settings.login else { return Ok(None) };
    let endpoint = &settings.endpoint;
    if endpoint.tls == TlsMode::None && !endpoint.is_private() {
        return Err(SmtpError::ClearLogin { server: endpoint.shown() });
    }
    // A NUL would end the field in PLAIN.
    let unusable = |what| SmtpError::Settings { what, value: user.clone() };
    let secret = secret.ok_or_else(|| unusable("there is no password for the user"))?;
    let password = std::str::from_utf8(secret.expose()).map_err(|_| unusable("the password is not UTF-8; user"))?;
    if user.contains('\0') || password.contains('\0') {
        return Err(unusable("the user name or the password contains a NUL; user"));
    }
    // lettre's copy is not wiped, but it is gone as soon as the login is done.
    Ok(Some(Credentials::new(user.clone(), password.to_owned())))
}

/// One command and its reply, which has to be 2xx.
async fn say(
    wire: &mut Wire,
    endpoint: &Endpoint,
    step: &'static str,
    command: &str,
) -> Result<Vec<String>, SmtpError> {
    let place = At { server: endpoint.shown(), step };
    match wire.exchange(command).await {
        Ok((code, lines)) if code / 100 == 2 => Ok(lines),
        Ok((code, lines)) => Err(SmtpError::Refused { place, reply: Reply::new(code, &lines.join(" ")) }),
        Err(error) => Err(SmtpError::from_io(place, error)),
    }
}

/// Returns what the server offers: nothing, if it only knows HELO.
async fn greet(
    wire: &mut Wire,
    endpoint: &Endpoint,
    greeting: Greeting,
    hello: &ClientId,
) -> Result<Extensions, SmtpError> {
    if greeting == Greeting::Extended {
        match say(wire, endpoint, "EHLO", &format!("EHLO {hello}\r\n")).await {
            Err(SmtpError::Refused { reply, .. }) if is_of_unknown_command(&reply) => {}
            answer => return answer.map(|lines| Extensions::parse(&lines)),
        }
    }
    say(wire, endpoint, "HELO", &format!("HELO {hello}\r\n")).await.map(|_| Extensions::default())
}

/// Whether the server does not know EHLO, or does not take our argument to it (RFC 5321 §3.2 and §4.1.4).  421 and
/// 554 mean that it does not serve us.
fn is_of_unknown_command(reply: &Reply) -> bool {
    matches!(reply.code, 500..=504 | 550 | 555)
}

/// STARTTLS (RFC 3207).
async fn encrypt(wire: Wire, settings: &Settings) -> Result<Wire, SmtpError> {
    let endpoint = &settings.endpoint;
    let stream = ask_for_tls(wire, endpoint).await?;
    let step = format!("{}: TLS", endpoint.shown());
    let stream = net::within(settings.timeout, &step, stream.secure(endpoint)).await??;
    Ok(Wire::new(stream, &endpoint.shown(), settings.timeout))
}

/// Sends STARTTLS; returns the connection, on which the server waits for the handshake.
async fn ask_for_tls(mut wire: Wire, endpoint: &Endpoint) -> Result<Stream, SmtpError> {
    say(&mut wire, endpoint, "STARTTLS", "STARTTLS\r\n").await?;
    let place = At { server: endpoint.shown(), step: "STARTTLS" };
    let injected = || SmtpError::Protocol { place, what: "more than a reply in clear after STARTTLS".into() };
    wire.into_quiet_stream().ok_or_else(injected)
}

/// The same on a connection of its own.
async fn ready_for_tls(settings: &Settings) -> Option<Stream> {
    let endpoint = &settings.endpoint;
    let stream = net::connect(endpoint, settings.timeout).await.ok()?;
    let hello = hello(settings, &stream).ok()?;
    let mut wire = Wire::new(stream, &endpoint.shown(), settings.timeout);
    say(&mut wire, endpoint, "greeting", "").await.ok()?;
    greet(&mut wire, endpoint, Greeting::Extended, &hello).await.ok()?;
    ask_for_tls(wire, endpoint).await.ok()
}

/// The name that we give: that of the settings, or else this host's if it is a full one, or else our
/// address, as RFC 5321 §4.1.4 requires.
fn hello(settings: &Settings, stream: &Stream) -> Result<ClientId, SmtpError> {
    if let Some(name) = &settings.hello {
        let good = (1..=DOMAIN_LIMIT).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic());
        return match good {
            true => Ok(ClientId::Domain(name.clone())),
            false => Err(SmtpError::Settings { what: "`hello` is not a host name", value: name.clone() }),
        };
    }
    if let Some(name) = String::from_utf8(host_name()).ok().filter(|name| is_full_name(name)) {
        return Ok(ClientId::Domain(name));
    }
    Ok(match stream.local_addr().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::default(),
    })
}

fn is_full_name(name: &str) -> bool {
    let good_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
    };
    name.len() <= DOMAIN_LIMIT && name.contains('.') && name.split('.').all(good_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_name_is_given_as_one() {
        for (name, good) in [
            ("mail.example.org", true),
            ("a-b.example", true),
            ("localhost", false),
            ("under_score.example", false),
            ("-x.example", false),
            ("a..b", false),
            ("x.example\r\nMAIL", false),
            ("", false),
        ] {
            assert_eq!(is_full_name(name), good, "{name:?}");
        }
    }
}
