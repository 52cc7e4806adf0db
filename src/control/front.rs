//! Where the service's socket is: kept there for as long as the service runs.
//!
//! It belongs in the runtime directory.  Where that cannot be used (another service's socket, a folder
//! of the session that is gone), it is in the folder `run` of the state directory, and comes back when
//! it can.  A link in that folder always leads to it, so that clients who know the state find it.

use std::io;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use super::address::is_answered;
use super::door::Door;
use super::service::Service;
use super::{Note, socket_path, state_folder};
use crate::event::Event;
use crate::filesystem::private;
use crate::net::Crowd;
use crate::process::status::Board;

/// How often the socket is looked for: cleaners of temporary folders take it away, and the end of a
/// login session does.
const LOOK: Duration = Duration::from_secs(5);

/// Clients at a time that are talking; those that wait for the service's work are not among them.
const CLIENTS: usize = 256;

/// The service's socket.
#[derive(Debug)]
pub struct Front {
    runtime_dir: PathBuf,
    /// Where it is otherwise, and where the link is.
    state_folder: PathBuf,
    door: Option<Door>,
    /// What was complained of last.
    told: Option<String>,
}

impl Front {
    /// Makes the socket; where that is not possible now, it is tried again while it is served.  Needs a
    /// runtime.
    pub fn open(runtime_dir: &Path, state_dir: &Path) -> Self {
        let (runtime_dir, state_folder) = (runtime_dir.to_owned(), state_folder(state_dir));
        let mut front = Self { runtime_dir, state_folder, door: None, told: None };
        front.look();
        front
    }

    /// Serves clients until it is told to close, and removes the socket then.
    pub async fn serve(
        mut self,
        board: Arc<Mutex<Board>>,
        notes: mpsc::Sender<Note>,
        closing: impl Future<Output = ()>,
    ) {
        let service = Arc::new(Service::new(board, notes));
        let mut crowd = Crowd::new(CLIENTS);
        let mut looks = interval(LOOK);
        let mut closing = std::pin::pin!(closing);
        loop {
            tokio::select! {
                biased;
                () = &mut closing => break,
                _ = looks.tick() => self.look(),
                accepted = accept(self.door.as_ref()) => match accepted {
                    Ok((stream, is_closed)) => {
                        // Talking ones always make room.
                        let Some(place) = crowd.admit() else { continue };
                        tokio::spawn(Arc::clone(&service).meet(stream, is_closed, place));
                    }
                    Err(error) => {
                        Event::SocketTrouble { text: format!("the control socket: {error}") }.tell();
                        sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
        self.close();
    }

    /// Sees to it that the socket is where it belongs.
    fn look(&mut self) {
        let wanted = socket_path(&self.runtime_dir);
        let is_there = self.door.as_ref().is_some_and(Door::is_there);
        if !is_there || self.door.as_ref().is_none_or(|door| door.path() != wanted) {
            match Door::open(&self.runtime_dir, self.runtime_dir == self.state_folder) {
                Ok(door) => self.enter(door),
                Err(error) => self.fall_back(is_there, &error),
            }
        }
        if self.door.as_ref().is_some_and(|door| door.path() == wanted) && self.runtime_dir != self.state_folder {
            // Without it the socket is found by whoever knows the runtime directory.
            let _ = link(&self.state_folder, &wanted);
        }
    }

    /// Has the socket in the state directory as long as its own place cannot be used.
    fn fall_back(&mut self, is_there: bool, error: &io::Error) {
        if !is_there {
            self.door =
                if self.runtime_dir == self.state_folder { None } else { Door::open(&self.state_folder, true).ok() };
        }
        let result = match &self.door {
            Some(door) => format!("clients of this user and root can use {}", door.path().display()),
            None => "`status`, `poll` and `reload` cannot reach the service".to_owned(),
        };
        self.tell(format!("no control socket at {}: {error}; {result}", socket_path(&self.runtime_dir).display()));
    }

    /// Takes a new socket in place of the one before.
    fn enter(&mut self, door: Door) {
        if self.door.is_some() || self.told.is_some() {
            Event::SocketBack { path: door.path().to_owned() }.tell();
        }
        self.told = None;
        if let Some(before) = self.door.replace(door) {
            before.close();
        }
    }

    /// Complains once.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            Event::SocketTrouble { text: text.clone() }.tell();
            self.told = Some(text);
        }
    }

    fn close(self) {
        let Some(door) = self.door else { return };
        let link = socket_path(&self.state_folder);
        if std::fs::read_link(&link).is_ok_and(|target| target == door.path()) {
            let _ = std::fs::remove_file(link);
        }
        door.close();
    }
}

async fn accept(door: Option<&Door>) -> io::Result<(UnixStream, bool)> {
    match door {
        Some(door) => {
            let stream = door.accept().await?;
            Ok((stream, door.is_closed_to_others()))
        }
        None => std::future::pending().await,
    }
}

/// Has the link of a folder lead to the socket.
fn link(folder: &Path, socket: &Path) -> io::Result<()> {
    let link = socket_path(folder);
    if std::fs::read_link(&link).is_ok_and(|target| target == socket) {
        return Ok(());
    }
    private::make_folder(folder)?;
    if std::fs::symlink_metadata(&link).is_ok_and(|there| there.file_type().is_socket()) && is_answered(&link) {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let new = folder.join(".control.sock.new");
    let _ = std::fs::remove_file(&new);
    symlink(socket, &new)?;
    std::fs::rename(new, link)
}
