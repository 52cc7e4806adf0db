//! What the state is asked, one method for each question.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;
use super::query::Query;
use super::thread::Store;
use super::words::{
    AccountMemory, Backlog, Binding, Content, DeliveryTokens, Doubted, FoundFile, Host, HostMemory, Known, LastLogin,
    Lost, StagedDelivery,
};
use crate::message::{MessageKey, Name, Origin, UnixTime};
use crate::plan::{self, Identity, Left, Missing, Place, Standing};

impl Store {
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

    /// The account of an unused name, if there is one, that had the host, the username and the destinations of this
    /// account, of which no mail is known.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn alike(
        &self,
        account: &Name,
        mailbox: String,
        others: Arc<[(Name, String)]>,
        deliver: Vec<Place>,
    ) -> Result<Option<String>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Alike { account, mailbox, others, deliver, reply }).await
    }

    /// The account of an unused name, if there is one, that had the username of this mailbox and these destinations, and knows more than half of
    /// its listing.  When it returns, only the caller holds the keys.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn familiar(
        &self,
        mailbox: String,
        others: Arc<[(Name, String)]>,
        deliver: Vec<Place>,
        keys: Arc<Vec<Option<MessageKey>>>,
    ) -> Result<Option<String>, StoreError> {
        self.read(|reply| Query::Familiar { mailbox, others, deliver, keys, reply }).await
    }

    /// What stands for an account in the names of its files: first for new ones, then for older ones.  Never empty.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn origins(&self, account: &Name) -> Result<Vec<Origin>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Origins { account, reply }).await
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

    /// Messages of an account that destinations have refused without saying that their content is why.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn doubted(&self, account: &Name) -> Result<Vec<Doubted>, StoreError> {
        let account = account.clone();
        self.read(|reply| Query::Doubted { account, reply }).await
    }

    /// What is not delivered.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.read(|reply| Query::Backlog { reply }).await
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
        of_message: fn(&Origin, &MessageKey) -> String,
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
}
