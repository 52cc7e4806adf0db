//! A private popa3d, GNU Mailutils pop3d or Courier, a process for each connection by `tests/servers/inetd`.

use super::mail::{Fill, message};
use super::manifest::as_stored;
use super::{checkout, count_messages, private_dir, wait_until};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// What `tests/servers/inetd` exits with where such a server cannot run.
const UNUSABLE: i32 = 69;

/// A session ends soon after its client has left.
const SESSION_ENDS: Duration = Duration::from_secs(20);

/// A server on 127.0.0.1 that keeps mail in mbox files, or as Courier in Maildirs, with the users
/// `user1`/`pass1` to `user5`/`pass5`.
pub struct Inetd {
    dir: TempDir,
    /// POP3 in clear, with Mailutils also STLS.
    pub port: u16,
    /// POP3S; only Mailutils speaks it.
    pub tls_port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    sessions: AtomicUsize,
}

impl Inetd {
    /// The server of a Debian package; `None`, and a word about it, where it cannot run.
    pub fn start(package: &'static str) -> Option<Self> {
        let dir = private_dir();
        let output = script("prepare", dir.path(), package).output().expect("run tests/servers/inetd");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(UNUSABLE) {
            eprintln!("skipped: {complaint}");
            return None;
        }
        assert!(output.status.success(), "{package} was not prepared:\n{complaint}");
        let shared = Arc::new(Shared::default());
        let listen = |verb: &'static str| {
            let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind to a free port");
            let port = listener.local_addr().expect("own address").port();
            let (for_thread, path) = (Arc::clone(&shared), dir.path().to_owned());
            thread::spawn(move || accept(&listener, &for_thread, || script(verb, &path, package), &log(&path)));
            port
        };
        let (port, tls_port) = (listen("session"), listen("tls-session"));
        Some(Self { dir, port, tls_port, shared })
    }

    /// The SHA-256 of the certificate, in hexadecimal digits.
    pub fn certificate_sha256(&self) -> String {
        let file = self.dir.path().join("etc/cert.pem");
        let output =
            Command::new("openssl").args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(file).output();
        let text = String::from_utf8(output.expect("run openssl").stdout).expect("ASCII");
        text.trim().rsplit('=').next().expect("a fingerprint").replace(':', "").to_lowercase()
    }

    /// Puts generated messages into a mailbox, as an MTA does; returns what must come out again.
    pub fn fill(&self, user: &str, fill: &Fill) -> Vec<Vec<u8>> {
        self.wait_until_idle();
        let mail = self.dir.path().join("var/mail").join(user);
        let messages: Vec<Vec<u8>> =
            fill.indexes().map(|index| with_body(as_stored(&message(fill.seed, index, fill.mix)))).collect();
        if mail.is_dir() {
            put_into_maildir(&mail.join("Maildir"), fill, &messages)
        } else {
            append_to_mbox(&mail, &messages)
        }
        messages
    }

    /// The number of messages in a mailbox.
    pub fn messages_on_server(&self, user: &str) -> usize {
        self.wait_until_idle();
        let mail = self.dir.path().join("var/mail").join(user);
        if mail.is_dir() {
            return count_messages(&mail.join("Maildir"));
        }
        let mail = std::fs::read(mail).expect("the user's mail");
        mail.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"X-Test-Message: ")).count()
    }

    /// The client is told of the end of a session before its process ends.
    fn wait_until_idle(&self) {
        wait_until("the end of all sessions", SESSION_ENDS, || self.shared.sessions.load(Ordering::SeqCst) == 0);
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(log(self.dir.path())).unwrap_or_default());
        }
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting threads, so that they see the end.
        for port in [self.port, self.tls_port] {
            let _ = TcpStream::connect(("127.0.0.1", port));
        }
    }
}

/// An mbox cannot tell a message without body from one with an empty body.
fn with_body(mut message: Vec<u8>) -> Vec<u8> {
    if !message.windows(2).any(|two| two == b"\n\n") {
        message.push(b'\n');
    }
    message
}

/// The file keeps its owner and mode.
fn append_to_mbox(file: &Path, messages: &[Vec<u8>]) {
    let mut file = OpenOptions::new().append(true).open(file).expect("the user's mail");
    for message in messages {
        let postmark = b"From sender@test.invalid Mon Jan  2 03:04:05 2023\n";
        let octets = [&postmark[..], message, b"\n"].concat();
        file.write_all(&octets).expect("write a message");
    }
}

fn put_into_maildir(maildir: &Path, fill: &Fill, messages: &[Vec<u8>]) {
    let owner = maildir.metadata().expect("the user's Maildir");
    for (index, message) in fill.indexes().zip(messages) {
        let file = maildir.join("new").join(format!("{}.M{}P{index}.test", 1_700_000_000 + index, fill.seed));
        std::fs::write(&file, message).expect("write a message");
        chown(&file, Some(owner.uid()), Some(owner.gid())).expect("give the message to its user");
    }
}

/// As inetd does it: the connection is the session's stdin and stdout.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, session: impl Fn() -> Command, log: &Path) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        // popa3d writes each reply in three pieces; the second would wait 40 ms for the first's ACK.
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        let stderr = OpenOptions::new().create(true).append(true).open(log).expect("the log");
        let mut session = session();
        session
            .stdin(OwnedFd::from(stream.try_clone().expect("clone a socket")))
            .stdout(OwnedFd::from(stream))
            .stderr(stderr);
        shared.sessions.fetch_add(1, Ordering::SeqCst);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A session that fails is seen by the client.
            let _ = session.status();
            // The command holds the socket open on this side.
            drop(session);
            shared.sessions.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn log(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn script(verb: &str, dir: &Path, package: &str) -> Command {
    let mut command = Command::new(checkout("tests/servers/inetd"));
    command.arg(verb).arg(dir).arg(package);
    command
}
