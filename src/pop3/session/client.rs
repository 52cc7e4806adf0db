//! The AUTHORIZATION state: greeting, capabilities, STLS, login.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use super::wire::Wire;
use super::{Session, SessionError};
use crate::net::{Endpoint, Stream, within};
use crate::pop3::command::{self, Command};
use crate::pop3::reply::{Capabilities, Status};
use crate::sasl::{self, Mechanism, Offer};
use crate::secret::Secret;

/// Lines that an answer to CAPA may have.
const CAPABILITY_LIMIT: usize = 200;

/// A connection before the login.
pub struct Client<S> {
    wire: Wire<S>,
    capabilities: Capabilities,
}

/// Who logs in, and how.
#[derive(Debug)]
pub struct Login<'a> {
    /// The user's name on the server.
    pub username: &'a str,
    /// The password.
    pub secret: &'a Secret,
    /// Mechanisms to choose from, in this order; empty: automatic.
    pub mechanisms: &'a [Mechanism],
}

impl Client<Stream> {
    /// Secures the connection by STLS (RFC 2595 §4) and asks for the capabilities again, since
    /// those learnt in clear may have been forged.
    ///
    /// # Errors
    /// The server does not offer STLS or refuses it, octets came behind its answer, or the
    /// handshake failed.  No credential was sent.
    pub async fn stls(mut self, endpoint: &Endpoint) -> Result<Self, SessionError> {
        if self.capabilities.announced && !self.capabilities.stls {
            return Err(SessionError::NoStls);
        }
        let status = self.command(Command::Stls).await?;
        if !status.ok {
            return Err(SessionError::StlsRefused { status });
        }
        let silence = self.wire.silence();
        let stream = self.wire.into_stream().ok_or(SessionError::StlsInjection)?;
        let step = format!("TLS handshake with {}", endpoint.shown());
        let stream = within(silence, &step, stream.secure(endpoint)).await??;
        let mut client = Client { wire: Wire::new(stream, silence), capabilities: Capabilities::default() };
        client.ask_capabilities().await?;
        Ok(client)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Reads the greeting and asks for the capabilities.  `silence` is how long the server may
    /// take for its next octets, from now to the end of the session.
    ///
    /// # Errors
    /// No greeting, a refusing one, or one that claims to be logged in already.
    pub async fn greet(stream: S, silence: Duration) -> Result<Self, SessionError> {
        let mut client = Self { wire: Wire::new(stream, silence), capabilities: Capabilities::default() };
        let step = || "greeting".to_owned();
        let status = client.wire.status(&step).await?;
        if !status.ok {
            return Err(SessionError::Refused { step: step(), status });
        }
        client.ask_capabilities().await?;
        Ok(client)
    }

    /// What the server announced; after STLS, what it announced since.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The connection.
    pub fn stream(&self) -> &S {
        self.wire.stream()
    }

    /// Logs in, by exactly one mechanism.
    ///
    /// # Errors
    /// [`SessionError::LoginRefused`] if the server said no; that may count towards a lock-out.
    pub async fn login(mut self, login: &Login<'_>) -> Result<Session<S>, SessionError> {
        let Capabilities { announced, user, ref sasl, .. } = self.capabilities;
        let mechanism = sasl::choose(login.mechanisms, &Offer { announced, user, sasl })
            .ok_or_else(|| SessionError::NoMechanism { offered: sasl.join(" ") })?;
        let status = match mechanism {
            Mechanism::Plain => self.auth_plain(login).await?,
            Mechanism::UserPass => self.user_pass(login).await?,
        };
        if !status.ok {
            let (username, mechanism) = (login.username.to_owned(), mechanism.name());
            return Err(SessionError::LoginRefused { username, mechanism, status });
        }
        Ok(Session::new(self.wire, self.capabilities))
    }

    async fn user_pass(&mut self, login: &Login<'_>) -> Result<Status, SessionError> {
        let status = self.command(Command::User(login.username)).await?;
        if !status.ok {
            return Ok(status);
        }
        command::encode_pass(login.secret.expose(), self.wire.output())?;
        self.round_trip("PASS").await
    }

    /// AUTH PLAIN with an initial response where the line has room for it (RFC 5034 §4).
    async fn auth_plain(&mut self, login: &Login<'_>) -> Result<Status, SessionError> {
        let response = sasl::initial_response(login.username, login.secret).ok_or(SessionError::NulInCredentials)?;
        let inline = b"AUTH PLAIN ".len() + response.expose().len() + 2 <= command::LINE_LIMIT;
        let output = self.wire.output();
        output.extend_from_slice(b"AUTH PLAIN");
        if inline {
            output.push(b' ');
            output.extend_from_slice(response.expose());
        }
        output.extend_from_slice(b"\r\n");
        if !inline {
            let step = || "AUTH PLAIN".to_owned();
            self.wire.flush(&step).await?;
            // A continuation is a plus sign, with or without a space and a text.
            let refused = self
                .wire
                .line(&step, |line| match line {
                    [b'+'] | [b'+', b' ', ..] => None,
                    _ => Some(Status::parse(line).ok_or_else(|| crate::text::shown(line))),
                })
                .await?;
            match refused {
                Some(Ok(status)) if !status.ok => return Ok(status),
                Some(Ok(status)) => return Err(SessionError::OutOfStep { step: step(), line: status.text }),
                Some(Err(line)) => return Err(SessionError::OutOfStep { step: step(), line }),
                None => {}
            }
            self.wire.output().extend_from_slice(response.expose());
            self.wire.output().extend_from_slice(b"\r\n");
        }
        self.round_trip("AUTH PLAIN").await
    }

    /// CAPA (RFC 2449 §5); a server that refuses it is an old one, and is probed by use.
    async fn ask_capabilities(&mut self) -> Result<(), SessionError> {
        self.capabilities = Capabilities::default();
        if self.command(Command::Capa).await?.ok {
            self.capabilities.announced = true;
            let capabilities = &mut self.capabilities;
            let step = || "CAPA".to_owned();
            self.wire.lines(&step, CAPABILITY_LIMIT, |line| capabilities.add_line(line)).await?;
        }
        Ok(())
    }

    async fn command(&mut self, command: Command<'_>) -> Result<Status, SessionError> {
        command.encode(self.wire.output())?;
        self.round_trip(&command.to_string()).await
    }

    /// Sends what is in the output and reads the status line that answers it.
    async fn round_trip(&mut self, step: &str) -> Result<Status, SessionError> {
        let step = || step.to_owned();
        if !self.wire.unread().is_empty() {
            let line = crate::text::shown(self.wire.unread());
            return Err(SessionError::OutOfStep { step: step(), line });
        }
        self.wire.flush(&step).await?;
        self.wire.status(&step).await
    }
}
