//! An honest POP3 server with one mailbox in memory, which misbehaves where the
//! test asks for it.  In clear text, on 127.0.0.1.

use super::listener::{Connection, Listener};
use super::mailbox::{Behaviour, Message, Poison, Quit};
use super::manifest::Manifest;
use super::wait_until;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A POP3 server with one user.
pub struct MailboxServer {
    /// `None`: the server is down.
    listener: Option<Listener>,
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    behaviour: Behaviour,
    messages: Vec<Arc<Message>>,
    commands: Vec<String>,
    ahead: usize,
    logins: usize,
    open: usize,
    watcher: Option<Watcher>,
}

/// Looks at each command before it is answered.
type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

impl MailboxServer {
    /// The user's name.
    pub const USER: &str = "user";
    /// Another name that opens the same mailbox.
    pub const OTHER_USER: &str = "alias";
    /// The user's password.
    pub const PASSWORD: &str = "secret";

    /// An honest server with these messages.
    pub fn start(messages: Vec<Message>) -> Self {
        Self::start_with(messages, Behaviour::default())
    }

    /// A server that behaves like this.
    pub fn start_with(messages: Vec<Message>, behaviour: Behaviour) -> Self {
        let messages = messages.into_iter().map(Arc::new).collect();
        let state = State { behaviour, messages, commands: Vec::new(), ahead: 0, logins: 0, open: 0, watcher: None };
        let state = Arc::new(Mutex::new(state));
        let listener = listen(0, &state);
        let port = listener.port;
        Self { listener: Some(listener), port, state }
    }

    /// Ends every connection and refuses new ones, as a server that was killed.
    pub fn go_down(&mut self) {
        self.listener = None;
    }

    /// Comes back, on the same port and with the same mail.
    pub fn come_up(&mut self) {
        if self.listener.is_none() {
            self.listener = Some(listen(self.port, &self.state));
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the behaviour for connections that begin from now on.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.state).behaviour);
    }

    /// Another message has come.
    pub fn add(&self, message: Message) {
        lock(&self.state).messages.push(Arc::new(message));
    }

    /// Replaces the whole mailbox, as a migration would.
    pub fn replace(&self, messages: Vec<Message>) {
        lock(&self.state).messages = messages.into_iter().map(Arc::new).collect();
    }

    /// How many messages are there.
    pub fn remaining(&self) -> usize {
        lock(&self.state).messages.len()
    }

    /// The unique-ids of the messages that are there.
    pub fn remaining_uids(&self) -> Vec<String> {
        let messages = &lock(&self.state).messages;
        messages.iter().filter_map(|message| message.uid.as_deref()).map(lossy).collect()
    }

    /// The tags of the messages that are there.
    pub fn remaining_tags(&self) -> Vec<usize> {
        lock(&self.state).messages.iter().map(|message| message.tag).collect()
    }

    /// Waits until every session has ended: the server may hear of a client's end after others have.
    pub fn wait_until_idle(&self) {
        wait_until("the end of all sessions", SESSIONS_END, || lock(&self.state).open == 0);
    }

    /// The messages that are there, as they are on the wire.
    pub fn remaining_octets(&self) -> Vec<Vec<u8>> {
        let messages = lock(&self.state).messages.clone();
        messages.iter().map(|message| message.pieces(false).flat_map(|piece| piece.into_owned()).collect()).collect()
    }

    /// What a client must get of the marked messages that are there now.
    pub fn manifest(&self) -> Manifest {
        let messages = lock(&self.state).messages.clone();
        let mut manifest = Manifest::default();
        for (mark, sha256) in messages.iter().filter_map(|message| message.expectation()) {
            manifest.add_hash(mark, sha256);
        }
        manifest
    }

    /// Every command line of every connection, in order.
    pub fn commands(&self) -> Vec<String> {
        lock(&self.state).commands.clone()
    }

    /// How often a command was sent, as `RETR` or `RETR 3`.
    pub fn count(&self, command: &str) -> usize {
        lock(&self.state).commands.iter().filter(|line| is(line, command)).count()
    }

    /// How many commands came before the answer to the one before them.
    pub fn commands_ahead(&self) -> usize {
        lock(&self.state).ahead
    }

    /// Shows `watcher` each command line from now on, before it is answered.
    pub fn watch(&self, watcher: impl Fn(&str) + Send + Sync + 'static) {
        lock(&self.state).watcher = Some(Arc::new(watcher));
    }

    /// How many logins were tried, refused ones included.
    pub fn logins(&self) -> usize {
        lock(&self.state).logins
    }

    /// How many connections there have been since it is there.
    pub fn connections(&self) -> usize {
        self.listener.as_ref().map_or(0, Listener::connections)
    }
}

fn listen(port: u16, state: &Arc<Mutex<State>>) -> Listener {
    let for_threads = Arc::clone(state);
    Listener::start_at(port, move |number, connection| {
        Session::new(Arc::clone(&for_threads), connection, number).serve()
    })
}

/// Between parts of a message.
const PART_INTERVAL: Duration = Duration::from_millis(1);

/// A session ends when its client is gone.
const SESSIONS_END: Duration = Duration::from_secs(20);

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no panic while locked")
}

fn lossy(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// Whether a line is the command: the same words at its beginning, in any case.
fn is(line: &str, command: &str) -> bool {
    let mut words = line.split(' ');
    command.split(' ').all(|word| words.next().is_some_and(|have| have.eq_ignore_ascii_case(word)))
}

/// A message in a session; gone from it after DELE.
struct Entry {
    message: Arc<Message>,
    deleted: bool,
}

struct Session {
    state: Arc<Mutex<State>>,
    behaviour: Behaviour,
    connection: Connection,
    /// How many more octets may be sent, if the connection is to be cut.
    allowance: Option<u64>,
    user: String,
    /// `Some` after the login.
    maildrop: Option<Vec<Entry>>,
}

impl Drop for Session {
    fn drop(&mut self) {
        lock(&self.state).open -= 1;
    }
}

impl Session {
    fn new(state: Arc<Mutex<State>>, connection: Connection, number: usize) -> Self {
        let mut behaviour = {
            let mut state = lock(&state);
            state.open += 1;
            state.behaviour.clone()
        };
        if number >= behaviour.faulty_connections {
            behaviour = behaviour.without_faults();
        }
        let allowance = behaviour.cut_after_octets;
        Self { state, behaviour, connection, allowance, user: String::new(), maildrop: None }
    }

    fn serve(mut self) -> io::Result<()> {
        self.line(&self.behaviour.greeting.clone())?;
        for nth in 1.. {
            let Some(line) = self.connection.read_line()? else { break };
            let line = lossy(&line);
            self.note(&line);
            if self.behaviour.hang_at.as_ref().is_some_and(|command| is(&line, command)) {
                return self.connection.hang();
            }
            let dropped = self.behaviour.drop_at.as_ref().is_some_and(|command| is(&line, command));
            if dropped || self.behaviour.drop_at_nth == Some(nth) {
                return Ok(());
            }
            let injected = self.behaviour.inject_after.clone().filter(|(command, _)| is(&line, command));
            if injected.is_some() {
                self.connection.cork();
            }
            if let Some(poison) = self.behaviour.poison.clone().filter(|poison| self.is_about(&line, poison)) {
                self.send(poison.sends.as_bytes())?;
                if poison.closes {
                    return Ok(());
                }
                continue;
            }
            let mut answers = self.behaviour.answers.iter();
            let answer = answers.rfind(|(command, _)| is(&line, command));
            match answer.map(|(_, answer)| answer.clone()) {
                Some(answer) => self.line(&answer)?,
                None => self.command(&line)?,
            }
            if let Some((_, octets)) = injected {
                self.send(&octets)?;
                self.connection.uncork()?;
            }
            if is(&line, "QUIT") {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether a command is about a poisoned message.
    fn is_about(&self, line: &str, poison: &Poison) -> bool {
        let mut words = line.split(' ');
        let is_verb = words.next() == Some(poison.verb);
        let number = words.next().and_then(|number| number.parse::<usize>().ok());
        let message = number.zip(self.maildrop.as_ref()).and_then(|(number, maildrop)| maildrop.get(number - 1));
        is_verb
            && message.is_some_and(|entry| {
                poison.uid.is_empty() || entry.message.uid.as_deref() == Some(poison.uid.as_bytes())
            })
    }

    fn note(&self, line: &str) {
        let watcher = {
            let mut state = lock(&self.state);
            state.commands.push(line.to_owned());
            state.ahead += usize::from(self.connection.has_more());
            state.watcher.clone()
        };
        if let Some(watcher) = watcher {
            watcher(line);
        }
    }

    fn command(&mut self, line: &str) -> io::Result<()> {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let verb = verb.to_ascii_uppercase();
        match verb.as_str() {
            "CAPA" => return self.capa(),
            "QUIT" => return self.quit(),
            _ => {}
        }
        let Some(maildrop) = &mut self.maildrop else {
            return match verb.as_str() {
                "USER" => {
                    self.user = argument.to_owned();
                    self.line("+OK")
                }
                "PASS" => {
                    let user = self.user.clone();
                    self.login(&user, argument)
                }
                "AUTH" => self.auth(argument),
                _ => self.line("-ERR not before the login"),
            };
        };
        match verb.as_str() {
            "STAT" => {
                let left = maildrop.iter().filter(|entry| !entry.deleted);
                let (count, octets) =
                    left.fold((0, 0), |(count, octets), entry| (count + 1, octets + listed(&entry.message)));
                self.line(&format!("+OK {count} {octets}"))
            }
            "RSET" => {
                maildrop.iter_mut().for_each(|entry| entry.deleted = false);
                self.line("+OK")
            }
            "NOOP" => self.line("+OK"),
            "LIST" => self.listing(argument, |message| Some(listed(message).to_string().into())),
            "UIDL" => self.listing(argument, |message| message.uid.clone()),
            "RETR" | "TOP" | "DELE" => self.message_command(&verb, argument),
            _ => self.line("-ERR what"),
        }
    }

    fn capa(&mut self) -> io::Result<()> {
        let after = self.maildrop.as_ref().and(self.behaviour.capabilities_after_login.clone());
        match after.or_else(|| self.behaviour.capabilities.clone()) {
            None => self.line("-ERR no such command"),
            Some(capabilities) => {
                self.line("+OK")?;
                for capability in capabilities {
                    self.line(&capability)?;
                }
                self.line(".")
            }
        }
    }

    fn auth(&mut self, argument: &str) -> io::Result<()> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        if ["XOAUTH2", "OAUTHBEARER"].contains(&mechanism) {
            return self.token(initial);
        }
        if !mechanism.eq_ignore_ascii_case("PLAIN") {
            return self.line("-ERR no such mechanism");
        }
        let mut response = initial.to_owned();
        if response.is_empty() {
            self.line("+ ")?;
            response = lossy(&self.connection.read_line()?.unwrap_or_default());
            lock(&self.state).commands.push(response.clone());
        }
        let response = lossy(&BASE64_STANDARD.decode(response).unwrap_or_default());
        let mut parts = response.split('\0').skip(1);
        let (user, password) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        self.login(user, password)
    }

    /// XOAUTH2, or OAUTHBEARER (RFC 7628).
    fn token(&mut self, initial: &str) -> io::Result<()> {
        let mut response = initial.to_owned();
        if response.is_empty() {
            self.line("+ ")?;
            response = lossy(&self.connection.read_line()?.unwrap_or_default());
        }
        let message = lossy(&BASE64_STANDARD.decode(response).unwrap_or_default());
        let token = message.split('\x01').find_map(|part| part.strip_prefix("auth=Bearer ")).unwrap_or_default();
        lock(&self.state).commands.push(format!("token {token}"));
        if self.behaviour.tokens.iter().any(|good| good == token) {
            return self.login(MailboxServer::USER, MailboxServer::PASSWORD);
        }
        self.line(&format!("+ {}", BASE64_STANDARD.encode("{\"status\":\"400\"}")))?;
        self.connection.read_line()?;
        self.line("-ERR [AUTH] no such token")
    }

    fn login(&mut self, user: &str, password: &str) -> io::Result<()> {
        lock(&self.state).logins += 1;
        if let Some(text) = self.behaviour.refuse_login.clone() {
            return self.line(&text);
        }
        if ![MailboxServer::USER, MailboxServer::OTHER_USER].contains(&user) || password != MailboxServer::PASSWORD {
            return self.line("-ERR [AUTH] wrong user or password");
        }
        let messages = lock(&self.state).messages.clone();
        let hidden = &self.behaviour.hidden;
        let shown =
            messages.into_iter().filter(|message| message.uid.as_ref().is_none_or(|uid| !hidden.contains(&lossy(uid))));
        let maildrop: Vec<Entry> = shown.map(|message| Entry { message, deleted: false }).collect();
        let count = maildrop.len();
        self.maildrop = Some(maildrop);
        self.line(&format!("+OK {count} messages"))
    }

    /// Answers LIST and UIDL, for all messages or one.  Those without a value are left out.
    fn listing(&mut self, argument: &str, value: impl Fn(&Message) -> Option<Vec<u8>>) -> io::Result<()> {
        let line = |number: usize, entry: &Entry| {
            let value = value(&entry.message)?;
            Some([format!("{number} ").as_bytes(), &value, b"\r\n"].concat())
        };
        let entries = self.maildrop.iter().flatten().enumerate();
        let entries = entries.filter(|(_, entry)| !entry.deleted);
        let answer = if argument.is_empty() {
            let lines = entries.filter_map(|(index, entry)| line(index + 1, entry));
            let lines: Vec<Vec<u8>> = lines.collect();
            [b"+OK\r\n", lines.concat().as_slice(), b".\r\n"].concat()
        } else {
            let mut wanted = entries.filter(|(index, _)| argument == (index + 1).to_string());
            wanted
                .find_map(|(index, entry)| line(index + 1, entry))
                .map_or(b"-ERR no such message\r\n".to_vec(), |line| [b"+OK ", &line[..]].concat())
        };
        self.send(&answer)
    }

    fn message_command(&mut self, verb: &str, argument: &str) -> io::Result<()> {
        let (number, lines) = argument.split_once(' ').unwrap_or((argument, "0"));
        let number = number.parse().unwrap_or(0_usize);
        let entry = number
            .checked_sub(1)
            .and_then(|index| self.maildrop.as_mut()?.get_mut(index))
            .filter(|entry| !entry.deleted);
        let Some(entry) = entry else {
            return self.line("-ERR no such message");
        };
        let message = Arc::clone(&entry.message);
        match verb {
            "DELE" => {
                entry.deleted = true;
                self.line("+OK")
            }
            "TOP" => {
                self.line("+OK")?;
                self.send(&message.top(lines.parse().unwrap_or(0)))?;
                self.line(".")
            }
            _ => {
                entry.deleted |= self.behaviour.pops;
                self.retr(number, &message)
            }
        }
    }

    fn retr(&mut self, number: usize, message: &Message) -> io::Result<()> {
        if let Some((faulty, octets)) = self.behaviour.cut_in_retr
            && faulty == number
        {
            self.allowance = Some(octets);
        }
        if let Some((faulty, octets)) = self.behaviour.hang_in_retr
            && faulty == number
        {
            self.line("+OK")?;
            let text: Vec<u8> = message.pieces(true).flat_map(|piece| piece.to_vec()).collect();
            self.send(&text[..text.len().min(usize::try_from(octets).unwrap_or(usize::MAX))])?;
            return self.connection.hang();
        }
        self.line(&format!("+OK {} octets", listed(message)))?;
        let mut end = Vec::new();
        for piece in message.pieces(!self.behaviour.unstuffed) {
            for part in piece.chunks(self.behaviour.retr_part.unwrap_or(usize::MAX)) {
                self.send(part)?;
                if self.behaviour.retr_part.is_some() {
                    // Not to wait for anything, but so that the kernel does not join them.
                    std::thread::sleep(PART_INTERVAL);
                }
            }
            end = piece[piece.len().saturating_sub(2)..].to_vec();
        }
        if end != b"\r\n" {
            self.send(b"\r\n")?;
        }
        self.line(".")
    }

    fn quit(&mut self) -> io::Result<()> {
        let Some(maildrop) = self.maildrop.take() else {
            return self.line("+OK");
        };
        let quit = self.behaviour.quit;
        if matches!(quit, Quit::Answer | Quit::DeleteSilently) {
            let deleted = |message: &Arc<Message>| {
                maildrop.iter().any(|entry| entry.deleted && Arc::ptr_eq(&entry.message, message))
            };
            lock(&self.state).messages.retain(|message| !deleted(message));
        }
        match quit {
            Quit::Answer => self.line("+OK bye"),
            Quit::Refuse => self.line("-ERR some deleted messages not removed"),
            Quit::DeleteSilently | Quit::Vanish => Ok(()),
        }
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.send(format!("{line}\r\n").as_bytes())
    }

    /// Sends what the connection's allowance permits; an error once it is used up.
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let Some(allowance) = &mut self.allowance else {
            return self.connection.send(octets);
        };
        let sent = usize::try_from(*allowance).unwrap_or(usize::MAX).min(octets.len());
        *allowance -= sent as u64;
        self.connection.send(&octets[..sent])?;
        if sent < octets.len() { Err(io::Error::other("cut on request")) } else { Ok(()) }
    }
}

fn listed(message: &Message) -> u64 {
    message.listed_octets.unwrap_or_else(|| message.octets())
}
