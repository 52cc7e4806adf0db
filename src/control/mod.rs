//! The local socket: `status`, `poll`, `fetch`, `reload`, `stop`, as lines of JSON.
//!
//! It is for this user, root, and whoever the socket's group lets in.  A request is bounded in
//! size and time, so is the number of clients, and each is a task of its own that reads the
//! [`Board`] and leaves notes for the service's loop: nothing a client does, or fails to do, can
//! hold up the work.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{interval, timeout};
use tracing::warn;

use crate::failure::Class;
use crate::message::Name;
use crate::poll::{Snapshot, Summary};
use crate::status::{Board, Status};

/// Octets of a request: thousands of account names.
const REQUEST_LIMIT: u64 = 256 * 1024;
/// Time for a request to come, and for a line to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Clients at a time; more are turned away.
const CLIENTS: usize = 32;
/// How often progress is told.
const FRAME: Duration = Duration::from_millis(100);

/// What a client asks for: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// What the service is doing.
    Status,
    /// Poll these accounts now, all if none is named; answered at once.
    Poll {
        /// Names.
        #[serde(default)]
        accounts: Vec<String>,
    },
    /// The same, answered with progress and results.
    Fetch {
        /// Names.
        #[serde(default)]
        accounts: Vec<String>,
    },
    /// Read the configuration again.
    Reload,
    /// End the service.
    Stop,
}

/// What the service answers: one line, or for `fetch` many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// What it is doing.
    Status(Box<Status>),
    /// How far a poll is.
    Progress {
        /// The account.
        account: String,
        /// How far.
        snapshot: Snapshot,
    },
    /// How a poll ended.
    Ended(Box<Summary>),
    /// It is done.
    Done,
    /// It is not done.
    Failed {
        /// Why.
        error: String,
        /// As sysexits(3) has it.
        exit_code: u8,
    },
}

/// A note for the service's loop.
#[derive(Debug)]
pub enum Note {
    /// Poll these now, and tell how each ended.
    Poll {
        /// Accounts; empty: all.
        accounts: Vec<Name>,
        /// Where results go.
        results: Option<mpsc::UnboundedSender<Summary>>,
    },
    /// Read the configuration again, and say what is wrong with it.
    Reload(oneshot::Sender<Result<(), String>>),
    /// End.
    Stop,
}

/// The socket of a runtime directory.
pub fn socket_path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("control.sock")
}

/// Makes the socket, 0660, in place of one that a dead process has left.
///
/// # Errors
/// The folder cannot be made or used, or another service answers there.
pub fn bind(runtime_dir: &Path) -> io::Result<UnixListener> {
    match std::fs::DirBuilder::new().mode(0o755).create(runtime_dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let path = socket_path(runtime_dir);
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another postrider answers there"));
            }
            std::fs::remove_file(&path)?;
        }
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is no socket")),
        Err(_) => {}
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Serves clients for ever.
pub async fn serve(listener: UnixListener, board: Arc<Mutex<Board>>, notes: mpsc::Sender<Note>) {
    let room = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!("the control socket: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        // One too many is closed, and tries again.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (board, notes) = (Arc::clone(&board), notes.clone());
        tokio::spawn(async move {
            let _ = client(stream, &board, &notes).await;
            drop(permit);
        });
    }
}

async fn client(stream: UnixStream, board: &Mutex<Board>, notes: &mpsc::Sender<Note>) -> io::Result<()> {
    let allowed = stream.peer_cred().is_ok_and(|peer| is_allowed(peer.uid(), peer.gid()));
    let (read, mut write) = stream.into_split();
    if !allowed {
        return say(&mut write, &refusal("you are not allowed to use this socket", 77)).await;
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new(read.take(REQUEST_LIMIT));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    match serde_json::from_slice(&line) {
        Err(error) => say(&mut write, &refusal(&format!("not a request: {error}"), 76)).await,
        Ok(request) => answer(request, board, notes, &mut write).await,
    }
}

/// This user, root, and the members of our group, which the socket's mode lets in.
fn is_allowed(uid: u32, gid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw() || gid == rustix::process::getegid().as_raw()
}

async fn answer(
    request: Request,
    board: &Mutex<Board>,
    notes: &mpsc::Sender<Note>,
    write: &mut OwnedWriteHalf,
) -> io::Result<()> {
    match request {
        Request::Status => {
            let status = look(board).status();
            say(write, &Reply::Status(Box::new(status))).await
        }
        Request::Poll { accounts } => match names(&accounts, board) {
            Err(reply) => say(write, &reply).await,
            Ok(accounts) => note(write, notes, Note::Poll { accounts, results: None }).await,
        },
        Request::Fetch { accounts } => match names(&accounts, board) {
            Err(reply) => say(write, &reply).await,
            Ok(accounts) => fetch(accounts, board, notes, write).await,
        },
        Request::Reload => {
            let (result, answer) = oneshot::channel();
            if leave(notes, Note::Reload(result)).await.is_err() {
                return say(write, &busy()).await;
            }
            match answer.await {
                Ok(Ok(())) => say(write, &Reply::Done).await,
                Ok(Err(error)) => say(write, &refusal(&error, Class::Configuration.exit_code())).await,
                Err(_) => say(write, &busy()).await,
            }
        }
        Request::Stop => note(write, notes, Note::Stop).await,
    }
}

fn look(board: &Mutex<Board>) -> std::sync::MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Accounts by their names, all that are enabled if none is named.
fn names(accounts: &[String], board: &Mutex<Board>) -> Result<Vec<Name>, Reply> {
    let board = look(board);
    let known = |name: &String| {
        let found = Name::new(name).filter(|name| board.accounts.contains_key(name));
        found.ok_or_else(|| refusal(&format!("the service has no account {name:?}"), 64))
    };
    accounts.iter().map(known).collect()
}

/// Tells progress until every poll has ended.
async fn fetch(
    accounts: Vec<Name>,
    board: &Mutex<Board>,
    notes: &mpsc::Sender<Note>,
    write: &mut OwnedWriteHalf,
) -> io::Result<()> {
    let (results, mut ended) = mpsc::unbounded_channel();
    if leave(notes, Note::Poll { accounts, results: Some(results) }).await.is_err() {
        return say(write, &busy()).await;
    }
    let mut frames = interval(FRAME);
    loop {
        tokio::select! {
            biased;
            summary = ended.recv() => match summary {
                Some(summary) => say(write, &Reply::Ended(Box::new(summary))).await?,
                None => return say(write, &Reply::Done).await,
            },
            _ = frames.tick() => {
                let running: Vec<(String, Snapshot)> = {
                    let board = look(board);
                    board.running.iter().map(|(name, progress)| (name.to_string(), progress.snapshot())).collect()
                };
                for (account, snapshot) in running {
                    say(write, &Reply::Progress { account, snapshot }).await?;
                }
            }
        }
    }
}

async fn note(write: &mut OwnedWriteHalf, notes: &mpsc::Sender<Note>, note: Note) -> io::Result<()> {
    match leave(notes, note).await {
        Ok(()) => say(write, &Reply::Done).await,
        Err(()) => say(write, &busy()).await,
    }
}

async fn leave(notes: &mpsc::Sender<Note>, note: Note) -> Result<(), ()> {
    timeout(PATIENCE, notes.send(note)).await.map_err(|_| ())?.map_err(|_| ())
}

fn busy() -> Reply {
    refusal("the service is ending or busy", Class::TryLater.exit_code())
}

fn refusal(error: &str, exit_code: u8) -> Reply {
    Reply::Failed { error: error.to_owned(), exit_code }
}

async fn say(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    timeout(PATIENCE, write.write_all(&line)).await?
}
