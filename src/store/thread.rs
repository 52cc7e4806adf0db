//! The thread that owns the database, and the handle to it.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::answer::answer;
use super::local::Local;
use super::open::{Condition, Opened};
use super::query::{Query, Reply};
use super::seal::{Seal, break_seal};
use super::words::{
    AccountMemory, Binding, Change, Content, FoundFile, Host, HostMemory, Known, LastLogin, Lost, StagedDelivery,
    Tokens,
};
use super::{StoreError, file, write};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{self, Identity, Left, Missing, Patience, Standing};

/// Requests that share one transaction at most.
const GROUP_LIMIT: usize = 256;

enum Request {
    Apply {
        changes: Vec<Change>,
        now: UnixTime,
        reply: Reply<usize>,
    },
    Read(Query),
    /// Ends the thread, and leaves the database in order.
    Close(Reply<()>),
}

/// A handle to the state.  Clones share it; the last one to go ends its thread.
#[derive(Clone, Debug)]
pub struct Store {
    requests: mpsc::Sender<Request>,
    local: Local,
}

impl Store {
    /// Gives an open database to a thread of its own.
    pub(super) fn serve(dir: &Path, opened: Opened, lock: Arc<File>) -> Result<Self, StoreError> {
        let Opened { connection, condition } = opened;
        let path = file::path(dir);
        let instance = file::instance(&connection).map_err(|error| file::database_error(&path, &error))?;
        let (requests, inbox) = mpsc::channel();
        let (is_sealed, is_copy) = (condition == Condition::Sound, condition == Condition::Copied);
        let (has_written, is_damaged) = (false, false);
        let keeper = Keeper { connection, dir: dir.into(), path, is_sealed, is_copy, has_written, is_damaged };
        std::thread::Builder::new()
            .name("state".into())
            .spawn(move || keeper.run(&inbox))
            .map_err(|error| StoreError::directory(dir, &error))?;
        Ok(Self { requests, local: Local::new(dir, &instance, lock) })
    }

    /// Ends the thread and leaves the database so that the next start need not check it.  Whoever
    /// asks for anything afterwards is told that it has ended.
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

    /// Applies changes, all or none.  When it returns, they are durable.  Gives the number of rows
    /// that they concerned.
    ///
    /// # Errors
    /// Nothing of it was written.
    pub async fn apply(&self, changes: Vec<Change>, now: UnixTime) -> Result<usize, StoreError> {
        self.ask(|reply| Request::Apply { changes, now, reply }).await
    }

    /// What is known of a listing.  When it returns, nobody but the caller holds its keys.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known(
        &self,
        account: &Name,
        keys: Arc<Vec<Option<MessageKey>>>,
        now: UnixTime,
    ) -> Result<Known, StoreError> {
        let (account, stale) = (account.clone(), plan::stale_since(now));
        self.read(|reply| Query::Known { account, keys, stale, reply }).await
    }

    /// What is known of one message.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn standing(&self, account: &Name, key: MessageKey) -> Result<Option<Standing>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Standing { account, key, reply }).await
    }

    /// What an account was polled with.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn binding(&self, account: &Name) -> Result<Binding, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Binding { account, reply }).await
    }

    /// What the state calls the mailbox that an account leads to now; `None`: it knows nothing of it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn known_as(
        &self,
        account: &Name,
        mailbox: String,
        others: Arc<[(Name, String)]>,
    ) -> Result<Option<String>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::KnownAs { account, mailbox, others, reply }).await
    }

    /// Messages on the server that were delivered everywhere, and never meant for a destination.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn never_meant_for(&self, account: &Name, destination: &Name) -> Result<u64, StoreError> {
        let (account, destination) = (account.clone(), destination.clone());
        self.read(|reply| Query::NeverMeantFor { account, destination, reply }).await
    }

    /// What was left on the server by a look at this listing that still holds.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn quiet(&self, account: &Name, digest: [u8; 32], now: UnixTime) -> Result<Option<Left>, StoreError> {
        let account = account.clone();
        let found = self.read(|reply| Query::Quiet { account, digest, reply }).await?;
        Ok(found.filter(|&(_, at, until)| plan::is_quiet(at, until, now)).map(|(left, ..)| left))
    }

    /// Whether an account's next listing may well have something new, and is not large.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn expects_news(&self, account: &Name) -> Result<bool, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::ExpectsNews { account, reply }).await
    }

    /// What is remembered of a server; nothing is a memory too.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn host(&self, host: Host) -> Result<HostMemory, StoreError> {
        self.read(|reply| Query::Host { host, reply }).await
    }

    /// Whether an account's state was lost, and is still to be made out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn lost(&self, account: &Name) -> Result<Lost, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Lost { account, reply }).await
    }

    /// What is remembered of an account, is not deleted, and is not among these.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn missing(&self, account: &Name, listed: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Missing { account, listed, reply }).await
    }

    /// By what else than their unique-ids messages are known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn identities(&self, account: &Name, keys: Vec<MessageKey>) -> Result<Vec<Option<Identity>>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Identities { account, keys, reply }).await
    }

    /// Messages of these contents that the server has no more.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn by_content(&self, account: &Name, contents: Vec<Content>) -> Result<Vec<Vec<MessageKey>>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::ByContent { account, contents, reply }).await
    }

    /// What is remembered of all accounts; deliveries are counted from `since` on.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn remembered(&self, since: UnixTime) -> Result<Vec<(Name, AccountMemory)>, StoreError> {
        self.read(|reply| Query::Remembered { since, reply }).await
    }

    /// What is known of the account's last login.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn last_login(&self, account: &Name) -> Result<LastLogin, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::LastLogin { account, reply }).await
    }

    /// What was told once of mail that stays on the server for good.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn told(&self, account: &Name) -> Result<Option<String>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Told { account, reply }).await
    }

    /// Whether a message has ever come to this Maildir of this machine.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn knows(&self, maildir: PathBuf) -> Result<bool, StoreError> {
        self.read(|reply| Query::Knows { maildir, reply }).await
    }

    /// Deliveries that are staged, of one account or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn staged(&self, account: Option<&Name>) -> Result<Vec<StagedDelivery>, StoreError> {
        let account = account.cloned();
        self.read(|reply| Query::Staged { account, reply }).await
    }

    /// The time after which no file was delivered whose message is forgotten since; `None`: none is.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn forgotten(&self) -> Result<Option<UnixTime>, StoreError> {
        self.read(|reply| Query::Forgotten { reply }).await
    }

    /// Tokens of everything on record, by these rules.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tokens(
        &self,
        of_message: fn(&Name, &MessageKey) -> String,
        of_file: fn(&str) -> Option<String>,
    ) -> Result<Tokens, StoreError> {
        self.read(|reply| Query::Tokens { of_message, of_file, reply }).await
    }

    /// Files that were found in Maildirs, by their tokens.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn files(&self, tokens: Vec<String>) -> Result<HashMap<String, Vec<(PathBuf, FoundFile)>>, StoreError> {
        self.read(|reply| Query::Files { tokens, reply }).await
    }

    /// Whether it knows of no account yet.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_blank(&self) -> Result<bool, StoreError> {
        self.read(|reply| Query::IsBlank { reply }).await
    }

    /// Maildirs that mail was delivered to.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn maildirs(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.read(|reply| Query::Maildirs { reply }).await
    }

    /// Whether a Maildir could not be read when the state was rebuilt.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn is_unread(&self, maildir: PathBuf) -> Result<bool, StoreError> {
        self.read(|reply| Query::IsUnread { maildir, reply }).await
    }

    async fn read<T>(&self, query: impl FnOnce(Reply<T>) -> Query) -> Result<T, StoreError> {
        self.ask(|reply| Request::Read(query(reply))).await
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

/// The database and what this process has done with it.
struct Keeper {
    connection: Connection,
    dir: PathBuf,
    path: PathBuf,
    /// A seal lies beside it that fits.
    is_sealed: bool,
    /// A seal lies beside it that fits but for its being a copy.
    is_copy: bool,
    /// Something was committed.
    has_written: bool,
    /// SQLite has found it damaged.
    is_damaged: bool,
}

impl Keeper {
    fn run(mut self, inbox: &mpsc::Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut waiting = Vec::new();
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Apply { changes, now, reply } => waiting.push(Waiting { changes, now, reply }),
                    Request::Read(query) => {
                        // What was asked to be written before is read.
                        self.commit(std::mem::take(&mut waiting));
                        let is_damaged = answer(&self.connection, &self.path, query);
                        self.note_damage(is_damaged);
                    }
                    Request::Close(reply) => {
                        self.commit(waiting);
                        let _ = reply.send(self.close());
                        return;
                    }
                }
                next = if waiting.len() < GROUP_LIMIT { inbox.try_recv().ok() } else { None };
            }
            self.commit(waiting);
        }
    }

    /// One transaction for all that wait; if it fails, one for each, so that only the culprit fails.
    fn commit(&mut self, waiting: Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        match transact(&self.connection, &waiting) {
            Ok(rows) => {
                let broken = self.break_seal();
                for (waiting, rows) in waiting.into_iter().zip(rows) {
                    let _ = waiting.reply.send(broken.clone().map(|()| rows));
                }
            }
            Err(error) if waiting.len() == 1 => {
                let error = file::database_error(&self.path, &error);
                self.note_damage(matches!(error, StoreError::Damaged { .. }));
                for waiting in waiting {
                    let _ = waiting.reply.send(Err(error.clone()));
                }
            }
            Err(_) => waiting.into_iter().for_each(|one| self.commit(vec![one])),
        }
    }

    /// After the first commit and before anybody hears of it: what nobody knows of may be lost.
    fn break_seal(&mut self) -> Result<(), StoreError> {
        if !self.has_written {
            break_seal(&self.dir)?;
            (self.has_written, self.is_sealed) = (true, false);
        }
        Ok(())
    }

    /// Makes sure that the next start looks at the whole of it.
    fn note_damage(&mut self, is_damaged: bool) {
        if is_damaged {
            self.is_damaged = true;
            // Without write access nothing else can be done, and nothing is written either.
            let _ = break_seal(&self.dir);
        }
    }

    fn close(self) -> Result<(), StoreError> {
        if self.is_sealed || self.is_damaged {
            return Ok(());
        }
        let failed = |error: rusqlite::Error| file::database_error(&self.path, &error);
        let generation = file::generation(&self.connection).map_err(failed)?.unwrap_or(0);
        if self.is_copy && !self.has_written {
            drop(self.connection);
            return seal(&self.dir, &self.path, generation);
        }
        let generation = generation + 1;
        let raise = "INSERT OR REPLACE INTO meta (name, value) VALUES ('generation', ?1)";
        self.connection.execute(raise, [generation.to_string()]).map_err(failed)?;
        let busy: bool =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
        drop(self.connection);
        if busy {
            // Somebody reads it; the next start takes the write-ahead log in.
            return Ok(());
        }
        seal(&self.dir, &self.path, generation)
    }
}

/// The database must be closed.
fn seal(dir: &Path, path: &Path, generation: i64) -> Result<(), StoreError> {
    let seal = Seal::of(path, generation).map_err(|error| StoreError::file(path, &error))?;
    Ok(seal.write(dir)?)
}

fn transact(connection: &Connection, waiting: &[Waiting]) -> rusqlite::Result<Vec<usize>> {
    // Dropping it without commit rolls back.
    let transaction = super::begin(connection)?;
    let rows = waiting.iter().map(|waiting| {
        let counts =
            waiting.changes.iter().map(|change| write::apply(&transaction, change, &Patience::USUAL, waiting.now));
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
    use crate::store::Claim;

    #[tokio::test]
    async fn a_writer_waits_for_the_other_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Claim::take(dir.path()).and_then(|claim| claim.open()).expect("open").0;
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
