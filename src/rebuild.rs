//! A state that can be used, whatever has happened to its database.
//!
//! A database that is missing or damaged is set aside and made again from what can be read of it and
//! from the file names in the Maildirs.  One that is whole but older than it was, since the Maildirs
//! hold messages that it does not know, is kept and completed from them.  Either way each account
//! counts as lost until its next listing (`poll::lost`), and nothing is fetched on a guess.

mod report;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::deliver::Destination;
use crate::deliver::maildir::{self, NameParts};
use crate::message::{Name, UnixTime};
use crate::store::{Change, Condition, DeliveryTokens, FoundFile, Lost, LostChange, Possession, Store, StoreError};

pub(crate) use report::{Cause, Report, Scanned};

/// What a rebuild needs of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// The accounts, enabled or not.
    pub accounts: Vec<Name>,
    /// The Maildirs.
    pub maildirs: Vec<PathBuf>,
}

impl Scope {
    /// The scope of these accounts and destinations.
    pub(crate) fn new<'a>(
        accounts: impl IntoIterator<Item = &'a Name>,
        destinations: impl IntoIterator<Item = &'a Destination>,
    ) -> Self {
        let maildir = |destination: &'a Destination| destination.maildir().map(Path::to_owned);
        Self {
            accounts: accounts.into_iter().cloned().collect(),
            maildirs: destinations.into_iter().filter_map(maildir).collect(),
        }
    }
}

/// Takes the state directory's lock and opens its database, which is repaired first if necessary.
/// Blocks; the report says what had to be done.
///
/// # Errors
/// Another process holds the lock, or the disk does not let the database be repaired.
pub(crate) async fn open(dir: &Path, scope: &Scope, now: UnixTime) -> Result<(Store, Option<Report>), StoreError> {
    let possession = Possession::take(dir)?;
    let opened = match possession.open() {
        // A disk that fails once looks like damage; a database that is whole at a second look is left alone.
        Err(StoreError::Damaged { .. }) => possession.open(),
        opened => opened,
    };
    let (store, condition) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let cause = match &error {
                StoreError::Missing { .. } => Cause::Missing,
                StoreError::Damaged { cause, .. } => Cause::Damaged(cause.clone()),
                _ => return Err(error),
            };
            return renew(&possession, scope, cause).map(|(store, report)| (store, Some(report)));
        }
    };
    let report = match condition {
        Condition::Sound => None,
        Condition::New => complete(&store, scope, Lost::Unknown, None, now).await?,
        Condition::Unsealed | Condition::Copied => complete(&store, scope, Lost::Lost, None, now).await?,
        // It was interrupted while it was made, before anything was polled; if not, the Maildirs show that.
        Condition::Outdated { .. } if !scope.maildirs.is_empty() && store.is_blank().await? => {
            complete(&store, scope, Lost::Unknown, None, now).await?
        }
        Condition::Outdated { cause } => complete(&store, scope, Lost::Lost, Some(cause), now).await?,
    };
    Ok((store, report))
}

/// Makes a new database although the old one may be whole.
///
/// # Errors
/// As [`open`].
pub(crate) fn again(dir: &Path, scope: &Scope) -> Result<(Store, Report), StoreError> {
    let possession = Possession::take(dir)?;
    renew(&possession, scope, Cause::Asked)
}

fn renew(possession: &Possession, scope: &Scope, cause: Cause) -> Result<(Store, Report), StoreError> {
    let label = if cause == Cause::Asked { "replaced" } else { "damaged" };
    let renewal = possession.renew(label)?;
    let instance = renewal.instance.clone();
    let maildirs: BTreeSet<PathBuf> = scope.maildirs.iter().cloned().chain(renewal.maildirs()?).collect();
    let mut scanned = Vec::new();
    for maildir in maildirs {
        let files = scan(&maildir, instance.as_deref());
        renewal.note(&maildir, files.as_deref().ok())?;
        scanned.push(Scanned::new(maildir, &files));
    }
    let (aside, salvaged) = (renewal.aside.clone(), renewal.salvaged);
    renewal.finish(&scope.accounts)?;
    let (store, _) = possession.open()?;
    Ok((store, Report { cause, aside, salvaged: Some(salvaged), scanned }))
}

/// Looks whether the Maildirs hold mail that the database does not know, and records it.
async fn complete(
    store: &Store,
    scope: &Scope,
    lost: Lost,
    outdated: Option<String>,
    now: UnixTime,
) -> Result<Option<Report>, StoreError> {
    // A directory that never had a state counts the files of any instance, any other only its own.
    let instance = (lost != Lost::Unknown).then(|| store.local().instance().to_owned());
    let maildirs: BTreeSet<PathBuf> = scope.maildirs.iter().cloned().chain(store.maildirs().await?).collect();
    // Files up to then may be of forgotten messages: they are no sign that anything is lost.
    let forgotten = store.forgotten().await?;
    let (mut changes, mut scanned, mut unknown, mut known) = (Vec::new(), Vec::new(), 0, None);
    for maildir in maildirs {
        let mut files = scan(&maildir, instance.as_deref());
        if let Ok(files) = &mut files {
            if known.is_none() && !files.is_empty() {
                let of_file = |name: &str| NameParts::of(name).map(|told| told.token.to_owned());
                known = Some(store.tokens(maildir::token, of_file).await?);
            }
            files.retain(|file| !known.as_ref().is_some_and(|known: &DeliveryTokens| known.contains(&file.token)));
            unknown += files.iter().filter(|file| forgotten.is_none_or(|until| file.at > until)).count();
        } else if lost == Lost::Unknown {
            // The Maildir is going to be made.
            continue;
        }
        scanned.push(Scanned::new(maildir.clone(), &files));
        changes.push(Change::Lost(LostChange::Files { maildir, files: files.ok() }));
    }
    let cause = match (outdated, lost, unknown) {
        (Some(cause), ..) => Cause::Outdated(cause),
        (None, _, 0) => return Ok(None),
        (None, Lost::Unknown, _) => Cause::Unknown,
        (None, ..) => Cause::Outdated("Maildirs hold messages that it does not know".to_owned()),
    };
    changes.push(Change::Lost(LostChange::Mark { accounts: scope.accounts.clone(), lost }));
    store.apply(changes, now).await?;
    Ok(Some(Report { cause, aside: None, salvaged: None, scanned }))
}

fn scan(maildir: &Path, instance: Option<&str>) -> std::io::Result<Vec<FoundFile>> {
    let found = maildir::scan(maildir, instance)?.into_iter();
    Ok(found.map(|found| FoundFile { token: found.token, name: found.path, at: found.at }).collect())
}
