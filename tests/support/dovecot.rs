//! A private Dovecot, started by `tests/servers/dovecot`.

use super::mail::{Fill, message};
use super::manifest::Manifest;
use super::{checkout, count_messages, free_port, private_dir};
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Another process may take a free port first; this many times we try others.
const ATTEMPTS: usize = 5;

/// A running Dovecot with POP3, STLS and POP3S on 127.0.0.1, and the users
/// `user1`/`pass1` to `user5`/`pass5`.  Stopped when dropped.
pub struct Dovecot {
    dir: TempDir,
    /// POP3 with STLS.
    pub port: u16,
    /// POP3S.
    pub tls_port: u16,
}

impl Dovecot {
    /// A server with a good certificate for `localhost` and 127.0.0.1.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With more options of `tests/servers/dovecot`, as `["--cert", "expired"]`,
    /// `["--mechanisms", "apop"]` or `["--set", "pop3_uidl_format = %g"]`.
    pub fn start_with(options: &[&str]) -> Self {
        let mut complaint = String::new();
        for _ in 0..ATTEMPTS {
            let server = Self { dir: private_dir(), port: free_port(), tls_port: free_port() };
            let output = script()
                .arg("start")
                .arg(server.dir.path())
                .args(["--port", &server.port.to_string()])
                .args(["--tls-port", &server.tls_port.to_string()])
                .args(options)
                .output()
                .expect("run tests/servers/dovecot");
            if output.status.success() {
                return server;
            }
            complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            if !complaint.contains("Address already in use") {
                break;
            }
        }
        panic!("Dovecot did not start:\n{complaint}");
    }

    /// The certificate of the authority that signed the server's.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("tls/ca.pem")
    }

    /// The server's own certificate, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("tls/cert.pem")
    }

    /// The key of the server's certificate, in PEM.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("tls/key.pem")
    }

    /// Where the server keeps a user's mail.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.dir.path().join("mail").join(user).join("Maildir")
    }

    /// Puts generated messages into a mailbox; returns what a client must get.
    pub fn fill(&self, user: &str, fill: &Fill) -> Manifest {
        let mut manifest = Manifest::default();
        for index in fill.indexes() {
            let message = message(fill.seed, index, fill.mix);
            self.put(user, &format!("{}.M{}P{index}", 1_700_000_000 + index, fill.seed), &message);
            manifest.add(&message);
        }
        manifest
    }

    /// Puts one message into a mailbox, in a file whose name begins with `name`.
    pub fn put(&self, user: &str, name: &str, message: &[u8]) {
        let maildir = self.maildir(user);
        let owner = maildir.metadata().expect("the user's Maildir");
        // With the sizes in the name the server need not read the file to answer LIST.
        let newlines = message.iter().filter(|&&byte| byte == b'\n').count();
        let crlf = message.windows(2).filter(|pair| pair == b"\r\n").count();
        let wire = message.len() + newlines - crlf;
        let name = format!("{name}.test,S={},W={wire}", message.len());
        let tmp = maildir.join("tmp").join(&name);
        std::fs::write(&tmp, message).expect("write a message");
        // Only root may give files away, and only root has to.
        chown(&tmp, Some(owner.uid()), Some(owner.gid())).expect("give the message to its user");
        std::fs::rename(tmp, maildir.join("new").join(name)).expect("deliver a message");
    }

    /// The number of messages in a mailbox.
    pub fn messages_on_server(&self, user: &str) -> usize {
        count_messages(&self.maildir(user))
    }

    /// Empties a mailbox behind the server's back.
    pub fn clear(&self, user: &str) {
        for sub in ["new", "cur"] {
            let directory = self.maildir(user).join(sub);
            for entry in std::fs::read_dir(directory).expect("the user's Maildir") {
                std::fs::remove_file(entry.expect("directory entry").path()).expect("remove");
            }
        }
    }

    /// An OAuth 2.0 token for a user, valid for this many seconds; of a server with `oauthbearer` or
    /// `xoauth2` among its `--mechanisms`.
    pub fn token(&self, user: &str, seconds: i64) -> String {
        let output = script().arg("token").arg(self.dir.path()).args([user, &seconds.to_string()]).output();
        let token = String::from_utf8(output.expect("run tests/servers/dovecot").stdout).expect("ASCII");
        assert!(token.matches('.').count() == 2, "no token: {token:?}");
        token.trim().to_owned()
    }

    /// What the server has logged: logins, commands, sessions.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("dovecot.log")).unwrap_or_default()
    }

    /// The server's directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let stopped = script().arg("stop").arg(self.dir.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("Dovecot in {} did not stop", self.dir.path().display());
        }
    }
}

fn script() -> Command {
    Command::new(checkout("tests/servers/dovecot"))
}
