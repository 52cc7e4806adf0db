//! Keeps the service's socket in its place for as long as the service runs.
//!
//! It belongs in the runtime directory.  While that cannot be used (another service's socket is there,
//! or the session's folder is gone), the socket is in the folder `run` of the state directory.  A link
//! in that folder always leads to the socket, so that clients that know the state directory find it.

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
use crate::store::Store;

/// How often the socket's file is checked: cleaners of temporary folders remove it, and so does the
/// end of a login session.
const LOOK: Duration = Duration::from_secs(5);

/// The maximum of concurrent clients that are sending or receiving; clients that wait for the service's work do not
/// count.
const CLIENTS: usize = 256;

/// The service's socket.
#[derive(Debug)]
pub struct Front {
    runtime_dir: PathBuf,
    /// The folder of the fallback, and of the link.
    state_folder: PathBuf,
    door: Option<Door>,
    /// The problem that was reported last.
    told: Option<String>,
}

impl Front {
    /// Makes the socket; if that fails now, [`Front::serve`] tries again.  Needs a runtime.
    pub fn open(runtime_dir: &Path, state_dir: &Path) -> Self {
        let (runtime_dir, state_folder) = (runtime_dir.to_owned(), state_folder(state_dir));
        let mut front = Self { runtime_dir, state_folder, door: None, told: None };
        front.look();
        front
    }

    /// Serves clients until `closing` is ready, then removes the socket.
    pub async fn serve(
        mut self,
        board: Arc<Mutex<Board>>,
        store: Store,
        notes: mpsc::Sender<Note>,
        closing: impl Future<Output = ()>,
    ) {
        let service = Arc::new(Service::new(board, store, notes));
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
                        // Clients that are sending or receiving always make room.
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

    /// Puts the socket where it belongs.
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
            // Without the link, clients that know the runtime directory still find the socket.
            let _ = link(&self.state_folder, &wanted);
        }
    }

    /// Puts the socket in the state directory while its own place cannot be used.
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

    /// Replaces the previous socket with a new one.
    fn enter(&mut self, door: Door) {
        if self.door.is_some() || self.told.is_some() {
            Event::SocketBack { path: door.path().to_owned() }.tell();
        }
        self.told = None;
        if let Some(before) = self.door.replace(door) {
            before.close();
        }
    }

    /// Reports a problem once.
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

/// Makes the link of a folder lead to the socket.
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
