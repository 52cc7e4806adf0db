//! How AUTH begins (RFC 5034 §4): with the first message in its line, or alone.
//!
//! Servers differ.  Some implement AUTH as in RFC 1734: they ignore what follows the mechanism and ask for the
//! message, or they report an error.  Microsoft accepts a token only on a line of its own, others only in the
//! command's line.  So where only the form was refused, the other form is tried once, on the same connection: the
//! server has not looked at the secret yet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pop3::command;
use crate::pop3::reply::{ResponseCode, Status};
use crate::sasl::Mechanism;
use crate::secret::Secret;

/// The first message of an exchange, while it is being sent.
pub(super) struct Opening {
    /// `None`: the server has to speak first.
    message: Option<Secret>,
    mechanism: Mechanism,
    form: Form,
    /// The other form was already tried.
    has_turned: bool,
    /// The server has sent a challenge.
    is_heard: bool,
}

/// How the message is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In the line of AUTH.
    Inline,
    /// On a line of its own, once the server asks.
    Alone,
}

impl Opening {
    pub(super) fn new(mechanism: Mechanism, message: Option<Secret>) -> Self {
        // Microsoft accepts the token only on a line of its own.
        let fits = |message: &Secret| {
            let octets = "AUTH ".len() + mechanism.sasl_name().len() + 1 + message.expose().len() + 2;
            mechanism != Mechanism::XOAuth2 && octets <= command::LINE_LIMIT
        };
        let form = if message.as_ref().is_some_and(fits) { Form::Inline } else { Form::Alone };
        Self { message, mechanism, form, has_turned: false, is_heard: false }
    }

    /// Writes the command.
    pub(super) fn write(&self, command: &str, output: &mut Vec<u8>) {
        output.extend_from_slice(command.as_bytes());
        if let Some(message) = self.message.as_ref().filter(|_| self.form == Form::Inline) {
            output.push(b' ');
            // An empty message is sent as `=` (RFC 5034 §4).
            output.extend_from_slice(if message.expose().is_empty() { b"=" } else { message.expose() });
        }
        output.extend_from_slice(b"\r\n");
    }

    /// The message, if a challenge asks for it.
    pub(super) fn answer(&mut self, challenge: &[u8]) -> Option<Secret> {
        let is_first = !std::mem::replace(&mut self.is_heard, true);
        let is_asked = is_first && (self.form == Form::Alone || self.asks_again(challenge));
        self.message.take_if(|_| is_asked)
    }

    /// Whether the server asks again for the message in the command's line, because it has not read it.
    fn asks_again(&self, challenge: &[u8]) -> bool {
        match self.mechanism {
            // The server's next message is its own, and never empty.
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => false,
            // There is no other message to ask for, whatever the text.
            Mechanism::Plain | Mechanism::External => true,
            // A refusal would give its reason in base64 (RFC 7628 §3.2.2).
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                let text = STANDARD.decode(challenge).ok().and_then(|text| String::from_utf8(text).ok());
                text.is_none_or(|text| text.is_empty())
            }
            _ => challenge.is_empty(),
        }
    }

    /// Whether only the form was refused; then the other form is next.
    pub(super) fn turns(&mut self, status: &Status) -> bool {
        if status.ok || self.is_heard || self.has_turned || self.message.is_none() {
            return false;
        }
        let is_of_the_form = match self.form {
            Form::Inline => status.is_about_syntax(),
            // The server has not seen the message.
            Form::Alone => matches!(status.meaning(), None | Some(ResponseCode::Other(_) | ResponseCode::Auth)),
        };
        self.has_turned = is_of_the_form;
        if is_of_the_form {
            self.form = if self.form == Form::Inline { Form::Alone } else { Form::Inline };
        }
        is_of_the_form
    }

    /// Whether the server has understood neither form, so that no password or token is to blame.
    pub(super) fn is_misunderstood(&self, status: &Status) -> bool {
        !self.is_heard && status.is_about_syntax() && self.mechanism != Mechanism::UserPass
    }
}
