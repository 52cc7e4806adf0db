//! The local socket: `status`, `poll`, `fetch`, `reload`, `stop`, as lines of JSON.
//!
//! It is for this user, root, and the members of the socket's group.  A request is bounded in
//! size and time, and so is the number of clients.  Each client is served by a task that reads the
//! [`Board`](crate::process::status::Board) and leaves notes for the service's loop: nothing a client does, or
//! fails to do, can delay the work.  Clients that wait for a poll do not count against those that send a request.

mod address;
mod door;
mod front;
mod service;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

pub use address::connect;
pub use front::Front;

use crate::message::Name;
use crate::poll::Summary;
use crate::process::status::Status;
use crate::progress::Snapshot;

/// A client's request: one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// Report what the service is doing.
    Status,
    /// Poll these accounts now, or all if none is named; answered at once.
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
        /// A person is watching: poll also accounts whose login was refused.
        #[serde(default)]
        insists: bool,
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
    /// What the service is doing.
    Status(Box<Status>),
    /// The progress of a poll.
    Progress {
        /// The account.
        account: String,
        /// The poll's counters.
        snapshot: Snapshot,
    },
    /// How a poll ended.
    Ended(Box<Summary>),
    /// The request is done.
    Done,
    /// The request has failed.
    Failed {
        /// The reason.
        error: String,
        /// The exit code, as in sysexits(3).
        exit_code: u8,
    },
}

/// A note for the service's loop.
#[derive(Debug)]
pub enum Note {
    /// Poll these now, and report how each poll ended.
    Poll {
        /// Accounts; empty: all.
        accounts: Vec<Name>,
        /// Receives the results.
        results: Option<mpsc::UnboundedSender<Summary>>,
        /// Poll also accounts whose login was refused.
        insists: bool,
    },
    /// Read the configuration again, and report what is wrong with it.
    Reload(oneshot::Sender<Result<(), String>>),
    /// End the service.
    Stop,
}

/// The socket of a runtime directory, or of the [`state_folder`], where it may be a link to the former.
pub fn socket_path(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// The folder in a state directory where the socket of that directory's service, or a link to it, always is.
pub fn state_folder(state_dir: &Path) -> PathBuf {
    state_dir.join("run")
}
