//! How AUTH begins (RFC 5034 §4): with the first message in its line, or alone.
//!
//! Servers differ.  Some know AUTH as RFC 1734 has it, and take what follows the mechanism for nothing, and ask for
//! the message, or for an error.  Microsoft takes a token on a line of its own only, and others in the command's line only.
//! So where nothing but the form was refused, the other form is tried once, on the same connection: nobody has
//! looked at the secret yet.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::pop3::command;
use crate::pop3::reply::{ResponseCode, Status};
use crate::sasl::Mechanism;
use crate::secret::Secret;

/// The first message of an exchange on its way.
pub(super) struct Opening {
    /// `None`: the server has to speak first.
    message: Option<Secret>,
    mechanism: Mechanism,
    form: Form,
    /// The other form was tried before.
    has_turned: bool,
    /// The server has asked for something.
    is_heard: bool,
}

/// How the message goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In the line of AUTH.
    Inline,
    /// On a line of its own, once the server asks.
    Alone,
}

impl Opening {
    pub(super) fn new(mechanism: Mechanism, message: Option<Secret>) -> Self {
        // Microsoft takes the token on a line of its own only.
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
            // An empty message would be none (RFC 5034 §4).
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

    /// Whether the message that was sent in the command's line is asked for again, by a server that has not read it.
    fn asks_again(&self, challenge: &[u8]) -> bool {
        match self.mechanism {
            // The server has an answer of its own next, and it is not nothing.
            Mechanism::ScramSha1 | Mechanism::ScramSha256 => false,
            // Nothing else could be wanted, whatever the text.
            Mechanism::Plain | Mechanism::External => true,
            // Why it is refused would be told in a text in base64 (RFC 7628 §3.2.2).
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => {
                let text = STANDARD.decode(challenge).ok().and_then(|text| String::from_utf8(text).ok());
                text.is_none_or(|text| text.is_empty())
            }
            _ => challenge.is_empty(),
        }
    }

    /// Whether a refusal is of the form alone; then the other one is next.
    pub(super) fn turns(&mut self, status: &Status) -> bool {
        if status.ok || self.is_heard || self.has_turned || self.message.is_none() {
            return false;
        }
        let is_of_the_form = match self.form {
            Form::Inline => status.is_about_syntax(),
            // It has seen nothing else.
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
