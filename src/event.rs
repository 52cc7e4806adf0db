//! What is reported to an operator: one vocabulary for the log, the journal and the status board.
//!
//! An event has a level, a journal id that never changes, fields, and a sentence ([`fmt::Display`]).  A sentence
//! about an account begins with its name, because `journalctl`, syslog and `systemctl status` show nothing else.
//! Text from outside (servers, commands, files) is escaped and bounded in it.  No event carries a
//! [`crate::secret::Secret`].
//!
//! An event is logged once, by [`Event::tell`], where it happens.  Code that needs more than the log reads the event,
//! never its text.

mod sentence;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tracing::Level;

pub(crate) use words::{Counts, Fault, LeftBehind, LockStep, NoQuit};

use crate::failure::Severity;
use crate::message::{MessageKey, Name};
use crate::text;

/// Octets of a sentence at most: more than any cause with its advice has.
const SENTENCE_LIMIT: usize = 4096;

/// What happened.  `account` and `uid` name the account and the message; `cause` and `text` are the text of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A destination has a message.
    Delivered { account: Name, uid: MessageKey, destination: Name, octets: u64 },
    /// A destination did not get a message; it is tried again.
    NotDelivered { account: Name, uid: MessageKey, destination: Name, cause: Option<String> },
    /// A destination refused a message for good.
    Quarantined { account: Name, uid: MessageKey, destination: Name, cause: String },
    /// The server did not hand out a message.
    NotRetrieved { account: Name, uid: MessageKey, cause: String },
    /// The session ended at a message.
    SessionEndedAt { account: Name, uid: MessageKey, cause: String },
    /// The server did not delete a message.
    DeletionRefused { account: Option<Name>, uid: MessageKey, text: String },
    /// A message was delivered before under another unique-id.
    KnownByContent { account: Name, uid: MessageKey },
    /// This many messages of a batch were delivered before.
    BatchKnown { account: Name, messages: u64 },
    /// The server had confirmed the deletion of a message, and lists it again.
    Reappeared { account: Name, uid: MessageKey },
    /// A message has the header, and not the content, of one that was delivered.
    ContentDiffers { account: Name, uid: MessageKey },
    /// The process died while it handled a message.
    DiedAt { account: Name, uid: MessageKey },
    /// Messages stay on the server; `named` are the first of them.
    LeftOnServer { account: Name, why: LeftBehind, messages: u64, named: String },
    /// A poll did all that was to be done, or was asked to stop (`stopped`).
    PollEnded { account: Name, counts: Counts, time: Duration, stopped: Option<Fault> },
    /// A poll ended early, or left something undone.
    PollFailed { account: Name, counts: Counts, time: Duration, fault: Fault },
    /// A poll ended without a result.
    PollLost { cause: String },
    /// The server has given its mail other unique-ids.
    UniqueIdsChanged { account: Name, messages: u64 },
    /// The account leads to another mailbox than before.
    MailboxChanged { account: Name, messages: u64 },
    /// The account has the mailbox that was another one's (`is_gone`: which is not polled any more), and what is known of
    /// it.
    MailboxTakenOver { account: Name, from: Name, is_gone: bool },
    /// The server has no TOP.
    NoTop { account: Name },
    /// None of the server's answers about one message says anything.
    AnswersSayNothing { account: Name },
    /// The account has one more destination; this many messages on the server will not go there.
    DestinationAdded { account: Name, destination: Name, messages: u64 },
    /// From now on the server gets one command at a time.
    OneCommandAtATime { account: Name, why: LockStep },
    /// The session has ended without QUIT.
    NotQuit { account: Name, why: NoQuit },
    /// After the loss of the state, this many messages are known again.
    LostStateMadeOut { account: Name, found: u64, total: u64 },
    /// It is unknown whether these messages are at all of their destinations.
    PerhapsDelivered { account: Name, messages: u64 },
    /// The settings or the password of a refused login have changed: it is tried again.
    LoginRetried { account: Name },
    /// Something could not be recorded.
    NotRecorded { account: Option<Name>, cause: String },
    /// The drafts of a batch were not moved.
    NotMoved { account: Name, cause: String },
    /// A delivery that an earlier run began cannot be finished.
    StaysStaged { account: Option<Name>, file: Option<String>, cause: String },
    /// There was no time to finish what an earlier run began.
    RecoveryLate { cause: String },
    /// Deliveries that an earlier run began are finished.
    Recovered { messages: u64 },
    /// A Maildir is missing, and this many deliveries to it are staged.
    MaildirMissing { maildir: PathBuf, deliveries: u64 },
    /// Drafts that are not on record were removed.
    DraftsRemoved { maildir: PathBuf, files: u64 },
    /// Drafts that are not on record cannot be removed.
    DraftsStay { cause: String },
    /// A new configuration is in use.
    Reloaded { cause: &'static str, new: u64, changed: u64, removed: u64, same: u64 },
    /// A new configuration cannot be used; `text` has all its faults.
    NotReloaded { cause: &'static str, text: String },
    /// One fault of a new configuration.
    ConfigurationFault { text: String },
    /// The configuration is used, but something in it is doubtful.
    ConfigurationWarning { text: String },
    /// A change of the configuration needs a restart.
    RestartNeeded,
    /// The service is ready.
    Started { accounts: u64 },
    /// The service was asked to end.
    Stopping { cause: &'static str },
    /// Polls did not end in time.
    PollsDropped,
    /// The service has ended.
    Ended,
    /// The state was lost or damaged: one line on what was done about it.
    StateRebuilt { text: String },
    /// The state lies beside the configuration.
    StateMisplaced { folder: PathBuf, mend: String },
    /// The state could not be closed cleanly.
    StateUnsealed { cause: String },
    /// Fewer files may be open than one poll needs.
    TooFewFiles { limit: u64, least: u64 },
    /// Fewer accounts are polled at a time than the configuration says.
    PollsLimited { polls: u64, limit: u64 },
    /// The system has refused a thread.
    ThreadsLimited { threads: u64, cause: String },
    /// Files cannot be watched for changes, in one folder or anywhere.
    FilesNotWatched { folder: Option<PathBuf>, cause: String, every: Duration },
    /// Clients cannot use the control socket as they should.
    SocketTrouble { text: String },
    /// The control socket is back where it belongs.
    SocketBack { path: PathBuf },
}

/// What an event is about, for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The account.
    pub account: Option<&'a Name>,
    /// The message.
    pub uid: Option<&'a MessageKey>,
    /// The destination.
    pub destination: Option<&'a Name>,
    /// Octets that were delivered.
    pub octets: Option<u64>,
    /// How many messages it is about.
    pub messages: Option<u64>,
}

impl Event {
    /// Writes it to the log.
    pub fn tell(&self) {
        macro_rules! emit {
            ($level:expr) => {{
                let Fields { account, uid, destination, octets, messages } = self.fields();
                tracing::event!(
                    $level,
                    event = self.name(),
                    journal_id = self.journal_id(),
                    account = account.map(tracing::field::display),
                    uid = uid.map(tracing::field::display),
                    octets,
                    destination = destination.map(tracing::field::display),
                    messages,
                    "{self}"
                );
            }};
        }
        match self.level() {
            Level::ERROR => emit!(Level::ERROR),
            Level::WARN => emit!(Level::WARN),
            Level::INFO => emit!(Level::INFO),
            Level::DEBUG => emit!(Level::DEBUG),
            Level::TRACE => emit!(Level::TRACE),
        }
    }

    /// How much it matters.  An error is something that the operator has to fix.
    pub fn level(&self) -> Level {
        match self {
            Event::PollEnded { counts, stopped: None, .. } if counts.delivered + counts.deleted == 0 => Level::DEBUG,
            Event::PollFailed { fault, .. } if fault.class.severity() == Severity::Operator => Level::ERROR,
            Event::PollLost { .. } | Event::NotRecorded { account: None, .. } => Level::ERROR,
            Event::DestinationAdded { messages: 0, .. }
            | Event::OneCommandAtATime { why: LockStep::Unanswered, .. }
            | Event::NotQuit { why: NoQuit::Withheld, .. }
            | Event::Delivered { .. }
            | Event::SessionEndedAt { .. }
            | Event::KnownByContent { .. }
            | Event::BatchKnown { .. }
            | Event::PollEnded { .. }
            | Event::LostStateMadeOut { .. }
            | Event::LoginRetried { .. }
            | Event::StaysStaged { .. }
            | Event::Recovered { .. }
            | Event::DraftsRemoved { .. }
            | Event::Reloaded { .. }
            | Event::Started { .. }
            | Event::Stopping { .. }
            | Event::Ended
            | Event::PollsLimited { .. }
            | Event::SocketBack { .. } => Level::INFO,
            _ => Level::WARN,
        }
    }

    /// Its kind in one word, and the journal's MESSAGE_ID of that kind.  Neither ever changes.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Event::Delivered { .. } => ("delivered", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d01"),
            Event::PollEnded { .. } => ("poll-ended", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d02"),
            Event::PollFailed { .. } => ("poll-failed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d03"),
            Event::Quarantined { .. } => ("quarantined", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d04"),
            Event::Reloaded { .. } => ("reloaded", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d05"),
            Event::NotReloaded { .. } => ("not-reloaded", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d06"),
            Event::NotDelivered { .. } => ("not-delivered", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d07"),
            Event::SessionEndedAt { .. } => ("session-ended-at", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d32"),
            Event::NotRetrieved { .. } => ("not-retrieved", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d08"),
            Event::DeletionRefused { .. } => ("deletion-refused", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d09"),
            Event::LeftOnServer { .. } => ("left-on-server", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0a"),
            Event::UniqueIdsChanged { .. } => ("unique-ids-changed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0b"),
            Event::MailboxChanged { .. } => ("mailbox-changed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0c"),
            Event::MailboxTakenOver { .. } => ("mailbox-taken-over", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d3a"),
            Event::DestinationAdded { .. } => ("destination-added", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0d"),
            Event::LostStateMadeOut { .. } => ("lost-state-made-out", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0e"),
            Event::PerhapsDelivered { .. } => ("perhaps-delivered", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d0f"),
            Event::DiedAt { .. } => ("died-at", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d10"),
            Event::LoginRetried { .. } => ("login-retried", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d11"),
            Event::MaildirMissing { .. } => ("maildir-missing", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d12"),
            Event::StateRebuilt { .. } => ("state-rebuilt", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d13"),
            Event::NotRecorded { .. } => ("not-recorded", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d14"),
            Event::ConfigurationFault { .. } => ("configuration-fault", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d15"),
            Event::ConfigurationWarning { .. } => ("configuration-warning", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d16"),
            Event::Started { .. } => ("started", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d17"),
            Event::Stopping { .. } => ("stopping", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d18"),
            Event::Ended => ("ended", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d19"),
            Event::KnownByContent { .. } => ("known-by-content", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1a"),
            Event::BatchKnown { .. } => ("batch-known", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1b"),
            Event::Reappeared { .. } => ("reappeared", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1c"),
            Event::ContentDiffers { .. } => ("content-differs", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1d"),
            Event::PollLost { .. } => ("poll-lost", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1e"),
            Event::AnswersSayNothing { .. } => ("answers-say-nothing", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d33"),
            Event::NoTop { .. } => ("no-top", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d1f"),
            Event::OneCommandAtATime { .. } => ("one-command-at-a-time", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d20"),
            Event::NotQuit { .. } => ("not-quit", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d21"),
            Event::NotMoved { .. } => ("not-moved", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d22"),
            Event::StaysStaged { .. } => ("stays-staged", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d23"),
            Event::RecoveryLate { .. } => ("recovery-late", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d24"),
            Event::Recovered { .. } => ("recovered", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d25"),
            Event::DraftsRemoved { .. } => ("drafts-removed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d26"),
            Event::DraftsStay { .. } => ("drafts-stay", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d27"),
            Event::RestartNeeded => ("restart-needed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d28"),
            Event::PollsDropped => ("polls-dropped", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d29"),
            Event::StateMisplaced { .. } => ("state-misplaced", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2a"),
            Event::StateUnsealed { .. } => ("state-unsealed", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2b"),
            Event::TooFewFiles { .. } => ("too-few-files", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2c"),
            Event::PollsLimited { .. } => ("polls-limited", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2d"),
            Event::ThreadsLimited { .. } => ("threads-limited", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2e"),
            Event::FilesNotWatched { .. } => ("files-not-watched", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d2f"),
            Event::SocketTrouble { .. } => ("socket-trouble", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d30"),
            Event::SocketBack { .. } => ("socket-back", "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d31"),
        }
    }

    /// Its kind in one word.
    pub fn name(&self) -> &'static str {
        self.kind().0
    }

    /// The journal's MESSAGE_ID of its kind (systemd.journal-fields(7)).
    pub fn journal_id(&self) -> &'static str {
        self.kind().1
    }

    /// What it is about.
    pub fn fields(&self) -> Fields<'_> {
        let account = self.account();
        let of = |uid| Fields { account, uid: Some(uid), ..Fields::default() };
        let many = |&messages| Fields { account, messages: Some(messages), ..Fields::default() };
        match self {
            Event::Delivered { uid, destination, octets, .. } => {
                Fields { destination: Some(destination), octets: Some(*octets), ..of(uid) }
            }
            Event::NotDelivered { uid, destination, .. } | Event::Quarantined { uid, destination, .. } => {
                Fields { destination: Some(destination), ..of(uid) }
            }
            Event::NotRetrieved { uid, .. }
            | Event::SessionEndedAt { uid, .. }
            | Event::DeletionRefused { uid, .. }
            | Event::KnownByContent { uid, .. }
            | Event::Reappeared { uid, .. }
            | Event::ContentDiffers { uid, .. }
            | Event::DiedAt { uid, .. } => of(uid),
            Event::PollEnded { counts, .. } => Fields { account, octets: Some(counts.octets), ..Fields::default() },
            Event::DestinationAdded { destination, messages, .. } => {
                Fields { destination: Some(destination), ..many(messages) }
            }
            Event::BatchKnown { messages, .. }
            | Event::LeftOnServer { messages, .. }
            | Event::UniqueIdsChanged { messages, .. }
            | Event::MailboxChanged { messages, .. }
            | Event::PerhapsDelivered { messages, .. }
            | Event::Recovered { messages } => many(messages),
            _ => Fields { account, ..Fields::default() },
        }
    }

    /// The account that it is about.
    pub fn account(&self) -> Option<&Name> {
        match self {
            Event::Delivered { account, .. }
            | Event::NotDelivered { account, .. }
            | Event::Quarantined { account, .. }
            | Event::NotRetrieved { account, .. }
            | Event::SessionEndedAt { account, .. }
            | Event::KnownByContent { account, .. }
            | Event::BatchKnown { account, .. }
            | Event::Reappeared { account, .. }
            | Event::ContentDiffers { account, .. }
            | Event::DiedAt { account, .. }
            | Event::LeftOnServer { account, .. }
            | Event::PollEnded { account, .. }
            | Event::PollFailed { account, .. }
            | Event::UniqueIdsChanged { account, .. }
            | Event::MailboxChanged { account, .. }
            | Event::MailboxTakenOver { account, .. }
            | Event::NoTop { account }
            | Event::AnswersSayNothing { account }
            | Event::DestinationAdded { account, .. }
            | Event::OneCommandAtATime { account, .. }
            | Event::NotQuit { account, .. }
            | Event::LostStateMadeOut { account, .. }
            | Event::PerhapsDelivered { account, .. }
            | Event::LoginRetried { account }
            | Event::NotMoved { account, .. } => Some(account),
            Event::DeletionRefused { account, .. }
            | Event::NotRecorded { account, .. }
            | Event::StaysStaged { account, .. } => account.as_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Event {
    /// One sentence on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(account) = self.account() {
            write!(f, "{account}: ")?;
        }
        f.write_str(&text::escape(sentence::of(self).as_bytes(), SENTENCE_LIMIT))
    }
}

#[cfg(test)]
mod tests;
