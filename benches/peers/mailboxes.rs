//! A private Dovecot with the workloads' mail, in memory if possible: the disk is for the programs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Fallible;
use crate::mail::message;
use crate::workload::Mail;

const SCRIPT: &str = "tests/servers/dovecot";

/// The running server.  Stopped when dropped.
#[derive(Debug)]
pub(crate) struct Mailboxes {
    dir: TempDir,
    /// POP3.
    pub(crate) port: u16,
    /// POP3S.
    pub(crate) tls_port: u16,
    filled: Vec<(Mail, Vec<usize>)>,
    next: usize,
}

impl Mailboxes {
    /// Starts a server with this many users, whose mailboxes are empty.
    pub(crate) fn start(memory: &Path, users: usize) -> Fallible<Self> {
        let dir = tempfile::Builder::new().prefix("prb-").tempdir_in(memory)?;
        let server = Self { dir, port: free_port()?, tls_port: free_port()?, filled: Vec::new(), next: 1 };
        let mut start = Command::new(SCRIPT);
        start.arg("start").arg(server.dir.path()).args(["--users", &users.to_string()]);
        start.args(["--port", &server.port.to_string(), "--tls-port", &server.tls_port.to_string()]);
        // Mailboxes stay as they are, for the next run.
        if !start.args(["--set", "pop3_no_flag_updates = yes"]).status()?.success() {
            return Err("Dovecot did not start".into());
        }
        Ok(server)
    }

    /// The CA of its certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("tls/ca.pem")
    }

    /// The users with this mail, whose mailboxes are filled the first time.
    pub(crate) fn users(&mut self, mail: &Mail) -> Fallible<Vec<usize>> {
        if let Some((_, users)) = self.filled.iter().find(|(filled, _)| filled == mail) {
            return Ok(users.clone());
        }
        let users: Vec<usize> = (self.next..self.next + mail.accounts).collect();
        self.next += mail.accounts;
        for &user in &users {
            for index in 1..=mail.messages {
                self.put(user, index, &message(user as u64, index, mail.mix))?;
            }
            self.unique_ids(user)?;
        }
        self.filled.push((*mail, users.clone()));
        Ok(users)
    }

    /// Another user with the same mail.
    pub(crate) fn copy(&mut self, of: usize) -> Fallible<usize> {
        let (user, source) = (self.next, self.maildir(of));
        self.next += 1;
        for sub in ["new", "cur"] {
            for entry in std::fs::read_dir(source.join(sub))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let name = name.split(':').next().unwrap_or_default();
                std::fs::hard_link(entry.path(), self.maildir(user).join("new").join(name))?;
            }
        }
        self.unique_ids(user)?;
        Ok(user)
    }

    /// Messages in a user's mailbox.
    pub(crate) fn count(&self, user: usize) -> usize {
        count(&self.maildir(user))
    }

    /// The unique-ids of a mailbox.  Asking for them makes the server build its index.
    pub(crate) fn unique_ids(&self, user: usize) -> Fallible<Vec<String>> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        let mut writer = stream.try_clone()?;
        let mut lines = BufReader::new(stream).lines();
        let mut expect_ok = |command: String| -> Fallible<()> {
            writer.write_all(command.as_bytes())?;
            match lines.next().transpose()? {
                Some(line) if line.starts_with("+OK") => Ok(()),
                other => Err(format!("Dovecot says {other:?}").into()),
            }
        };
        for command in
            [String::new(), format!("USER user{user}\r\n"), format!("PASS pass{user}\r\n"), "UIDL\r\n".into()]
        {
            expect_ok(command)?;
        }
        let mut ids = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            match line.split_once(' ') {
                Some((_, id)) => ids.push(id.to_owned()),
                None => break,
            }
        }
        writer.write_all(b"QUIT\r\n")?;
        // The session has ended when the server sends nothing more.
        lines.last().transpose()?;
        Ok(ids)
    }

    fn put(&self, user: usize, index: usize, message: &[u8]) -> Fallible<()> {
        let maildir = self.maildir(user);
        let owner = maildir.metadata()?;
        // With the sizes in the name the server need not read the file to answer LIST.
        let newlines = memchr::memchr_iter(b'\n', message).count();
        let crlf = memchr::memmem::find_iter(message, b"\r\n").count();
        let wire = message.len() + newlines - crlf;
        let name = format!("{}.M{user}P{index}.bench,S={},W={wire}", 1_700_000_000 + index, message.len());
        let path = maildir.join("new").join(name);
        std::fs::write(&path, message)?;
        chown(&path, Some(owner.uid()), Some(owner.gid()))?;
        Ok(())
    }

    fn maildir(&self, user: usize) -> PathBuf {
        self.dir.path().join(format!("mail/user{user}/Maildir"))
    }
}

impl Drop for Mailboxes {
    fn drop(&mut self) {
        let stopped = Command::new(SCRIPT).arg("stop").arg(self.dir.path()).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("peers: Dovecot in {} did not stop", self.dir.path().display());
        }
    }
}

/// Messages in the `new` and `cur` of a Maildir.
pub(crate) fn count(maildir: &Path) -> usize {
    ["new", "cur"].iter().filter_map(|sub| std::fs::read_dir(maildir.join(sub)).ok()).map(Iterator::count).sum()
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
