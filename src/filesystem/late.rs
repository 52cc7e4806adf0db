//! Work on the file system that must not block its caller.
//!
//! A system call on an unreachable network disk does not return, and nothing can end it.  So it runs
//! on a thread of its own, which is left behind when it takes too long.  Each name leaves at most one
//! such thread behind: until that returns, the next call for the same name fails at once.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

/// Time for the disk: one that spins up needs a few seconds, and a network disk needs more to retry.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The same while another name is late: there may be thousands on one disk.
const LITTLE_PATIENCE: Duration = Duration::from_secs(2);

/// The work needs little; thousands of threads may be left behind.
const STACK_OCTETS: usize = 256 * 1024;

/// How many threads are left behind for each name.
static LEFT: Mutex<BTreeMap<PathBuf, usize>> = Mutex::new(BTreeMap::new());

/// Nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing came within {} s (a network disk that hangs?)", limit.as_secs())]
pub(crate) struct Late {
    /// The time that it had.
    pub limit: Duration,
}

/// The system cannot start a thread now.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread: {0}")]
pub(super) struct NoThread(io::Error);

/// Does `work` for a name and waits for it, but not for ever.  For callers that may block: where no
/// thread can be started, they do the work themselves.
///
/// # Errors
/// [`Late`] as an [`io::Error`] of the kind `TimedOut`.
pub(crate) fn in_time<T: Send + 'static>(
    name: &Path,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (deliver, result) = mpsc::sync_channel(1);
    let work = Arc::new(Mutex::new(Some(work)));
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&work);
    let started = start(
        name,
        patience,
        move || take(&theirs).map(|work| work()),
        move |made| {
            drop(deliver.send(made));
        },
    );
    let (mut ticket, limit) = match started {
        Err(error) if is_no_thread(&error) => return take(&work).map(|work| work()).ok_or(error),
        started => started?,
    };
    let made = result.recv_timeout(limit).map_err(|_| late(limit))?;
    ticket.is_done = true;
    made.ok_or_else(|| io::Error::other("the thread ended without a result"))
}

fn is_no_thread(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<NoThread>())
}

/// The same without blocking the caller's thread.
///
/// # Errors
/// As [`in_time`], or no thread can be started.
pub(crate) async fn in_time_async<T: Send + 'static>(
    name: &Path,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (deliver, result) = tokio::sync::oneshot::channel();
    let (mut ticket, limit) = start(name, patience, work, move |made| drop(deliver.send(made)))?;
    let made = tokio::time::timeout(limit, result).await.map_err(|_| late(limit))?;
    ticket.is_done = true;
    made.map_err(|_| io::Error::other("the thread that read it panicked"))
}

fn late(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, Late { limit })
}

fn start<T: Send + 'static>(
    name: &Path,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
    deliver: impl FnOnce(T) + Send + 'static,
) -> io::Result<(Ticket, Duration)> {
    let limit = {
        let left = left();
        if left.contains_key(name) {
            return Err(late(patience));
        }
        if left.is_empty() || patience > PATIENCE { patience } else { patience.min(LITTLE_PATIENCE) }
    };
    let work_at = Arc::new(WorkAt { name: name.to_owned(), stage: Mutex::new(Stage::Running) });
    let ended = Ended(Arc::clone(&work_at));
    let thread = std::thread::Builder::new().name("file".into()).stack_size(STACK_OCTETS);
    let started = thread.spawn(move || {
        // Dropped also if the work panics.
        let _ended = ended;
        deliver(work());
    });
    started.map_err(|error| io::Error::new(error.kind(), NoThread(error)))?;
    Ok((Ticket { work_at, is_done: false }, limit))
}

/// One piece of work, shared by the thread that does it and the caller that waits.
struct WorkAt {
    name: PathBuf,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// The caller no longer waits.
    Left,
    Ended,
}

/// Held by the caller that waits.
struct Ticket {
    work_at: Arc<WorkAt>,
    is_done: bool,
}

impl Drop for Ticket {
    /// A caller that gives up, for any reason, leaves the thread behind.
    fn drop(&mut self) {
        let mut stage = self.work_at.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_done && *stage == Stage::Running {
            *stage = Stage::Left;
            *left().entry(self.work_at.name.clone()).or_default() += 1;
        }
    }
}

/// Held by the thread.
struct Ended(Arc<WorkAt>);

impl Drop for Ended {
    fn drop(&mut self) {
        let mut stage = self.0.stage.lock().unwrap_or_else(PoisonError::into_inner);
        if *stage == Stage::Left {
            let mut left = left();
            if let Some(count) = left.get_mut(&self.0.name) {
                *count -= 1;
                if *count == 0 {
                    left.remove(&self.0.name);
                }
            }
        }
        *stage = Stage::Ended;
    }
}

fn left() -> MutexGuard<'static, BTreeMap<PathBuf, usize>> {
    LEFT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    /// Work that ends when the sender is dropped, at a name of its own.
    fn stuck(name: &Path) -> (mpsc::Sender<()>, io::Result<u8>) {
        let (release, released) = mpsc::channel::<()>();
        let work = move || {
            let _ = released.recv();
            1
        };
        (release, in_time(name, SHORT, work))
    }

    fn is_late<T>(result: &io::Result<T>) -> bool {
        matches!(result, Err(error) if error.kind() == io::ErrorKind::TimedOut)
    }

    /// Waits for a thread that was left behind to end.
    fn until_free(name: &Path) {
        while left().contains_key(name) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_does_not_come_back_leaves_one_thread_and_is_asked_again_once_that_has_ended() {
        let name = Path::new("/late/one");
        let (release, result) = stuck(name);
        assert!(is_late(&result));
        let again = in_time(name, PATIENCE, || panic!("no second thread"));
        assert!(is_late::<u8>(&again));
        assert!(matches!(in_time(Path::new("/late/other"), PATIENCE, || 2), Ok(2)), "another name is not held up");
        drop(release);
        until_free(name);
        assert!(matches!(in_time(name, PATIENCE, || 3), Ok(3)));
    }

    #[tokio::test]
    async fn whoever_gives_up_earlier_leaves_the_thread_behind_as_well() {
        let name = Path::new("/late/dropped");
        let (release, released) = mpsc::channel::<()>();
        let work = move || released.recv().is_ok();
        let given_up = tokio::time::timeout(SHORT, in_time_async(name, PATIENCE, work)).await;
        assert!(given_up.is_err());
        assert!(is_late(&in_time_async(name, PATIENCE, || true).await));
        drop(release);
        until_free(name);
        assert!(in_time_async(name, PATIENCE, || ()).await.is_ok());
    }
}
