//! The handle to the state, whose thread it starts.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;

use super::keeper::{Keeper, Request};
use super::local::Local;
use super::open::{Condition, Opened};
use super::query::{Query, Reply};
use super::words::{
    AccountMemory, Binding, Change, Content, DeliveryTokens, FoundFile, Host, HostMemory, Known, LastLogin, Lost,
    StagedDelivery,
};
use super::{StoreError, file};
use crate::message::{MessageKey, Name, UnixTime};
use crate::plan::{self, Identity, Left, Missing, Standing};

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

    /// What is known of a listing.  When it returns, only the caller holds the keys.
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

    /// The name under which the state knows the mailbox that an account leads to now; `None`: it does not know it.
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

    /// The number of messages on the server that were delivered everywhere, and never meant for this destination.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn never_meant_for(&self, account: &Name, destination: &Name) -> Result<u64, StoreError> {
        let (account, destination) = (account.clone(), destination.clone());
        self.read(|reply| Query::NeverMeantFor { account, destination, reply }).await
    }

    /// What a look at this listing left on the server, if the look still holds.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn quiet(&self, account: &Name, digest: [u8; 32], now: UnixTime) -> Result<Option<Left>, StoreError> {
        let account = account.clone();
        let found = self.read(|reply| Query::Quiet { account, digest, reply }).await?;
        Ok(found.filter(|&(_, at, until)| plan::is_quiet(at, until, now)).map(|(left, ..)| left))
    }

    /// Whether an account's next listing is likely to have something new, and is not large.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn expects_news(&self, account: &Name) -> Result<bool, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::ExpectsNews { account, reply }).await
    }

    /// What is remembered of a server; the default if it is not known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn host(&self, host: Host) -> Result<HostMemory, StoreError> {
        self.read(|reply| Query::Host { host, reply }).await
    }

    /// The messages of an account at which the last session that tried them ended.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn suspects(&self, account: &Name) -> Result<Vec<MessageKey>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Suspects { account, reply }).await
    }

    /// Whether an account's state was lost, and is still to be worked out.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn lost(&self, account: &Name) -> Result<Lost, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Lost { account, reply }).await
    }

    /// Messages of an account that are remembered, not deleted, and not among those `listed`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn missing(&self, account: &Name, listed: Vec<Option<MessageKey>>) -> Result<Vec<Missing>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Missing { account, listed, reply }).await
    }

    /// What messages are known by besides their unique-ids; `None` for a message that is not known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn identities(&self, account: &Name, keys: Vec<MessageKey>) -> Result<Vec<Option<Identity>>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Identities { account, keys, reply }).await
    }

    /// Messages with these contents that the server no longer has.
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

    /// The marks of mail that stays on the server for good and was reported already, one per line.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn told(&self, account: &Name) -> Result<Option<String>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Told { account, reply }).await
    }

    /// Whether a message was ever delivered to this path of this machine.
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

    /// The time after which no file of a forgotten message was delivered; `None`: no message is forgotten.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn forgotten(&self) -> Result<Option<UnixTime>, StoreError> {
        self.read(|reply| Query::Forgotten { reply }).await
    }

    /// Tokens of everything on record, as these functions make them.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn tokens(
        &self,
        of_message: fn(&Name, &MessageKey) -> String,
        of_file: fn(&str) -> Option<String>,
    ) -> Result<DeliveryTokens, StoreError> {
        self.read(|reply| Query::Tokens { of_message, of_file, reply }).await
    }

    /// Files with these tokens that were found in Maildirs.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn files(&self, tokens: Vec<String>) -> Result<HashMap<String, Vec<(PathBuf, FoundFile)>>, StoreError> {
        self.read(|reply| Query::Files { tokens, reply }).await
    }

    /// Whether no account is on record yet.
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

    async fn read<T>(&self, query: impl FnOnce(Reply<T>) -> Query) -> Result<T, StoreError> {
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
