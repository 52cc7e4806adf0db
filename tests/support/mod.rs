//! What the whole-program tests share: real servers, scripted servers, and the
//! program itself, each in a private directory and ended when it is dropped.
//!
//! * [`Dovecot`], [`Postfix`]: the real ones, started by `tests/servers/`.
//! * [`Inetd`]: popa3d, GNU Mailutils or Courier, a process for each connection.
//! * [`MailboxServer`]: an honest POP3 server in memory that misbehaves on request.
//! * [`Scripted`]: a line-by-line dialogue, for what no server would say.
//! * [`ScriptedSmtp`]: a sink that refuses, hangs or drops where it is told to.
//! * [`SocksProxy`]: a proxy that leads everywhere to one port.
//! * [`AuthorizationServer`]: a provider of OAuth 2.0 that answers by a function.
//! * [`Postrider`]: the program with a home of its own.
//! * [`Manifest`]: what must arrive, and whether it did, exactly once.
//! * [`State`]: what it remembers, to be looked at and changed.
//! * [`pop3s`], [`mailbox`], [`maildir`], [`smtp`]: the sections of a configuration.
//!
//! Nothing here sleeps to wait: [`wait_until`] polls for a condition.

#![allow(
    clippy::allow_attributes,
    reason = "each test crate uses another part of the support, so #[expect] cannot hold in all"
)]
#![allow(dead_code, unused_imports, unreachable_pub, reason = "as above")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure of the support is a failure of the test"
)]

mod authorization;
mod config;
mod dovecot;
mod inetd;
mod listener;
mod mail;
mod mailbox;
mod manifest;
mod other_user;
mod pop3_mailbox;
mod postfix;
mod program;
mod scripted;
mod smtp;
mod socks;
mod state;

pub use authorization::{Asked, AuthorizationServer, browse, json, tokens};
pub use config::{mailbox, maildir, pop3s, smtp};
pub use dovecot::Dovecot;
pub use inetd::Inetd;
pub use listener::{Connection, Listener};
pub use mail::{Fill, Mix, message};
pub use mailbox::{Behaviour, Message, Poison, Quit};
pub use manifest::{Manifest, Verdict, as_stored};
pub use other_user::NOBODY;
pub use pop3_mailbox::MailboxServer;
pub use postfix::Postfix;
pub use program::{Output, Postrider, Running};
pub use scripted::{Scripted, Step};
pub use smtp::{Received, ScriptedSmtp, SmtpBehaviour, SmtpPoison, Stage, Then};
pub use socks::{SocksBehaviour, SocksProxy};
pub use state::{State, let_pass, set_deferrals_due};

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Looks at `condition` until it holds.  Panics with `what` when it still does
/// not hold after `limit`.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// A loopback port that nobody listens on at this moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind to a free port");
    listener.local_addr().expect("own address").port()
}

/// A private directory with a short path, as unix sockets need.
pub fn private_dir() -> TempDir {
    tempfile::Builder::new().prefix("pr-").tempdir_in("/tmp").expect("a directory in /tmp")
}

/// A file of the checkout, as `tests/servers/dovecot`.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The number of messages in the `new` and `cur` of a Maildir; 0 when there is none.
pub fn count_messages(maildir: &Path) -> usize {
    ["new", "cur"].iter().filter_map(|sub| std::fs::read_dir(maildir.join(sub)).ok()).map(Iterator::count).sum()
}

/// A generated message as if it had been sent and received now.
pub fn message_of_today(seed: u64, index: usize) -> Vec<u8> {
    let now = jiff::ZonedDateTime::now().strftime("%a, %d %b %Y %H:%M:%S %z").to_string();
    let text = String::from_utf8(message(seed, index, Mix::Tiny)).expect("plain text");
    text.replace("Mon, 02 Jan 2023 03:04:05 +0000", &now).into_bytes()
}

/// Every message in the `new` and `cur` of a Maildir, in no order.
pub fn read_messages(maildir: &Path) -> Vec<Vec<u8>> {
    ["new", "cur"]
        .iter()
        .filter_map(|sub| std::fs::read_dir(maildir.join(sub)).ok())
        .flatten()
        .map(|entry| std::fs::read(entry.expect("directory entry").path()).expect("message"))
        .collect()
}
