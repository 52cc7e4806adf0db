//! Receiving side of a delivery: pieces of messages become drafts in Maildirs and spools, and
//! those become batches.
//!
//! Each load is written on a thread that may block; between loads no thread is held, since there may be
//! fewer threads than polls.  At most one message is open at a time.  A message that is whole is not
//! believed before the server has proven that it ended where it seemed to (`proof.rs`); if the pieces end
//! before that, its drafts are removed.

use std::path::PathBuf;
use std::sync::Arc;

use blake3::Hasher;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use super::destination::OpenDestination;
use super::piece::{Job, Parcel, Piece, Received, State, Supposed};
use super::turn;
use crate::attempt::{Attempts, Slot};
use crate::deliver::maildir;
use crate::header::{self, Head, Renamer};
use crate::message::Origin;
use crate::spool::Spool;
use crate::threads::{self, ThreadError};

/// What the stager needs to know.
pub(super) struct Stager {
    pub(super) origin: Origin,
    pub(super) instance: String,
    pub(super) spool_dir: PathBuf,
    pub(super) destinations: Arc<[OpenDestination]>,
    pub(super) attempts: Arc<Attempts>,
    /// The deadline of the poll.
    pub(super) deadline: Instant,
}

/// Messages between the network and the disk.
#[derive(Default)]
struct Staging {
    /// The one that is being received.
    open: Option<Open>,
    /// Those that are whole.
    whole: Vec<Received>,
    /// Those that are proven to be whole.
    proven: Vec<Received>,
}

/// A message that is being received.
struct Open {
    received: Received,
    hash: Hasher,
    /// The octets of the mbox lines that were dropped, and the hash that includes them.
    as_sent: Option<(u64, Hasher)>,
    renamer: Renamer,
}

/// Messages that are made durable together: those that came while the disk was busy, up to this many, ...
const BATCH_MESSAGES: usize = 128;
/// ... or this many octets.
const BATCH_OCTETS: u64 = 16 << 20;

/// The same where some of them go by SMTP: small ones wait in memory.
const SMTP_BATCH_MESSAGES: usize = 64;
const SMTP_BATCH_OCTETS: u64 = 8 << 20;

/// Messages that are proven, on their way to the disk.
struct Outbox<'a> {
    batches: &'a mpsc::Sender<Vec<Received>>,
    batch: Vec<Received>,
    octets: u64,
    most_messages: usize,
    most_octets: u64,
}

impl<'a> Outbox<'a> {
    fn new(batches: &'a mpsc::Sender<Vec<Received>>, destinations: &[OpenDestination]) -> Self {
        let (most_messages, most_octets) = match destinations.iter().all(|destination| destination.maildir.is_some()) {
            true => (BATCH_MESSAGES, BATCH_OCTETS),
            false => (SMTP_BATCH_MESSAGES, SMTP_BATCH_OCTETS),
        };
        Self { batches, batch: Vec::new(), octets: 0, most_messages, most_octets }
    }
}

impl Outbox<'_> {
    fn put(&mut self, messages: &mut Vec<Received>) {
        self.octets += messages.iter().map(|received| received.octets).sum::<u64>();
        self.batch.append(messages);
    }

    /// Hands over the batch if it can be taken now, or is large; `false` if the receiver has gone.
    async fn offer(&mut self) -> bool {
        match self.batches.try_reserve() {
            _ if self.batch.is_empty() => true,
            Ok(room) => {
                self.octets = 0;
                room.send(std::mem::take(&mut self.batch));
                true
            }
            Err(TrySendError::Full(())) if self.batch.len() < self.most_messages && self.octets < self.most_octets => {
                true
            }
            Err(TrySendError::Full(())) => self.hand_over().await,
            Err(TrySendError::Closed(())) => false,
        }
    }

    /// The next load.  A batch that waits for the disk is handed over while the server is silent.
    async fn next(&mut self, loads: &mut mpsc::Receiver<Vec<Piece>>) -> Option<Vec<Piece>> {
        let batches = self.batches;
        if !self.batch.is_empty() {
            tokio::select! {
                biased;
                load = loads.recv() => return load,
                room = batches.reserve() => {
                    self.octets = 0;
                    room.ok()?.send(std::mem::take(&mut self.batch));
                }
            }
        }
        loads.recv().await
    }

    /// Hands over the batch, as soon as it can be taken.
    async fn hand_over(&mut self) -> bool {
        self.octets = 0;
        self.batch.is_empty() || self.batches.send(std::mem::take(&mut self.batch)).await.is_ok()
    }
}

impl Stager {
    /// Takes pieces until they end, in loads, and hands over batches of what is proven.
    ///
    /// # Errors
    /// No thread becomes free, or it has panicked; what was proven before is handed over.
    pub(super) async fn run(
        self,
        mut loads: mpsc::Receiver<Vec<Piece>>,
        batches: mpsc::Sender<Vec<Received>>,
    ) -> Result<(), ThreadError> {
        let deadline = self.deadline;
        let mut outbox = Outbox::new(&batches, &self.destinations);
        let mut state = (self, Staging::default());
        while let Some(load) = outbox.next(&mut loads).await {
            let work = move || {
                state.0.take_all(load, &mut state.1);
                state
            };
            state = match threads::run_until(turn(deadline), work).await {
                Ok(state) => state,
                Err(error) => {
                    outbox.hand_over().await;
                    return Err(error);
                }
            };
            outbox.put(&mut state.1.proven);
            if !outbox.offer().await {
                break;
            }
        }
        outbox.hand_over().await;
        if state.1.is_empty() { Ok(()) } else { threads::run_until(turn(deadline), move || drop(state)).await }
    }

    fn take_all(&self, load: Vec<Piece>, staging: &mut Staging) {
        for piece in load {
            self.take(piece, staging);
        }
        // The mark of each message replaces the one before; only the last one is left.
        if staging.open.is_none() {
            self.attempts.leave(Slot::Staging);
        }
    }

    fn take(&self, piece: Piece, staging: &mut Staging) {
        let Staging { open, whole, proven } = staging;
        let complete = match piece {
            Piece::Proven => {
                proven.append(whole);
                false
            }
            Piece::Abandon => {
                *open = None;
                false
            }
            Piece::Start { job, prefix, data, complete } => {
                match job.supposed {
                    Supposed::Nameless => self.attempts.leave(Slot::Staging),
                    _ => self.attempts.enter(Slot::Staging, &job.key, job.suspect),
                }
                *open = Some(self.begin(*job, prefix, data));
                complete
            }
            Piece::More { data, complete } => {
                if let Some(open) = open {
                    self.append(open, &data, 0);
                }
                complete
            }
        };
        if complete && let Some(open) = open.take() {
            whole.push(self.end(open));
        }
    }

    fn begin(&self, job: Job, prefix: usize, mut data: Vec<u8>) -> Open {
        let parcels = job.targets.iter().map(|&target| Parcel { target, state: self.state(&job, target) }).collect();
        let head = Head::scan(&data[prefix..]);
        let lines = header::envelope_lines(&data[prefix..]);
        let as_sent = (lines > 0).then(|| {
            let mut hash = Hasher::new();
            hash.update(&data[prefix..prefix + lines]);
            data.drain(prefix..prefix + lines);
            (lines as u64, hash)
        });
        let prefixed = data[..prefix].to_vec();
        let received = Received { job, octets: 0, digest: [0; 32], as_sent: None, head, prefix: prefixed, parcels };
        let mut open = Open { received, hash: Hasher::new(), as_sent, renamer: Renamer::default() };
        self.append(&mut open, &data, prefix);
        open
    }

    /// The message is whole.
    fn end(&self, mut open: Open) -> Received {
        let rest = open.renamer.finish();
        for parcel in &mut open.received.parcels {
            let destination = &self.destinations[parcel.target];
            let completed = match &mut parcel.state {
                State::Drafted(draft) => draft.complete(),
                State::Spooled(spool) if destination.renames() && !rest.is_empty() => write_spool(spool, rest),
                _ => continue,
            };
            if let Err(error) = completed {
                parcel.state = destination.fault(error);
            }
        }
        open.finish()
    }

    /// The first state of a message's parcel for a destination.
    fn state(&self, job: &Job, target: usize) -> State {
        let destination = &self.destinations[target];
        if !destination.is_up() {
            return State::Failed(destination.why_not());
        }
        match &destination.maildir {
            None => State::Spooled(Arc::new(Spool::new(&self.spool_dir))),
            Some(maildir) => {
                let name = |word: &str| maildir::file_name(word, &self.instance, &self.origin, &job.key);
                maildir.create(name).map_or_else(|error| destination.maildir_fault(error), State::Drafted)
            }
        }
    }

    /// Appends data, of which `prefix` octets are trace headers: part of a file, not of the message.
    fn append(&self, open: &mut Open, data: &[u8], prefix: usize) {
        let Open { received, hash, as_sent, renamer } = open;
        let message = &data[prefix..];
        hash.update(message);
        if let Some((_, hash)) = as_sent {
            hash.update(message);
        }
        received.octets += message.len() as u64;
        let renamed = renamer.pass(message);
        for parcel in &mut received.parcels {
            let destination = &self.destinations[parcel.target];
            let written = match &mut parcel.state {
                State::Drafted(draft) => draft.write(data),
                State::Spooled(spool) => write_spool(spool, if destination.renames() { renamed } else { message }),
                State::Staged(_) | State::Delivered | State::Failed(_) | State::Unfit(_) => continue,
            };
            if let Err(error) = written {
                parcel.state = destination.fault(error);
            }
        }
    }
}

fn write_spool(spool: &mut Arc<Spool>, octets: &[u8]) -> std::io::Result<()> {
    match Arc::get_mut(spool) {
        Some(spool) => spool.write(octets),
        None => Err(std::io::ErrorKind::ResourceBusy.into()),
    }
}

impl Staging {
    fn is_empty(&self) -> bool {
        self.open.is_none() && self.whole.is_empty()
    }
}

impl Open {
    fn finish(mut self) -> Received {
        let octets = self.received.octets;
        self.received.digest = self.hash.finalize().into();
        self.received.as_sent = self.as_sent.map(|(lines, hash)| (lines + octets, hash.finalize().into()));
        self.received
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::{MessageKey, MessageNumber};

    fn received() -> Received {
        let job = Job {
            number: MessageNumber::new(1).expect("not 0"),
            key: MessageKey::new(b"x", 0).expect("a key"),
            octets: None,
            header_only: false,
            targets: Vec::new(),
            supposed: Supposed::New,
            suspect: false,
            completes: true,
            due: false,
        };
        let (head, prefix, parcels) = (Head::default(), Vec::new(), Vec::new());
        Received { job, octets: 1, digest: [0; 32], as_sent: None, head, prefix, parcels }
    }

    #[tokio::test]
    async fn a_batch_goes_as_soon_as_the_disk_is_free_while_nothing_more_comes() {
        let (server, mut loads) = mpsc::channel(1);
        let (batches, mut disk) = mpsc::channel(1);
        let mut outbox = Outbox::new(&batches, &[]);
        for _ in 0..2 {
            outbox.put(&mut vec![received()]);
            assert!(outbox.offer().await);
        }
        assert_eq!(outbox.batch.len(), 1, "the disk is busy with the first one");
        let disk = async {
            for _ in 0..2 {
                let batch = tokio::time::timeout(Duration::from_secs(10), disk.recv()).await;
                assert_eq!(batch.ok().flatten().map(|batch| batch.len()), Some(1));
            }
            drop(server);
        };
        let (next, ()) = tokio::join!(outbox.next(&mut loads), disk);
        assert!(next.is_none(), "the loads have ended");
    }
}
