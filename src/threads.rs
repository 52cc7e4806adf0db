//! Threads for work that blocks: as many as there is work for, or as the system allows.
//!
//! How many that is cannot be known beforehand: TasksMax= of a unit, pids-limit of a container and `ulimit
//! -u` count other processes too.  So nothing here depends on a new thread: one is made at the start and
//! kept, and if another is refused, the work waits for its turn.  The turn comes, because work that waits
//! for other work does not belong here.  Work that waits too long for its turn fails with an error.
//!
//! tokio's own threads are not used: if one is refused, tokio leaves the work undone and reports nothing.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::event::Event;
use crate::failure::{Class, Failure, shortage};

/// Threads at a time: one that a dead disk blocks for each of the polls that there may be (10,000), and
/// some more.
const MOST: usize = 10_000 + 512;

/// A thread that has been idle for this long ends.
const KEEP: Duration = Duration::from_secs(10);

/// Threads that are given up after one was refused: commands and the like count against the same limit.
const SPARE: usize = 4;

/// How long no more threads are asked for then.
const PAUSE: Duration = Duration::from_secs(60);

/// A refusal is logged again once more than this many threads were added after the last one.
const NEWS: usize = 8;

/// How long work waits for its turn if its caller sets no limit.
const PATIENCE: Duration = Duration::from_secs(60);

/// Work that was not done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ThreadError {
    /// No thread became free in time.
    #[error("no thread is free: {cause}")]
    Refused {
        /// How many threads are busy, and what the system said.
        cause: String,
    },
    /// The work panicked: a bug.
    #[error("a thread has panicked: {0}")]
    Panicked(String),
}

impl Failure for ThreadError {
    fn class(&self) -> Class {
        Class::TryLater
    }

    fn is_shortage(&self) -> bool {
        matches!(self, ThreadError::Refused { .. })
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            ThreadError::Refused { .. } => shortage(),
            ThreadError::Panicked(_) => "Please report it.  Nothing was lost or deleted.".to_owned(),
        })
    }
}

/// Makes the first thread, which is kept for good.
///
/// # Errors
/// The system refuses it.
pub(crate) fn start() -> io::Result<()> {
    POOL.start()
}

/// Does work on a thread that may block.  If the future is dropped before its turn, it is not done.
///
/// # Errors
/// Its turn has not come in time, or it has panicked.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ThreadError> {
    run_until(Instant::now() + PATIENCE, work).await
}

/// The same; its turn has to come before `limit`.  Work that has begun is awaited.
///
/// # Errors
/// As [`run`].
pub(crate) async fn run_until<T: Send + 'static>(
    limit: Instant,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ThreadError> {
    POOL.run_until(limit, work).await
}

/// Waits for the work in progress, at the end of the process, but not longer than `limit`.
pub(crate) fn settle(limit: Duration) {
    POOL.settle(limit);
}

static POOL: LazyLock<Pool> = LazyLock::new(|| Pool::new(begin_thread));

type Job = Box<dyn FnOnce() + Send>;

/// Begins a thread that serves a pool.
type Begin = fn(&'static Pool) -> io::Result<()>;

fn begin_thread(pool: &'static Pool) -> io::Result<()> {
    std::thread::Builder::new().name("work".into()).spawn(|| pool.serve()).map(drop)
}

struct Pool {
    state: Mutex<State>,
    /// There is work.
    work: Condvar,
    /// A thread has nothing to do.
    rest: Condvar,
    begin: Begin,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for work.
    idle: usize,
    refusal: Option<Refusal>,
}

/// The system has refused a thread.
struct Refusal {
    cause: String,
    /// No more threads than this ...
    most: usize,
    /// ... until then, ...
    until: Instant,
    /// ... when this many more are tried.
    step: usize,
}

impl State {
    /// Whether another thread may be asked for.
    fn may_grow(&mut self, now: Instant) -> bool {
        let Some(refusal) = &mut self.refusal else { return self.threads < MOST };
        if self.threads >= refusal.most && now >= refusal.until {
            refusal.most += refusal.step;
            refusal.step *= 2;
            refusal.until = now + PAUSE;
        }
        self.threads < refusal.most.min(MOST)
    }

    /// Notes that a thread was refused.
    fn refuse(&mut self, cause: &io::Error, now: Instant) {
        if self.refusal.as_ref().is_none_or(|before| before.step > NEWS) {
            Event::ThreadsLimited { threads: self.threads as u64, cause: cause.to_string() }.tell();
        }
        let most = self.threads.saturating_sub(SPARE).max(1);
        self.refusal = Some(Refusal { cause: cause.to_string(), most, until: now + PAUSE, step: 1 });
    }

    /// Whether this thread should end: there are too many, and another one is idle.  Busy threads may be
    /// blocked by a dead disk.
    fn is_over(&self) -> bool {
        self.idle > 0 && self.refusal.as_ref().is_some_and(|refusal| self.threads > refusal.most)
    }
}

impl Pool {
    fn new(begin: Begin) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), rest: Condvar::new(), begin }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&'static self) -> io::Result<()> {
        let mut state = self.lock();
        if state.threads == 0 {
            (self.begin)(self)?;
            state.threads = 1;
        }
        Ok(())
    }

    async fn run_until<T: Send + 'static>(
        &'static self,
        limit: Instant,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ThreadError> {
        let (begins, mut begun) = oneshot::channel();
        let (done, result) = oneshot::channel();
        self.put(Box::new(move || {
            // The caller may have stopped waiting.
            if begins.send(()).is_ok() {
                let _ = done.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }))?;
        if timeout_at(limit, &mut begun).await.is_err() {
            begun.close();
            // It may have begun at this moment.
            if begun.try_recv().is_err() {
                return Err(self.refused());
            }
        }
        match result.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(ThreadError::Panicked(text(&*panic))),
            Err(_) => Err(ThreadError::Panicked("its result was lost".to_owned())),
        }
    }

    /// Puts work into the queue, and makes sure that there is a thread for it.
    fn put(&'static self, job: Job) -> Result<(), ThreadError> {
        let mut state = self.lock();
        state.queue.push_back(job);
        if state.queue.len() > state.idle && state.may_grow(Instant::now()) {
            match (self.begin)(self) {
                Ok(()) => state.threads += 1,
                Err(cause) => state.refuse(&cause, Instant::now()),
            }
        }
        if state.threads == 0 {
            state.queue.pop_back();
            drop(state);
            return Err(self.refused());
        }
        self.work.notify_one();
        Ok(())
    }

    fn refused(&self) -> ThreadError {
        let state = self.lock();
        let said = |refusal: &Refusal| format!(", and the system allows no more ({})", refusal.cause);
        let said = state.refusal.as_ref().map_or(String::new(), said);
        ThreadError::Refused { cause: format!("{} are busy{said}", state.threads) }
    }

    /// The main loop of a thread.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                let _ = catch_unwind(AssertUnwindSafe(job));
                state = self.lock();
                if state.is_over() {
                    break;
                }
                continue;
            }
            state.idle += 1;
            self.rest.notify_all();
            // The last thread stays.
            let keep = if state.threads == 1 { Duration::MAX } else { KEEP };
            let (woken, waited) = self.work.wait_timeout(state, keep).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
    }

    fn settle(&self, limit: Duration) {
        let is_busy = |state: &mut State| !state.queue.is_empty() || state.idle < state.threads;
        let _ = self.rest.wait_timeout_while(self.lock(), limit, is_busy);
    }
}

/// The message of a panic.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it does not say why".to_owned())
}

#[cfg(test)]
mod tests;
