//! Server replies: status lines and their response codes, capabilities, listings.
//!
//! Lenient where real servers are sloppy (case, spaces, extra fields), strict where leniency
//! would guess: a line that begins with neither `+OK` nor `-ERR` is not a status line, and the
//! session that reads one is out of step.

mod words;

use std::time::Duration;

use crate::message::{MessageNumber, UNIQUE_ID_LIMIT};
use crate::text;

/// A status line (RFC 1939 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether it begins with `+OK`.
    pub ok: bool,
    /// The response code in brackets (RFC 2449 §8).
    pub code: Option<ResponseCode>,
    /// The rest, escaped and bounded, fit to be shown.
    pub text: String,
}

/// A response code (RFC 2449 §8, RFC 3206, RFC 6856).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    /// Another session holds the maildrop.
    InUse,
    /// Too soon after the last login.
    LoginDelay,
    /// A temporary failure of the server.
    SysTemp,
    /// A permanent failure of the server, which its operator has to fix.
    SysPerm,
    /// The credentials are wrong.
    Auth,
    /// The mailbox requires UTF8 (RFC 6856).
    Utf8,
    /// Any other code, in capitals.
    Other(String),
}

impl Status {
    /// Parses a line without its line end; `None` if it is not a status line.  Codes are read
    /// whether or not the server announced RESP-CODES.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let (ok, rest) = match (strip(line, b"+OK"), strip(line, b"-ERR")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return None,
        };
        // The word must end here: `+OKAY` is text of a message.  `+OK3 messages` and `-ERR, no` are odd but clear.
        let ends = |octet: &u8| octet.is_ascii_whitespace() || octet.is_ascii_digit() || octet.is_ascii_punctuation();
        if !rest.first().is_none_or(ends) {
            return None;
        }
        Some(Self::with(ok, rest))
    }

    /// Parses a greeting, strictly: it decides whether the server speaks POP3 at all.
    pub fn parse_greeting(line: &[u8]) -> Option<Self> {
        let rest = strip(line, b"+OK").or_else(|| strip(line, b"-ERR"))?;
        rest.first().is_none_or(u8::is_ascii_whitespace).then(|| Self::parse(line)).flatten()
    }

    /// Parses the reply to a login, where `-ERROR` is a refusal too, and not text of a message.
    pub fn parse_login(line: &[u8]) -> Option<Self> {
        let odd = |rest: &[u8]| rest.first().is_none_or(|octet| !octet.is_ascii_alphanumeric());
        let error = || strip(line, b"-ERROR").filter(|rest| odd(rest)).map(|rest| Self::with(false, rest));
        Self::parse(line).or_else(error)
    }

    fn with(ok: bool, rest: &[u8]) -> Self {
        // Punctuation in the place of the space is not part of the text.
        let is_text = |octet: &u8| !matches!(octet, b',' | b':' | b';' | b'.' | b'!' | b'-');
        let rest = rest[rest.iter().position(is_text).unwrap_or(rest.len())..].trim_ascii();
        Status { ok, code: response_code(rest), text: text::shown(rest) }
    }

    /// Replaces the text, which must not be shown; the meaning stays the same.
    #[must_use]
    pub fn with_text(self, text: &str) -> Self {
        let about = if self.is_about_the_command() { "unknown command " } else { "" };
        Self { ok: self.ok, code: self.meaning(), text: format!("{about}{text}") }
    }

    /// The meaning of a refusal, by its response code or else by its words.
    pub fn meaning(&self) -> Option<ResponseCode> {
        match &self.code {
            Some(ResponseCode::Other(_)) | None if !self.ok => words::meaning(&self.text).or_else(|| self.code.clone()),
            // Some servers send AUTH for any failure of a login.
            Some(ResponseCode::Auth) if !self.ok && words::is_held(&self.text) => Some(ResponseCode::InUse),
            code => code.clone(),
        }
    }

    /// Whether it refuses a command that the server does not have.
    pub fn is_about_the_command(&self) -> bool {
        !self.ok && matches!(self.code, None | Some(ResponseCode::Other(_))) && words::is_about_the_command(&self.text)
    }

    /// Whether it refuses the form of a command, not its content.
    pub fn is_about_syntax(&self) -> bool {
        !self.ok && matches!(self.code, None | Some(ResponseCode::Other(_))) && words::is_about_syntax(&self.text)
    }
}

/// The octets of a status line after its first word.
pub fn behind_status(line: &[u8]) -> &[u8] {
    let rest = strip(line, b"+OK").or_else(|| strip(line, b"-ERR"));
    rest.unwrap_or_default().trim_ascii()
}

fn strip<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

fn response_code(rest: &[u8]) -> Option<ResponseCode> {
    let inside = rest.strip_prefix(b"[")?;
    let inside = &inside[..memchr::memchr(b']', inside)?];
    let code = text::escape(inside.trim_ascii(), 40).to_ascii_uppercase();
    Some(match code.as_str() {
        "IN-USE" => ResponseCode::InUse,
        "LOGIN-DELAY" => ResponseCode::LoginDelay,
        "SYS/TEMP" => ResponseCode::SysTemp,
        "SYS/PERM" => ResponseCode::SysPerm,
        "AUTH" => ResponseCode::Auth,
        "UTF8" => ResponseCode::Utf8,
        _ => ResponseCode::Other(code),
    })
}

/// A server's capabilities (RFC 2449 §5, §6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether the server answered CAPA at all; without an answer nothing is known to be absent.
    pub announced: bool,
    /// STLS (RFC 2595).
    pub stls: bool,
    /// UIDL.
    pub uidl: bool,
    /// TOP.
    pub top: bool,
    /// USER and PASS.
    pub user: bool,
    /// Commands may be sent before the replies to earlier ones.
    pub pipelining: bool,
    /// SASL mechanisms, in capitals.
    pub sasl: Vec<String>,
    /// Least time between two logins.
    pub login_delay: Option<Duration>,
    /// LOGIN-DELAY or EXPIRE depends on the user, and is announced again after the login.
    pub per_user: bool,
    /// Days for which the server keeps mail; 0: a retrieved message may be deleted by QUIT.
    pub expire_days: Option<u32>,
    /// What the server calls itself, escaped.
    pub implementation: Option<String>,
    /// Every line, escaped, to be shown.
    pub lines: Vec<String>,
}

impl Capabilities {
    /// Parses one line of the reply to CAPA.  Unknown capabilities are kept only to be shown.
    pub fn add_line(&mut self, line: &[u8]) {
        self.announced = true;
        self.lines.push(text::shown(line));
        let shown = text::shown(line);
        let mut words = shown.split_ascii_whitespace();
        let Some(keyword) = words.next() else { return };
        match keyword.to_ascii_uppercase().as_str() {
            "STLS" => self.stls = true,
            "UIDL" => self.uidl = true,
            "TOP" => self.top = true,
            "USER" => self.user = true,
            "PIPELINING" => self.pipelining = true,
            "SASL" => self.sasl.extend(words.map(str::to_ascii_uppercase)),
            "LOGIN-DELAY" => {
                self.login_delay = words.next().and_then(|word| word.parse().ok()).map(Duration::from_secs);
                self.per_user |= words.any(|word| word.eq_ignore_ascii_case("USER"));
            }
            "EXPIRE" => {
                self.expire_days = words.next().and_then(|word| word.parse().ok());
                self.per_user |= words.any(|word| word.eq_ignore_ascii_case("USER"));
            }
            "IMPLEMENTATION" => self.implementation = Some(words.collect::<Vec<_>>().join(" ")),
            _ => {}
        }
    }

    /// Replaces the last line, which must not be shown.
    pub fn hide_last_line(&mut self, text: &str) {
        let Some(line) = self.lines.last_mut() else { return };
        if line.to_ascii_uppercase().starts_with("IMPLEMENTATION") {
            self.implementation = Some(text.to_owned());
        }
        text.clone_into(line);
    }
}

impl Capabilities {
    /// Merges what was announced before the login: of two times the worse one for us counts, and
    /// a capability that was announced once stays.
    pub fn merge(&mut self, before: &Capabilities) {
        self.announced |= before.announced;
        self.uidl |= before.uidl;
        self.top |= before.top;
        self.pipelining |= before.pipelining;
        self.login_delay = self.login_delay.max(before.login_delay);
        self.expire_days = match (self.expire_days, before.expire_days) {
            (Some(after), Some(before)) => Some(after.min(before)),
            (after, before) => after.or(before),
        };
    }
}

/// Parses the reply to STAT: number of messages, and their octets, which are a hint.
pub fn stat(text: &str) -> Option<(u32, u64)> {
    let mut words = text.split_ascii_whitespace();
    let count = words.next()?.parse().ok()?;
    Some((count, words.next().and_then(|word| word.parse().ok()).unwrap_or(0)))
}

/// Parses a line of LIST: message number and octets, extra fields ignored (RFC 1939 §5).
pub fn list_line(line: &[u8]) -> Option<(MessageNumber, u64)> {
    let (number, rest) = number_and_rest(line)?;
    let digits = rest.split(u8::is_ascii_whitespace).next()?;
    Some((number, decimal(digits)?))
}

/// Parses a line of UIDL: message number and unique-id.  The unique-id is everything after the
/// spaces that follow the number, inner spaces and 8-bit octets included; it is `None` where it
/// is missing or longer than [`UNIQUE_ID_LIMIT`], which affects only that message.
pub fn uidl_line(line: &[u8]) -> Option<(MessageNumber, Option<&[u8]>)> {
    let (number, rest) = number_and_rest(line)?;
    Some((number, (1..=UNIQUE_ID_LIMIT).contains(&rest.len()).then_some(rest)))
}

fn number_and_rest(line: &[u8]) -> Option<(MessageNumber, &[u8])> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let number = u32::try_from(decimal(&line[..end])?).ok().and_then(MessageNumber::new)?;
    Some((number, line[end..].trim_ascii_start()))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, &digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
