//! The AUTHORIZATION state: greeting, capabilities, STLS, login.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};

use super::opening::Opening;
use super::skips::{Skips, Stage};
use super::wire::Wire;
use super::{Session, SessionError};
use crate::net::{Endpoint, Stream, within};
use crate::pop3::command::{self, Command};
use crate::pop3::reply::{Capabilities, ResponseCode, Status};
use crate::sasl::{self, Credentials, Exchange, ExchangeError, Identity, Mechanism, Offer};
use crate::secret::Secret;
use crate::threads;
use crate::transcript::NOT_SHOWN;

/// The most lines of a reply to CAPA.
const CAPABILITY_LIMIT: usize = 200;

/// A connection before the login.
pub struct Client<S> {
    wire: Wire<S>,
    capabilities: Capabilities,
    /// The text of the greeting, which holds the challenge for APOP.  Dropped by STLS.
    greeting: Option<String>,
    skips: Skips,
}

/// Who logs in, and how.
#[derive(Debug)]
pub struct Login<'a> {
    /// The user and the server.
    pub identity: Identity<'a>,
    /// What authenticates the user.
    pub credentials: &'a Credentials,
    /// Mechanisms to choose from, in this order; empty: automatic.
    pub mechanisms: &'a [Mechanism],
    /// The connection is encrypted.
    pub is_encrypted: bool,
    /// Nobody on the way can read it: it is encrypted, or stays in a private network.
    pub is_private: bool,
}

impl Client<Stream> {
    /// Secures the connection by STLS (RFC 2595 §4) and asks for the capabilities again, since
    /// those learnt in clear may have been forged.
    ///
    /// # Errors
    /// The server does not offer STLS or refuses it, octets followed its reply, or the handshake
    /// failed.  No credential was sent.
    pub async fn stls(self, endpoint: &Endpoint) -> Result<Self, SessionError> {
        let (silence, skips) = (self.wire.silence(), self.skips);
        let stream = self.ask_for_tls().await?;
        let step = format!("TLS handshake with {}", endpoint.shown());
        let stream = within(silence, &step, stream.secure(endpoint)).await??;
        let (wire, capabilities) = (Wire::new(stream, silence), Capabilities::default());
        // What was received in clear is dropped, the greeting too.
        let mut client = Client { wire, capabilities, greeting: None, skips };
        client.ask_capabilities(Stage::Tls).await?;
        Ok(client)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends STLS; returns the connection, on which the server waits for the handshake.
    ///
    /// # Errors
    /// The server does not offer STLS or refuses it, or octets followed its reply.
    pub async fn ask_for_tls(mut self) -> Result<S, SessionError> {
        if self.capabilities.announced && !self.capabilities.stls {
            return Err(SessionError::NoStls);
        }
        let status = self.command(Command::Stls).await?;
        if !status.ok {
            return Err(SessionError::StlsRefused { status });
        }
        self.wire.into_stream().ok_or(SessionError::StlsInjection)
    }

    /// Reads the greeting and asks for the capabilities, unless they are `known` or in `skips`.  `silence` is how
    /// long the server may take for its next octets, from now to the end of the session.
    ///
    /// # Errors
    /// No greeting, one that refuses, or a line that is not a greeting of POP3.
    pub async fn greet(
        stream: S,
        silence: Duration,
        known: Option<Capabilities>,
        skips: Skips,
    ) -> Result<Self, SessionError> {
        let (wire, capabilities) = (Wire::new(stream, silence), Capabilities::default());
        let mut client = Self { wire, capabilities, greeting: None, skips };
        let step = || "greeting".to_owned();
        // The text of a status is truncated, and a challenge is often at its end.
        let read = |line: &[u8]| (Status::parse_greeting(line).ok_or_else(|| crate::text::shown(line)), lossy(line));
        let (status, greeting) = client.wire.line(&step, read).await?;
        let status = status.map_err(|line| SessionError::OutOfStep { step: step(), line })?;
        if !status.ok {
            // No login was tried yet, so words such as "try again later" can be believed.
            let meaning = status.meaning().filter(|code| matches!(code, ResponseCode::InUse | ResponseCode::SysTemp));
            let status = Status { code: meaning.or(status.code), ..status };
            return Err(SessionError::Refused { step: step(), status });
        }
        client.greeting = Some(greeting);
        match known {
            Some(known) => client.capabilities = known,
            None => client.ask_capabilities(Stage::Greeting).await?,
        }
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
        let apop = self.apop_challenge(login).is_ok();
        let offer = Offer { announced, user, sasl, apop, is_private: login.is_private };
        let mechanism = sasl::choose(login.mechanisms, login.credentials, &offer).ok_or_else(|| {
            let offered = sasl.join(" ");
            match sasl::choose(login.mechanisms, login.credentials, &Offer { is_private: true, ..offer }) {
                Some(clear) => SessionError::ClearText { mechanism: clear.name(), offered },
                None => match self.would_take_text(login, &offer) {
                    Some(mechanism) => ExchangeError::NotText(mechanism.sasl_name()).into(),
                    None => SessionError::NoMechanism { credentials: login.credentials.name(), offered },
                },
            }
        })?;
        // For as long as the session lasts: a server may repeat it in any answer.
        if let Credentials::Password(secret) | Credentials::Token(secret) = login.credentials {
            self.wire.hide(secret.expose());
        }
        let answer = match (mechanism, login.credentials) {
            (Mechanism::UserPass, Credentials::Password(password)) => {
                self.user_pass(login.identity.username, password).await.map(|status| (status, None))
            }
            (Mechanism::Apop, Credentials::Password(password)) => {
                self.apop(login, password).await.map(|status| (status, None))
            }
            _ => self.auth(mechanism, login).await,
        };
        let (status, reason) = answer?;
        if !status.ok {
            let username = login.identity.username.to_owned();
            return Err(SessionError::LoginRefused { username, mechanism, status, reason });
        }
        // RFC 2449 §5: a server may announce more, or other times, once it knows the user.
        let Capabilities { announced, per_user, uidl, top, .. } = self.capabilities;
        if announced && (per_user || !uidl || !top) && !self.skips.has(Stage::Login) {
            let before = std::mem::take(&mut self.capabilities);
            self.ask_capabilities(Stage::Login).await?;
            self.capabilities.merge(&before);
        }
        Ok(Session::new(self.wire, self.capabilities))
    }

    /// The mechanism that would be chosen if the password were text.
    fn would_take_text(&self, login: &Login<'_>, offer: &Offer<'_>) -> Option<Mechanism> {
        let Credentials::Password(_) = login.credentials else { return None };
        sasl::choose(login.mechanisms, &Credentials::Password(Secret::new(Vec::new())), offer)
    }

    async fn user_pass(&mut self, username: &str, password: &Secret) -> Result<Status, SessionError> {
        Command::User(username).encode(self.wire.output())?;
        let status = self.login_step("USER").await?;
        if !status.ok {
            return Ok(status);
        }
        command::encode_pass(password.expose(), self.wire.output())?;
        self.login_step("PASS").await
    }

    /// APOP (RFC 1939 §7), only where nobody can tamper with the challenge.
    async fn apop(&mut self, login: &Login<'_>, password: &Secret) -> Result<Status, SessionError> {
        let digest = sasl::apop_digest(self.apop_challenge(login)?, password);
        self.wire.hide_sent(digest.as_bytes());
        command::encode_apop(login.identity.username, &digest, self.wire.output())?;
        self.login_step("APOP").await
    }

    fn apop_challenge(&self, login: &Login<'_>) -> Result<&str, SessionError> {
        let fault = match &self.greeting {
            _ if !login.is_encrypted => "the connection is not encrypted, and MD5 protects no password",
            None => "its challenge came in the greeting, in clear before STLS, and is not believed",
            Some(greeting) => match sasl::apop_challenge(greeting) {
                Some(challenge) => return Ok(challenge),
                None => "the server does not offer it: its greeting has no challenge",
            },
        };
        Err(SessionError::NoChallenge { fault })
    }

    /// AUTH (RFC 5034).  Returns the final reply and, if the mechanism reports it, the reason for a refusal.
    async fn auth(
        &mut self,
        mechanism: Mechanism,
        login: &Login<'_>,
    ) -> Result<(Status, Option<String>), SessionError> {
        let name = mechanism.sasl_name();
        let step = || format!("AUTH {name}");
        let mut exchange = Exchange::new(mechanism, &login.identity, login.credentials, nonce())?;
        let initial = exchange.initial()?.map(|message| encoded(&message));
        initial.iter().for_each(|message| self.hide_message(mechanism, message));
        self.check_in_step(&step)?;
        let mut opening = Opening::new(mechanism, initial);
        opening.write(&step(), self.wire.output());
        loop {
            self.wire.flush(&step).await?;
            let challenge = match self.challenge(&step).await? {
                Ok(challenge) => challenge,
                Err(status) if opening.turns(&status) => {
                    self.check_in_step(&step)?;
                    opening.write(&step(), self.wire.output());
                    continue;
                }
                Err(status) if opening.is_misunderstood(&status) => {
                    return Err(SessionError::NotUnderstood { mechanism, status: self.fit(status) });
                }
                Err(status) => {
                    let reason = exchange.refusal().map(str::to_owned);
                    if status.ok {
                        exchange.finish()?;
                    }
                    return Ok((self.fit(status), reason));
                }
            };
            self.check_in_step(&step)?;
            let answer = match opening.answer(&challenge) {
                // The first challenge only asks for the message.
                Some(message) => Ok(message),
                None => {
                    let answer;
                    (exchange, answer) = answered(exchange, challenge).await?;
                    answer
                }
            };
            match answer {
                Ok(message) => {
                    self.hide_message(mechanism, &message);
                    self.wire.output().extend_from_slice(message.expose());
                }
                Err(error) => {
                    // Cancels the exchange; a failure of that does not matter.
                    self.wire.output().push(b'*');
                    self.wire.output().extend_from_slice(b"\r\n");
                    let _ = self.wire.flush(&step).await;
                    return Err(error.into());
                }
            }
            self.wire.output().extend_from_slice(b"\r\n");
        }
    }

    /// A status without its text if that repeats a secret; the meaning is kept.
    fn fit(&self, status: Status) -> Status {
        if self.wire.hidden().is_in(status.text.as_bytes()) { status.with_text(NOT_SHOWN) } else { status }
    }

    /// The server's next challenge (RFC 5034 §4), or its final reply.
    async fn challenge(&mut self, step: &(dyn Fn() -> String + Sync)) -> Result<Result<Vec<u8>, Status>, SessionError> {
        let hidden = self.wire.hidden();
        // A challenge is a plus sign, with or without a space and a text.
        let heard = self.wire.line(step, |line| match line {
            [b'+'] => Ok(Ok(Vec::new())),
            [b'+', b' ', text @ ..] => Ok(Ok(text.to_vec())),
            _ => Status::parse_login(line).map(Err).ok_or_else(|| hidden.shown(line)),
        });
        heard.await?.map_err(|line| SessionError::OutOfStep { step: step(), line })
    }

    /// CAPA (RFC 2449 §5); an old server refuses it, and then commands are simply tried.
    async fn ask_capabilities(&mut self, stage: Stage) -> Result<(), SessionError> {
        self.capabilities = Capabilities::default();
        if self.skips.has(stage) {
            return Ok(());
        }
        self.hear_capabilities(stage).await.map_err(|error| match error {
            SessionError::Closed { .. }
            | SessionError::Io { .. }
            | SessionError::Silence { .. }
            | SessionError::OutOfStep { .. } => SessionError::Capabilities { stage, source: Box::new(error) },
            error => error,
        })
    }

    async fn hear_capabilities(&mut self, stage: Stage) -> Result<(), SessionError> {
        if !self.command(Command::Capa).await?.ok {
            self.wire.has_refused_capa(stage);
        } else {
            self.capabilities.announced = true;
            let capabilities = &mut self.capabilities;
            let step = || "CAPA".to_owned();
            let hidden = self.wire.hidden();
            let add = |line: &[u8]| {
                capabilities.add_line(line);
                if hidden.is_in(line) {
                    capabilities.hide_last_line(NOT_SHOWN);
                }
                Ok(())
            };
            self.wire.lines(&step, CAPABILITY_LIMIT, add).await?;
        }
        Ok(())
    }

    async fn command(&mut self, command: Command<'_>) -> Result<Status, SessionError> {
        command.encode(self.wire.output())?;
        self.round_trip(&command.to_string()).await
    }

    /// [`Client::round_trip`] for a command of a login.
    async fn login_step(&mut self, step: &str) -> Result<Status, SessionError> {
        let step = || step.to_owned();
        self.check_in_step(&step)?;
        self.wire.flush(&step).await?;
        let hidden = self.wire.hidden();
        let read = |line: &[u8]| match Status::parse_login(line) {
            Some(status) if hidden.is_in(line) => Ok(status.with_text(NOT_SHOWN)),
            Some(status) => Ok(status),
            None => Err(hidden.shown(line)),
        };
        self.wire.line(&step, read).await?.map_err(|line| SessionError::OutOfStep { step: step(), line })
    }

    /// Sends the output and reads the status line that answers it.
    async fn round_trip(&mut self, step: &str) -> Result<Status, SessionError> {
        let step = || step.to_owned();
        self.check_in_step(&step)?;
        self.wire.flush(&step).await?;
        self.wire.status(&step).await
    }

    /// Fails if octets have come that nothing asked for.
    fn check_in_step(&self, step: &(dyn Fn() -> String + Sync)) -> Result<(), SessionError> {
        match self.wire.unread() {
            [] => Ok(()),
            unread => Err(SessionError::OutOfStep { step: step(), line: self.wire.hidden().shown(unread) }),
        }
    }

    /// Hides a message of an exchange, and the secret in it.
    fn hide_message(&mut self, mechanism: Mechanism, message: &Secret) {
        match mechanism {
            // Only as it was sent: decoded, it may be the user name, which may be shown.
            Mechanism::Login | Mechanism::External => self.wire.hide(message.expose()),
            _ => self.wire.hide_sent(message.expose()),
        }
    }
}

fn lossy(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

/// Random octets, as text.
fn nonce() -> String {
    let mut octets = [0_u8; 24];
    // Fails only where the kernel does not have the call; a known nonce is weaker, but breaks nothing.
    let _ = rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty());
    STANDARD.encode(octets)
}

/// A message in base64, as it is sent.
fn encoded(message: &Secret) -> Secret {
    Secret::new(STANDARD.encode(message.expose()).into_bytes())
}

type Answer = Result<Secret, ExchangeError>;

/// The answer to a challenge, both in base64.  SCRAM's computation runs on a thread of its own.
async fn answered(mut exchange: Exchange, challenge: Vec<u8>) -> Result<(Exchange, Answer), SessionError> {
    let costly = exchange.is_costly();
    let work = move || {
        let answer = match STANDARD.decode(&challenge) {
            Ok(challenge) => exchange.answer(&challenge).map(|message| encoded(&message)),
            Err(_) => Err(exchange.fault("its message is not in base64".to_owned())),
        };
        (exchange, answer)
    };
    if costly {
        threads::run(work).await.map_err(|error| SessionError::Computation(error.to_string()))
    } else {
        Ok(work())
    }
}
