//! The thread that owns the database, and the handle to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::account::{self, AccountMemory};
use super::change::{Change, StagedDelivery};
use super::lookup::{self, Known};
use super::write;
use super::{StoreError, lock, migrate, open};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::Missing;

/// Requests that share one transaction at most.
const GROUP_LIMIT: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

type Reading = Box<dyn FnOnce(&Connection, &Path) + Send>;

enum Request {
    Apply {
        changes: Vec<Change>,
        now: UnixTime,
        reply: Reply<usize>,
    },
    /// Reads, and replies by itself.
    Read(Reading),
}

/// A handle to the state.  Clones share it; the last one to go ends its thread.
#[derive(Clone, Debug)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    dir: Arc<Path>,
    instance: Arc<str>,
    _lock: Arc<File>,
}

impl Store {
    /// Takes the directory's lock and opens the database in it; makes both where nothing is yet.
    ///
    /// # Errors
    /// Another process holds the lock; the directory or the database cannot be used.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = lock::acquire(dir)?;
        let connection = open::open(dir)?;
        let path = open::path(dir);
        let instance = open::instance(&connection).map_err(|error| open::database_error(&path, &error))?;
        let (requests, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("state".into())
            .spawn(move || serve(&connection, &path, &inbox))
            .map_err(|error| StoreError::directory(dir, &error))?;
        Ok(Self { requests, dir: dir.into(), instance: instance.into(), _lock: Arc::new(lock) })
    }

    /// A word that tells this state directory's Maildir names from another's.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Applies changes, all or none.  When it returns, they are durable.  Gives the number of rows
    /// that they concerned.
    ///
    /// # Errors
    /// Nothing of it was written.
    pub async fn apply(&self, changes: Vec<Change>, now: UnixTime) -> Result<usize, StoreError> {
        self.ask(|reply| Request::Apply { changes, now, reply }).await
    }

    /// What is known of a listing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known(&self, account: &Name, keys: Vec<Option<MessageKey>>) -> Result<Known, StoreError> {
        let account = account.clone();
        self.read(move |connection| lookup::known(connection, &account, &keys)).await
    }

    /// What is remembered of an account, is not deleted, and is not among these.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn missing(&self, account: &Name, listed: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, StoreError> {
        let account = account.clone();
        self.read(move |connection| migrate::missing(connection, &account, &listed)).await
    }

    /// What is remembered of all accounts; deliveries are counted from `since` on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn remembered(&self, since: UnixTime) -> Result<Vec<(Name, AccountMemory)>, StoreError> {
        self.read(move |connection| account::remembered(connection, since)).await
    }

    /// Whether a message has ever come to this location.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn knows(&self, location: PathBuf) -> Result<bool, StoreError> {
        self.read(move |connection| lookup::knows(connection, &location)).await
    }

    /// Deliveries that are staged, of one account or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn staged(&self, account: Option<&Name>) -> Result<Vec<StagedDelivery>, StoreError> {
        let account = account.cloned();
        self.read(move |connection| write::staged(connection, account.as_ref())).await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(|reply| {
            Request::Read(Box::new(move |connection, path| {
                let _ = reply.send(read(connection).map_err(|error| open::database_error(path, &error)));
            }))
        })
        .await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| StoreError::Ended)?;
        answer.await.map_err(|_| StoreError::Ended)?
    }
}

/// A change that waits for its transaction.
struct Waiting {
    changes: Vec<Change>,
    now: UnixTime,
    reply: Reply<usize>,
}

fn serve(connection: &Connection, path: &Path, inbox: &mpsc::Receiver<Request>) {
    while let Ok(first) = inbox.recv() {
        let mut waiting = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Apply { changes, now, reply } => waiting.push(Waiting { changes, now, reply }),
                Request::Read(read) => {
                    // What was asked to be written before is read.
                    commit(connection, path, std::mem::take(&mut waiting));
                    read(connection, path);
                }
            }
            next = if waiting.len() < GROUP_LIMIT { inbox.try_recv().ok() } else { None };
        }
        commit(connection, path, waiting);
    }
}

/// One transaction for all that wait; if it fails, one for each, so that only the culprit fails.
fn commit(connection: &Connection, path: &Path, waiting: Vec<Waiting>) {
    if waiting.is_empty() {
        return;
    }
    match transact(connection, &waiting) {
        Ok(rows) => {
            for (waiting, rows) in waiting.into_iter().zip(rows) {
                let _ = waiting.reply.send(Ok(rows));
            }
        }
        Err(error) if waiting.len() == 1 => {
            for waiting in waiting {
                let _ = waiting.reply.send(Err(open::database_error(path, &error)));
            }
        }
        Err(_) => waiting.into_iter().for_each(|one| commit(connection, path, vec![one])),
    }
}

fn transact(connection: &Connection, waiting: &[Waiting]) -> rusqlite::Result<Vec<usize>> {
    // Dropping it without commit rolls back.
    let transaction = super::begin(connection)?;
    let rows = waiting.iter().map(|waiting| {
        let counts = waiting.changes.iter().map(|change| write::apply(&transaction, change, waiting.now));
        counts.sum::<rusqlite::Result<usize>>()
    });
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    transaction.commit()?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_writer_waits_for_the_other_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path()).expect("open");
        let account = Name::new("a").expect("a name");
        let begin = || Change::Begin { account: account.clone(), ignored: Vec::new() };
        store.apply(vec![begin()], 1).await.expect("written");
        // As `postrider quarantine` does beside the service.
        let other = Connection::open(open::path(dir.path())).expect("open");
        other.execute_batch("BEGIN IMMEDIATE; UPDATE account SET first_poll = 2").expect("locked");
        let (written, ()) = tokio::join!(store.apply(vec![begin()], 3), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            other.execute_batch("COMMIT").expect("written");
        });
        written.expect("it waited");
    }
}
