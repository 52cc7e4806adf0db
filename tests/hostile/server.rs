//! A server that follows the rules of a case, and is honest where there are none.

use super::action::Action;
use super::case::{Case, Rule, Transport};
use super::channel::{Channel, Heard};
use super::support::Listener;
use native_tls::TlsAcceptor;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Octets of endless answers that are sent at once.
const PIECE_OCTETS: usize = 16 * 1024;

/// What a server has seen.
#[derive(Default)]
pub(crate) struct Record {
    /// The client's lines, those inside TLS too.
    pub(crate) lines: Vec<String>,
    /// The longest time of a connection.
    pub(crate) longest: Duration,
    pub(crate) connections: usize,
    /// Messages that DELE was said for.
    pub(crate) marked: BTreeSet<usize>,
    /// Of these, messages that were not in the Maildir at that moment.
    pub(crate) too_early: BTreeSet<usize>,
    /// Messages that are deleted.
    pub(crate) deleted: BTreeSet<usize>,
    /// From now on every rule is forgotten.
    pub(crate) honest: bool,
}

/// A server for one account.
pub(crate) struct Server {
    listener: Listener,
    pub(crate) record: Arc<Mutex<Record>>,
    /// What came over the wire as it was.
    pub(crate) wire: Heard,
}

/// What a connection needs.
pub(super) struct Setting {
    pub(super) case: Case,
    pub(super) transport: Transport,
    /// The one of the case, and an honest one.
    acceptors: [TlsAcceptor; 2],
    maildir: PathBuf,
    record: Arc<Mutex<Record>>,
}

impl Server {
    pub(crate) fn start(case: &Case, transport: Transport, acceptors: [TlsAcceptor; 2], maildir: PathBuf) -> Self {
        let (record, wire) = (Arc::new(Mutex::new(Record::default())), Heard::default());
        let setting = Setting { case: case.clone(), transport, acceptors, maildir, record: Arc::clone(&record) };
        let (setting, heard) = (Arc::new(setting), Arc::clone(&wire));
        let listener = Listener::start_raw(move |socket| {
            let begun = Instant::now();
            Conversation::new(&setting, socket, Arc::clone(&heard)).run();
            let mut record = setting.record();
            record.longest = record.longest.max(begun.elapsed());
        });
        Self { listener, record, wire }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.port
    }

    pub(crate) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic while locked")
    }
}

impl Setting {
    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no panic while locked")
    }

    /// Whether a message is whole in the Maildir at this moment.
    pub(super) fn is_delivered(&self, message: usize) -> bool {
        let wanted = self.case.stored(message);
        let files = std::fs::read_dir(self.maildir.join("new")).into_iter().flatten().flatten();
        files.into_iter().any(|entry| std::fs::read(entry.path()).is_ok_and(|octets| octets == wanted))
    }
}

/// How an action or an answer ended.
pub(super) type Said = Result<(), Ended>;

/// The end of a connection.
pub(super) enum Ended {
    Gone,
    Close,
    Cut,
    Reset,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Ended::Gone
    }
}

pub(super) struct Conversation<'a> {
    pub(super) setting: &'a Setting,
    pub(super) channel: Channel,
    rules: Vec<Rule>,
    /// How often each rule has been looked at with success.
    times: HashMap<usize, usize>,
    pub(super) there: BTreeSet<usize>,
    pub(super) marked: BTreeSet<usize>,
}

impl<'a> Conversation<'a> {
    fn new(setting: &'a Setting, socket: TcpStream, heard: Heard) -> Self {
        let mut record = setting.record();
        record.connections += 1;
        let rules = if record.honest { Vec::new() } else { setting.case.rules.clone() };
        let there = (1..=setting.case.messages.len()).filter(|message| !record.deleted.contains(message)).collect();
        drop(record);
        let channel = Channel::new(socket, heard);
        Self { setting, channel, rules, times: HashMap::new(), there, marked: BTreeSet::new() }
    }

    fn run(mut self) {
        match self.converse() {
            Ok(()) | Err(Ended::Close) => self.channel.close(true),
            Err(Ended::Cut) => self.channel.close(false),
            Err(Ended::Reset) => self.channel.reset(),
            Err(Ended::Gone) => {}
        }
    }

    fn converse(&mut self) -> Said {
        if self.setting.transport == Transport::Tls {
            self.secure()?;
        }
        self.answer("greeting")?;
        while let Some(line) = self.hear()? {
            self.answer(&line)?;
            if line == "QUIT" {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn secure(&mut self) -> Said {
        match self.rule("handshake") {
            Some(actions) => self.perform(&actions, "handshake"),
            None => self.upgrade(),
        }
    }

    fn upgrade(&mut self) -> Said {
        let honest = self.setting.record().honest;
        Ok(self.channel.upgrade(&self.setting.acceptors[usize::from(honest)])?)
    }

    pub(super) fn hear(&mut self) -> Result<Option<String>, Ended> {
        let line = self.channel.read_line()?.map(|line| String::from_utf8_lossy(&line).into_owned());
        if let Some(line) = &line {
            self.setting.record().lines.push(line.clone());
        }
        Ok(line)
    }

    /// The actions of the rule for what was heard.
    fn rule(&mut self, heard: &str) -> Option<Vec<Action>> {
        let before_stls = self.setting.transport == Transport::Stls && !self.channel.is_tls();
        let mut found = None;
        for (index, rule) in self.rules.iter().enumerate() {
            let is_early = rule.in_clear || matches!(rule.trigger.as_str(), "greeting" | "handshake");
            if !matches(&rule.trigger, heard)
                || is_early != before_stls && rule.trigger != "greeting" && heard != "handshake"
            {
                continue;
            }
            let time = self.times.entry(index).or_default();
            *time += 1;
            if found.is_none() && rule.time.is_none_or(|wanted| wanted == *time) {
                found = Some(rule.actions.clone());
            }
        }
        found
    }

    fn answer(&mut self, heard: &str) -> Said {
        match self.rule(heard) {
            Some(actions) => self.perform(&actions, heard),
            None => self.honest(heard),
        }
    }

    fn perform(&mut self, actions: &[Action], heard: &str) -> Said {
        for action in actions {
            match action {
                Action::Send { octets, times, pace, gap } => self.send(octets, *times, *pace, *gap)?,
                Action::Body(message) => self.body(*message)?,
                Action::Honest => self.honest(heard)?,
                Action::Pause(time) => std::thread::sleep(*time),
                Action::Hear => drop(self.hear()?),
                Action::Await => self.channel.wait()?,
                Action::Upgrade => self.upgrade()?,
                Action::Update => self.update(),
                Action::Stall => {
                    self.channel.outwait();
                    return Err(Ended::Gone);
                }
                Action::Close => return Err(Ended::Close),
                Action::Cut => return Err(Ended::Cut),
                Action::Reset => return Err(Ended::Reset),
            }
        }
        Ok(())
    }

    /// Sends octets slowly: that is the case itself, not a way to wait for something.
    fn send(&mut self, octets: &[u8], times: Option<u64>, pace: Duration, gap: Duration) -> Said {
        let counted = memchr::memmem::find(octets, b"{n}");
        let mut piece = Vec::new();
        let mut number = 0;
        while times.is_none_or(|times| number < times) {
            number += 1;
            match counted {
                Some(at) => {
                    piece.extend_from_slice(&octets[..at]);
                    piece.extend_from_slice(number.to_string().as_bytes());
                    piece.extend_from_slice(&octets[at + 3..]);
                }
                None => piece.extend_from_slice(octets),
            }
            if !pace.is_zero() {
                for octet in piece.drain(..) {
                    self.channel.send(&[octet])?;
                    std::thread::sleep(pace);
                }
            } else if piece.len() >= PIECE_OCTETS {
                self.channel.send(&piece)?;
                piece.clear();
                std::thread::sleep(gap);
            }
        }
        Ok(self.channel.send(&piece)?)
    }

    pub(super) fn update(&mut self) {
        self.setting.record().deleted.extend(&self.marked);
    }
}

/// Whether something heard is what a rule is for.
fn matches(trigger: &str, heard: &str) -> bool {
    let verb = heard.split(' ').next().unwrap_or_default();
    match trigger {
        "USER" | "PASS" | "AUTH" | "APOP" => verb == trigger,
        _ => match trigger.strip_suffix('*') {
            Some(start) => heard.starts_with(start),
            None => heard == trigger,
        },
    }
}
