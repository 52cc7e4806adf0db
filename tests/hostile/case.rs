//! A case of the corpus: what the server does, and what the outcome must be.

use super::action::Action;
use std::collections::BTreeMap;

/// How the client reaches the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Transport {
    Clear,
    Tls,
    Stls,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Clear, Self::Tls, Self::Stls];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Tls => "tls",
            Self::Stls => "stls",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.name() == name)
    }

    /// The value of the key `tls`.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Clear => "none",
            Self::Tls => "implicit",
            Self::Stls => "starttls",
        }
    }
}

/// An answer of the server that differs from an honest one's.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `greeting`, `handshake`, or a command, in which `*` stands for anything.
    pub(crate) trigger: String,
    /// Only before STLS.
    pub(crate) in_clear: bool,
    /// Only this time, counted from 1.
    pub(crate) time: Option<usize>,
    pub(crate) actions: Vec<Action>,
}

/// The outcome that a case must have over one transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// The exit code that the account's end stands for.
    pub(crate) code: u8,
    /// What the account's error says.
    pub(crate) says: Vec<String>,
    /// Messages that are in the Maildir.
    pub(crate) delivered: Vec<usize>,
    /// Messages that are deleted on the server.
    pub(crate) deleted: Vec<usize>,
    /// Messages that are in the Maildir once the server has become honest.
    pub(crate) then: Vec<usize>,
}

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) number: usize,
    pub(crate) name: String,
    /// The file that it is in.
    pub(crate) family: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) expected: BTreeMap<Transport, Expectation>,
    /// Lines for the account's section of the configuration.
    pub(crate) keys: Vec<String>,
    /// Lines that are added to the answer to CAPA.
    pub(crate) capabilities: Vec<String>,
    /// The messages as they are sent, before dots are stuffed.
    pub(crate) messages: Vec<Vec<u8>>,
    /// The messages as they must be stored, where that is not what was sent with LF.
    pub(crate) stored: BTreeMap<usize, Vec<u8>>,
    /// The server stuffs no dots.
    pub(crate) unstuffed: bool,
    /// The case waits for the client's patience to end.
    pub(crate) slow: bool,
    /// Why the case is known to fail, until the program is fixed.
    pub(crate) open: Option<String>,
    /// How no line of the client may begin.
    pub(crate) never: Vec<String>,
    /// The server sends so much that the client needs some time to read it.
    pub(crate) heavy: bool,
    /// The password must not be sent at all.
    pub(crate) no_login: bool,
    /// `good`, `stranger` or `elsewhere`.
    pub(crate) certificate: String,
}

impl Case {
    /// A message as it must be stored.
    pub(crate) fn stored(&self, message: usize) -> Vec<u8> {
        match self.stored.get(&message) {
            Some(octets) => octets.clone(),
            None => with_lf(&self.messages[message - 1]),
        }
    }
}

/// CRLF becomes LF, and nothing else changes.
fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    for (index, &octet) in octets.iter().enumerate() {
        if octet != b'\r' || octets.get(index + 1) != Some(&b'\n') {
            out.push(octet);
        }
    }
    out
}

/// The last line of each message that a case does not write itself.
pub(crate) const DOTTED: &[u8] = b".A line that begins with a dot.\r\n";

/// Message `number` of a case, as it is sent.
pub(crate) fn message(number: usize, case: usize) -> Vec<u8> {
    let text = format!(
        "From: sender@example.org\r\nSubject: message {number}\r\nMessage-ID: <{number}.{case}@example.org>\r\n\r\n\
         The text of message {number}.\r\n"
    );
    [text.as_bytes(), DOTTED].concat()
}
