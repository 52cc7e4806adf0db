//! Errors from calls of every kind that a fetch makes, one call after the other.
//!
//! The run may fail, but in words and not in a panic; and what it calls a success must be one.

use super::gate::{CANNOT_TRACE, can_trace};
use super::ground::{Kept, Trial};
use super::inject::fetch_with;
use super::scale;
use super::support::*;
use super::trials::Trials;

/// Messages of a mailbox: two for each of the threads that sync.
const MESSAGES: usize = 30;

/// Calls, and the errors that they may come back with.  Not `write`: strace cannot tell one to a
/// file from one that wakes a thread, which never fails in practice; full disks are in `disks`.
const FAULTS: [(&str, &[&str]); 28] = [
    ("fsync", &["EIO"]),
    ("fdatasync", &["EIO", "ENOSPC"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("pread64", &["EIO"]),
    ("read", &["EIO", "EINTR"]),
    ("renameat2", &["EIO", "EXDEV", "EEXIST", "EACCES", "ENOENT"]),
    ("openat", &["EMFILE", "EIO", "EACCES"]),
    ("open", &["EMFILE", "EIO"]),
    ("mkdir", &["EIO", "ENOSPC", "EACCES"]),
    ("unlink", &["EIO"]),
    ("unlinkat", &["EIO"]),
    ("ftruncate", &["EIO"]),
    ("newfstatat", &["EIO", "EACCES"]),
    ("statx", &["EIO"]),
    ("statfs", &["EIO"]),
    ("getdents64", &["EIO"]),
    ("lseek", &["EIO"]),
    ("fcntl", &["EIO"]),
    ("flock", &["EIO", "EWOULDBLOCK", "EINTR"]),
    ("fchown", &["EPERM"]),
    ("socket", &["EMFILE", "EACCES"]),
    ("connect", &["ECONNREFUSED", "EINTR"]),
    ("sendto", &["ECONNRESET", "EINTR"]),
    ("recvfrom", &["ECONNRESET", "EINTR"]),
    ("epoll_wait", &["EINTR"]),
    ("mmap", &["ENOMEM"]),
    ("clone3", &["EAGAIN"]),
    ("getrandom", &["EINTR"]),
];

/// Where the file system has no rename that never replaces, a link and an unlink stand for it.
const LINKS: [(&str, &[&str]); 2] = [("linkat", &["EIO", "EEXIST", "EMLINK"]), ("unlinkat", &["EIO"])];

const NO_RENAME: &str = "renameat2:error=EINVAL";

/// A kind of call, and the error that is injected into one after the other.
struct Kind {
    call: &'static str,
    error: &'static str,
    /// Whether there is no rename either.
    links: bool,
}

impl Kind {
    fn all() -> impl Iterator<Item = Self> {
        let faults = FAULTS.iter().map(|fault| (fault, false)).chain(LINKS.iter().map(|fault| (fault, true)));
        faults.flat_map(|(&(call, errors), links)| errors.iter().map(move |error| Self { call, error, links }))
    }

    fn point(&self, number: usize) -> String {
        let instead = if self.links { " for renameat2" } else { "" };
        format!("{}{instead} {} {number}", self.call, self.error)
    }

    /// Fetches with an error from the N-th call, and checks all that must hold.  Says whether there
    /// was such a call.
    fn inject(&self, trial: &Trial<'_>, number: usize) -> bool {
        let mut expressions = vec![format!("{}:error={}:when={number}", self.call, self.error)];
        if self.links {
            expressions.push(NO_RENAME.to_owned());
        }
        let run = fetch_with(&trial.program, &expressions);
        // Without memory the loader crashes and the standard library aborts: the program had no say in it.
        if self.error == "ENOMEM" && matches!(run.output.signal, Some(SIGSEGV | SIGABRT)) {
            trial.check_fault();
        } else {
            trial.check_words(&run.output);
        }
        trial.check_rerun();
        run.failed.contains_key(self.call)
    }
}

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// Injects every error into every call of its kind, until a run has no such call; in the short run
/// into one of the first calls.
fn inject_all<'a>(fault: &'static str, trial: impl Fn() -> Trial<'a>) {
    let mut trials = Trials::of(fault);
    if !can_trace() {
        return trials.give_up(CANNOT_TRACE);
    }
    let mut random = scale::random(fault);
    for kind in Kind::all() {
        let one = random.usize(1..=3);
        for number in scale::count(one, 1)..=scale::count(one, usize::MAX) {
            let failed = trials.run(kind.point(number), || kind.inject(&trial(), number));
            if !failed || trials.is_single() && number > 1000 {
                break;
            }
        }
    }
    trials.finish();
}

#[test]
fn an_error_of_any_call_of_a_fetch_that_keeps_is_told_and_mended_by_a_rerun() {
    let mailbox = Kept::start(MESSAGES);
    inject_all("an error from the N-th call of each kind, mail is kept", || mailbox.trial());
}

#[test]
fn an_error_of_any_call_of_a_fetch_that_deletes_is_told_and_mended_by_a_rerun() {
    inject_all("an error from the N-th call of each kind, mail is deleted", || {
        Trial::scripted(MESSAGES, "delete", Behaviour::default())
    });
}

#[test]
fn where_no_thread_can_be_started_a_fetch_says_so_and_ends() {
    if !can_trace() {
        return eprintln!("torture: not tried: threads that cannot be started: {CANNOT_TRACE}");
    }
    // The first three read the configuration, which is then done without them; then come the threads of the
    // runtime, and the first one that may block: tokio panics for each.
    for first in 1..=6 {
        let trial = Trial::scripted(MESSAGES, "keep", Behaviour::default());
        let run = fetch_with(&trial.program, &[format!("clone3:error=EAGAIN:when={first}+")]);
        let output = run.output.assert_code(71);
        assert!(output.stderr.starts_with("postrider: cannot start a thread (limit reached?): "), "{}", output.stderr);
        trial.check_words(&output);
        trial.check_rerun();
    }
}
