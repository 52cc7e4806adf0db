//! The local socket: `status`, `poll`, `fetch`, `reload`, `stop`, as lines of JSON.
//!
//! It is for this user, root, and whoever the socket's group lets in.  A request is bounded in
//! size and time, so is the number of clients, and each is a task of its own that reads the
//! [`Board`](crate::process::status::Board) and leaves notes for the service's loop: nothing a client does, or
//! fails to do, can hold up the work.  Those that wait for a poll take no place of those that ask.

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
        /// Somebody looks on: also those whose login was refused.
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
        /// Also those whose login was refused.
        insists: bool,
    },
    /// Read the configuration again, and say what is wrong with it.
    Reload(oneshot::Sender<Result<(), String>>),
    /// End.
    Stop,
}

/// The socket of a runtime directory, or of the [`state_folder`], where it may be a link to it.
pub fn socket_path(folder: &Path) -> PathBuf {
    folder.join("control.sock")
}

/// The folder of a state directory from which the socket of the service that has it is always found.
pub fn state_folder(state_dir: &Path) -> PathBuf {
    state_dir.join("run")
}
