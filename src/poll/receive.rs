//! The network side of a poll: RETR and DELE in a window of commands, bodies in pieces.
//!
//! With PIPELINING (RFC 2449 §6.6) commands are sent while replies come in, without it one at a
//! time.  A full disk or a slow destination stops the pieces, and through them the commands.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::destination::{OpenDestination, is_deliverable};
use super::error::PollError;
use super::piece::{Job, Piece, Supposed};
use super::pieces::Pieces;
use super::proof::{Groups, ListedAs, Question};
use crate::attempt::{Attempts, Slot};
use crate::event::Event;
use crate::message::{MessageKey, MessageNumber, Name};
use crate::pop3::command::Command;
use crate::pop3::reply::ResponseCode;
use crate::pop3::session::{Session, SessionError, Window};
use crate::progress::Progress;
use crate::trace::Trace;
use crate::transcript;

/// Pieces of a load, ...
const LOAD_PIECES: usize = 32;
/// ... and the octets that it takes in memory: handing over costs a switch to another thread.
const LOAD_OCTETS: usize = 128 * 1024;

/// Time to read what was asked for when the process is to end.
const GRACE: Duration = Duration::from_secs(4);

/// What a reply answers.
enum Asked {
    Message(Box<Job>),
    Deletion(MessageKey),
    Proof(Question),
}

/// The network side of a poll.
pub(super) struct Receiver<'a, S> {
    pub(super) session: &'a mut Session<S>,
    pub(super) queue: PieceQueue,
    pub(super) destinations: &'a [OpenDestination],
    /// Messages that are to be deleted.
    pub(super) deletable: &'a mut mpsc::UnboundedReceiver<(MessageNumber, MessageKey)>,
    pub(super) max_size: Option<u64>,
    pub(super) trace: Option<&'a Trace>,
    pub(super) attempts: &'a Attempts,
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
    /// The account's `deadline`, for the error message.
    pub(super) limit: Duration,
    /// The message that is being retrieved.
    pub(super) at: Option<MessageKey>,
}

/// The results of the session besides the messages.
#[derive(Default)]
pub(super) struct Transacted {
    /// Messages whose deletion the server has agreed to; QUIT carries it out.
    pub(super) marked: Vec<MessageKey>,
    /// Messages that the server has begun to hand out.
    pub(super) retrieved: u64,
    /// Messages that the server listed and did not hand out.
    pub(super) not_retrieved: Vec<NotRetrieved>,
    /// Whether messages were left that should have been retrieved.
    pub(super) stopped: bool,
    /// Messages that may be why the session ended.
    pub(super) suspects: Vec<MessageKey>,
}

/// A message that the server listed and did not hand out.
#[derive(Debug)]
pub(super) struct NotRetrieved {
    pub(super) job: Box<Job>,
    /// The server's words, or the limit that it exceeds.
    pub(super) why: String,
    /// By its words, this will pass.
    pub(super) will_pass: bool,
}

/// Where pieces wait until there are enough of them to be handed over.
pub(super) struct PieceQueue {
    loads: mpsc::Sender<Vec<Piece>>,
    load: Vec<Piece>,
    octets: usize,
}

impl PieceQueue {
    pub(super) fn new(loads: mpsc::Sender<Vec<Piece>>) -> Self {
        Self { loads, load: Vec::new(), octets: 0 }
    }

    /// Whether the receiver has gone.
    fn is_closed(&self) -> bool {
        self.loads.is_closed()
    }

    /// Queues a piece.  A proof is handed over at once, with what it proves.
    async fn put(&mut self, piece: Piece) {
        self.octets += piece.capacity();
        let is_urgent = matches!(piece, Piece::Proven | Piece::Abandon);
        self.load.push(piece);
        if is_urgent || self.load.len() >= LOAD_PIECES || self.octets >= LOAD_OCTETS {
            self.octets = 0;
            // If the receiver has gone, `ask` ends the session for the same reason.
            let _ = self.loads.send(std::mem::take(&mut self.load)).await;
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<'_, S> {
    /// Retrieves the messages, and deletes on the way what has become deletable.  An error ends
    /// the session; what was received whole before is still delivered.
    pub(super) async fn run(mut self, jobs: Vec<Job>, transacted: &mut Transacted) -> Result<(), PollError> {
        let (deadline, limit, cancel) = (self.deadline, self.limit, self.cancel.clone());
        let grace = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            result = self.converse(jobs, transacted) => result,
            () = sleep_until(deadline) => Err(PollError::Deadline { limit }),
            () = grace => Err(PollError::Stopped),
        }
    }

    async fn converse(&mut self, jobs: Vec<Job>, transacted: &mut Transacted) -> Result<(), PollError> {
        let mut jobs = VecDeque::from(jobs);
        let mut groups = Groups::begin(Instant::now(), self.session.shape().unwrap_or_default());
        let mut certain = 0;
        let result = self.exchange(&mut jobs, &mut groups, transacted, &mut certain).await;
        if result.is_err() {
            // A refusal that is not proven may belong to another command.
            transacted.not_retrieved.truncate(certain);
        }
        if matches!(result, Err(PollError::Session(_))) && !self.cancel.is_cancelled() {
            // The one before may have ended too early, so that its rest was read as the next reply.
            transacted.suspects = self.at.take().into_iter().chain(groups.unproven()).collect();
            transacted.suspects.dedup();
        }
        transacted.stopped = !jobs.is_empty();
        result
    }

    /// Sends commands and reads replies until nothing is left; `certain` counts the refusals that are proven.
    async fn exchange(
        &mut self,
        jobs: &mut VecDeque<Job>,
        groups: &mut Groups,
        transacted: &mut Transacted,
        certain: &mut usize,
    ) -> Result<(), PollError> {
        let mut window = Window::new(self.session);
        loop {
            self.ask(jobs, &mut window, groups)?;
            let Some(next) = window.pop() else { break };
            // Marked before the first octet is read: the process may crash on any of them.
            match &next {
                Asked::Message(job) if job.supposed != Supposed::Nameless => {
                    self.attempts.enter(Slot::Receiving, &job.key, job.suspect);
                }
                _ => self.attempts.leave(Slot::Receiving),
            }
            self.at = match &next {
                Asked::Message(job) if job.supposed != Supposed::Nameless => Some(job.key.clone()),
                _ => None,
            };
            if let Asked::Proof(question) = &next {
                if groups.prove(self.session, question).await? {
                    self.queue.put(Piece::Proven).await;
                    *certain = transacted.not_retrieved.len();
                }
                continue;
            }
            let status = self.session.reply().await?;
            match next {
                Asked::Deletion(key) if status.ok => transacted.marked.push(key),
                Asked::Deletion(uid) => {
                    let account = transcript::whose().and_then(|account| Name::new(&account));
                    Event::DeletionRefused { account, uid, text: status.text }.tell();
                }
                Asked::Message(job) if status.ok => {
                    transacted.retrieved += 1;
                    self.message(job, groups, transacted).await?;
                }
                Asked::Message(job) => {
                    use ResponseCode::{InUse, LoginDelay, SysTemp};
                    let will_pass = matches!(status.meaning(), Some(InUse | LoginDelay | SysTemp));
                    transacted.not_retrieved.push(NotRetrieved { job, why: status.text, will_pass });
                }
                Asked::Proof(_) => {}
            }
        }
        Ok(())
    }

    /// Fills the window: deletions first, then proofs that are due, then messages.
    fn ask(
        &mut self,
        jobs: &mut VecDeque<Job>,
        window: &mut Window<Asked>,
        groups: &mut Groups,
    ) -> Result<(), SessionError> {
        let (deletable, destinations, cancel, queue) =
            (&mut *self.deletable, self.destinations, self.cancel, &self.queue);
        window.fill(self.session, || {
            if let Ok((number, key)) = deletable.try_recv() {
                return Some((Command::Dele(number), Asked::Deletion(key)));
            }
            // A message that no destination can take now is not even asked for.
            while jobs.front().is_some_and(|job| !is_deliverable(job, destinations)) {
                jobs.pop_front();
            }
            let stops = cancel.is_cancelled() || queue.is_closed();
            let next = jobs.front().filter(|_| !stops);
            if groups.is_due(next.map(octets_to_come))
                && let Some(question) = groups.question()
            {
                return Some((question.command(), Asked::Proof(question)));
            }
            let job = if next.is_some() { jobs.pop_front()? } else { return None };
            let command = if job.header_only { Command::Top(job.number, 0) } else { Command::Retr(job.number) };
            groups.ask_for(listed_as(&job), octets_to_come(&job));
            Some((command, Asked::Message(Box::new(job))))
        })
    }

    /// Reads a body and hands it over in pieces.
    async fn message(
        &mut self,
        job: Box<Job>,
        groups: &mut Groups,
        transacted: &mut Transacted,
    ) -> Result<(), SessionError> {
        let expected = job.octets.and_then(|octets| usize::try_from(octets).ok()).unwrap_or(0);
        let before = self.before(&job);
        let prefix = before.len();
        let mut pieces = Pieces::new(&before, expected);
        let (mut decoder, mut received) = (self.session.decoder(), 0);
        let (mut excess, mut begins_as_a_reply) = (None, false);
        let mut opening = Some(job.clone());
        let mut header = Header::default();
        loop {
            let waiting = pieces.tail().len();
            self.session.body_piece(&mut decoder, pieces.tail()).await?;
            if job.header_only {
                header.cut(pieces.tail(), waiting);
            }
            groups.read(&pieces.tail()[waiting..]);
            let octets = (pieces.tail().len() - waiting) as u64;
            received += octets;
            self.progress.add_octets(octets);
            let complete = decoder.is_done();
            // LIST may have given a smaller size than what comes.
            if excess.is_none()
                && let Some(limit) = self.max_size.filter(|&limit| received > limit)
            {
                excess = Some(limit);
                self.queue.put(Piece::Abandon).await;
            }
            begins_as_a_reply |= pieces.beginning().starts_with(b"+OK");
            if excess.is_some() {
                pieces.discard();
            } else if let Some(data) = pieces.cut(complete) {
                let piece = match opening.take() {
                    Some(job) => Piece::Start { job, prefix, data, complete },
                    None => Piece::More { data, complete },
                };
                self.queue.put(piece).await;
            }
            if complete {
                break;
            }
        }
        if begins_as_a_reply {
            refuse_reply(&job, received + decoder.line_ends())?;
        }
        self.progress.add_message();
        match excess {
            None => groups.receive(listed_as(&job)),
            Some(limit) => {
                let why = too_large(&job, received, limit);
                transacted.not_retrieved.push(NotRetrieved { job, why, will_pass: false });
            }
        }
        Ok(())
    }

    /// What goes before a message.
    fn before(&self, job: &Job) -> Vec<u8> {
        let trace = self.trace.map(|trace| trace.received(&jiff::ZonedDateTime::now()));
        let mut before = trace.unwrap_or_default().into_bytes();
        if job.header_only {
            let octets = job.octets.unwrap_or(0);
            let note = format!("X-Postrider-Oversize: {octets} octets; only the header was fetched\n");
            before.extend_from_slice(note.as_bytes());
        }
        before
    }
}

/// The header of a message of which no more is wanted: some servers answer TOP with the whole message.
#[derive(Default)]
struct Header {
    /// There was an octet before, and it did not end a line.
    inside: bool,
    is_over: bool,
}

impl Header {
    /// Cuts off what follows the blank line that ends the header; `data` is decoded, and new from `start` on.
    fn cut(&mut self, data: &mut Vec<u8>, start: usize) {
        if self.is_over {
            data.truncate(start);
            return;
        }
        for at in start..data.len() {
            let is_end = data[at] == b'\n';
            if is_end && !self.inside {
                self.is_over = true;
                data.truncate(at + 1);
                return;
            }
            self.inside = !is_end;
        }
    }
}

/// Refuses a message that begins like a reply and has another size than it should: the reply that was read may have been
/// an extra one, and the right one was taken for mail.
fn refuse_reply(job: &Job, octets: u64) -> Result<(), SessionError> {
    if !job.header_only && job.octets.is_some_and(|listed| listed != octets) {
        return Err(SessionError::Displaced { step: format!("RETR {}", job.number), line: "+OK".to_owned() });
    }
    Ok(())
}

/// Why a message that came with so many octets is not delivered.
fn too_large(job: &Job, received: u64, limit: u64) -> String {
    let listed = job.octets.map_or("no size".to_owned(), |octets| format!("{octets} octets"));
    format!("above max-size ({limit}): it has {received} octets, and is listed with {listed}")
}

fn listed_as(job: &Job) -> ListedAs {
    let key = (job.supposed != Supposed::Nameless).then(|| job.key.clone());
    ListedAs { number: job.number, key, octets: job.octets }
}

/// The size as listed; that of a header is unknown.  What the last poll crashed on gets a group of its own.
fn octets_to_come(job: &Job) -> u64 {
    match job {
        Job { suspect: true, .. } => u64::MAX,
        Job { header_only: true, .. } => 0,
        Job { octets, .. } => octets.unwrap_or(0),
    }
}
