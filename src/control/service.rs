//! Answers the clients of the socket.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, interval, timeout};

use super::{Note, Reply, Request};
use crate::failure::Class;
use crate::message::Name;
use crate::net::Seat;
use crate::poll::Summary;
use crate::process::status::{Board, State, Status};
use crate::progress::Snapshot;
use crate::store::Store;

/// The maximum octets of a request: thousands of account names.
const REQUEST_LIMIT: u64 = 256 * 1024;

/// How long a client may take to send its request, and to receive a line.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer waits for what is on the disk.
const DISK_LIMIT: Duration = Duration::from_secs(2);

/// How old an answer to `status` may be that another client gets, too.
const FRESH: Duration = Duration::from_millis(50);

/// How often progress is sent, if there is any.
const FRAME: Duration = Duration::from_millis(100);

/// How often something is sent in any case; a client gives up after half a minute of silence.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// The maximum of concurrent clients that wait for polls.
const FETCHES: usize = 512;

/// The maximum of concurrent clients whose note the loop has not taken, or not answered, yet.
const NOTES: usize = 64;

/// What the answers to clients are made from.
pub(super) struct Service {
    board: Arc<Mutex<Board>>,
    store: Store,
    notes: mpsc::Sender<Note>,
    fetches: Semaphore,
    waiting: Semaphore,
    /// The last answer to `status`, as long as a client is reading it, and when it was made.
    last: tokio::sync::Mutex<(Instant, Weak<Vec<u8>>)>,
}

impl Service {
    pub(super) fn new(board: Arc<Mutex<Board>>, store: Store, notes: mpsc::Sender<Note>) -> Self {
        Self {
            board,
            store,
            notes,
            fetches: Semaphore::new(FETCHES),
            waiting: Semaphore::new(NOTES),
            last: (Instant::now(), Weak::new()).into(),
        }
    }

    /// Answers one client, unless it loses its place to another one.
    pub(super) async fn meet(self: Arc<Self>, stream: UnixStream, is_closed_to_others: bool, place: Seat) {
        let peer = stream.peer_cred();
        let is_allowed = peer.is_ok_and(|peer| is_closed_to_others || is_allowed(peer.uid(), peer.gid()));
        let (read, mut write) = stream.into_split();
        let is_lost = tokio::select! {
            _ = self.client(read, &mut write, is_allowed, &place) => false,
            () = place.lost() => true,
        };
        if is_lost {
            // As much as the socket takes at once.
            let _ = line(&busy("too many clients talk to the service")).map(|line| write.try_write(&line));
        }
    }

    async fn client(
        &self,
        read: OwnedReadHalf,
        write: &mut OwnedWriteHalf,
        is_allowed: bool,
        place: &Seat,
    ) -> io::Result<()> {
        if !is_allowed {
            return say(write, &refusal("you are not allowed to use this socket", 77)).await;
        }
        let mut line = Vec::new();
        let mut reader = BufReader::new(read.take(REQUEST_LIMIT));
        timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
        match serde_json::from_slice(&line) {
            Err(error) => say(write, &refusal(&format!("not a request: {error}"), 76)).await,
            Ok(request) => self.answer(request, write, place).await,
        }
    }

    async fn answer(&self, request: Request, write: &mut OwnedWriteHalf, place: &Seat) -> io::Result<()> {
        let reply = match request {
            Request::Status => {
                let line = self.status_line().await?;
                return timeout(PATIENCE, write.write_all(&line)).await?;
            }
            Request::Poll { accounts } => match self.names(&accounts) {
                Err(reply) => reply,
                Ok(accounts) => {
                    // A client that names an account wants it polled even if its login was refused.
                    let insists = !accounts.is_empty();
                    self.order(Note::Poll { accounts, results: None, insists }, place).await
                }
            },
            Request::Fetch { accounts, insists } => match self.names(&accounts) {
                Err(reply) => reply,
                Ok(accounts) => return self.fetch(accounts, insists, write, place).await,
            },
            Request::Reload => self.reload(place).await,
            Request::Stop => self.order(Note::Stop, place).await,
        };
        say(write, &reply).await
    }

    /// What the service is doing, with what is not delivered, as far as the disk gives it in time.
    async fn status(&self) -> Status {
        let backlog = timeout(DISK_LIMIT, self.store.backlog()).await;
        let mut status = self.look().status();
        if let Ok(Ok(backlog)) = backlog {
            status.add(backlog);
        }
        status
    }

    /// The answer to `status`, shared by clients that ask at the same time: it may be long.
    async fn status_line(&self) -> io::Result<Arc<Vec<u8>>> {
        let mut last = self.last.lock().await;
        if let Some(line) = last.1.upgrade().filter(|_| last.0.elapsed() < FRESH) {
            return Ok(line);
        }
        let began = Instant::now();
        let line = Arc::new(line(&Reply::Status(Box::new(self.status().await)))?);
        *last = (began, Arc::downgrade(&line));
        Ok(line)
    }

    fn look(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The accounts with these names; no name means all that are enabled.  An unknown name is an error.
    fn names(&self, accounts: &[String]) -> Result<Vec<Name>, Reply> {
        let board = self.look();
        let known = |name: &String| {
            let found = Name::new(name).filter(|name| board.accounts.contains_key(name));
            found.ok_or_else(|| refusal(&format!("the service has no account {name:?}"), 64))
        };
        accounts.iter().map(known).collect()
    }

    async fn order(&self, note: Note, place: &Seat) -> Reply {
        let Some(_waiting) = wait_in(&self.waiting, place) else { return too_many() };
        self.leave(note).await.map_or_else(|reply| reply, |()| Reply::Done)
    }

    async fn reload(&self, place: &Seat) -> Reply {
        let Some(_waiting) = wait_in(&self.waiting, place) else { return too_many() };
        let (result, answer) = oneshot::channel();
        if let Err(reply) = self.leave(Note::Reload(result)).await {
            return reply;
        }
        match answer.await {
            Ok(Ok(())) => Reply::Done,
            Ok(Err(error)) => refusal(&error, Class::Configuration.exit_code()),
            Err(_) => ending(),
        }
    }

    /// Sends progress until every poll has ended.
    async fn fetch(
        &self,
        accounts: Vec<Name>,
        insists: bool,
        write: &mut OwnedWriteHalf,
        place: &Seat,
    ) -> io::Result<()> {
        let Some(_waiting) = wait_in(&self.fetches, place) else { return say(write, &too_many()).await };
        let (results, mut ended) = mpsc::unbounded_channel();
        let mut watched = Watched::new(&accounts);
        if let Err(reply) = self.leave(Note::Poll { accounts, results: Some(results), insists }).await {
            return say(write, &reply).await;
        }
        let mut frames = interval(FRAME);
        loop {
            tokio::select! {
                biased;
                summary = ended.recv() => match summary {
                    Some(summary) => {
                        watched.ended(&summary);
                        say(write, &Reply::Ended(Box::new(summary))).await?;
                    }
                    None => return say(write, &Reply::Done).await,
                },
                _ = frames.tick() => {
                    let news = watched.news(&self.look(), Instant::now());
                    for (name, snapshot) in news {
                        say(write, &Reply::Progress { account: name.to_string(), snapshot }).await?;
                    }
                }
            }
        }
    }

    async fn leave(&self, note: Note) -> Result<(), Reply> {
        timeout(PATIENCE, self.notes.send(note)).await.map_err(|_| ending())?.map_err(|_| ending())
    }
}

/// What a client that waits for polls has been sent about them.
struct Watched {
    /// The accounts that the client waits for; `None`: all.
    wanted: Option<BTreeSet<Name>>,
    over: BTreeSet<Name>,
    told: HashMap<Name, Snapshot>,
    last: Instant,
}

impl Watched {
    fn new(accounts: &[Name]) -> Self {
        let wanted = (!accounts.is_empty()).then(|| accounts.iter().cloned().collect());
        Self { wanted, over: BTreeSet::new(), told: HashMap::new(), last: Instant::now() }
    }

    fn ended(&mut self, summary: &Summary) {
        self.over.extend(Name::new(&summary.account));
    }

    fn concerns(&self, name: &Name) -> bool {
        !self.over.contains(name) && self.wanted.as_ref().is_none_or(|wanted| wanted.contains(name))
    }

    /// What has changed since it was last sent; after a while of silence, anything at all.
    fn news(&mut self, board: &Board, now: Instant) -> Vec<(Name, Snapshot)> {
        let running = board.running.iter().filter(|(name, _)| self.concerns(name));
        let running = running.map(|(name, progress)| (name, progress.snapshot()));
        let mut news: Vec<(Name, Snapshot)> = running
            .filter(|(name, snapshot)| self.told.get(*name) != Some(snapshot))
            .map(|(name, snapshot)| (name.clone(), snapshot))
            .collect();
        if news.is_empty() && now.duration_since(self.last) >= SIGN_OF_LIFE {
            let enabled = board.accounts.iter().filter(|(_, account)| account.state != State::Disabled);
            let waiting = board.running.keys().chain(enabled.map(|(name, _)| name)).find(|name| self.concerns(name));
            let snapshot = |name: &Name| board.running.get(name).map_or_else(Snapshot::default, |now| now.snapshot());
            news.extend(waiting.map(|name| (name.clone(), snapshot(name))));
        }
        if !news.is_empty() {
            self.last = now;
        }
        self.told.extend(news.iter().cloned());
        news
    }
}

/// This user, root, and members of our group, as far as the connection's credentials show.
fn is_allowed(uid: u32, gid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw() || gid == rustix::process::getegid().as_raw()
}

/// Moves a client from the places of active clients to those of waiting ones.
fn wait_in<'a>(room: &'a Semaphore, place: &Seat) -> Option<SemaphorePermit<'a>> {
    let permit = room.try_acquire().ok()?;
    place.leave();
    Some(permit)
}

fn too_many() -> Reply {
    busy("too many clients wait for the service")
}

fn ending() -> Reply {
    busy("the service is ending or busy")
}

fn busy(error: &str) -> Reply {
    refusal(error, Class::TryLater.exit_code())
}

fn refusal(error: &str, exit_code: u8) -> Reply {
    Reply::Failed { error: error.to_owned(), exit_code }
}

fn line(reply: &Reply) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    Ok(line)
}

async fn say(write: &mut OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    timeout(PATIENCE, write.write_all(&line(reply)?)).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::status::AccountStatus;
    use crate::progress::{Phase, Progress};

    fn name(text: &str) -> Name {
        Name::new(text).expect("a name")
    }

    #[test]
    fn who_waits_is_told_what_is_new_and_after_a_while_that_the_service_is_there() {
        let accounts = ["a", "b", "off"].map(|text| {
            let state = if text == "off" { State::Disabled } else { State::Idle };
            (name(text), AccountStatus { state, ..AccountStatus::default() })
        });
        let progress = Arc::new(Progress::default());
        let mut board = Board { accounts: accounts.into(), ..Board::default() };
        board.running.insert(name("b"), Arc::clone(&progress));
        let began = Instant::now();
        let told = |watched: &mut Watched, after: u64| -> Vec<(String, Phase)> {
            let news = watched.news(&board, began + Duration::from_millis(after));
            news.into_iter().map(|(name, snapshot)| (name.to_string(), snapshot.phase)).collect()
        };
        let (mut all, mut first) = (Watched::new(&[]), Watched::new(&[name("a")]));
        assert_eq!(told(&mut all, 0), [("b".to_owned(), Phase::Waiting)]);
        assert_eq!(told(&mut all, 100), []);
        progress.enter(Phase::Fetching);
        assert_eq!(told(&mut all, 200), [("b".to_owned(), Phase::Fetching)]);
        assert_eq!(told(&mut all, 5100), []);
        assert_eq!(told(&mut all, 5200), [("b".to_owned(), Phase::Fetching)]);
        // There is no news of an account that is not polled yet.
        assert_eq!(told(&mut first, 4000), []);
        assert_eq!(told(&mut first, 6000), [("a".to_owned(), Phase::Waiting)]);
        all.ended(&Summary { account: "b".into(), ..Summary::default() });
        assert_eq!(told(&mut all, 20_000), [("a".to_owned(), Phase::Waiting)]);
        all.ended(&Summary { account: "a".into(), ..Summary::default() });
        assert_eq!(told(&mut all, 40_000), []);
    }
}
