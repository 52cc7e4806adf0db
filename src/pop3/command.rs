//! Commands as octets (RFC 1939, 2449, 2595, 5034).
//!
//! An argument with CR, LF or NUL would be a second command, so it is refused; so is a line that
//! is longer than a server has to accept.

use std::fmt;

use crate::message::MessageNumber;

/// The most octets of a command line, with its CRLF (RFC 2449 §4).
pub const LINE_LIMIT: usize = 255;

/// A client command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the RFC's names")]
pub enum Command<'a> {
    Capa,
    Stls,
    User(&'a str),
    Stat,
    List,
    /// The size of one message.
    ListOf(MessageNumber),
    Uidl,
    /// The unique-id of one message.
    UidlOf(MessageNumber),
    Retr(MessageNumber),
    /// The header and this many lines of the body.
    Top(MessageNumber, u32),
    Dele(MessageNumber),
    Noop,
    Quit,
}

/// A command that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The server would read it as two commands.
    #[error("the {0} holds a line end or a NUL, which POP3 cannot send")]
    ControlOctet(&'static str),
    /// Longer than [`LINE_LIMIT`].
    #[error("the {0} is longer than the 255 octets that a POP3 command may have")]
    TooLong(&'static str),
}

impl Command<'_> {
    /// Appends the line, with CRLF, to `out`.
    ///
    /// # Errors
    /// The argument cannot be sent; `out` is unchanged.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), CommandError> {
        if let Command::User(name) = self {
            return encode_line(b"USER ", name.as_bytes(), "user name", out);
        }
        out.extend_from_slice(self.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Capa => f.write_str("CAPA"),
            Command::Stls => f.write_str("STLS"),
            Command::User(_) => f.write_str("USER"),
            Command::Stat => f.write_str("STAT"),
            Command::List => f.write_str("LIST"),
            Command::ListOf(number) => write!(f, "LIST {number}"),
            Command::Uidl => f.write_str("UIDL"),
            Command::UidlOf(number) => write!(f, "UIDL {number}"),
            Command::Retr(number) => write!(f, "RETR {number}"),
            Command::Top(number, lines) => write!(f, "TOP {number} {lines}"),
            Command::Dele(number) => write!(f, "DELE {number}"),
            Command::Noop => f.write_str("NOOP"),
            Command::Quit => f.write_str("QUIT"),
        }
    }
}

/// Appends `PASS password`.  Not a [`Command`], so that no `Debug` or `Display` ever holds it.
///
/// # Errors
/// The password cannot be sent; `out` is unchanged.
pub fn encode_pass(password: &[u8], out: &mut Vec<u8>) -> Result<(), CommandError> {
    encode_line(b"PASS ", password, "password", out)
}

/// Appends `APOP name digest`.
///
/// # Errors
/// The name cannot be sent; `out` is unchanged.
pub fn encode_apop(username: &str, digest: &str, out: &mut Vec<u8>) -> Result<(), CommandError> {
    if username.contains(' ') {
        return Err(CommandError::ControlOctet("user name"));
    }
    encode_line(b"APOP ", format!("{username} {digest}").as_bytes(), "user name", out)
}

/// Appends a verb and its argument as a line.
fn encode_line(verb: &[u8], argument: &[u8], what: &'static str, out: &mut Vec<u8>) -> Result<(), CommandError> {
    if memchr::memchr3(b'\r', b'\n', 0, argument).is_some() {
        return Err(CommandError::ControlOctet(what));
    }
    if verb.len() + argument.len() + 2 > LINE_LIMIT {
        return Err(CommandError::TooLong(what));
    }
    out.extend_from_slice(verb);
    out.extend_from_slice(argument);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(command: Command<'_>) -> Result<String, CommandError> {
        let mut out = Vec::new();
        command.encode(&mut out).map(|()| String::from_utf8(out).expect("ASCII"))
    }

    #[test]
    fn commands_are_lines_of_the_rfc() {
        let three = MessageNumber::new(3).expect("not zero");
        for (command, line) in [
            (Command::User("a b"), "USER a b\r\n"),
            (Command::Retr(three), "RETR 3\r\n"),
            (Command::Top(three, 0), "TOP 3 0\r\n"),
            (Command::Quit, "QUIT\r\n"),
        ] {
            assert_eq!(encoded(command), Ok(line.to_owned()));
        }
    }

    #[test]
    fn an_argument_cannot_become_a_second_command() {
        for bad in ["a\r\nDELE 1", "a\n", "a\0"] {
            assert_eq!(encoded(Command::User(bad)), Err(CommandError::ControlOctet("user name")));
            let mut out = Vec::new();
            assert_eq!(encode_pass(bad.as_bytes(), &mut out), Err(CommandError::ControlOctet("password")));
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_line_has_at_most_255_octets() {
        assert!(encoded(Command::User(&"u".repeat(248))).is_ok());
        assert_eq!(encoded(Command::User(&"u".repeat(249))), Err(CommandError::TooLong("user name")));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_user_and_the_password_are_each_is_one_line_or_nothing(
            octets in proptest::collection::vec(
                proptest::prop_oneof![8 => proptest::num::u8::ANY, 1 => proptest::sample::select(b"\r\n\0 ".to_vec())],
                0..300,
            ),
        ) {
            let text = String::from_utf8_lossy(&octets).into_owned();
            let mut out = b"NOOP\r\n".to_vec();
            for (verb, argument) in [("PASS ", octets.as_slice()), ("USER ", text.as_bytes())] {
                out.truncate(6);
                let done = match verb {
                    "PASS " => encode_pass(argument, &mut out),
                    _ => Command::User(&text).encode(&mut out),
                };
                let fits = 7 + argument.len() <= LINE_LIMIT && !argument.iter().any(|octet| b"\r\n\0".contains(octet));
                proptest::prop_assert_eq!(done.is_ok(), fits);
                let want = if fits { [verb.as_bytes(), argument, b"\r\n"].concat() } else { Vec::new() };
                proptest::prop_assert_eq!(&out[6..], want);
            }
        }
    }
}
