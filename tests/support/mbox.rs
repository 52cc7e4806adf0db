//! A private popa3d or GNU Mailutils pop3d, a process for each connection by `tests/servers/mbox`.

use super::mail::{Fill, message};
use super::manifest::as_stored;
use super::{checkout, private_dir, wait_until};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// What `tests/servers/mbox` exits with where such a server cannot run.
const UNUSABLE: i32 = 69;

/// A session ends soon after its client has left.
const SESSION_ENDS: Duration = Duration::from_secs(20);

/// A server that keeps mail in mbox files, on 127.0.0.1, with the users `user1`/`pass1` to
/// `user5`/`pass5`.
pub struct Mbox {
    dir: TempDir,
    /// POP3 in clear.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopping: AtomicBool,
    sessions: AtomicUsize,
}

impl Mbox {
    /// The server of a Debian package; `None`, and a word about it, where it cannot run.
    pub fn start(package: &'static str) -> Option<Self> {
        let dir = private_dir();
        let output = script("prepare", dir.path(), package).output().expect("run tests/servers/mbox");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(UNUSABLE) {
            eprintln!("skipped: {complaint}");
            return None;
        }
        assert!(output.status.success(), "{package} was not prepared:\n{complaint}");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind to a free port");
        let port = listener.local_addr().expect("own address").port();
        let shared = Arc::new(Shared::default());
        let (for_thread, path) = (Arc::clone(&shared), dir.path().to_owned());
        thread::spawn(move || accept(&listener, &for_thread, &path, package));
        Some(Self { dir, port, shared })
    }

    /// The file of a user's mail.
    pub fn file(&self, user: &str) -> PathBuf {
        self.dir.path().join("var/mail").join(user)
    }

    /// Appends generated messages to a mailbox, as an MTA does; gives what must come out again.
    pub fn fill(&self, user: &str, fill: &Fill) -> Vec<Vec<u8>> {
        self.wait_until_idle();
        // The file keeps its owner and mode.
        let mut file = OpenOptions::new().append(true).open(self.file(user)).expect("the user's mail");
        let mut put = |octets: &[u8]| file.write_all(octets).expect("write a message");
        let store = |index| {
            let mut message = as_stored(&message(fill.seed, index, fill.mix));
            // The format cannot tell a message without body from one with an empty body.
            if !message.windows(2).any(|two| two == b"\n\n") {
                message.push(b'\n');
            }
            put(b"From sender@test.invalid Mon Jan  2 03:04:05 2023\n");
            put(&message);
            put(b"\n");
            message
        };
        fill.indexes().map(store).collect()
    }

    /// The number of messages in a mailbox.
    pub fn messages_on_server(&self, user: &str) -> usize {
        self.wait_until_idle();
        let mail = std::fs::read(self.file(user)).expect("the user's mail");
        mail.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"X-Test-Message: ")).count()
    }

    /// What the server has said on stderr.
    pub fn log(&self) -> String {
        std::fs::read_to_string(log(self.dir.path())).unwrap_or_default()
    }

    /// The client is told of the end of a session before its process ends.
    fn wait_until_idle(&self) {
        wait_until("the end of all sessions", SESSION_ENDS, || self.shared.sessions.load(Ordering::SeqCst) == 0);
    }
}

impl Drop for Mbox {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// As inetd does it: the connection is the session's stdin and stdout.
fn accept(listener: &TcpListener, shared: &Arc<Shared>, dir: &Path, package: &'static str) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        // popa3d writes each reply in three pieces; the second would wait 40 ms for the first's ACK.
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        let stderr = OpenOptions::new().create(true).append(true).open(log(dir)).expect("the log");
        let mut session = script("session", dir, package);
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
    let mut command = Command::new(checkout("tests/servers/mbox"));
    command.arg(verb).arg(dir).arg(package);
    command
}
