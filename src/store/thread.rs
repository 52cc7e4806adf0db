//! The handle to the state, whose thread it starts.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::keeper::{Keeper, Request};
use super::local::Local;
use super::open::{Condition, Opened};
use super::query::{Query, Reply};
use super::words::Change;
use super::{StoreError, file};
use crate::message::UnixTime;

/// A handle to the state.  Clones share it; when the last one is dropped, its thread ends.
#[derive(Clone, Debug)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    local: Local,
}

impl Store {
    /// Hands an open database to a thread of its own.
    pub(super) fn serve(dir: &Path, opened: Opened, lock: Arc<File>) -> Result<Self, StoreError> {
        let Opened { connection, condition } = opened;
        let path = file::path(dir);
        let instance = file::instance(&connection).map_err(|error| file::database_error(&path, &error))?;
        let (requests, inbox) = mpsc::channel();
        let (is_sealed, is_copy) = (condition == Condition::Sound, condition == Condition::Copied);
        let (has_written, is_damaged) = (false, false);
        let keeper =
            Keeper { connection, dir: dir.into(), path, is_sealed, is_copy, has_written, is_damaged, is_locked: false };
        std::thread::Builder::new()
            .name("state".into())
            .spawn(move || keeper.run(&inbox))
            .map_err(|error| StoreError::directory(dir, &error))?;
        Ok(Self { requests, local: Local::new(dir, &instance, lock) })
    }

    /// Ends the thread and leaves the database so that the next start need not check it.  Every later
    /// request fails with [`StoreError::Ended`].
    ///
    /// # Errors
    /// The database is not in order, and is checked by the next start.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.ask(Request::Close).await
    }

    /// What belongs to this machine.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// [`Local::instance`].
    pub fn instance(&self) -> &str {
        self.local.instance()
    }

    /// [`Local::dir`].
    pub fn dir(&self) -> &Path {
        self.local.dir()
    }

    /// Applies changes, all or none.  When it returns, they are durable.  Returns the number of rows
    /// that they concerned.
    ///
    /// # Errors
    /// None of them was written.
    pub async fn apply(&self, changes: Vec<Change>, now: UnixTime) -> Result<usize, StoreError> {
        self.ask(|reply| Request::Apply { changes, now, reply }).await
    }

    /// From now on headings are recorded, or not, and those on record are removed.
    ///
    /// # Errors
    /// The database cannot be written.
    pub async fn record_headings(&self, wanted: bool, now: UnixTime) -> Result<(), StoreError> {
        if self.read(|reply| Query::RecordsHeadings { reply }).await? != Some(wanted) {
            self.apply(vec![Change::RecordHeadings(wanted)], now).await?;
        }
        Ok(())
    }

    pub(super) async fn read<T>(&self, query: impl FnOnce(Reply<T>) -> Query) -> Result<T, StoreError> {
        self.ask(|reply| Request::Read(query(reply))).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).map_err(|_| StoreError::Ended)?;
        answer.await.map_err(|_| StoreError::Ended)?
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rusqlite::Connection;

    use super::*;
    use crate::message::Name;
    use crate::store::Possession;

    #[tokio::test]
    async fn a_writer_waits_for_the_other_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Possession::take(dir.path()).and_then(|possession| possession.open()).expect("open").0;
        let account = Name::new("a").expect("a name");
        let begin = || Change::Begin { account: account.clone(), ignored: Vec::new() };
        store.apply(vec![begin()], 1).await.expect("written");
        // As `postrider quarantine` does beside the service.
        let other = Connection::open(file::path(dir.path())).expect("open");
        other.execute_batch("BEGIN IMMEDIATE; UPDATE account SET first_poll = 2").expect("locked");
        let (written, ()) = tokio::join!(store.apply(vec![begin()], 3), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            other.execute_batch("COMMIT").expect("written");
        });
        written.expect("it waited");
    }
}
