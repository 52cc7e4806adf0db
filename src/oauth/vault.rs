//! The file of an account's tokens: `tokens/NAME` in the state directory, for its owner alone.
//!
//! Beside it is a file that is locked while the tokens change (no account's name begins with a dot).
//! A third file, in a folder of its own that renewals do not touch, changes with each sign-in: a
//! service watches it.  A file is written under another name, synced, and durably renamed over the
//! old one.  A file that others may read or that somebody else owns is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

use super::error::OAuthError;
use super::tokens::Tokens;
use crate::filesystem::{FileError, Person, private, sync_folder};
use crate::message::Name;
use crate::threads::{self, ThreadError};

/// The most octets of a file of tokens: two of 64 KiB, written as JSON.
const SIZE_LIMIT: u64 = 1 << 20;

/// Time to wait for the lock: its holder asks a provider, which has half a minute.
const LOCK_LIMIT: Duration = Duration::from_secs(45);

/// The folder of the files that change with a sign-in.
const STAMPS: &str = ".sign-in";

/// Pause before the lock is tried again: the kernel does not notify.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Where an account's tokens are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    state_dir: PathBuf,
    account: Name,
}

/// Held while tokens change.
pub(super) struct Lock {
    _file: File,
}

impl Vault {
    /// The vault of an account.
    pub fn new(state_dir: &Path, account: &Name) -> Self {
        Self { state_dir: state_dir.to_owned(), account: account.clone() }
    }

    /// The file whose content changes with each sign-in.
    pub fn stamp(&self) -> PathBuf {
        self.folder().join(STAMPS).join(self.account.as_str())
    }

    /// Changes when somebody has signed in again; needs no network.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let word = self.read().ok()?.map(|tokens| tokens.sign_in).unwrap_or_default();
        Some(Sha256::digest(word).into())
    }

    /// Makes the folders of all tokens, so that they can be watched.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn make_folders(&self) -> Result<(), OAuthError> {
        let folder = self.folder();
        private::make_folders(&self.state_dir).map_err(FileError::of(&self.state_dir))?;
        for (folder, parent) in [(&folder, &self.state_dir), (&folder.join(STAMPS), &folder)] {
            if private::make_folder(folder).map_err(FileError::of(folder))? {
                sync_folder(parent).map_err(FileError::of(parent))?;
            }
        }
        Ok(())
    }

    /// The tokens; `None` if nobody has signed in.
    pub(super) fn read(&self) -> Result<Option<Tokens>, OAuthError> {
        let path = self.path();
        let failed = |source| OAuthError::File { path: path.clone(), source };
        let file = match private::open(&path, OpenOptions::new().read(true)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        if let Some(fault) = fault(&file).map_err(failed)? {
            return Err(OAuthError::Unsafe { account: self.account.clone(), path, fault });
        }
        let mut text = Zeroizing::new(Vec::new());
        file.take(SIZE_LIMIT + 1).read_to_end(&mut text).map_err(failed)?;
        let damaged = || OAuthError::Damaged { account: self.account.clone(), path: path.clone() };
        Tokens::decoded(&text).map(Some).ok_or_else(damaged)
    }

    /// Writes the tokens; they are durable when this returns.  The lock must be held.
    pub(super) async fn write(&self, tokens: &Tokens, _lock: &Lock) -> Result<(), OAuthError> {
        let (vault, text) = (self.clone(), tokens.encoded());
        threads::run(move || vault.put(&vault.path(), &text)).await.unwrap_or_else(|error| match error {
            ThreadError::Panicked(text) => Err(OAuthError::Bug(text)),
            refused @ ThreadError::Refused { .. } => {
                Err(OAuthError::File { path: self.path(), source: io::Error::new(ErrorKind::WouldBlock, refused) })
            }
        })
    }

    /// Notifies a running service that somebody has signed in.  The lock must be held.
    pub(super) fn write_stamp(&self, word: &str, _lock: &Lock) -> Result<(), OAuthError> {
        self.put(&self.stamp(), format!("{word}\n").as_bytes())
    }

    /// Takes the lock; waits while another holder changes the tokens.
    pub(super) async fn lock(&self) -> Result<Lock, OAuthError> {
        self.make_folders()?;
        let path = self.beside("lock");
        let failed = |source| OAuthError::File { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file = private::open(&path, options.read(true).write(true).create(true).truncate(false)).map_err(failed)?;
        let until = Instant::now() + LOCK_LIMIT;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if Instant::now() < until => {
                    sleep(LOCK_PAUSE).await;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(OAuthError::Busy { path, limit: LOCK_LIMIT }),
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Gives the tokens to an account that has none, because this one has its name now.  Returns whether there were any.
    ///
    /// # Errors
    /// They cannot be moved, or are being renewed for too long.
    pub async fn hand_to(&self, account: &Name) -> Result<bool, OAuthError> {
        let to = Self { account: account.clone(), ..self.clone() };
        let is_there =
            |path: PathBuf| private::is_there(&path).map_err(|source| OAuthError::File { path: path.clone(), source });
        if !is_there(self.path())? || is_there(to.path())? {
            return Ok(false);
        }
        let _lock = self.lock().await?;
        // A sign-in that nobody has been told of yet is found by its tokens.
        for (from, to) in [(self.stamp(), to.stamp()), (self.path(), to.path())] {
            match std::fs::rename(&from, &to) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                moved => moved.map_err(|source| OAuthError::File { path: from, source })?,
            }
        }
        let folder = self.folder();
        sync_folder(&folder).map_err(|source| OAuthError::File { path: folder, source })?;
        Ok(true)
    }

    fn put(&self, path: &Path, text: &[u8]) -> Result<(), OAuthError> {
        private::replace(path, &self.beside("new"), text)
            .map_err(|error| OAuthError::File { path: path.to_owned(), source: error.source })
    }

    fn folder(&self) -> PathBuf {
        self.state_dir.join("tokens")
    }

    fn path(&self) -> PathBuf {
        self.folder().join(self.account.as_str())
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.folder().join(format!(".{}.{what}", self.account))
    }
}

/// Why a file of tokens is refused.
fn fault(file: &File) -> io::Result<Option<String>> {
    let metadata = file.metadata()?;
    let owner = Person(metadata.uid());
    Ok(match metadata.mode() & 0o7777 {
        _ if owner != Person::me() => Some(format!("belongs to {owner}")),
        mode if mode & 0o077 != 0 => Some(format!("is open to others (mode {mode:04o})")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::oauth::protocol::Answer;
    use crate::secret::Secret;

    fn tokens(refresh: &str) -> Tokens {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let answer = Answer { access: secret("a"), refresh: Some(secret(refresh)), lifetime: None };
        Tokens::new("client".into(), "word".into(), answer, 0).expect("a refresh token")
    }

    fn vault() -> (tempfile::TempDir, Vault) {
        let dir = tempfile::tempdir().expect("a directory");
        let vault = Vault::new(&dir.path().join("state"), &Name::new("a").expect("a name"));
        (dir, vault)
    }

    #[tokio::test]
    async fn tokens_are_for_their_owner_alone_and_of_one_writer_at_a_time() {
        let (_dir, vault) = vault();
        assert!(vault.read().expect("nothing").is_none());
        let lock = vault.lock().await.expect("free");
        for text in ["r1", "r2"] {
            vault.write(&tokens(text), &lock).await.expect("written");
            let read = vault.read().expect("read").expect("there");
            assert_eq!(read.refresh_token.expose(), text.as_bytes());
        }
        let mode = |path: &Path| path.metadata().expect("there").mode() & 0o7777;
        assert_eq!((mode(&vault.folder()), mode(&vault.path()), mode(&vault.beside("lock"))), (0o700, 0o600, 0o600));
        let names = std::fs::read_dir(vault.folder()).expect("the folder").count();
        assert_eq!(names, 3, "the tokens, the lock, and the folder of sign-ins");
        let other = File::open(vault.beside("lock")).expect("there");
        assert!(rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(lock);
        assert!(rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok());
    }

    #[tokio::test]
    async fn a_file_that_is_open_to_others_or_a_link_or_damaged_is_not_taken() {
        let (dir, vault) = vault();
        let lock = vault.lock().await.expect("free");
        vault.write(&tokens("r1"), &lock).await.expect("written");
        let path = vault.path();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("its mode");
        let error = vault.read().expect_err("open to others").to_string();
        assert!(error.ends_with("is open to others (mode 0640)"), "{error}");
        std::fs::write(&path, b"{\"version\":1").expect("written");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("its mode");
        assert!(matches!(vault.read(), Err(OAuthError::Damaged { .. })));
        std::fs::rename(&path, dir.path().join("elsewhere")).expect("moved");
        symlink(dir.path().join("elsewhere"), &path).expect("linked");
        assert!(matches!(vault.read(), Err(OAuthError::File { .. })));
        // What is written takes the link's place, and the file it led to stays.
        symlink(dir.path().join("elsewhere"), vault.beside("new")).expect("linked");
        vault.write(&tokens("r2"), &lock).await.expect("written");
        assert!(vault.read().expect("read").is_some());
        assert_eq!(std::fs::read(dir.path().join("elsewhere")).expect("there"), b"{\"version\":1");
    }

    #[tokio::test]
    async fn a_sign_in_goes_along_with_its_account_and_replaces_no_other() {
        let (_dir, vault) = vault();
        let (b, c) = (Name::new("b").expect("a name"), Name::new("c").expect("a name"));
        assert!(!vault.hand_to(&b).await.expect("nobody has signed in"));
        assert!(!vault.folder().exists());
        for (vault, text) in [(&vault, "of a"), (&Vault { account: c.clone(), ..vault.clone() }, "of c")] {
            let lock = vault.lock().await.expect("free");
            vault.write(&tokens(text), &lock).await.expect("written");
            vault.write_stamp(text, &lock).expect("written");
        }
        assert!(!vault.hand_to(&c).await.expect("it has its own"));
        assert!(vault.hand_to(&b).await.expect("moved"));
        let refresh = |account: &Name| {
            let tokens = Vault { account: account.clone(), ..vault.clone() }.read().expect("read");
            tokens.map(|tokens| tokens.refresh_token.expose().to_vec())
        };
        assert_eq!((refresh(&b), refresh(&c)), (Some(b"of a".to_vec()), Some(b"of c".to_vec())));
        assert!(vault.read().expect("nothing").is_none() && !vault.stamp().exists());
    }

    #[tokio::test]
    async fn a_sign_in_changes_the_fingerprint_and_a_renewal_does_not() {
        let (_dir, vault) = vault();
        let nothing = vault.fingerprint();
        let lock = vault.lock().await.expect("free");
        vault.write(&tokens("r1"), &lock).await.expect("written");
        let first = vault.fingerprint();
        vault.write(&tokens("r2"), &lock).await.expect("written");
        assert!(nothing.is_some() && nothing != first && first == vault.fingerprint());
    }
}
