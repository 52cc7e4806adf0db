//! Where a password or a token comes from: a file, a command, a systemd credential, the configuration.
//!
//! It is read for each login, so that a changed one is used at once.  A command gets an argument
//! list and no shell, no standard input, and a deadline; what it writes to standard error is not
//! shown, since it may hold the secret.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::failure::{Class, Failure, is_shortage, shortage};
use crate::filesystem::{self, Accepts, ReadError, owner};
use crate::secret::Secret;
use crate::subprocess::{self, Rest, Running};
use crate::threads::{self, ThreadError};

/// The most octets of a secret; access tokens may exceed 4 KiB.
const SECRET_LIMIT: usize = 64 * 1024;

/// Time for a command, which may ask its user to unlock a key store.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Rounds of hashing: some hundredths of a second for us, and for every guess of an attacker.
const ROUNDS: usize = 200_000;

/// Distinguishes settings and a secret's digest from others, without showing the secret to whoever reads the result; `None`:
/// there is no thread to compute it.
pub(crate) async fn fingerprint(salt: &str, settings: String, secret: [u8; 32]) -> Option<[u8; 32]> {
    let settings = format!("{salt}\0{settings}");
    let stretch = move || {
        // Settings may be long: they are hashed only once, not in every round.
        let settings = Sha256::digest(settings.as_bytes());
        let mut digest = secret;
        for _ in 0..ROUNDS {
            digest = Sha256::new().chain_update(settings).chain_update(digest).finalize().into();
        }
        digest
    };
    threads::run(stretch).await.ok()
}

/// Where a secret comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SecretSource {
    /// The configuration itself.
    Inline(Secret),
    /// The first line of a file.
    File(PathBuf),
    /// The first line that a command prints: program and arguments.
    Command(Vec<String>),
    /// A credential that systemd has put into `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum CredentialError {
    #[error("password file {}: {source}", path.display())]
    File { path: PathBuf, source: ReadError },
    #[error("password file {}: its first line is empty", path.display())]
    EmptyFile { path: PathBuf },
    #[error("password file {}: longer than {SECRET_LIMIT} octets", path.display())]
    LongFile { path: PathBuf },
    #[error("password file {}: {fault}", path.display())]
    Unsafe { path: PathBuf, fault: String },
    #[error("{kind} command {program:?}: {source}")]
    Start { kind: Kind, program: String, source: io::Error },
    #[error("{kind} command {program:?}: {}", ended(status))]
    Failed { kind: Kind, program: String, status: ExitStatus },
    #[error("{kind} command {program:?}: not done within {} s", COMMAND_LIMIT.as_secs())]
    Slow { kind: Kind, program: String },
    #[error("{kind} command {program:?}: the first line of its output is empty")]
    Empty { kind: Kind, program: String },
    #[error("password-credential {name:?}: systemd has passed no credentials ($CREDENTIALS_DIRECTORY is not set)")]
    NoCredentials { name: String },
    #[error("the password cannot be read: {0}")]
    Thread(#[from] ThreadError),
}

/// What a command is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A password.
    Password,
    /// An OAuth 2.0 access token.
    Token,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Password => "password",
            Kind::Token => "token",
        })
    }
}

/// How a command ended, in words that follow its name.
pub(crate) fn ended(status: &ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

impl Failure for CredentialError {
    fn class(&self) -> Class {
        match self {
            CredentialError::Failed { .. } | CredentialError::Slow { .. } => Class::TryLater,
            _ if self.is_shortage() => Class::TryLater,
            CredentialError::File { source, .. } if source.is_late() => Class::TryLater,
            _ => Class::Configuration,
        }
    }

    fn is_shortage(&self) -> bool {
        match self {
            CredentialError::Thread(_) => true,
            CredentialError::File { source: ReadError::Io(source), .. } | CredentialError::Start { source, .. } => {
                is_shortage(source)
            }
            _ => false,
        }
    }

    fn advice(&self) -> Option<String> {
        if self.is_shortage() {
            return Some(shortage());
        }
        Some(match self {
            CredentialError::File { source, .. } if source.is_late() => "It is read again for the next login.".into(),
            CredentialError::File { .. } | CredentialError::EmptyFile { .. } | CredentialError::LongFile { .. } => {
                "The file must hold the password as its first line, readable by the user that runs postrider.".into()
            }
            CredentialError::Unsafe { .. } => {
                "Anybody who can write the file decides which password postrider sends.".into()
            }
            CredentialError::NoCredentials { .. } => {
                "Run it as a systemd service with LoadCredential=, or use password-file or password-command.".into()
            }
            CredentialError::Thread(_) => return None,
            CredentialError::Start { kind, .. }
            | CredentialError::Failed { kind, .. }
            | CredentialError::Slow { kind, .. }
            | CredentialError::Empty { kind, .. } => format!(
                "Run the command by hand as the user that runs postrider: it must print the {kind} on its first line \
                 and exit with 0.  It gets no terminal and no input."
            ),
        })
    }
}

impl SecretSource {
    /// Reads the secret.
    ///
    /// # Errors
    /// It is not there, not readable, empty, too long, or the command failed.
    pub async fn read(&self) -> Result<Secret, CredentialError> {
        self.read_as(Kind::Password).await
    }

    /// The same; `kind` is the secret's name in errors.
    ///
    /// # Errors
    /// As [`SecretSource::read`].
    pub async fn read_as(&self, kind: Kind) -> Result<Secret, CredentialError> {
        match self {
            SecretSource::Inline(secret) => Ok(secret.clone()),
            SecretSource::File(path) => read_file(path, true).await,
            SecretSource::Command(argv) => run(kind, argv).await,
            SecretSource::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| CredentialError::NoCredentials { name: name.clone() })?;
                // systemd made the file, for this unit alone.
                read_file(&Path::new(&directory).join(name), false).await
            }
        }
    }
}

/// Checks that a password file can be opened and trusted; returns its permission bits if others may read it.
///
/// # Errors
/// As [`SecretSource::read`].
pub fn look_at(path: &Path) -> Result<Option<u32>, CredentialError> {
    let failed = |source| CredentialError::File { path: path.to_owned(), source };
    let metadata = filesystem::read(path, 0, Accepts::File).map_err(failed)?.metadata;
    judge(path, &metadata)?;
    let mode = metadata.mode() & 0o7777;
    Ok(owner::is_open_to_others(mode, metadata.uid()).then_some(mode))
}

fn judge(path: &Path, metadata: &std::fs::Metadata) -> Result<(), CredentialError> {
    let unsafe_ = |fault: owner::Fault| CredentialError::Unsafe { path: path.to_owned(), fault: fault.told(path) };
    owner::fault(metadata).map(unsafe_).map_or(Ok(()), Err)
}

async fn read_file(path: &Path, judged: bool) -> Result<Secret, CredentialError> {
    let failed = |source| CredentialError::File { path: path.to_owned(), source };
    let filesystem::Content { octets: bytes, metadata } =
        filesystem::read_async(path, SECRET_LIMIT as u64).await.map_err(failed)?;
    if judged {
        judge(path, &metadata)?;
    }
    if bytes.len() > SECRET_LIMIT {
        return Err(CredentialError::LongFile { path: path.to_owned() });
    }
    first_line(&bytes).ok_or_else(|| CredentialError::EmptyFile { path: path.to_owned() })
}

async fn run(kind: Kind, argv: &[String]) -> Result<Secret, CredentialError> {
    let (name, arguments) = argv.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let program = name.to_owned();
    let mut command = Command::new(name);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    subprocess::restore_environment(command.as_std_mut());
    // It may have started an agent that keeps the key store open.
    let child = Running::start(&mut command, Rest::Stays);
    let mut child = child.map_err(|source| CredentialError::Start { kind, program: program.clone(), source })?;
    let stdout = child.output();
    let work = async {
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(stdout) = stdout {
            stdout.take(SECRET_LIMIT as u64).read_to_end(&mut bytes).await?;
        }
        Ok::<_, io::Error>((bytes, child.wait().await?))
    };
    match tokio::time::timeout(COMMAND_LIMIT, work).await {
        Err(_) => Err(CredentialError::Slow { kind, program }),
        Ok(Err(source)) => Err(CredentialError::Start { kind, program, source }),
        Ok(Ok((_, status))) if !status.success() => Err(CredentialError::Failed { kind, program, status }),
        Ok(Ok((bytes, _))) => first_line(&bytes).ok_or(CredentialError::Empty { kind, program }),
    }
}

/// The bytes before the first line end; `None` if there are none.
fn first_line(bytes: &[u8]) -> Option<Secret> {
    let end = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]).to_vec();
    (!line.is_empty()).then(|| Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn command(argv: &[&str]) -> Result<Secret, CredentialError> {
        SecretSource::Command(argv.iter().map(|&word| word.to_owned()).collect()).read().await
    }

    #[tokio::test]
    async fn a_command_gives_its_first_line_and_no_shell_sees_it() {
        let secret = command(&["printf", "%s\\nsecond", "$HOME;true"]).await.expect("printed");
        assert_eq!(secret.expose(), b"$HOME;true");
    }

    #[tokio::test]
    async fn a_failing_or_silent_command_is_an_error() {
        assert!(matches!(command(&["false"]).await, Err(CredentialError::Failed { .. })));
        assert!(matches!(command(&["true"]).await, Err(CredentialError::Empty { .. })));
        assert!(matches!(command(&["/nowhere/x"]).await, Err(CredentialError::Start { .. })));
    }

    #[tokio::test]
    async fn a_file_gives_its_first_line_without_the_line_end() {
        let dir = tempfile::tempdir().expect("a directory");
        for (text, want) in [("p w\r\nrest", "p w"), ("plain", "plain")] {
            let path = dir.path().join("pw");
            std::fs::write(&path, text).expect("written");
            let secret = SecretSource::File(path).read().await.expect("read");
            assert_eq!(secret.expose(), want.as_bytes());
        }
    }
}
