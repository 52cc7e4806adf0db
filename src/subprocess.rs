//! Commands that the operator names: they are started, and leave nothing behind.
//!
//! Each has a process group of its own.  When it is no longer waited for, because it is late, its
//! poll is over or the program ends, the whole group is killed: a script's children hold its output
//! open, and every poll would leave one more.  What a command was allowed to leave behind is
//! inherited by process 1, which may be this one.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use nix::sys::wait::{Id, WaitPidFlag, waitid as wait_for};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, child_subreaper, getpid, kill_process_group, waitid};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

/// The groups that are not known to have ended, by their numbers.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A variable that this process has changed for itself, and what it was before.
static CHANGED: OnceLock<(&str, Option<OsString>)> = OnceLock::new();

/// Remembers a variable of the user's before it is changed.
pub(crate) fn remember(name: &'static str) {
    let _ = CHANGED.set((name, std::env::var_os(name)));
}

/// A variable as the user has set it.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    match CHANGED.get() {
        Some((changed, before)) if *changed == name => before.clone(),
        _ => std::env::var_os(name),
    }
}

/// Gives a command the user's own environment.
pub(crate) fn restore_environment(command: &mut std::process::Command) {
    if let Some((name, before)) = CHANGED.get() {
        match before {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// What happens to a group whose command has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It may have started an agent that is to stay.
    Stays,
    /// The rest of it is of no more use.
    Killed,
}

/// A running command, killed with its group when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    rest: Rest,
    group: Option<Pid>,
}

impl Running {
    /// Starts a command.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn start(command: &mut Command, rest: Rest) -> io::Result<Self> {
        // Held while it starts: `end_all` must not miss one.
        let mut groups = groups();
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        groups.extend(group.map(|group| group.as_raw_nonzero().get()));
        Ok(Self { child, rest, group })
    }

    /// Its input, once.
    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its output, once.
    pub(crate) fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard error, once.
    pub(crate) fn errors(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    /// The same as a poll function.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        // Until the command is collected, its id is not reused; so the group is killed before.
        if self.rest == Rest::Killed
            && let Some(group) = self.group
            && has_ended(group)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let ended = pin!(self.child.wait()).poll(cx);
        if ended.is_ready()
            && let Some(group) = self.group.take()
        {
            groups().remove(&group.as_raw_nonzero().get());
        }
        ended
    }
}

impl Drop for Running {
    /// The runtime kills and collects the command itself.
    fn drop(&mut self) {
        if let Some(group) = self.group {
            groups().remove(&group.as_raw_nonzero().get());
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Whether a child has ended, without collecting it.
fn has_ended(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(child), options), Ok(Some(_)))
}

/// Kills every command that still runs: this process is about to end.
pub(crate) fn end_all() {
    for group in std::mem::take(&mut *groups()).into_iter().filter_map(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

/// Pause before looking again, while the runtime has to collect a dead child of ours.
const LOOK: Duration = Duration::from_millis(100);

/// Collects dead orphans for as long as this process runs: as process 1 of a container, or as a subreaper
/// (prctl(2)), it inherits what its own commands and other processes leave behind.
pub(crate) async fn collect_orphans() {
    if !inherits() {
        return;
    }
    // Without the signal there is nothing to wait for.
    let Ok(mut deaths) = signal(SignalKind::child()) else { return };
    loop {
        match collect() {
            // The runtime collects this one, and has to learn how it ended; those behind it can wait.
            Next::Ours => sleep(LOOK).await,
            Next::Nobody => {
                if deaths.recv().await.is_none() {
                    return;
                }
            }
        }
    }
}

/// What remains to be collected once the orphans are.
enum Next {
    Ours,
    Nobody,
}

fn collect() -> Next {
    // Held meanwhile: a command that is just being started is not on the list yet.
    let groups = groups();
    let options = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Some(dead) = wait_for(Id::All, options).ok().and_then(|status| status.pid()) {
        if groups.contains(&dead.as_raw()) {
            return Next::Ours;
        }
        if wait_for(Id::Pid(dead), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG).is_err() {
            break;
        }
    }
    Next::Nobody
}

fn inherits() -> bool {
    getpid().is_init() || child_subreaper().is_ok_and(|subreaper| subreaper.is_some())
}

fn groups() -> MutexGuard<'static, BTreeSet<i32>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// A shell that has started something and printed its id.
    async fn started(script: &str, rest: Rest) -> (Running, Pid) {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut running = Running::start(&mut command, rest).expect("started");
        let mut line = String::new();
        let mut output = running.output().expect("its output");
        while !line.ends_with('\n') {
            line.push(char::from(output.read_u8().await.expect("a number")));
        }
        (running, Pid::from_raw(line.trim().parse().expect("a number")).expect("not zero"))
    }

    /// Waits until a process no longer runs; a dead one may still wait for its parent.
    fn until_gone(pid: Pid) {
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
        };
        while runs() {
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_is_not_waited_for_is_killed_with_all_that_it_has_started() {
        let (running, child) = started("sleep 1000 & echo $!; wait", Rest::Stays).await;
        drop(running);
        until_gone(child);
    }

    #[tokio::test]
    async fn the_children_of_a_command_that_has_ended_go_or_stay_as_was_said() {
        let script = "sleep 1000 >&- 2>&- & echo $!";
        let (mut running, child) = started(script, Rest::Killed).await;
        assert!(running.wait().await.expect("ended").success());
        until_gone(child);
        let (mut running, child) = started(script, Rest::Stays).await;
        assert!(running.wait().await.expect("ended").success());
        drop(running);
        rustix::process::kill_process(child, Signal::KILL).expect("it runs");
    }
}
