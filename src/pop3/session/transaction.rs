//! The TRANSACTION state: listings, messages, deletions, QUIT.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::SessionError;
use super::listing::{Entry, Listing};
use super::ration::{Packed, Share, TOTAL_OCTETS};
use super::shape::Shape;
use super::wire::Wire;
use crate::message::MessageNumber;
use crate::pop3::command::Command;
use crate::pop3::multiline::Decoder;
use crate::pop3::reply::{self, Capabilities, ResponseCode, Status};

/// The most messages of a maildrop, which bounds the memory for a listing.
const LISTING_LIMIT: usize = 2_000_000;

/// The most octets of unanswered commands (RFC 2449 §6.6: the client has to avoid a deadlock): less
/// than one segment and than any server's input buffer.
const WINDOW_OCTETS: usize = 1024;

/// The longest command of this state: `TOP` with two ten-digit numbers.
const COMMAND_OCTETS: usize = 28;

/// Time for the reply to QUIT, before which the server deletes.
const QUIT_LIMIT: Duration = Duration::from_secs(60);

/// How the server answered QUIT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quit {
    /// Everything that was to be deleted is deleted.
    Done,
    /// Some messages may not have been deleted (RFC 1939 §6); the server's words.
    Refused(String),
    /// No reply: it is not known what was deleted.
    Silence,
}

/// A command without an answer yet.
#[derive(Clone, Copy)]
struct Outstanding {
    step: Step,
    octets: usize,
}

/// A command's name in errors; formatted only for an error.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Named(&'static str),
    Numbered(&'static str, MessageNumber),
}

impl Step {
    pub(super) fn text(self) -> String {
        match self {
            Step::Named(name) => name.to_owned(),
            Step::Numbered(name, number) => format!("{name} {number}"),
        }
    }
}

/// A connection after the login.
pub struct Session<S> {
    pub(super) wire: Wire<S>,
    capabilities: Capabilities,
    outstanding: VecDeque<Outstanding>,
    outstanding_octets: usize,
    /// See [`Session::flight`].
    flight: usize,
    pub(super) answered: Step,
    /// STAT has said that there is no message.
    is_empty: bool,
    shape: Option<Shape>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(wire: Wire<S>, capabilities: Capabilities) -> Self {
        let answered = Step::Named("login");
        Self {
            wire,
            capabilities,
            outstanding: VecDeque::new(),
            outstanding_octets: 0,
            flight: 0,
            answered,
            is_empty: false,
            shape: Some(Shape::default()),
        }
    }

    /// What the server announced.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// From now on the server gets one command at a time, whatever it announces.
    pub fn go_lock_step(&mut self) {
        self.capabilities.pipelining = false;
    }

    /// What the server's answers to questions about one message look like; `None`: it is to be learnt.
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// The server is known to answer in this shape; `None`: it answers in one of its own.
    pub fn expect_shape(&mut self, shape: Option<Shape>) {
        self.shape = shape;
    }

    /// The connection.
    pub fn stream(&self) -> &S {
        self.wire.stream()
    }

    /// Puts a command into the window, to be sent as soon as the server is waited for; `false` if
    /// the window has no room for it yet.  In lock-step, the window never gets a second command.
    pub fn queue(&mut self, command: Command<'_>) -> bool {
        let before = self.wire.output().len();
        if !self.has_room() || command.encode(self.wire.output()).is_err() {
            return false;
        }
        let octets = self.wire.output().len() - before;
        if self.outstanding.is_empty() {
            // What comes before it is sent does not answer it.
            self.wire.send_first();
            self.flight = 0;
        }
        self.outstanding_octets += octets;
        self.outstanding.push_back(Outstanding { step: step(command), octets });
        self.flight = self.flight.max(self.outstanding.len());
        true
    }

    /// Commands without an answer yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The most commands that were unanswered at once since the window was last empty: the server may
    /// have stumbled over their number, when a reply is wrong or missing.
    pub fn flight(&self) -> usize {
        self.flight
    }

    /// The message that the command is about whose reply is being read, or was read last.
    pub fn at(&self) -> Option<MessageNumber> {
        let step = self.outstanding.front().map_or(self.answered, |command| command.step);
        match step {
            Step::Numbered(_, number) => Some(number),
            Step::Named(_) => None,
        }
    }

    /// Whether the window has room for another command.
    pub fn has_room(&self) -> bool {
        self.outstanding.is_empty() || self.outstanding_octets + COMMAND_OCTETS < WINDOW_OCTETS
    }

    /// Reads the status line that answers the oldest command.
    ///
    /// # Errors
    /// The connection broke or is out of step.
    pub async fn reply(&mut self) -> Result<Status, SessionError> {
        self.reply_with(|_| ()).await.map(|(status, ())| status)
    }

    /// The same, with what `read` makes of the octets after `+OK` or `-ERR`, which a [`Status`] holds
    /// only escaped and truncated.
    ///
    /// # Errors
    /// As [`Session::reply`].
    pub async fn reply_with<T>(&mut self, read: impl FnOnce(&[u8]) -> T) -> Result<(Status, T), SessionError> {
        let Some(&Outstanding { step, octets }) = self.outstanding.front() else {
            return Err(SessionError::OutOfStep { step: self.answered.text(), line: String::new() });
        };
        let reply = self.wire.status_with(&|| step.text(), read).await?;
        self.outstanding.pop_front();
        self.outstanding_octets -= octets;
        self.answered = step;
        Ok(reply)
    }

    /// A decoder for the body after the `+OK` that was just read.
    pub fn decoder(&self) -> Decoder {
        self.wire.decoder()
    }

    /// Decodes the next piece of the body that follows a `+OK` to RETR or TOP, waiting for more
    /// only if nothing has come.  The decoder knows when the body is complete.
    ///
    /// # Errors
    /// The connection broke before the body's end.
    pub async fn body_piece(&mut self, decoder: &mut Decoder, out: &mut Vec<u8>) -> Result<(), SessionError> {
        let step = self.answered;
        self.wire.body_piece(&|| step.text(), decoder, out).await
    }

    /// One command and its status line, in lock-step.
    ///
    /// # Errors
    /// The connection broke or is out of step.
    pub async fn command(&mut self, command: Command<'_>) -> Result<Status, SessionError> {
        self.check_in_step()?;
        self.queue(command);
        self.reply().await
    }

    /// STAT: number of messages and their octets; `None`: the answer has another shape.
    ///
    /// # Errors
    /// Refused, or the connection broke.
    pub async fn stat(&mut self) -> Result<Option<(u32, u64)>, SessionError> {
        let step = "STAT".to_owned();
        self.check_in_step()?;
        self.queue(Command::Stat);
        let (status, totals) = self.reply_with(totals).await?;
        if !status.ok {
            return Err(SessionError::Refused { step, status });
        }
        Ok(totals)
    }

    /// STAT and UIDL: every message with its unique-id, in the server's order.  `None` if the server
    /// has no UIDL, or refuses it while there is no message ([`Session::is_empty`]).  With
    /// `sizes_follow`, LIST is sent after it if pipelining allows; then [`Session::sizes`] or
    /// [`Session::list`] must come next.
    ///
    /// # Errors
    /// A server that has UIDL refuses it; a malformed line, or more lines than a maildrop may have.
    pub async fn uidl(&mut self, sizes_follow: bool) -> Result<Option<Listing>, SessionError> {
        self.check_in_step()?;
        self.queue(Command::Stat);
        if self.capabilities.pipelining {
            self.queue(Command::Uidl);
        }
        if sizes_follow && self.capabilities.pipelining {
            self.queue(Command::List);
        }
        // STAT is a hint: only the listing counts.
        let (status, totals) = self.reply_with(totals).await?;
        let totals = totals.filter(|_| status.ok);
        self.is_empty = totals.is_some_and(|(messages, _)| messages == 0);
        let (share, mut listing) = (Share::begin(), Listing::of_totals(totals));
        let reading = self.listing(Command::Uidl, |line| {
            let parsed = reply::uidl_line(line);
            // No unique-id is empty, so an empty one stands for one that is missing or too long.
            parsed.map(|(number, uid)| listing.push(&share, number, uid.unwrap_or_default())).is_some()
        });
        Ok(rationed(&share, "UIDL", reading).await?.then_some(listing))
    }

    /// Whether STAT said before UIDL that there is no message: some servers refuse an empty listing.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// LIST: every message with its size, for a server without unique-ids.
    ///
    /// # Errors
    /// It has no LIST; a malformed line, or more lines than a maildrop may have.
    pub async fn list(&mut self) -> Result<Vec<Entry>, SessionError> {
        let (share, mut packed) = (Share::begin(), Packed::default());
        let reading = self.listing(Command::List, |line| {
            let parsed = reply::list_line(line);
            parsed.map(|(number, octets)| packed.push(&share, number, &octets.to_le_bytes())).is_some()
        });
        if !rationed(&share, "LIST", reading).await? {
            if self.is_empty {
                return Ok(Vec::new());
            }
            return Err(SessionError::NoListing);
        }
        let octets = |octets: &[u8]| octets.try_into().ok().map(u64::from_le_bytes);
        Ok(packed.unpack(|number, packed| Entry { number, uid: None, octets: octets(packed) }))
    }

    /// LIST: fills in the sizes of entries, which must be in the order of their numbers.
    ///
    /// # Errors
    /// A malformed line, or more lines than a maildrop may have.
    pub async fn sizes(&mut self, entries: &mut [Entry]) -> Result<(), SessionError> {
        // Servers list in order, so the next entry is nearly always the right one.
        let mut next = 0;
        self.listing(Command::List, |line| {
            let Some((number, octets)) = reply::list_line(line) else { return false };
            let at = match entries.get(next) {
                Some(entry) if entry.number == number => Ok(next),
                _ => entries.binary_search_by_key(&number, |entry| entry.number),
            };
            if let Ok(at) = at {
                entries[at].octets = Some(octets);
                next = at + 1;
            }
            true
        })
        .await?;
        Ok(())
    }

    /// A multi-line listing; `false` if the server does not have the command.
    async fn listing(
        &mut self,
        command: Command<'_>,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<bool, SessionError> {
        let step = || command.to_string();
        if self.outstanding.is_empty() {
            self.check_in_step()?;
            self.queue(command);
        }
        let status = self.reply().await?;
        if !status.ok {
            // In an empty maildrop, any refusal means that there is nothing to list.
            if self.is_empty {
                return Ok(false);
            }
            // A code that means "not now" says nothing about the server's capabilities.
            let announced = matches!(command, Command::Uidl) && self.capabilities.uidl;
            return match status.meaning() {
                None | Some(ResponseCode::Other(_)) if !announced => Ok(false),
                _ => Err(SessionError::Refused { step: step(), status }),
            };
        }
        let hidden = self.wire.hidden();
        let check = |line: &[u8]| {
            if each(line) { Ok(()) } else { Err(SessionError::OutOfStep { step: step(), line: hidden.shown(line) }) }
        };
        self.wire.lines(&step, LISTING_LIMIT, check).await?;
        Ok(true)
    }

    /// Fails if octets have come that no command asked for.
    ///
    /// # Errors
    /// [`SessionError::OutOfStep`].
    pub fn check_in_step(&self) -> Result<(), SessionError> {
        if self.outstanding.is_empty() && !self.wire.unread().is_empty() {
            let line = self.wire.hidden().shown(self.wire.unread());
            return Err(SessionError::OutOfStep { step: format!("after {}", self.answered.text()), line });
        }
        Ok(())
    }

    /// QUIT: the UPDATE state.  Only now does the server delete what DELE has marked.
    pub async fn quit(mut self) -> Quit {
        if self.check_in_step().is_err() {
            return Quit::Silence;
        }
        match timeout(QUIT_LIMIT, self.command(Command::Quit)).await {
            Ok(Ok(Status { ok: true, .. })) => Quit::Done,
            Ok(Ok(status)) => Quit::Refused(status.text),
            Ok(Err(_)) | Err(_) => Quit::Silence,
        }
    }
}

/// Reads a listing, unless its share is revoked because it is the largest.
async fn rationed(
    share: &Share,
    step: &str,
    reading: impl Future<Output = Result<bool, SessionError>>,
) -> Result<bool, SessionError> {
    tokio::select! {
        biased;
        () = share.revoked() => Err(SessionError::Rationed { step: step.to_owned(), limit: TOTAL_OCTETS }),
        listed = reading => listed,
    }
}

/// Parses the reply to STAT.
fn totals(answer: &[u8]) -> Option<(u32, u64)> {
    reply::stat(&crate::text::shown(answer))
}

fn step(command: Command<'_>) -> Step {
    match command {
        Command::Retr(number) => Step::Numbered("RETR", number),
        Command::Top(number, _) => Step::Numbered("TOP", number),
        Command::Dele(number) => Step::Numbered("DELE", number),
        Command::Stat => Step::Named("STAT"),
        Command::List => Step::Named("LIST"),
        Command::ListOf(number) => Step::Numbered("LIST", number),
        Command::Uidl => Step::Named("UIDL"),
        Command::UidlOf(number) => Step::Numbered("UIDL", number),
        Command::Capa => Step::Named("CAPA"),
        Command::Stls => Step::Named("STLS"),
        Command::User(_) => Step::Named("USER"),
        Command::Noop => Step::Named("NOOP"),
        Command::Quit => Step::Named("QUIT"),
    }
}
