//! Three things at the same time: the network side receives, drafts are written, and batches are made
//! durable while the next ones come in.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Context;
use super::commit::{Committer, Contents};
use super::destination::OpenDestination;
use super::error::PollError;
use super::piece::Job;
use super::receive::{PieceQueue, Receiver, Transacted};
use super::report::Tally;
use super::stage::Stager;
use crate::account::Account;
use crate::attempt::Attempts;
use crate::filesystem::private;
use crate::message::{MessageKey, MessageNumber, Origin};
use crate::pop3::session::Session;
use crate::progress::Progress;
use crate::store::{Settled, StoreError};
use crate::threads::ThreadError;
use crate::trace::Trace;

/// Loads between the network and the disk: enough that neither waits for each step of the other.
const LOADS: usize = 4;

/// Batches that are received while one is being made durable.
const BATCHES: usize = 1;

/// What a transfer needs.
pub(super) struct Transfer<'a> {
    pub(super) account: &'a Account,
    pub(super) context: &'a Context,
    pub(super) progress: &'a Progress,
    pub(super) destinations: &'a Arc<[OpenDestination]>,
    pub(super) trace: Option<&'a Trace>,
    pub(super) deadline: Instant,
}

/// The result of a transfer.
pub(super) struct Transferred {
    /// How the session ended.
    pub(super) received: Result<(), PollError>,
    /// How the deliveries ended.
    pub(super) committed: Result<(), PollError>,
    pub(super) tally: Tally,
    /// Deliveries into Maildirs that are made and not yet recorded as such.
    pub(super) moved: Vec<Settled>,
}

impl Default for Transferred {
    fn default() -> Self {
        Self { received: Ok(()), committed: Ok(()), tally: Tally::default(), moved: Vec::new() }
    }
}

impl Transfer<'_> {
    /// Receives and delivers the messages of the jobs.  Both outcomes are reported: what was received
    /// before the session broke is still delivered.
    pub(super) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        session: &mut Session<S>,
        jobs: Vec<Job>,
        transacted: &mut Transacted,
        deletable: mpsc::UnboundedSender<(MessageNumber, MessageKey)>,
        deletions: &mut mpsc::UnboundedReceiver<(MessageNumber, MessageKey)>,
        elsewhere: HashMap<[u8; 32], Vec<MessageKey>>,
    ) -> Result<Transferred, PollError> {
        let Self { account, context, progress, destinations, trace, deadline } = self;
        let dir = context.store.dir();
        let origin = origin(account, context).await?;
        let attempts = Arc::new(Attempts::begin(dir, &account.name).map_err(StoreError::from)?);
        let (loads, inbox) = mpsc::channel(LOADS);
        let (outbox, batches) = mpsc::channel(BATCHES);
        let stager = stager(context, origin.clone(), Arc::clone(destinations), Arc::clone(&attempts), deadline)?;
        let receiver = Receiver {
            session,
            queue: PieceQueue::new(loads),
            destinations,
            deletable: deletions,
            max_size: account.policy.max_size,
            trace,
            attempts: &attempts,
            progress,
            cancel: &context.cancel,
            deadline,
            limit: account.deadline,
            at: None,
        };
        let committer = Committer {
            account: &account.name,
            origin: &origin,
            host: &account.endpoint.host,
            policy: &account.policy,
            store: &context.store,
            destinations,
            attempts: &attempts,
            traced: account.received_header,
            deletable,
            tally: Tally::default(),
            contents: Contents { elsewhere, ..Contents::default() },
            moved: Vec::new(),
            deadline,
        };
        let (received, (tally, moved, committed), staged) =
            tokio::join!(receiver.run(jobs, transacted), committer.run(batches), stager.run(inbox, outbox));
        if let Err(error @ ThreadError::Panicked(_)) = staged {
            // The thread's own reference to the marks was dropped with it.
            Arc::into_inner(attempts).iter_mut().for_each(Attempts::panicked);
            return Err(error.into());
        }
        let committed = committed.and(staged.map_err(PollError::from));
        Ok(Transferred { received, committed, tally, moved })
    }
}

/// What stands for the account in the names of new files.
async fn origin(account: &Account, context: &Context) -> Result<Origin, StoreError> {
    let origins = context.store.origins(&account.name).await?;
    Ok(origins.into_iter().next().unwrap_or_else(|| Origin::of(&account.name)))
}

fn stager(
    context: &Context,
    origin: Origin,
    destinations: Arc<[OpenDestination]>,
    attempts: Arc<Attempts>,
    deadline: Instant,
) -> Result<Stager, StoreError> {
    let (instance, spool_dir) = (context.store.instance().to_owned(), spool_dir(context)?);
    Ok(Stager { origin, instance, spool_dir, destinations, attempts, deadline })
}

/// Where large messages on their way to a server are kept.
fn spool_dir(context: &Context) -> Result<PathBuf, StoreError> {
    let dir = context.store.local().spool();
    private::make_folder(&dir).map_err(|error| StoreError::directory(&dir, &error))?;
    Ok(dir)
}
