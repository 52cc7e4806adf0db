//! How many files may be open, and how they are shared out.
//!
//! A poll needs a few descriptors while it runs, and one for each message that is written and not yet
//! durable: some hundreds where the disk is slow.  So polls get a part of the descriptors, and messages
//! that are being written the rest.  A message for which none is left needs one only while it is being
//! written: it is then made durable on its own, and closed.  So the limit costs time, but no mail.

use std::sync::atomic::{AtomicIsize, Ordering};

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that the process itself has open: the state, the log, its sockets and their clients, and what
/// it watches.
const OWN: usize = 96;

/// With fewer than this not even one mailbox can be polled.
pub(crate) const LEAST: usize = 32;

/// Files for a server that mail is sent to: its connections, and the messages that are being read.
const SERVER: usize = 8;

/// Files that a poll has open besides those of its Maildirs: its connection or the pipes of its
/// command, its marks, and for a moment those of a password, a certificate, or the resolver.
const POLL: usize = 8;

/// Files for a Maildir in a poll: three folders, and the message that is being written.
const MAILDIR: usize = 4;

/// Files that may still be opened for messages that are being written.
static FREE: AtomicIsize = AtomicIsize::new(OWN as isize);

/// Files that may be open for such messages in all.
static TOTAL: AtomicIsize = AtomicIsize::new(OWN as isize);

/// What the division depends on in a configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Polls at a time.
    pub polls: usize,
    /// Maildirs of the account that has the most.
    pub maildirs: usize,
    /// Servers that mail is sent to.
    pub servers: usize,
}

/// How the files are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Polls at a time, at least one.
    pub polls: usize,
    /// Files for messages that are written and not yet durable.
    pub drafts: usize,
}

/// Divides `limit` files.
pub(crate) fn divide(limit: usize, needs: Needs) -> Shares {
    let own = (OWN + needs.servers.saturating_mul(SERVER)).min(limit / 2);
    let (rest, each) = (limit - own, POLL + needs.maildirs.saturating_mul(MAILDIR));
    let polls = needs.polls.min(rest / 2 / each).max(1);
    Shares { polls, drafts: rest.saturating_sub(polls.saturating_mul(each)) }
}

/// Raises the soft limit to the hard one: thousands of open files are normal here, and the usual soft
/// limit is 1,024.
pub(crate) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many files this process may have open.
pub(crate) fn limit() -> usize {
    // More may not fit the counters of a 32-bit machine.
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

/// One of the files for messages that are being written; returned when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit(());

impl Permit {
    /// Takes one; `None`: all are in use.
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
