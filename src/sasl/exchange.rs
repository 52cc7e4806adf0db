//! The messages of one SASL mechanism, without their encoding on the wire.

use io_sasl::coroutine::{SaslArg, SaslCoroutine, SaslCoroutineState, SaslYield};
use io_sasl::login::{SaslLogin, SaslLoginCreds};
use io_sasl::rfc2195::cram_md5::{SaslCramMd5, SaslCramMd5Creds};
use io_sasl::rfc5801::SaslGs2ChannelBinding;
use io_sasl::rfc5802::SaslScramCreds;
use io_sasl::rfc5802::scram_sha_1::SaslScramSha1;
use io_sasl::rfc7628::oauthbearer::{SaslOauthbearer, SaslOauthbearerCreds};
use io_sasl::rfc7677::scram_sha_256::SaslScramSha256;
use io_sasl::xoauth2::{SaslXoauth2, SaslXoauth2Creds};
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::{Credentials, Mechanism, refusal, scram};
use crate::secret::Secret;

/// Octets that a challenge may have.
const CHALLENGE_LIMIT: usize = 4096;
/// Messages that a server may send before it accepts or refuses.
const CHALLENGES: usize = 4;

/// Who logs in, and where.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The user's name.
    pub username: &'a str,
    /// The server's name, which OAUTHBEARER sends.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
}

/// Why an exchange cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// The user name or the secret cannot be sent by this mechanism.
    #[error("the user name or the password contains characters that {0} cannot send")]
    Unsendable(&'static str),
    /// The secret is not UTF-8, in a mechanism that knows text alone.
    #[error("the password or token is not text in UTF-8, and {0} takes nothing else")]
    NotText(&'static str),
    /// The mechanism is not for this kind of credentials, or not one of SASL.
    #[error("{0} does not work with this kind of credentials")]
    Proof(&'static str),
    /// The server breaks the mechanism's rules.
    #[error("the server breaks the rules of {mechanism}: {fault}")]
    Challenge {
        /// The mechanism.
        mechanism: &'static str,
        /// What the server does wrong.
        fault: String,
    },
    /// The server accepts a login but has not proven that it knows the password: it is another server.
    #[error("the server did not prove by {0} that it knows the password")]
    Unproven(&'static str),
}

/// One run of one mechanism.
pub struct Exchange {
    mechanism: Mechanism,
    state: State,
    challenges: usize,
    nonce: String,
    refusal: Option<String>,
    /// The server has refused within SCRAM, or broken the rules: nothing that it says later counts.
    over: bool,
}

enum State {
    Plain(Option<Secret>),
    External(Option<Secret>),
    Login(SaslLogin),
    CramMd5(SaslCramMd5),
    ScramSha1(Box<SaslScramSha1>),
    ScramSha256(Box<SaslScramSha256>),
    OAuthBearer(SaslOauthbearer),
    XOAuth2(SaslXoauth2),
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Exchange({})", self.mechanism.sasl_name())
    }
}

impl Exchange {
    /// Begins an exchange.  `nonce` is at least 18 random octets, in printable ASCII without commas.
    ///
    /// # Errors
    /// The mechanism cannot be used with these credentials or this user name.
    pub fn new(
        mechanism: Mechanism,
        identity: &Identity<'_>,
        credentials: &Credentials,
        nonce: String,
    ) -> Result<Self, ExchangeError> {
        let name = mechanism.sasl_name();
        let username = identity.username.to_owned();
        if username.contains('\0') {
            return Err(ExchangeError::Unsendable(name));
        }
        let text = |secret: &Secret| match std::str::from_utf8(secret.expose()) {
            Ok(text) if !text.contains('\0') => Ok(SecretString::from(text)),
            Ok(_) => Err(ExchangeError::Unsendable(name)),
            Err(_) => Err(ExchangeError::NotText(name)),
        };
        let scram = |secret| {
            let (nonce, channel_binding) = (nonce.clone().into_bytes(), SaslGs2ChannelBinding::Unsupported);
            Ok(SaslScramCreds { username: username.clone(), password: text(secret)?, nonce, channel_binding })
        };
        // An octet 1 would end the field.
        let token = |secret: &Secret| match (secret.expose().contains(&1), username.contains('\x01')) {
            (false, false) => text(secret),
            _ => Err(ExchangeError::Unsendable(name)),
        };
        let state = match (mechanism, credentials) {
            (Mechanism::Plain, Credentials::Password(secret)) => {
                State::Plain(Some(plain(&username, secret).ok_or(ExchangeError::Unsendable(name))?))
            }
            (Mechanism::Login, Credentials::Password(secret)) => {
                State::Login(SaslLogin::new(SaslLoginCreds { username, password: text(secret)? }))
            }
            (Mechanism::CramMd5, Credentials::Password(secret)) => {
                State::CramMd5(SaslCramMd5::new(SaslCramMd5Creds { username, secret: text(secret)? }))
            }
            (Mechanism::ScramSha1, Credentials::Password(secret)) => {
                State::ScramSha1(Box::new(SaslScramSha1::new(scram(secret)?)))
            }
            (Mechanism::ScramSha256, Credentials::Password(secret)) => {
                State::ScramSha256(Box::new(SaslScramSha256::new(scram(secret)?)))
            }
            (Mechanism::OAuthBearer, Credentials::Token(secret)) => {
                let token = token(secret)?;
                // RFC 5801 §4: these two would end the name.
                let username = username.replace('=', "=3D").replace(',', "=2C");
                let (host, port) = (identity.host.to_owned(), identity.port);
                State::OAuthBearer(SaslOauthbearer::new(SaslOauthbearerCreds { username, host, port, token }))
            }
            (Mechanism::XOAuth2, Credentials::Token(secret)) => {
                let token = token(secret)?;
                State::XOAuth2(SaslXoauth2::new(SaslXoauth2Creds { username, token }))
            }
            (Mechanism::External, Credentials::Certificate) => {
                State::External(Some(Secret::new(username.into_bytes())))
            }
            _ => return Err(ExchangeError::Proof(name)),
        };
        Ok(Self { mechanism, state, challenges: 0, nonce, refusal: None, over: false })
    }

    /// The mechanism.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The client's first message, if it begins.
    ///
    /// # Errors
    /// The user name or the password cannot be prepared (RFC 4013).
    pub fn initial(&mut self) -> Result<Option<Secret>, ExchangeError> {
        match &mut self.state {
            State::Plain(message) | State::External(message) => Ok(message.take()),
            // The client waits for the server's two questions, which works with every server.
            State::Login(_) => Ok(None),
            _ => self.resume(SaslArg::None),
        }
    }

    /// Whether an answer takes computing time, and does not belong on a shared thread.
    pub fn is_costly(&self) -> bool {
        matches!(self.state, State::ScramSha1(_) | State::ScramSha256(_))
    }

    /// The answer to a message of the server.
    ///
    /// # Errors
    /// The mechanism does not allow the message; the exchange is to be cancelled.
    pub fn answer(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        if self.over {
            return Err(self.fault("it goes on after the end".to_owned()));
        }
        let answered = self.answer_next(challenge);
        self.over |= answered.is_err();
        answered
    }

    fn answer_next(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        self.challenges += 1;
        if challenge.len() > CHALLENGE_LIMIT || self.challenges > CHALLENGES {
            return Err(self.fault("it says too much".to_owned()));
        }
        let empty = || Secret::new(Vec::new());
        match &mut self.state {
            State::ScramSha1(_) | State::ScramSha256(_) => self.answer_scram(challenge),
            // Answers to a fixed challenge could be computed beforehand.
            State::CramMd5(_) if !challenge.iter().any(u8::is_ascii_graphic) => {
                Err(self.fault("its challenge is empty".to_owned()))
            }
            State::OAuthBearer(_) | State::XOAuth2(_) => {
                self.refusal = refusal::of_token(challenge);
                Ok(self.resume(SaslArg::Input(challenge))?.unwrap_or_else(empty))
            }
            // A server that asks for the message again, or for anything else, gets nothing.
            State::Plain(_) | State::External(_) => Err(self.fault("it has questions".to_owned())),
            State::Login(_) if self.challenges == 1 => {
                let name = self.resume(SaslArg::None)?;
                match name {
                    Some(name) => Ok(name),
                    // The mechanism's first message may already be an answer.
                    None => Ok(self.resume(SaslArg::Input(challenge))?.unwrap_or_else(empty)),
                }
            }
            _ => Ok(self.resume(SaslArg::Input(challenge))?.unwrap_or_else(empty)),
        }
    }

    fn answer_scram(&mut self, challenge: &[u8]) -> Result<Secret, ExchangeError> {
        let empty = || Secret::new(Vec::new());
        // RFC 5802 §7: the server refuses, and then sends its -ERR.
        if let Some(error) = challenge.strip_prefix(b"e=") {
            self.refusal = Some(refusal::of_scram(error));
            self.over = true;
            return Ok(empty());
        }
        let unproven = ExchangeError::Unproven(self.mechanism.sasl_name());
        match self.challenges {
            1 => scram::check(challenge, &self.nonce).map_err(|fault| self.fault(fault.to_owned()))?,
            _ => return Ok(self.resume(SaslArg::Input(challenge)).map_err(|_| unproven)?.unwrap_or_else(empty)),
        }
        Ok(self.resume(SaslArg::Input(challenge))?.unwrap_or_else(empty))
    }

    /// Why the server refuses, in words, if it has said so within the mechanism.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// The server accepts the login.
    ///
    /// # Errors
    /// It has not proven itself, although the mechanism requires it.
    pub fn finish(mut self) -> Result<(), ExchangeError> {
        let name = self.mechanism.sasl_name();
        match &self.state {
            State::ScramSha1(_) | State::ScramSha256(_) if self.over => Err(ExchangeError::Unproven(name)),
            State::ScramSha1(_) | State::ScramSha256(_) => {
                self.resume(SaslArg::Done).map(drop).map_err(|_| ExchangeError::Unproven(name))
            }
            _ => Ok(()),
        }
    }

    /// The error for a server that has broken the mechanism's rules.
    pub fn fault(&self, fault: String) -> ExchangeError {
        ExchangeError::Challenge { mechanism: self.mechanism.sasl_name(), fault }
    }

    fn resume(&mut self, argument: SaslArg<'_>) -> Result<Option<Secret>, ExchangeError> {
        let resumed = match &mut self.state {
            State::Plain(_) | State::External(_) => return Ok(None),
            State::Login(one) => step(one, argument),
            State::CramMd5(one) => step(one, argument),
            State::ScramSha1(one) => step(&mut **one, argument),
            State::ScramSha256(one) => step(&mut **one, argument),
            State::OAuthBearer(one) => step(one, argument),
            State::XOAuth2(one) => step(one, argument),
        };
        resumed.map_err(|fault| self.fault(crate::text::shown(fault.as_bytes())))
    }
}

/// One step; an error as its text.
fn step<M: SaslCoroutine>(mechanism: &mut M, argument: SaslArg<'_>) -> Result<Option<Secret>, String>
where
    M::Error: std::fmt::Display,
{
    match mechanism.resume(argument) {
        SaslCoroutineState::Yielded(SaslYield::WantsWrite(message)) => Ok(Some(Secret::new(message))),
        SaslCoroutineState::Yielded(SaslYield::WantsRead) | SaslCoroutineState::Complete(Ok(())) => Ok(None),
        SaslCoroutineState::Complete(Err(error)) => Err(error.to_string()),
    }
}

/// PLAIN (RFC 4616): authorization identity (none), name, password, as octets.  `None` if one of
/// them holds a NUL, which would change their meaning.
fn plain(username: &str, password: &Secret) -> Option<Secret> {
    if username.contains('\0') || password.expose().contains(&0) {
        return None;
    }
    let mut message = Zeroizing::new(Vec::with_capacity(username.len() + password.expose().len() + 2));
    message.push(0);
    message.extend_from_slice(username.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose());
    Some(Secret::new(message.to_vec()))
}

#[cfg(test)]
mod tests;
