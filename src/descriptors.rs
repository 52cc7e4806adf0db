//! How many files may be open, and who may have how many of them.
//!
//! A poll needs a few as long as it runs, and one for each message that is written and not yet
//! durable: some hundred where the disk is slow.  So polls get a part, and what is written the rest.
//! A message for which there is none left needs one only while it is being written: it is made
//! durable by itself then, and closed.  So the limit costs time, and no mail.

use std::sync::atomic::{AtomicIsize, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the process itself has open: the state, the log, its sockets and their clients, what it
/// watches.
const OWN: usize = 96;

/// With fewer not even one mailbox may be polled.
pub(crate) const LEAST: usize = 32;

/// Files of a server that mail is sent to: its connections, and the messages that are being read.
const SERVER: usize = 8;

/// Files that a poll has open besides those of its Maildirs: its connection or the pipes of its
/// command, its marks, and for a moment those of a password, a certificate, or the resolver.
const POLL: usize = 8;

/// Files of a Maildir in a poll: three folders, and the message that is being written.
const MAILDIR: usize = 4;

/// Files that may be open for what is written.
static FREE: AtomicIsize = AtomicIsize::new(OWN as isize);

/// Those that may be open for it in all.
static TOTAL: AtomicIsize = AtomicIsize::new(OWN as isize);

/// What must be known of a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Polls at a time.
    pub polls: usize,
    /// Maildirs of the account that has most.
    pub maildirs: usize,
    /// Servers that mail is sent to.
    pub servers: usize,
}

/// Who may have how many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Polls at a time, at least one.
    pub polls: usize,
    /// Files for what is written and not yet durable.
    pub drafts: usize,
}

/// Divides so many files.
pub(crate) fn divide(limit: usize, needs: Needs) -> Shares {
    let own = (OWN + needs.servers.saturating_mul(SERVER)).min(limit / 2);
    let (rest, each) = (limit - own, POLL + needs.maildirs.saturating_mul(MAILDIR));
    let polls = needs.polls.min(rest / 2 / each).max(1);
    Shares { polls, drafts: rest.saturating_sub(polls.saturating_mul(each)) }
}

/// Thousands of open files are ordinary here; the usual soft limit is 1,024.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many files this process may have open.
pub(crate) fn limit() -> usize {
    // Beyond that it counts in 32 bits.
    const UNLIMITED: usize = 1 << 30;
    getrlimit(Resource::Nofile)
        .current
        .map_or(UNLIMITED, |limit| usize::try_from(limit).unwrap_or(UNLIMITED))
        .min(UNLIMITED)
}

/// Divides the files of this process, from now on.
pub(crate) fn share(needs: Needs) -> Shares {
    let shares = divide(limit(), needs);
    let drafts = isize::try_from(shares.drafts).unwrap_or(isize::MAX);
    FREE.fetch_add(drafts - TOTAL.swap(drafts, Ordering::Relaxed), Ordering::Relaxed);
    shares
}

/// One of the files for what is written; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permit {
    /// `None`: all are in use.
    pub(crate) fn take() -> Option<Self> {
        let take = |free: isize| (free > 0).then(|| free - 1);
        FREE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(|_| Self(()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        FREE.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_few_files_there_are_one_poll_runs_and_nobody_has_more_than_there_are() {
        let one = Needs { polls: 100, maildirs: 1, servers: 0 };
        for (limit, needs, want) in [
            (524_288, one, (100, 522_992)),
            (1024, one, (38, 472)),
            (256, one, (6, 88)),
            (64, one, (1, 20)),
            (64, Needs { maildirs: 3, ..one }, (1, 12)),
            (1024, Needs { servers: 10, ..one }, (35, 428)),
            (1024, Needs { polls: 4, ..one }, (4, 880)),
            (16, one, (1, 0)),
            (0, one, (1, 0)),
        ] {
            let Shares { polls, drafts } = divide(limit, needs);
            assert_eq!((polls, drafts), want, "{limit} {needs:?}");
        }
        for limit in 24..5000 {
            let Shares { polls, drafts } = divide(limit, one);
            assert!(polls * (POLL + MAILDIR) + drafts <= limit, "{limit}");
        }
    }
}
