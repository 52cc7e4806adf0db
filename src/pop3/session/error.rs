//! Errors of a session.

use std::io;
use std::time::Duration;

use super::skips::Stage;
use crate::failure::{Class, Failure};
use crate::net::NetError;
use crate::pop3::command::CommandError;
use crate::pop3::reply::{ResponseCode, Status};
use crate::sasl::{ExchangeError, Mechanism};

/// A session that ended early.  Nothing was deleted in it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum SessionError {
    #[error("{step}: the connection broke: {source}")]
    Io { step: String, source: io::Error },
    #[error("{step}: the server closed the connection")]
    Closed { step: String },
    #[error("{step}: the server was silent for {} s", limit.as_secs_f32())]
    Silence { step: String, limit: Duration },
    #[error("greeting: the server waits for TLS: {server} speaks TLS at once")]
    SpeaksTls { server: String },
    #[error("{step}: not a POP3 reply: {line:?}")]
    OutOfStep { step: String, line: String },
    #[error("{step}: the server's replies are out of place: {line:?}")]
    Displaced { step: String, line: String },
    #[error("{step}: the server sent a line of more than {limit} octets")]
    LongLine { step: String, limit: usize },
    #[error("{step}: the server listed more than {limit} lines")]
    LongListing { step: String, limit: usize },
    #[error("{step}: the server listed more than {limit} octets")]
    LargeListing { step: String, limit: usize },
    #[error("{step}: the server's listing is the largest of those being read, which may have {limit} octets together")]
    Rationed { step: String, limit: usize },
    #[error("{step}: the server refused: {}", status.text)]
    Refused { step: String, status: Status },
    #[error("login as {username:?} by {}: the server refused: {}{}", mechanism.name(), status.text, in_brackets(reason))]
    LoginRefused { username: String, mechanism: Mechanism, status: Status, reason: Option<String> },
    #[error("the server offers none of the ways to log in with {credentials} that are allowed (it offers: {offered})")]
    NoMechanism { credentials: &'static str, offered: String },
    #[error("{source}")]
    Capabilities { stage: Stage, source: Box<SessionError> },
    #[error("AUTH {}: the server does not understand the command: {}", mechanism.sasl_name(), status.text)]
    NotUnderstood { mechanism: Mechanism, status: Status },
    #[error("the server has neither UIDL nor LIST")]
    NoListing,
    #[error(
        "the connection is not encrypted and leaves this network, and the server offers only logins that anybody could \
         read on the way (it offers: {offered}; {mechanism} would be used)"
    )]
    ClearText { mechanism: &'static str, offered: String },
    #[error("APOP: {fault}")]
    NoChallenge { fault: &'static str },
    #[error("login: {0}")]
    Exchange(#[from] ExchangeError),
    #[error("login: {0}")]
    Computation(String),
    #[error("STLS: the server does not offer it")]
    NoStls,
    #[error("STLS: the server refused: {}", status.text)]
    StlsRefused { status: Status },
    #[error("STLS: the server sent more in clear after its reply, which somebody may have injected")]
    StlsInjection,
    #[error(transparent)]
    Net(#[from] NetError),
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl SessionError {
    /// The meaning of the refusal that ended the session, by its response code or its words; `None`: it was not a
    /// refusal, or its meaning is unknown.
    pub fn meaning(&self) -> Option<ResponseCode> {
        match self {
            SessionError::LoginRefused { status, .. } => status.meaning(),
            // Other refusals are not about a password; their words are believed only about a lock.
            SessionError::Refused { status, .. } => match status.meaning() {
                Some(ResponseCode::InUse) => Some(ResponseCode::InUse),
                _ => status.code.clone(),
            },
            // No password was sent yet.
            SessionError::StlsRefused { status } => status.code.clone().filter(|code| *code != ResponseCode::Auth),
            _ => None,
        }
    }

    /// Whether the connection broke, or its two ends are out of step.
    pub fn is_of_the_line(&self) -> bool {
        matches!(
            self,
            SessionError::Io { .. }
                | SessionError::Closed { .. }
                | SessionError::Silence { .. }
                | SessionError::OutOfStep { .. }
                | SessionError::Displaced { .. }
                | SessionError::LongLine { .. }
        )
    }

    /// Whether a login was tried and failed, so that trying again may lock the account.
    pub fn is_login_refused(&self) -> bool {
        matches!(self, SessionError::LoginRefused { .. } | SessionError::Exchange(ExchangeError::Unproven(_)))
    }
}

impl SessionError {
    /// Whether the token itself was refused, so that a new one may be accepted.
    pub fn is_token_refused(&self) -> bool {
        use ResponseCode::{InUse, LoginDelay, SysPerm, SysTemp};
        matches!(self, SessionError::LoginRefused { mechanism: Mechanism::OAuthBearer | Mechanism::XOAuth2, .. })
            && !matches!(self.meaning(), Some(InUse | LoginDelay | SysTemp | SysPerm))
    }
}

fn in_brackets(reason: &Option<String>) -> String {
    reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"))
}

impl Failure for SessionError {
    fn class(&self) -> Class {
        use ResponseCode::{InUse, LoginDelay, SysPerm, SysTemp};
        match self {
            SessionError::Net(error) => error.class(),
            SessionError::Capabilities { source, .. } => source.class(),
            SessionError::NotUnderstood { .. } => Class::Protocol,
            SessionError::Io { .. }
            | SessionError::Closed { .. }
            | SessionError::Silence { .. }
            | SessionError::SpeaksTls { .. } => Class::Unreachable,
            SessionError::OutOfStep { .. }
            | SessionError::Displaced { .. }
            | SessionError::LongLine { .. }
            | SessionError::LongListing { .. }
            | SessionError::LargeListing { .. }
            | SessionError::Rationed { .. } => Class::Protocol,
            _ if matches!(self.meaning(), Some(InUse | LoginDelay | SysTemp | SysPerm)) => Class::TryLater,
            SessionError::LoginRefused { .. }
            | SessionError::NoMechanism { .. }
            | SessionError::ClearText { .. }
            | SessionError::NoChallenge { .. }
            | SessionError::Exchange(ExchangeError::Unproven(_)) => Class::LoginRefused,
            SessionError::Exchange(ExchangeError::Challenge { .. }) => Class::Protocol,
            SessionError::Computation(_) => Class::TryLater,
            SessionError::Refused { .. } | SessionError::StlsInjection | SessionError::StlsRefused { .. } => {
                Class::Protocol
            }
            SessionError::NoListing | SessionError::NoStls => Class::Protocol,
            SessionError::Command(_) | SessionError::Exchange(_) => Class::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        use ResponseCode::{InUse, LoginDelay, SysPerm, SysTemp};
        let text = match (self, self.meaning()) {
            (SessionError::Net(error), _) => return error.advice(),
            (SessionError::Capabilities { source, .. }, _) => return source.advice(),
            (SessionError::NotUnderstood { .. }, _) => {
                "The password or token is not to blame.  Name another mechanism in `auth`, as \"user\"."
            }
            (_, Some(InUse)) => "Another program is reading this mailbox; a poll tries again in a few minutes.",
            (_, Some(LoginDelay)) => "The server wants more time between two logins: raise `interval`.",
            (_, Some(SysTemp)) => "The server has a temporary problem; the next poll tries again.",
            (_, Some(SysPerm)) => "The server has a problem that its operator has to mend; ask the provider.",
            (SessionError::LoginRefused { mechanism: Mechanism::OAuthBearer | Mechanism::XOAuth2, .. }, _) => {
                "Run `token-command` by hand as the user that runs postrider: the token must be fresh, belong to \
                 `username`, and have the provider's scope for POP3.  Perhaps you have to sign in to the provider again."
            }
            (SessionError::LoginRefused { mechanism: Mechanism::External, .. }, _) => {
                "Check that the server knows the certificate of `tls-client-cert`, and that it belongs to `username`."
            }
            (SessionError::LoginRefused { .. }, _) => {
                "Check `username` and the password, and whether the provider wants POP3 switched on in its web mail or \
                 an app password.  Repeated attempts may lock the account."
            }
            (SessionError::SpeaksTls { .. }, _) => {
                "No password was sent.  Write tls = \"implicit\", or name the port on which the server speaks in clear \
                 (110)."
            }
            (SessionError::NoMechanism { .. }, _) => {
                "Set `auth` to one that it offers; a server may offer more over TLS (`tls`)."
            }
            (SessionError::NoStls | SessionError::StlsRefused { .. } | SessionError::StlsInjection, _) => {
                "No password was sent.  Try tls = \"implicit\" (port 995); if it worked before, somebody may be \
                 tampering with the connection."
            }
            (
                SessionError::LongListing { .. } | SessionError::LargeListing { .. } | SessionError::Rationed { .. },
                _,
            ) => {
                "Nothing was deleted.  If the mailbox is really that large, remove old mail from it with another \
                 program, or poll fewer at a time (`max-concurrent-polls`); the next poll tries again."
            }
            (SessionError::OutOfStep { .. } | SessionError::LongLine { .. }, _) => {
                "Nothing was deleted.  Check that `host`, `port` and `tls` name a POP3 server; the next poll tries again."
            }
            (SessionError::Displaced { .. }, _) => {
                "What came since the last correct reply was discarded, and nothing of it was delivered or deleted; the \
                 next poll tries again.  If this continues, the server mixes up its replies, or does not mark where a \
                 message ends: tell its operator."
            }
            (SessionError::NoListing, _) => "Check that `host` and `port` name a POP3 server.",
            (SessionError::Closed { .. } | SessionError::Io { .. }, _) => {
                "Nothing was deleted or lost; the next poll tries again.  If it never works, check `port` and `tls`."
            }
            (SessionError::Silence { .. }, _) => {
                "Nothing was deleted or lost; the next poll tries again.  `timeout` sets how long silence may last; check \
                 that `port` and `tls` go together."
            }
            (SessionError::Refused { .. }, _) => "Nothing was deleted or lost; the next poll tries again.",
            (SessionError::ClearText { .. }, _) => {
                "No password was sent.  Use `tls`, or name the mechanism in `auth` if the connection is safe."
            }
            (SessionError::NoChallenge { .. }, _) => {
                "No password was sent.  APOP needs tls = \"implicit\"; `auth` can name another mechanism."
            }
            (SessionError::Exchange(ExchangeError::Unproven(_)), _) => {
                "Perhaps it is not the server it claims to be.  Nothing was fetched or deleted; the password was not \
                 sent."
            }
            (SessionError::Exchange(ExchangeError::Challenge { .. }), _) => {
                "The login was cancelled; if this continues, name another mechanism in `auth`."
            }
            (SessionError::Exchange(ExchangeError::Proof(_)), _) => {
                "Name a mechanism in `auth` that goes with the password, the token or the certificate."
            }
            (SessionError::Exchange(ExchangeError::NotText(_)), _) => {
                "Choose another password, or name a mechanism in `auth` that sends any octets: `plain` or `user`."
            }
            (SessionError::Computation(_), _) => "The next poll tries again.",
            (SessionError::Command(_) | SessionError::Exchange(ExchangeError::Unsendable(_)), _) => {
                "Check `username` and the password or token for stray characters."
            }
        };
        Some(text.to_owned())
    }
}
