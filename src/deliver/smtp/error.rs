//! What can go wrong with an SMTP server, and with one message.

use std::error::Error;
use std::fmt;
use std::io;

use super::{Reply, Trouble};
use crate::failure::{Class, Failure};
use crate::net::NetError;
use crate::text;

/// Where it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At {
    /// The server, as `host:port`.
    pub server: String,
    /// The command or phase.
    pub step: &'static str,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.server, self.step)
    }
}

/// A connection that cannot be made or has broken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum SmtpError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("{place}: {what}")]
    Timeout { place: At, what: String },
    #[error("{place}: {source}")]
    Broken { place: At, source: io::Error },
    #[error("{place}: the server has closed the connection")]
    Closed { place: At },
    #[error("{server}: greeting: the server waits for TLS: it speaks TLS at once")]
    SpeaksTls { server: String },
    #[error("{place}: this is not SMTP: {what}")]
    Protocol { place: At, what: String },
    #[error("{place}: {reply}")]
    Refused { place: At, reply: Reply },
    #[error("{server}: the server does not offer STARTTLS")]
    NoStartTls { server: String },
    #[error("{server}: the password would be readable on the way")]
    ClearLogin { server: String },
    #[error("{server}: no way to log in: the server offers neither PLAIN nor LOGIN")]
    NoMechanism { server: String },
    #[error("{server}: the login is refused: {reply}")]
    LoginRefused { server: String, reply: Reply },
    #[error("{server}: {reason}")]
    NotServed { server: String, reason: String, trouble: Trouble },
    #[error("{what}: {value:?}")]
    Settings { what: &'static str, value: String },
}

/// The step behind DATA.
pub(super) const MESSAGE: &str = "end of the message";

impl SmtpError {
    /// Whether it happened when the message had been sent, and not before.
    pub(super) fn is_at_message(&self) -> bool {
        match self {
            SmtpError::Timeout { place, .. }
            | SmtpError::Broken { place, .. }
            | SmtpError::Closed { place }
            | SmtpError::Protocol { place, .. }
            | SmtpError::Refused { place, .. } => place.step == MESSAGE,
            _ => false,
        }
    }

    /// Whether the server refuses whoever the sender is.
    pub(super) fn is_whoever_sends(&self) -> bool {
        use Trouble::{Login, Mailbox, Recipient};
        matches!(self, SmtpError::NotServed { trouble: Login | Mailbox | Recipient, .. })
    }

    /// An I/O error of a [`super::wire::Wire`], whose kind says what has happened.
    pub(super) fn from_io(place: At, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::TimedOut => SmtpError::Timeout { place, what: source.to_string() },
            io::ErrorKind::InvalidData => SmtpError::Protocol { place, what: source.to_string() },
            io::ErrorKind::UnexpectedEof => SmtpError::Closed { place },
            _ => SmtpError::Broken { place, source },
        }
    }

    /// An error of lettre that is not a reply; `closed` if the server has ended the connection.
    pub(super) fn from_lettre(place: At, error: &lettre::transport::smtp::Error, closed: bool) -> Self {
        let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        match io {
            Some(io) => SmtpError::from_io(place, io::Error::new(io.kind(), io.to_string())),
            None if closed => SmtpError::Closed { place },
            None => SmtpError::Protocol { place, what: text::shown(error.to_string().as_bytes()) },
        }
    }
}

impl Failure for SmtpError {
    fn is_shortage(&self) -> bool {
        matches!(self, SmtpError::Net(error) if error.is_shortage())
    }

    fn class(&self) -> Class {
        match self {
            SmtpError::Net(error) => error.class(),
            SmtpError::Timeout { .. }
            | SmtpError::Broken { .. }
            | SmtpError::Closed { .. }
            | SmtpError::SpeaksTls { .. } => Class::Unreachable,
            SmtpError::Protocol { .. } => Class::Protocol,
            SmtpError::Refused { reply, .. } if reply.is_transient() => Class::TryLater,
            SmtpError::Refused { .. } => Class::Unreachable,
            SmtpError::LoginRefused { .. } => Class::LoginRefused,
            SmtpError::NotServed {
                trouble: Trouble::Login | Trouble::Recipient | Trouble::Sender | Trouble::Relay,
                ..
            } => Class::Configuration,
            SmtpError::NotServed { .. } => Class::TryLater,
            SmtpError::NoStartTls { .. }
            | SmtpError::ClearLogin { .. }
            | SmtpError::NoMechanism { .. }
            | SmtpError::Settings { .. } => Class::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        let text = match self {
            SmtpError::Net(error) if error.is_refused() => {
                "Nothing listens there: check `host`, `port` and `tls` (implicit is port 465, starttls is 587 or 25, \
                 none is 25)."
            }
            SmtpError::Net(error) => return error.advice(),
            SmtpError::Timeout { .. } | SmtpError::Broken { .. } | SmtpError::Closed { .. } => {
                "The next poll tries again.  If this goes on, check the server's log and the network."
            }
            SmtpError::SpeaksTls { .. } => {
                "Nothing was sent.  Write tls = \"implicit\", or name a port on which the server speaks in clear (25, 587)."
            }
            SmtpError::Protocol { .. } => {
                "Check that `port` is one for SMTP and that `tls` fits it (implicit is port 465, starttls is 587 or 25)."
            }
            SmtpError::Refused { reply, .. } if reply.is_transient() => "The server asks to be tried again later.",
            SmtpError::Refused { .. } => {
                "The server does not serve this machine: check `hello`, and what its operator requires."
            }
            SmtpError::NoStartTls { .. } => {
                "Nothing was sent.  Use `tls = \"implicit\"` if the server has it (port 465), or `tls = \"none\"` if \
                 the way to it is safe."
            }
            SmtpError::ClearLogin { .. } => {
                "Nothing was sent.  Use `tls = \"starttls\"` or `\"implicit\"`, or leave the login out."
            }
            SmtpError::NoMechanism { .. } => {
                "Some servers offer a login only on another port (587, 465) or only under TLS; leave the login out if \
                 the server wants none."
            }
            SmtpError::LoginRefused { .. } => "Check the user name and the password of this destination.",
            SmtpError::NotServed { trouble, .. } => trouble.advice(),
            SmtpError::Settings { .. } => "Correct it in the destination's settings.",
        };
        Some(text.to_owned())
    }
}

/// What a refusal says about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// Its content is why: it will never be accepted as it is.
    Content,
    /// It does not say why.  The server, or what judges for it, may treat every message so.
    Unsaid {
        /// Code and status: what is refused with the same ones is refused alike.  `None`: the server takes others.
        like: Option<String>,
    },
}

/// A message that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server refuses it (5xx), or offers too little.
    #[error("refused: {reason}")]
    Refused {
        /// Which command or limit, and the server's words.
        reason: String,
        /// What that says about the message.
        because: Because,
    },
    /// The server refuses whatever comes with these settings.
    #[error(transparent)]
    NotServed(SmtpError),
    /// The server does not take it now (4xx).
    #[error("put off: {reason}")]
    Deferred {
        /// Which command, and the server's words.
        reason: String,
    },
    /// The connection can no longer be used.
    #[error("{source}")]
    Lost {
        /// Part of the end of the message was sent, and it is not known whether the message was accepted.
        outcome_unknown: bool,
        /// What happened.
        source: SmtpError,
    },
    /// The message cannot be read from its spool; its end was not sent to the server.
    #[error("the spooled message cannot be read: {0}")]
    Local(#[source] io::Error),
}

impl Failure for SendError {
    fn class(&self) -> Class {
        match self {
            SendError::Refused { .. } | SendError::Deferred { .. } => Class::TryLater,
            SendError::NotServed(source) | SendError::Lost { source, .. } => source.class(),
            SendError::Local(_) => Class::LocalIo,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            SendError::Refused { .. } => Some(
                "It stays where it came from.  Once the cause is gone, try it again; or fetch it into another \
                 destination."
                    .into(),
            ),
            SendError::Deferred { .. } => None,
            SendError::NotServed(source) | SendError::Lost { source, .. } => source.advice(),
            SendError::Local(_) => Some("Check the disk that holds the state directory.".into()),
        }
    }
}
