//! A small SMTP server that keeps what it gets, and refuses, hangs or drops where
//! the test asks for it.  In clear text, on 127.0.0.1.

use super::listener::{Connection, Listener};
use super::wait_until;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Where in a session something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The greeting.
    Connect,
    /// EHLO.
    Ehlo,
    /// HELO.
    Helo,
    /// AUTH; without a reply of the test any login succeeds.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the message.
    Data,
    /// The final dot.
    Dot,
}

/// How the server behaves.  A message's number counts MAIL commands from 1, over
/// all connections; `None` means every message.
#[derive(Clone, Debug)]
pub struct SmtpBehaviour {
    /// What the answer to EHLO lists.
    pub extensions: Vec<String>,
    /// Replies instead of the usual ones, as `(Stage::Rcpt, Some(2), "550 5.1.1 nobody")`.
    pub replies: Vec<(Stage, Option<usize>, String)>,
    /// Says nothing more at this stage.
    pub hang_at: Option<(Stage, Option<usize>)>,
    /// Closes at this stage without a reply.
    pub drop_at: Option<(Stage, Option<usize>)>,
    /// Whether a message is kept when the server hangs or drops at its final dot:
    /// the lost reply of RFC 1047.
    pub keep_at_lost_dot: bool,
    /// This many connections are served at a time; any more are refused by their greeting.
    pub limit: Option<usize>,
    /// Senders that it refuses, as `<a@example.org>`.
    pub refused_senders: Vec<String>,
    /// A message that it cannot cope with.
    pub poison: Option<SmtpPoison>,
    /// This many octets of a body are kept; size and hash are always of the whole.
    pub keep_octets: usize,
}

impl Default for SmtpBehaviour {
    fn default() -> Self {
        let extensions = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 0"];
        Self {
            extensions: extensions.map(str::to_owned).to_vec(),
            replies: Vec::new(),
            hang_at: None,
            drop_at: None,
            keep_at_lost_dot: false,
            limit: None,
            refused_senders: Vec::new(),
            poison: None,
            keep_octets: 16 << 20,
        }
    }
}

/// A message that a server cannot cope with.
#[derive(Clone, Debug)]
pub struct SmtpPoison {
    /// Before the message: part of its sender; then part of its text.
    pub mark: String,
    /// Where the server notices it.
    pub stage: Stage,
    /// What it sends then; a CRLF is not added.
    pub sends: String,
    /// What it does then.
    pub then: Then,
}

/// What a server does after it has noticed a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It goes on.
    GoesOn,
    /// It closes.
    Closes,
    /// It says nothing more.
    Hangs,
}

/// A message that the server has accepted.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message's number.
    pub number: usize,
    /// The argument of MAIL, as `FROM:<a@example.org> BODY=8BITMIME`.
    pub mail: String,
    /// The arguments of RCPT that were accepted.
    pub rcpt: Vec<String>,
    /// The message with CRLF, dots unstuffed; its beginning if it is very large.
    pub body: Vec<u8>,
    /// The size of the message.
    pub octets: u64,
    /// The SHA-256 of the message.
    pub sha256: [u8; 32],
}

/// An SMTP server.
pub struct ScriptedSmtp {
    listener: Listener,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    behaviour: SmtpBehaviour,
    received: Vec<Received>,
    commands: Vec<String>,
    messages: usize,
    open: usize,
    refused: usize,
}

impl ScriptedSmtp {
    /// A server that accepts everything.
    pub fn start() -> Self {
        Self::start_with(SmtpBehaviour::default())
    }

    /// A server that behaves like this.
    pub fn start_with(behaviour: SmtpBehaviour) -> Self {
        let state = Arc::new(Mutex::new(State { behaviour, ..State::default() }));
        let for_threads = Arc::clone(&state);
        let listener = Listener::start(move |_, connection| {
            let behaviour = lock(&for_threads).behaviour.clone();
            let state = Arc::clone(&for_threads);
            lock(&state).open += 1;
            let session = Session {
                state: Arc::clone(&state),
                behaviour,
                connection,
                number: 0,
                mail: None,
                rcpt: Vec::new(),
                seen: String::new(),
            };
            let served = session.serve();
            lock(&state).open -= 1;
            served
        });
        Self { listener, state }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port
    }

    /// Changes the behaviour for connections that begin from now on.
    pub fn change(&self, change: impl FnOnce(&mut SmtpBehaviour)) {
        change(&mut lock(&self.state).behaviour);
    }

    /// The messages accepted so far.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state).received.clone()
    }

    /// Waits until this many messages have been accepted.
    #[track_caller]
    pub fn wait_until_received(&self, count: usize, limit: Duration) -> Vec<Received> {
        wait_until(&format!("{count} messages by SMTP"), limit, || lock(&self.state).received.len() >= count);
        self.received()
    }

    /// Every command line of every connection, in order.
    pub fn commands(&self) -> Vec<String> {
        lock(&self.state).commands.clone()
    }

    /// How many connections were one too many.
    pub fn refused(&self) -> usize {
        lock(&self.state).refused
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while locked")
}

/// What the session does after a stage.
enum Next {
    Refused,
    Accepted,
    Close,
}

struct Session {
    state: Arc<Mutex<State>>,
    behaviour: SmtpBehaviour,
    connection: Connection,
    number: usize,
    mail: Option<String>,
    rcpt: Vec<String>,
    /// The sender, and then the message.
    seen: String,
}

impl Session {
    fn serve(mut self) -> io::Result<()> {
        if self.is_one_too_many() {
            return self.connection.send_line("421 4.7.0 too many connections");
        }
        if matches!(self.stage(Stage::Connect, "220 test ESMTP")?, Next::Close) {
            return Ok(());
        }
        while let Some(line) = self.hear()? {
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            let next = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.stage(Stage::Ehlo, &self.ehlo())?,
                "HELO" => self.stage(Stage::Helo, "250 test")?,
                "AUTH" => self.auth(argument)?,
                "MAIL" => self.mail(argument)?,
                "RCPT" => self.rcpt(argument)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.mail = None;
                    self.reply("250 2.0.0 ok")?
                }
                "NOOP" => self.reply("250 2.0.0 ok")?,
                "QUIT" => {
                    self.connection.send_line("221 2.0.0 bye")?;
                    Next::Close
                }
                _ => self.reply("500 5.5.1 what")?,
            };
            if matches!(next, Next::Close) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn is_one_too_many(&self) -> bool {
        let mut state = lock(&self.state);
        let refuse = self.behaviour.limit.is_some_and(|limit| state.open > limit);
        state.refused += usize::from(refuse);
        refuse
    }

    fn hear(&mut self) -> io::Result<Option<String>> {
        let line = self.connection.read_line()?;
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        if let Some(line) = &line {
            lock(&self.state).commands.push(line.clone());
        }
        Ok(line)
    }

    fn ehlo(&self) -> String {
        let mut lines = vec!["test".to_owned()];
        lines.extend(self.behaviour.extensions.iter().cloned());
        let last = lines.len() - 1;
        let lines: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' }))
            .collect();
        lines.join("\r\n")
    }

    fn auth(&mut self, argument: &str) -> io::Result<Next> {
        let mut words = argument.split(' ');
        let mechanism = words.next().unwrap_or("").to_ascii_uppercase();
        let mut challenges: Vec<&str> = match mechanism.as_str() {
            "PLAIN" => vec!["334 "],
            "LOGIN" => vec!["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"],
            _ => return self.reply("504 5.5.4 no such mechanism"),
        };
        if words.next().is_some() {
            challenges.remove(0);
        }
        for challenge in challenges {
            self.connection.send_line(challenge)?;
            self.hear()?;
        }
        self.stage(Stage::Auth, "235 2.7.0 welcome")
    }

    fn mail(&mut self, argument: &str) -> io::Result<Next> {
        self.number = {
            let mut state = lock(&self.state);
            state.messages += 1;
            state.messages
        };
        self.mail = None;
        self.rcpt.clear();
        argument.clone_into(&mut self.seen);
        if self.behaviour.refused_senders.iter().any(|sender| argument.contains(sender)) {
            return self.reply("550 5.7.1 not this sender");
        }
        let next = self.stage(Stage::Mail, "250 2.1.0 ok")?;
        if matches!(next, Next::Accepted) {
            self.mail = Some(argument.to_owned());
        }
        Ok(next)
    }

    fn rcpt(&mut self, argument: &str) -> io::Result<Next> {
        if self.mail.is_none() {
            return self.reply("503 5.5.1 MAIL first");
        }
        let next = self.stage(Stage::Rcpt, "250 2.1.5 ok")?;
        if matches!(next, Next::Accepted) {
            self.rcpt.push(argument.to_owned());
        }
        Ok(next)
    }

    fn data(&mut self) -> io::Result<Next> {
        if self.rcpt.is_empty() {
            return self.reply("554 5.5.1 no valid recipients");
        }
        let next = self.stage(Stage::Data, "354 go on")?;
        if !matches!(next, Next::Accepted) {
            return Ok(next);
        }
        let received = self.read_message()?;
        self.seen = String::from_utf8_lossy(&received.body).into_owned();
        let poisoned = self.poison(Stage::Dot).is_some();
        let lost = self.is_at(&self.behaviour.hang_at, Stage::Dot) || self.is_at(&self.behaviour.drop_at, Stage::Dot);
        let refused = self.special_reply(Stage::Dot).is_some_and(|text| !text.starts_with('2'));
        // Kept before the reply, so that whoever has the reply finds the message.
        if !poisoned && if lost { self.behaviour.keep_at_lost_dot } else { !refused } {
            lock(&self.state).received.push(received);
        }
        self.mail = None;
        self.rcpt.clear();
        self.stage(Stage::Dot, "250 2.0.0 kept")
    }

    /// Reads up to CRLF.CRLF and nothing less; a bare LF is content.
    fn read_message(&mut self) -> io::Result<Received> {
        let (mut body, mut octets, mut hash) = (Vec::new(), 0, Sha256::new());
        let (mut line, mut line_begins) = (Vec::new(), true);
        loop {
            line.clear();
            if self.connection.read_raw_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line_begins && line == b".\r\n" {
                break;
            }
            let text = if line_begins && line.starts_with(b".") { &line[1..] } else { &line[..] };
            octets += text.len() as u64;
            hash.update(text);
            let room = self.behaviour.keep_octets.saturating_sub(body.len());
            body.extend_from_slice(&text[..text.len().min(room)]);
            line_begins = line.ends_with(b"\r\n");
        }
        Ok(Received {
            number: self.number,
            mail: self.mail.clone().unwrap_or_default(),
            rcpt: self.rcpt.clone(),
            body,
            octets,
            sha256: hash.finalize().into(),
        })
    }

    /// Hangs, drops or replies as the behaviour wants it at a stage.
    fn stage(&mut self, stage: Stage, usual: &str) -> io::Result<Next> {
        if let Some(poison) = self.poison(stage).cloned() {
            self.connection.send(poison.sends.as_bytes())?;
            match poison.then {
                Then::GoesOn => return Ok(Next::Refused),
                Then::Closes => return Ok(Next::Close),
                Then::Hangs => {
                    self.connection.hang()?;
                    return Ok(Next::Close);
                }
            }
        }
        if self.is_at(&self.behaviour.hang_at, stage) {
            self.connection.hang()?;
            return Ok(Next::Close);
        }
        if self.is_at(&self.behaviour.drop_at, stage) {
            return Ok(Next::Close);
        }
        let text = self.special_reply(stage).unwrap_or(usual).to_owned();
        self.reply(&text)
    }

    fn is_at(&self, place: &Option<(Stage, Option<usize>)>, stage: Stage) -> bool {
        place.is_some_and(|(at, number)| at == stage && number.is_none_or(|number| number == self.number))
    }

    fn poison(&self, stage: Stage) -> Option<&SmtpPoison> {
        self.behaviour.poison.as_ref().filter(|poison| poison.stage == stage && self.seen.contains(&poison.mark))
    }

    fn special_reply(&self, stage: Stage) -> Option<&str> {
        let mut replies = self.behaviour.replies.iter();
        let reply = replies.find(|(at, number, _)| self.is_at(&Some((*at, *number)), stage))?;
        Some(&reply.2)
    }

    fn reply(&mut self, text: &str) -> io::Result<Next> {
        self.connection.send_line(text)?;
        match text.as_bytes().first() {
            Some(b'2' | b'3') => Ok(Next::Accepted),
            _ if text.starts_with("421") => Ok(Next::Close),
            _ => Ok(Next::Refused),
        }
    }
}
