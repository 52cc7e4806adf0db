//! The commands of an envelope.

use crate::header::Address;

/// One command of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// MAIL with its parameters.
    Mail(String),
    Rcpt(Address),
    Data,
}

impl Command {
    /// The line that is sent.
    pub(super) fn line(&self) -> String {
        match self {
            Command::Mail(line) => format!("{line}\r\n"),
            Command::Rcpt(address) => format!("RCPT TO:<{address}>\r\n"),
            Command::Data => "DATA\r\n".to_owned(),
        }
    }

    /// Its name.
    pub(super) fn step(&self) -> &'static str {
        match self {
            Command::Mail(_) => "MAIL",
            Command::Rcpt(_) => "RCPT",
            Command::Data => "DATA",
        }
    }
}
