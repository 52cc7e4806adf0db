//! Watches the files that the configuration is made of, and reports when they have changed.
//!
//! Folders are watched, not files: editors replace files, and Kubernetes and Nix redirect symbolic
//! links.  Whatever kind of change it is, it is examined once it has settled, and counts only if
//! the content of some file is different.  Without notifications (a network file system, no inotify
//! instances left) the files are read every 30 seconds.  Anything but a regular file counts as
//! missing; a file that cannot be read in time counts as unchanged.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::debug;

use crate::config::fragments_of;
use crate::event as told;
use crate::filesystem::{self, Accepts};
use crate::threads::{self, ThreadError};

/// A change has settled when nothing has happened for this long, ...
const QUIET: Duration = Duration::from_millis(150);
/// ... or at the latest after this.
const PATIENCE: Duration = Duration::from_secs(1);
/// A file that is missing or empty may be about to be rewritten: it gets this much time.
const GAP: Duration = Duration::from_millis(700);
/// How often files are read if there are no notifications.
const POLL: Duration = Duration::from_secs(30);
/// How many symbolic links are followed from one name.
const LINKS: usize = 16;

/// The octets of a file in which a change is noticed; no usable file is longer.
const FILE_LIMIT: u64 = 16 << 20;

/// The contents by file: a digest, or `None` for a file that is missing.
type Contents = BTreeMap<PathBuf, Option<[u8; 32]>>;

/// What is watched: a fixed list of files, and a folder whose `*.toml` files count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The files.
    pub files: BTreeSet<PathBuf>,
    /// The folder, whether or not it exists.
    pub folder: PathBuf,
    /// The digests of files as they were read ([`filesystem::digest`]), so that a change since then counts.
    pub read: BTreeMap<PathBuf, [u8; 32]>,
}

impl Watched {
    /// The contents that the service knows: those that it knew `before`, and those of `now` that are new to the list.
    ///
    /// A file of the folder that the service has not listed is not known: it has appeared since.
    fn known(&self, mut before: Contents, now: Contents) -> Contents {
        before.retain(|path, _| now.contains_key(path));
        now.into_iter().filter(|(path, _)| self.files.contains(path)).for_each(|(path, digest)| {
            before.entry(path).or_insert(digest);
        });
        before.extend(self.read.iter().map(|(path, digest)| (path.clone(), Some(*digest))));
        before
    }
}

/// Watches until the receiver of its messages is gone.  A message means that some content has
/// changed; a new list of files alone causes no message.
pub async fn watch(mut lists: watch::Receiver<Watched>, changes: mpsc::Sender<()>) {
    let mut watched = lists.borrow_and_update().clone();
    let (touched, mut touches) = mpsc::channel(1);
    let mut watcher = Watch::new(touched);
    watcher.follow(&watched).await;
    let now = contents(&watched, &Contents::new()).await;
    let mut known = watched.known(Contents::new(), now);
    let mut is_new = true;
    loop {
        let poll = async { if watcher.is_notified { std::future::pending().await } else { sleep(POLL).await } };
        tokio::select! {
            // Something may have changed between the reading and the watching.
            () = std::future::ready(()), if is_new => is_new = false,
            list = lists.changed() => {
                if list.is_err() {
                    return;
                }
                watched = lists.borrow_and_update().clone();
                // Known contents stay known: a change between reading and watching counts.
                let now = contents(&watched, &known).await;
                known = watched.known(known, now);
            }
            touch = touches.recv() => {
                if touch.is_none() {
                    return;
                }
                settle(&mut touches).await;
            }
            () = poll => {}
            () = changes.closed() => return,
        }
        watcher.follow(&watched).await;
        let mut now = contents(&watched, &known).await;
        if now != known {
            // A file may be half written: it is read again once nothing changes.
            settle(&mut touches).await;
            now = contents(&watched, &known).await;
        }
        if now != known && is_gap(&now, &known) {
            sleep(GAP).await;
            now = contents(&watched, &known).await;
        }
        // Links may lead to other folders now.
        watcher.follow(&watched).await;
        if now != known {
            known = now;
            debug!("the content of a configuration file has changed");
            // A message that is still waiting stands for this one too.  Never wait here: the service may be
            // about to send a list.
            let _ = changes.try_send(());
        }
    }
}

/// Waits until no more notifications come.
async fn settle(touches: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(latest);
        match timeout_at(quiet, touches.recv()).await {
            Ok(Some(())) if Instant::now() < latest => {
                // One notification may stand for many: do not spin on a busy folder.
                sleep_until((Instant::now() + QUIET / 3).min(latest)).await;
            }
            _ => return,
        }
    }
}

/// Whether a file that had content is empty or missing now.
fn is_gap(now: &Contents, before: &Contents) -> bool {
    let empty: [u8; 32] = Sha256::digest([]).into();
    let is_blank = |digest: &Option<[u8; 32]>| digest.is_none_or(|digest| digest == empty);
    before.iter().any(|(path, digest)| !is_blank(digest) && now.get(path).is_none_or(is_blank))
}

async fn contents(watched: &Watched, known: &Contents) -> Contents {
    loop {
        let (watched, known) = (watched.clone(), known.clone());
        match threads::run(move || read_all(&watched, &known)).await {
            Ok(contents) => return contents,
            Err(ThreadError::Panicked(_)) => return Contents::default(),
            // Files that cannot be read now count as unchanged.
            Err(ThreadError::Refused { .. }) => sleep(POLL).await,
        }
    }
}

fn read_all(watched: &Watched, known: &Contents) -> Contents {
    let files = watched.files.iter().cloned().chain(fragments_of(&watched.folder));
    let digest = |path: &Path| match filesystem::read(path, FILE_LIMIT, Accepts::File) {
        Ok(content) => Some(filesystem::digest(&content.octets, content.metadata.mode(), content.metadata.uid())),
        Err(error) if error.is_late() => known.get(path).copied().flatten(),
        Err(_) => None,
    };
    files.map(|path| (path.clone(), digest(&path))).collect()
}

/// The watcher and the folders that it is following.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    /// Whether there are notifications for every folder.
    is_notified: bool,
}

impl Watch {
    fn new(touched: mpsc::Sender<()>) -> Self {
        let handler = move |event: notify::Result<Event>| {
            // Reading is not a change; everything else, including errors and overflows, is examined.
            if event.is_ok_and(|event| matches!(event.kind, EventKind::Access(access) if !is_written(access))) {
                return;
            }
            let _ = touched.try_send(());
        };
        // The watcher starts a thread, and panics if the system refuses it.
        let thread = std::thread::Builder::new().spawn(|| ()).map(|thread| drop(thread.join()));
        let watcher = thread.map_err(notify::Error::io).and_then(|()| notify::recommended_watcher(handler));
        if let Err(error) = &watcher {
            told::Event::FilesNotWatched { folder: None, cause: error.to_string(), every: POLL }.tell();
        }
        Self { watcher: watcher.ok(), folders: BTreeSet::new(), is_notified: false }
    }

    /// Follows the folders of all names that lead to the files, and no others.
    async fn follow(&mut self, watched: &Watched) {
        let Some(watcher) = &mut self.watcher else { return };
        let watched = watched.clone();
        // Without a thread, the previous folders are still followed.
        let Ok((wanted, mut complete)) = threads::run(move || folders(&watched)).await else { return };
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        for folder in &wanted {
            // Each time again: a folder may have been replaced by another one of the same name.
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                if self.is_notified || !self.folders.contains(folder) {
                    let (folder, cause) = (Some(folder.clone()), error.to_string());
                    told::Event::FilesNotWatched { folder, cause, every: POLL }.tell();
                }
                complete = false;
            }
        }
        self.folders = wanted;
        self.is_notified = complete;
    }
}

fn is_written(access: notify::event::AccessKind) -> bool {
    use notify::event::{AccessKind, AccessMode};
    access == AccessKind::Close(AccessMode::Write)
}

/// The folders of everything that is watched, and whether there can be notifications for all of them.
fn folders(watched: &Watched) -> (BTreeSet<PathBuf>, bool) {
    let (mut found, mut complete) = (BTreeSet::new(), true);
    let mut take = |name: &Path, look: fn(&Path) -> Vec<PathBuf>| {
        let own = name.to_owned();
        let look = move || {
            let folders = look(&own);
            let is_far = |folder: &PathBuf| matches!(filesystem::network_kind(folder), Ok(Some(_)));
            let is_near = !folders.iter().any(is_far);
            (folders, is_near)
        };
        match filesystem::in_time(name, filesystem::PATIENCE, look) {
            Ok((folders, is_near)) => {
                found.extend(folders);
                complete &= is_near;
            }
            Err(_) => complete = false,
        }
    };
    watched.files.iter().for_each(|file| take(file, folders_of));
    take(&watched.folder, |folder| folder.is_dir().then(|| folder.to_owned()).into_iter().collect());
    let is_any = !found.is_empty();
    (found, complete && is_any)
}

/// The folder of a file, and those of the links on the way to its content.
fn folders_of(file: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut waiting = vec![file.to_owned()];
    while let Some(path) = waiting.pop() {
        if folders.len() >= LINKS {
            break;
        }
        let Some(parent) = path.parent() else { continue };
        folders.push(parent.to_owned());
        if let Ok(target) = std::fs::read_link(&path) {
            waiting.push(parent.join(target));
        }
        // `..data` of Kubernetes: the folder on the way is the link.
        if let Ok(target) = std::fs::read_link(parent)
            && let Some(above) = parent.parent()
        {
            folders.push(above.to_owned());
            waiting.push(above.join(target).join(path.file_name().unwrap_or_default()));
        }
    }
    folders.retain(|folder| folder.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_every_link_are_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("..2026/x")).expect("made");
        std::fs::write(at("..2026/config.toml"), "").expect("written");
        std::os::unix::fs::symlink("..2026", at("..data")).expect("linked");
        std::os::unix::fs::symlink("..data/config.toml", at("config.toml")).expect("linked");
        let folders = folders_of(&at("config.toml"));
        for folder in [dir.path().to_owned(), at("..data"), at("..2026")] {
            assert!(folders.contains(&folder), "{} in {folders:?}", folder.display());
        }
    }

    #[tokio::test]
    async fn a_file_that_came_before_the_watching_is_a_change() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["config.toml", "new.toml"] {
            std::fs::write(at(name), "").expect("written");
        }
        let files = BTreeSet::from([at("config.toml")]);
        let watched = Watched { files, folder: dir.path().to_owned(), read: BTreeMap::new() };
        let (_lists, list) = watch::channel(watched);
        let (changed, mut changes) = mpsc::channel(1);
        let watching = tokio::spawn(watch(list, changed));
        let told = tokio::time::timeout(Duration::from_secs(30), changes.recv()).await;
        assert_eq!(told, Ok(Some(())), "new.toml is not in the list");
        drop(changes);
        watching.await.expect("it ends with its receiver");
    }

    #[test]
    fn a_file_that_vanishes_or_is_emptied_may_be_about_to_be_written() {
        let digest = |text: &str| Some(Sha256::digest(text).into());
        let contents = |digest| Contents::from([(PathBuf::from("f"), digest)]);
        assert!(is_gap(&contents(None), &contents(digest("a"))));
        assert!(is_gap(&contents(digest("")), &contents(digest("a"))));
        assert!(!is_gap(&contents(digest("b")), &contents(digest("a"))));
        assert!(!is_gap(&contents(None), &contents(None)));
    }
}
