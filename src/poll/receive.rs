//! The network side of a poll: RETR and DELE in a window of commands, bodies in pieces.
//!
//! With PIPELINING (RFC 2449 §6.6) commands go out while replies stream in; otherwise one at a
//! time.  A full disk or a slow destination stops the pieces, and through them the commands.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::error::PollError;
use super::progress::Progress;
use super::sink::Sink;
use super::stage::{Claim, Job, Piece};
use crate::attempt::Attempts;
use crate::message::{MessageKey, MessageNumber};
use crate::pop3::command::Command;
use crate::pop3::multiline::Decoder;
use crate::pop3::reply::Status;
use crate::pop3::session::{Session, SessionError};
use crate::trace::Trace;

/// Octets of a piece: a smaller message is one write into its file.
const PIECE_OCTETS: usize = 64 * 1024;

/// A decoder may be given this much at once.
const READ_OCTETS: usize = 32 * 1024;

/// A batch is made durable after so many messages, ...
const BATCH_MESSAGES: usize = 64;
/// ... so many octets, ...
const BATCH_OCTETS: u64 = 8 << 20;
/// ... or this time after its first message, whichever comes first.
const BATCH_TIME: Duration = Duration::from_millis(250);

/// Time to read what was asked for when the process is to end.
const GRACE: Duration = Duration::from_secs(4);

/// The slot in which a message is marked while it is waited for and its octets come in.
const SLOT: usize = 0;

/// What a reply is going to answer.
enum Asked {
    Message(Box<Job>),
    Deletion(MessageKey),
}

/// The network side of a poll.
pub(super) struct Receiver<'a, S> {
    pub(super) session: &'a mut Session<S>,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) sinks: &'a [Sink],
    /// Messages that may be deleted, if the account wants that.
    pub(super) deletable: Option<&'a mut mpsc::UnboundedReceiver<(MessageNumber, MessageKey)>>,
    pub(super) pipelining: bool,
    pub(super) max_size: Option<u64>,
    pub(super) trace: Option<&'a Trace>,
    pub(super) attempts: &'a Attempts,
    pub(super) progress: &'a Progress,
    pub(super) cancel: &'a CancellationToken,
    pub(super) deadline: Instant,
    /// The account's `deadline`, for the message.
    pub(super) limit: Duration,
}

/// What came of it besides the messages.
#[derive(Default)]
pub(super) struct Harvest {
    /// Messages whose deletion the server has agreed to; QUIT makes it true.
    pub(super) marked: Vec<MessageKey>,
    /// Messages that the server has begun to hand out.
    pub(super) retrieved: u64,
    /// Messages that the server listed and did not hand out, with its words.
    pub(super) not_retrieved: Vec<(Box<Job>, String)>,
    /// Whether messages were left that should have been retrieved.
    pub(super) stopped: bool,
}

/// The end of a message, and its octets: kept back until the server's next reply shows that the
/// message ended where it seemed to.  A server that does not stuff dots sends mail text instead.
type Held = Option<(Piece, u64)>;

/// When the batch that is being filled is closed.
#[derive(Default)]
struct Batch {
    messages: usize,
    octets: u64,
    closes: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Receiver<'_, S> {
    /// Retrieves the messages, and deletes on the way what has become deletable.  An error ends
    /// the session; what was received whole before is still delivered.
    pub(super) async fn run(mut self, jobs: Vec<Job>, harvest: &mut Harvest) -> Result<(), PollError> {
        let (deadline, limit, cancel) = (self.deadline, self.limit, self.cancel.clone());
        let grace = async {
            cancel.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            result = self.converse(jobs, harvest) => result,
            () = sleep_until(deadline) => Err(PollError::Deadline { limit }),
            () = grace => Err(PollError::Stopped),
        }
    }

    async fn converse(&mut self, jobs: Vec<Job>, harvest: &mut Harvest) -> Result<(), PollError> {
        let mut jobs = VecDeque::from(jobs);
        let mut asked = VecDeque::new();
        let mut batch = Batch::default();
        let mut held: Held = None;
        loop {
            self.ask(&mut jobs, &mut asked)?;
            let next = asked.pop_front();
            if next.is_none() {
                if held.is_none() {
                    break;
                }
                // The last message needs a reply behind it too.
                self.session.queue(Command::Noop);
            }
            // Before its first octet: the next one may be the last.
            match &next {
                Some(Asked::Message(job)) if job.claim != Claim::Nameless => {
                    self.attempts.enter(SLOT, &job.key, job.suspect);
                }
                _ => self.attempts.leave(SLOT),
            }
            let reply = self.reply(&mut batch).await;
            if !reply.as_ref().is_err_and(SessionError::is_out_of_step) {
                self.release(&mut held, &mut batch).await;
            }
            let status = reply?;
            match next {
                None => {}
                Some(Asked::Deletion(key)) if status.ok => harvest.marked.push(key),
                Some(Asked::Deletion(key)) => warn!(uid = %key, "DELE refused: {}", status.text),
                Some(Asked::Message(job)) if status.ok => {
                    harvest.retrieved += 1;
                    held = self.message(job, &mut batch, harvest).await?;
                }
                Some(Asked::Message(job)) => harvest.not_retrieved.push((job, status.text)),
            }
        }
        harvest.stopped = !jobs.is_empty();
        Ok(())
    }

    /// Hands over a message that has certainly ended.
    async fn release(&self, held: &mut Held, batch: &mut Batch) {
        let Some((piece, octets)) = held.take() else { return };
        // If nobody takes it any more, `ask` ends the session for the same reason.
        let _ = self.pieces.send(piece).await;
        self.count(batch, octets).await;
    }

    /// Fills the window.
    fn ask(&mut self, jobs: &mut VecDeque<Job>, asked: &mut VecDeque<Asked>) -> Result<(), SessionError> {
        while asked.is_empty() || (self.pipelining && self.session.has_room()) {
            if asked.is_empty() {
                self.session.check_in_step()?;
            }
            if let Some(deletable) = &mut self.deletable
                && let Ok((number, key)) = deletable.try_recv()
            {
                self.session.queue(Command::Dele(number));
                asked.push_back(Asked::Deletion(key));
                continue;
            }
            if self.cancel.is_cancelled() || self.pieces.is_closed() {
                break;
            }
            // A message that no destination can take now is not even asked for.
            while jobs.front().is_some_and(|job| !job.is_deliverable(self.sinks)) {
                jobs.pop_front();
            }
            let Some(job) = jobs.pop_front() else { break };
            self.session.queue(match job.header_only {
                true => Command::Top(job.number, 0),
                false => Command::Retr(job.number),
            });
            asked.push_back(Asked::Message(Box::new(job)));
        }
        Ok(())
    }

    /// The next status line; a batch whose time is over is closed meanwhile.
    async fn reply(&mut self, batch: &mut Batch) -> Result<Status, SessionError> {
        self.session.flush().await?;
        while let Some(closes) = batch.closes {
            tokio::select! {
                biased;
                status = self.session.reply() => return status,
                () = sleep_until(closes) => self.close(batch).await,
            }
        }
        self.session.reply().await
    }

    /// Reads a body and hands it over in pieces; the last one is given back.
    async fn message(&mut self, job: Box<Job>, batch: &mut Batch, harvest: &mut Harvest) -> Result<Held, SessionError> {
        let expected = job.octets.and_then(|octets| usize::try_from(octets).ok()).unwrap_or(0);
        let mut data = Vec::with_capacity(expected.min(PIECE_OCTETS) + 1024);
        self.put_trace(&job, &mut data);
        let prefix = data.len();
        let (mut decoder, mut received) = (Decoder::new(), 0);
        let mut excess = None;
        let mut opening = Some(job.clone());
        let mut last = None;
        loop {
            let before = data.len();
            self.body_piece(&mut decoder, &mut data, batch).await?;
            let octets = (data.len() - before) as u64;
            received += octets;
            self.progress.add_octets(octets);
            let complete = decoder.is_done();
            // LIST may have said less than what comes.
            if excess.is_none()
                && let Some(limit) = self.max_size.filter(|&limit| received > limit)
            {
                excess = Some(limit);
                let _ = self.pieces.send(Piece::Abandon).await;
            }
            if excess.is_some() {
                data.clear();
            } else if complete || data.len() + READ_OCTETS > PIECE_OCTETS + READ_OCTETS / 2 {
                let data = match complete {
                    true => std::mem::take(&mut data),
                    false => std::mem::replace(&mut data, Vec::with_capacity(PIECE_OCTETS + READ_OCTETS)),
                };
                let piece = match opening.take() {
                    Some(job) => Piece::Start { job, prefix, data, complete },
                    None => Piece::More { data, complete },
                };
                match complete {
                    true => last = Some((piece, received)),
                    // As in `release`.
                    false => drop(self.pieces.send(piece).await),
                }
            }
            if complete {
                break;
            }
        }
        self.attempts.leave(SLOT);
        self.progress.add_message();
        if let Some(limit) = excess {
            let listed = job.octets.map_or("no size".to_owned(), |octets| format!("{octets} octets"));
            let why = format!("above max-size ({limit}): it has {received} octets, and is listed with {listed}");
            harvest.not_retrieved.push((job, why));
        }
        Ok(last)
    }

    /// What follows of a body; a batch whose time is over is closed meanwhile.
    async fn body_piece(
        &mut self,
        decoder: &mut Decoder,
        data: &mut Vec<u8>,
        batch: &mut Batch,
    ) -> Result<(), SessionError> {
        while let Some(closes) = batch.closes {
            tokio::select! {
                biased;
                read = self.session.body_piece(decoder, data) => return read,
                () = sleep_until(closes) => self.close(batch).await,
            }
        }
        self.session.body_piece(decoder, data).await
    }

    fn put_trace(&self, job: &Job, data: &mut Vec<u8>) {
        if let Some(trace) = self.trace {
            data.extend_from_slice(trace.received(&jiff::ZonedDateTime::now()).as_bytes());
        }
        if job.header_only {
            let octets = job.octets.unwrap_or(0);
            let note = format!("X-Postrider-Oversize: {octets} octets; only the header was fetched\n");
            data.extend_from_slice(note.as_bytes());
        }
    }

    async fn count(&self, batch: &mut Batch, octets: u64) {
        batch.messages += 1;
        batch.octets += octets;
        batch.closes.get_or_insert_with(|| Instant::now() + BATCH_TIME);
        let late = batch.closes.is_some_and(|closes| closes <= Instant::now());
        if late || batch.messages >= BATCH_MESSAGES || batch.octets >= BATCH_OCTETS {
            self.close(batch).await;
        }
    }

    async fn close(&self, batch: &mut Batch) {
        let _ = self.pieces.send(Piece::Flush).await;
        *batch = Batch::default();
    }
}
