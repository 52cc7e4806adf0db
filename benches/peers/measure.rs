//! Time and memory of one run of a program.
//!
//! The program is the only child of a small process of its own, which is this program again: the
//! kernel counts what the parent had in memory at the fork as part of a child's peak, and the
//! benchmark has mailboxes in memory.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Fallible;

/// The argument that asks for it.
pub(crate) const VERB: &str = "--measure";

/// A run that takes longer is killed and has failed.
const LIMIT: Duration = Duration::from_secs(300);

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Seconds by the monotonic clock.
    pub(crate) wall: f64,
    /// CPU seconds, in the program and the kernel, with those of its children.
    pub(crate) cpu: f64,
    /// The most memory that one of its processes had, in MiB.
    pub(crate) peak_mib: f64,
    /// Its exit code; -1: it was ended by a signal.
    pub(crate) code: i32,
}

/// Runs a command in the small process, as `user` if there is one; its output goes to `log`.
pub(crate) fn run(own: &Path, command: &[OsString], home: &Path, log: &Path, user: Option<u32>) -> Fallible<Usage> {
    use std::os::unix::process::CommandExt as _;
    let mut small = Command::new(own);
    small.arg(VERB).arg(log).args(command).current_dir(home).stdin(Stdio::null());
    small.env_clear().env("HOME", home).env("FETCHMAILHOME", home).env("LC_ALL", "C");
    small.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    if let Some(id) = user {
        small.uid(id).gid(id);
    }
    let output = small.output()?;
    let words: Vec<f64> =
        String::from_utf8_lossy(&output.stdout).split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match words[..] {
        [wall, cpu, peak_mib, code] => Ok(Usage { wall, cpu, peak_mib, code: code as i32 }),
        _ => Err(format!("no measurement: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// The small process: runs a command to its end and prints what it took.
pub(crate) fn measure(mut args: impl Iterator<Item = OsString>) -> Fallible<()> {
    let log = std::fs::File::create(args.next().ok_or("no log is named")?)?;
    let mut command = Command::new(args.next().ok_or("no command is named")?);
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    std::thread::spawn(move || {
        std::thread::sleep(LIMIT);
        let _ = kill_process(pid, Signal::KILL);
    });
    let status = child.wait()?;
    let wall = begun.elapsed().as_secs_f64();
    let (cpu, peak_mib) = of_children()?;
    println!("{wall} {cpu} {peak_mib} {}", status.code().unwrap_or(-1));
    Ok(())
}

/// CPU seconds and peak memory in MiB of the children that have ended.
fn of_children() -> Fallible<(f64, f64)> {
    #[expect(unsafe_code, reason = "nothing else reports what a child has used")]
    // SAFETY: a zeroed rusage is valid, and the kernel fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        if libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok((seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss as f64 / 1024.0))
}
