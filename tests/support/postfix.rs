//! A private Postfix, started by `tests/servers/postfix`.

use super::{checkout, count_messages, free_port, private_dir, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Another process may take a free port first; this many times we try others.
const ATTEMPTS: usize = 5;

/// A running Postfix on 127.0.0.1 that accepts mail for anybody at example.net
/// and delivers it into Maildirs.  Stopped when dropped.
pub struct Postfix {
    dir: TempDir,
    /// SMTP, with STARTTLS if it was given a certificate.
    pub port: u16,
}

impl Postfix {
    /// A server in clear text.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more options of `tests/servers/postfix`, as
    /// `["--cert", FILE, "--key", FILE]` or `["--set", "smtpd_... = ..."]`.
    pub fn start_with(options: &[&str]) -> Self {
        let mut complaint = String::new();
        for _ in 0..ATTEMPTS {
            let server = Self { dir: private_dir(), port: free_port() };
            let output = script()
                .arg("start")
                .arg(server.dir.path())
                .args(["--port", &server.port.to_string()])
                .args(options)
                .output()
                .expect("run tests/servers/postfix");
            if output.status.success() {
                return server;
            }
            complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            if !complaint.contains("Address already in use") {
                break;
            }
        }
        panic!("Postfix did not start:\n{complaint}");
    }

    /// The Maildir of a recipient at example.net: `user1` to `user5` have their own,
    /// everybody else shares one.
    pub fn delivered(&self, localpart: &str) -> PathBuf {
        let own = self.mail().join(localpart);
        if own.is_dir() || matches!(localpart, "user1" | "user2" | "user3" | "user4" | "user5") {
            own
        } else {
            self.mail().join("other")
        }
    }

    /// The number of messages delivered to all recipients.
    pub fn delivered_count(&self) -> usize {
        std::fs::read_dir(self.mail())
            .expect("the mail directory")
            .map(|entry| count_messages(&entry.expect("directory entry").path()))
            .sum()
    }

    /// Waits until this many messages have been delivered; panics with the log after `limit`.
    #[track_caller]
    pub fn wait_until_delivered(&self, count: usize, limit: Duration) {
        // The log is worth seeing, and only then.
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until("mail from Postfix", limit, || self.delivered_count() >= count);
        }));
        let delivered = self.delivered_count();
        assert!(waited.is_ok(), "{delivered} of {count} messages delivered\n{}", self.log());
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The server's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn mail(&self) -> PathBuf {
        self.dir.path().join("mail")
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let stopped = script().arg("stop").arg(self.dir.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("Postfix in {} did not stop", self.dir.path().display());
        }
    }
}

fn script() -> Command {
    Command::new(checkout("tests/servers/postfix"))
}
