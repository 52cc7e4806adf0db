//! The dialogue with a server, for the log: what is sent as `C:`, what is received as `S:`.
//!
//! It is logged at level `trace`; otherwise it costs one check of a flag.  It holds no secrets: credentials are
//! masked (PASS, APOP's digest, AUTH and every continuation of it), and a line of the server that repeats one, in
//! any encoding (`hidden`), is not shown.  Of messages only the size is shown.  Lines are escaped and truncated,
//! and their number is limited.

mod hidden;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use tracing::field::display;
use tracing::trace;
use zeroize::Zeroizing;

pub(crate) use self::hidden::{Hidden, NOT_SHOWN};
use crate::text;

/// The target of the events.
const TARGET: &str = "postrider::transcript";

/// The most octets of a line that are shown.
const SHOWN: usize = 500;

/// The most lines of one reply that are shown: a listing may have a million.
const LINES: usize = 500;

/// The most octets of a line that is kept until its end has come.
const PART_LIMIT: usize = 64 * 1024;

/// Replaces what is not shown.
const MASK: &str = "***";

tokio::task_local! {
    static WHOSE: Arc<str>;
}

/// Does work for an account, whose name is on each line of the transcript.
pub(crate) async fn of<T>(account: &str, work: impl Future<Output = T>) -> T {
    WHOSE.scope(account.into(), work).await
}

/// Work of the same account in a task of its own.
pub(crate) async fn carried<T>(whose: Option<Arc<str>>, work: impl Future<Output = T>) -> T {
    match whose {
        Some(whose) => WHOSE.scope(whose, work).await,
        None => work.await,
    }
}

/// The account that this work is for.
pub(crate) fn whose() -> Option<Arc<str>> {
    WHOSE.try_with(Arc::clone).ok()
}

/// The dialogue on one connection, if it is logged.
#[derive(Default)]
pub(crate) struct Transcript(Option<Box<Talk>>);

/// A dialogue.
#[derive(Default)]
struct Talk {
    server: Option<String>,
    hidden: Hidden,
    /// Between AUTH and its last answer.
    exchanging: bool,
    /// The beginning of an incomplete line, ours and theirs.
    sending: Zeroizing<Vec<u8>>,
    hearing: Zeroizing<Vec<u8>>,
    /// Lines that the server has sent since we did.
    lines: usize,
    /// Octets so far of the message that is being sent or received.
    body_sent: Option<u64>,
    body_heard: u64,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Transcript")
    }
}

impl Transcript {
    /// Begins; `server` is named on each line, where it does not follow from the account.
    pub(crate) fn start(server: Option<String>) -> Self {
        let is_wanted = tracing::enabled!(target: TARGET, tracing::Level::TRACE);
        Self(is_wanted.then(|| Box::new(Talk { server, ..Talk::default() })))
    }

    /// Hides a secret, whichever side sends it.
    pub(crate) fn hide(&mut self, secret: &[u8]) {
        if let Some(talk) = &mut self.0 {
            talk.hidden.add(secret);
        }
    }

    /// Octets that were sent: commands, or a part of one.
    pub(crate) fn sent(&mut self, octets: &[u8]) {
        let Some(talk) = &mut self.0 else { return };
        if let Some(body) = &mut talk.body_sent {
            *body += octets.len() as u64;
            return;
        }
        talk.tell_of_more_lines();
        for line in whole_lines(&mut talk.sending, octets) {
            talk.command(&line);
        }
    }

    /// Octets that have come: answers, or a part of one.
    pub(crate) fn heard(&mut self, octets: &[u8]) {
        let Some(talk) = &mut self.0 else { return };
        for line in whole_lines(&mut talk.hearing, octets) {
            talk.answer(&line);
        }
    }

    /// One line that has come.
    pub(crate) fn heard_line(&mut self, line: &[u8]) {
        if let Some(talk) = &mut self.0 {
            talk.answer(line);
        }
    }

    /// Whether what is sent from now on is a message.
    pub(crate) fn is_sending_message(&mut self, is_message: bool) {
        let Some(talk) = &mut self.0 else { return };
        match talk.body_sent.take() {
            _ if is_message => talk.body_sent = Some(0),
            Some(octets) => talk.log(format_args!("C: ({octets} octets of a message)")),
            None => {}
        }
    }

    /// Octets of a message have come; `is_all`: these are the last.
    pub(crate) fn heard_message(&mut self, octets: usize, is_all: bool) {
        let Some(talk) = &mut self.0 else { return };
        talk.body_heard += octets as u64;
        if is_all {
            talk.log(format_args!("S: ({} octets of a message)", talk.body_heard));
            talk.body_heard = 0;
        }
    }

    /// A request in another protocol, as it may be shown.
    pub(crate) fn asked(&self, text: &str) {
        if let Some(talk) = &self.0 {
            talk.log(format_args!("C: {}", talk.shown(text.as_bytes())));
        }
    }

    /// An answer in another protocol, as it may be shown.
    pub(crate) fn answered(&self, text: &str) {
        if let Some(talk) = &self.0 {
            talk.log(format_args!("S: {}", talk.shown(text.as_bytes())));
        }
    }

    /// Whether the dialogue is logged.
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Transcript {
    fn drop(&mut self) {
        if let Some(talk) = &mut self.0 {
            talk.tell_of_more_lines();
        }
    }
}

impl Talk {
    fn log(&self, line: fmt::Arguments<'_>) {
        let whose = whose();
        let (account, server) = (whose.map(display), self.server.as_ref().map(display));
        trace!(target: TARGET, account, server, "{line}");
    }

    fn command(&mut self, line: &[u8]) {
        let masked = self.masked(line);
        let shown = self.shown(&masked);
        self.log(format_args!("C: {shown}"));
    }

    /// A command with its credentials masked.
    fn masked<'l>(&mut self, line: &'l [u8]) -> Cow<'l, [u8]> {
        if self.exchanging {
            if line == b"*" {
                return Cow::Borrowed(line);
            }
            self.hidden.add_sent(line);
            return Cow::Borrowed(MASK.as_bytes());
        }
        let mut words = line.splitn(3, |octet| *octet == b' ');
        let (verb, first, second) = (words.next().unwrap_or_default(), words.next(), words.next());
        let verb = verb.to_ascii_uppercase();
        self.exchanging = verb == b"AUTH";
        let shown: &[&[u8]] = match (&verb[..], first, second) {
            (b"PASS", Some(_), _) => {
                self.hidden.add(&line[verb.len() + 1..]);
                &[b"PASS"]
            }
            (b"APOP" | b"AUTH", Some(first), Some(second)) => {
                self.hidden.add_sent(second);
                &[&verb[..], first]
            }
            _ => return Cow::Borrowed(line),
        };
        Cow::Owned([&shown.join(&b' ')[..], b" ", MASK.as_bytes()].concat())
    }

    fn answer(&mut self, line: &[u8]) {
        let is_challenge = (line.starts_with(b"+") && !line.starts_with(b"+OK")) || line.starts_with(b"334");
        let is_secret = self.exchanging && is_challenge;
        self.exchanging &= is_challenge;
        if line == b"." {
            self.tell_of_more_lines();
        }
        self.lines += 1;
        if self.lines > LINES {
            return;
        }
        if is_secret {
            let mark = if line.starts_with(b"+") { "+" } else { "334" };
            self.log(format_args!("S: {mark} {MASK}"));
        } else {
            self.log(format_args!("S: {}", self.shown(line)))
        }
    }

    /// A line, escaped, and masked if it repeats a secret.
    fn shown(&self, line: &[u8]) -> String {
        if !self.hidden.is_in(line) {
            return text::escape(line, SHOWN);
        }
        // The kind of the reply may be shown, its text not.
        let is_status = |word: &[u8]| [&b"+OK"[..], b"-ERR"].contains(&word) || word.iter().all(u8::is_ascii_digit);
        let word = line.split(|octet| matches!(octet, b' ' | b'-')).next().unwrap_or_default();
        let word = if line.starts_with(b"-ERR") { b"-ERR" } else { word };
        if is_status(word) && word.len() <= 4 {
            format!("{} {MASK} (repeats the login)", String::from_utf8_lossy(word))
        } else {
            format!("{MASK} (repeats the login)")
        }
    }

    fn tell_of_more_lines(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines > LINES {
            self.log(format_args!("S: ({} more lines)", lines - LINES));
        }
    }
}

/// The lines that these octets complete, without their ends; the rest is kept.
fn whole_lines(kept: &mut Zeroizing<Vec<u8>>, octets: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut lines = Vec::new();
    for piece in octets.split_inclusive(|octet| *octet == b'\n') {
        let room = PART_LIMIT.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..piece.len().min(room)]);
        if let Some(whole) = piece.ends_with(b"\n").then(|| std::mem::take(kept)) {
            let line = whole.strip_suffix(b"\n").unwrap_or(&whole);
            lines.push(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()));
        }
    }
    lines
}

#[cfg(test)]
mod tests;
