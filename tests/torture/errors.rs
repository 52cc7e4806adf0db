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
/// file from one that wakes a thread, which never fails in earnest; full disks are in `disks`.
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

/// Injects every error into every call of its kind, until a run has no such call.
fn inject_all<'a>(fault: &'static str, trial: impl Fn() -> Trial<'a>) {
    let mut trials = Trials::of(fault);
    if !can_trace() {
        return trials.give_up(CANNOT_TRACE);
    }
    let mut random = scale::random(fault);
    let with = |before: &'static [&'static str]| move |&(call, errors)| (before, call, errors);
    let faults = FAULTS.iter().map(with(&[])).chain(LINKS.iter().map(with(&[NO_RENAME])));
    let mut kinds = 0;
    for (before, call, errors) in faults {
        for error in errors {
            kinds += 1;
            let one = random.usize(1..=3);
            for number in if scale::is_long() { 1..=usize::MAX } else { one..=one } {
                let name = if before.is_empty() { call.to_owned() } else { format!("{call} for renameat2") };
                let failed = trials.run(format!("{name} {error} {number}"), || {
                    let trial = trial();
                    let mut expressions: Vec<String> = before.iter().map(|&one| one.to_owned()).collect();
                    expressions.push(format!("{call}:error={error}:when={number}"));
                    inject(&trial, &expressions)
                });
                if !failed || trials.is_single() && number > 1000 {
                    break;
                }
            }
        }
    }
    eprintln!("torture: {fault}: {kinds} kinds of calls and errors");
    trials.finish();
}

/// One fetch with an error, and all that must hold after it.  Says whether the last of the calls
/// that were to fail was made at all.
fn inject(trial: &Trial<'_>, expressions: &[String]) -> bool {
    let run = fetch_with(&trial.program, expressions);
    if is_told(&run.output) {
        trial.check_words(&run.output);
    } else {
        trial.check_fault();
    }
    trial.check_rerun();
    let last = expressions.last().and_then(|one| one.split_once(":error=")).expect("an expression");
    run.failed.contains_key(last.0)
}

/// Whether the program had a say in its end: without memory the loader crashes, and the standard
/// library aborts.
fn is_told(output: &Output) -> bool {
    !matches!(output.signal, Some(SIGSEGV | SIGABRT))
}

const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

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
    // The threads of the runtime, and the first one that may block: tokio panics for each.
    for first in 1..=3 {
        let trial = Trial::scripted(MESSAGES, "keep", Behaviour::default());
        let run = fetch_with(&trial.program, &[format!("clone3:error=EAGAIN:when={first}+")]);
        let output = run.output.assert_code(71);
        assert!(output.stderr.starts_with("postrider: the system gives no threads: "), "{}", output.stderr);
        trial.check_words(&output);
        trial.check_rerun();
    }
}
