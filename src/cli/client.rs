//! The client of the service's control socket.
//!
//! The socket is looked for in the state directory, which only one service has, and then in the
//! runtime directory, which depends on the session.  A process that answers is trusted only if it
//! runs as the state's owner, this user or root, and nothing in its answers can control a terminal.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::output;
use crate::config::Whereabouts;
use crate::control::{Reply, Request, connect, socket_path, state_folder};
use crate::failure::Class;
use crate::process::status::Status;
use crate::{store, text};

/// How long the service may be silent before a request fails: during a fetch it sends a keep-alive
/// every few seconds, other requests it answers at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a connection may take to be accepted.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// The maximum octets of an answer: the status of ten thousand accounts has some millions.
const ANSWER_LIMIT: u64 = 64 << 20;

/// A connection with a request under way.
pub(super) struct Answers {
    lines: BufReader<UnixStream>,
    /// The user that the answering process runs as.
    peer: u32,
    /// The fields of an answer to this request that may have several lines.
    paragraphs: &'static [&'static str],
}

/// Why there are no answers.
pub(super) enum Silence {
    /// No service with this state directory was found.
    Absent(Absence),
    /// The service refuses the request.
    Refused(String, u8),
    /// The service does not answer as it should.
    Broken(String),
}

impl Silence {
    /// The reply belongs to another kind of request.
    fn mismatch() -> Self {
        Silence::Broken("it sent a reply that does not match the request".into())
    }
}

/// Where a service was looked for and not found.
pub(super) struct Absence {
    state_dir: PathBuf,
    socket: PathBuf,
    /// What was found there instead.
    found: Vec<String>,
    /// The process that uses the state nevertheless.
    holder: Option<u32>,
}

/// Why a socket is not that of the service.
enum Miss {
    Nothing,
    Denied(String),
    Found(String),
}

/// Asks the service that has the configuration's state directory.
///
/// # Errors
/// There is no such service, or it does not answer.
pub(super) fn ask(places: &Whereabouts, request: &Request) -> Result<Answers, Silence> {
    let (state_dir, runtime_dir) = (&places.state_dir, &places.runtime_dir);
    let owners = owners(state_dir);
    let mut believed = owners.clone();
    believed.extend([0, rustix::process::geteuid().as_raw()]);
    // A member of the socket's group may not even see who owns the state.
    if std::fs::metadata(state_dir).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
        believed.extend(keeper(runtime_dir));
    }
    let socket = socket_path(runtime_dir);
    // A link in a user's state directory can lead root only to sockets of the same user.
    let mut sockets = vec![(socket_path(&state_folder(state_dir)), &owners), (socket.clone(), &believed)];
    sockets.dedup_by(|second, first| second.0 == first.0);
    let mut found = Vec::new();
    for (path, owners) in sockets {
        match probe(places, &path, owners)? {
            Ok(_) => {
                let opened = open(&path, owners, request);
                return opened.map_err(|_| Silence::Broken("it closed the connection".into()));
            }
            Err(Miss::Nothing) => {}
            // Members of the socket's group cannot look into the state directory.
            Err(Miss::Denied(_)) if path != socket => {}
            Err(Miss::Denied(what) | Miss::Found(what)) => found.push(what),
        }
    }
    Err(Silence::Absent(Absence { state_dir: state_dir.clone(), socket, found, holder: store::holder(state_dir) }))
}

/// What the service is doing, and the user that it runs as.
///
/// # Errors
/// As [`ask`].
pub(super) fn status(places: &Whereabouts) -> Result<(Status, u32), Silence> {
    let mut answers = ask(places, &Request::Status)?;
    match answers.reply()? {
        Reply::Status(status) => Ok((*status, answers.peer)),
        _ => Err(Silence::mismatch()),
    }
}

/// The state directory; if the configuration is broken, that of its running service.
pub(super) fn state_dir(places: &Whereabouts) -> PathBuf {
    match places.broken().map(|_| status(places)) {
        Some(Ok((status, _))) if Path::new(&status.state_dir).is_absolute() => status.state_dir.into(),
        _ => places.state_dir.clone(),
    }
}

/// The users whose socket can be the service's: the owners of the state directory and of its lock file.
fn owners(state_dir: &Path) -> BTreeSet<u32> {
    let found = [std::fs::metadata(state_dir), std::fs::symlink_metadata(state_dir.join("lock"))];
    found.iter().flatten().map(MetadataExt::uid).collect()
}

/// The owner of a folder, if no other user except root can make a socket in it.
fn keeper(folder: &Path) -> Option<u32> {
    let metadata = std::fs::metadata(folder).ok()?;
    (metadata.mode() & 0o022 == 0).then(|| metadata.uid())
}

/// Whether the service of this state directory answers at a path.
fn probe(places: &Whereabouts, path: &Path, owners: &BTreeSet<u32>) -> Result<Result<(), Miss>, Silence> {
    let mut answers = match open(path, owners, &Request::Status) {
        Ok(answers) => answers,
        Err(miss) => return Ok(Err(miss)),
    };
    match answers.reply()? {
        Reply::Status(status) if is_wanted(&status, places) => Ok(Ok(())),
        Reply::Status(status) => {
            let (socket, ours) = (path.display(), places.state_dir.display());
            let whose = format!("the service at {socket} keeps its state in {}, not in {ours}", status.state_dir);
            Ok(Err(Miss::Found(whose)))
        }
        _ => Err(Silence::mismatch()),
    }
}

/// Whether a service is that of the configuration.  A broken configuration may no longer name the state directory.
fn is_wanted(status: &Status, places: &Whereabouts) -> bool {
    is_same(&status.state_dir, &places.state_dir)
        || (places.broken().is_some() && is_same(&status.config_file, &places.file))
}

/// Whether a path of the service is the same as one of the configuration, perhaps through a link.
fn is_same(theirs: &str, ours: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()));
    theirs == shown(ours) || identity(ours).is_some_and(|ours| identity(Path::new(theirs)) == Some(ours))
}

fn shown(path: &Path) -> String {
    text::escape(path.display().to_string().as_bytes(), usize::MAX)
}

fn open(path: &Path, owners: &BTreeSet<u32>, request: &Request) -> Result<Answers, Miss> {
    use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let found = |error: io::Error| Miss::Found(format!("{}: {error}", path.display()));
    let mut stream = match connect(path, CONNECT_LIMIT) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), NotFound | ConnectionRefused) => return Err(Miss::Nothing),
        Err(error) if error.kind() == PermissionDenied => {
            return Err(Miss::Denied(format!(
                "{}: {error}; only root, the service's user and its group may use it",
                path.display()
            )));
        }
        Err(error) => return Err(found(error)),
    };
    let peer = peer(&stream).map_err(found)?;
    if !owners.contains(&peer) {
        let whose = "which is neither the owner of the state directory, nor you, nor root; its replies are ignored";
        return Err(Miss::Found(format!(
            "the process that listens at {} runs as user {peer}, {whose}",
            path.display()
        )));
    }
    let mut send = || {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)
    };
    match send() {
        // The service may have answered before it has read everything.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(found(error)),
        _ => Ok(Answers { lines: BufReader::new(stream), peer, paragraphs: paragraphs(request) }),
    }
}

/// The user of the process at the other end, as the kernel reports it.
fn peer(stream: &UnixStream) -> io::Result<u32> {
    // std has no call for it yet, and tokio's needs a runtime.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    stream.set_nonblocking(true)?;
    let peer = tokio::net::UnixStream::from_std(stream.try_clone()?)?.peer_cred()?.uid();
    stream.set_nonblocking(false)?;
    Ok(peer)
}

fn paragraphs(request: &Request) -> &'static [&'static str] {
    match request {
        Request::Reload => &["config-error", "error"],
        _ => &["config-error"],
    }
}

impl Answers {
    /// An answer that is not a refusal.
    fn reply(&mut self) -> Result<Reply, Silence> {
        match self.next() {
            Ok(Some(Reply::Failed { error, exit_code })) => Err(Silence::Refused(error, exit_code)),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err(Silence::Broken("it closed the connection".into())),
            Err(error) => Err(Silence::Broken(error.to_string())),
        }
    }

    /// The next answer; `None` at the end.  An answer that is too long is cut, and then fails to parse.
    pub(super) fn next(&mut self) -> io::Result<Option<Reply>> {
        let mut line = Vec::new();
        let read = (&mut self.lines).take(ANSWER_LIMIT).read_until(b'\n', &mut line);
        let octets = read.map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => io::Error::other(format!("it was silent for {} s", PATIENCE.as_secs())),
            _ => error,
        })?;
        if octets == 0 {
            return Ok(None);
        }
        let mut answer: Value = serde_json::from_slice(&line)?;
        make_harmless(&mut answer, self.paragraphs, false);
        let reply = match serde_json::from_value(answer)? {
            // A failure must not have the exit code of a success.
            Reply::Failed { error, exit_code: 0 } => Reply::Failed { error, exit_code: Class::Protocol.exit_code() },
            reply => reply,
        };
        Ok(Some(reply))
    }
}

/// Escapes all texts of an answer; the fields in `paragraphs` may have several lines.
fn make_harmless(value: &mut Value, paragraphs: &[&str], has_lines: bool) {
    match value {
        Value::String(text) if has_lines => *text = text::lines(text),
        Value::String(text) => *text = text::escape(text.as_bytes(), usize::MAX),
        Value::Array(values) => values.iter_mut().for_each(|value| make_harmless(value, paragraphs, false)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(key, value)| make_harmless(value, paragraphs, paragraphs.contains(&key.as_str()))),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl Absence {
    /// Whether there is more to say than that there is no service.
    pub(super) fn is_remarkable(&self) -> bool {
        !self.found.is_empty()
    }
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state_dir, socket, found, holder } = self;
        let start = "`systemctl start postrider` or `postrider run` starts it; `postrider fetch` works without it.";
        match (holder, &found[..]) {
            (None, []) => {
                write!(f, "the service is not running: nothing answers at {}.  {start}", socket.display())
            }
            (None, found) => {
                write!(f, "the service cannot be reached: {}.  If it is not running: {start}", found.join("; "))
            }
            (Some(pid), found) => {
                let nothing = || format!("nothing answers at {}", socket.display());
                let found = if found.is_empty() { nothing() } else { found.join("; ") };
                let dir = state_dir.display();
                write!(
                    f,
                    "the service cannot be reached: {found}.  Process {pid} uses the state directory {dir}.  If it is a \
                     `fetch`, wait until it ends; if it is the service, read its log."
                )
            }
        }
    }
}

/// Sends a request that is answered with one line.
///
/// # Errors
/// As [`ask`].
pub(super) fn one(places: &Whereabouts, request: &Request) -> Result<Reply, Silence> {
    ask(places, request)?.reply()
}

/// Reports why there is no answer; returns the exit code.
pub(super) fn complain(silence: &Silence) -> u8 {
    match silence {
        Silence::Absent(absence) => {
            output::say(&format!("postrider: {absence}"));
            Class::Unreachable.exit_code()
        }
        Silence::Refused(error, exit_code) => {
            output::say(&format!("postrider: the service refuses: {error}"));
            *exit_code
        }
        Silence::Broken(cause) => broken(cause),
    }
}

/// Reports a service that does not answer as it should; returns the exit code.
pub(super) fn broken(cause: &str) -> u8 {
    output::say(&format!(
        "postrider: the service does not answer: {cause}.  Only root, its own user and its group may use it; see its log."
    ));
    Class::Unreachable.exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_write_vouches_for_nobody() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let own = Some(rustix::process::geteuid().as_raw());
        for (mode, want) in [(0o755, own), (0o700, own), (0o1777, None), (0o775, None), (0o757, None)] {
            std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(mode)).expect("its mode");
            assert_eq!(keeper(dir.path()), want, "{mode:o}");
        }
        assert_eq!(keeper(&dir.path().join("none")), None);
    }

    #[test]
    fn no_text_of_an_answer_steers_a_terminal() {
        let said = "a\u{1b}[31m\u{9b}2J\u{202e}b\nroot: c";
        let mut answer = serde_json::json!({
            "reply": "failed", "error": said, "accounts": [{ "account": said, "error": said, "config-error": said }],
            "config-error": said, "exit-code": 1,
        });
        make_harmless(&mut answer, paragraphs(&Request::Status), false);
        let line = "a\\x1b[31m\\xc2\\x9b2J\\xe2\\x80\\xaeb\\x0aroot: c";
        let lines = line.replace("\\x0a", "\n");
        assert_eq!(answer["error"], line);
        assert_eq!(answer["accounts"][0]["account"], line);
        assert_eq!(answer["accounts"][0]["error"], line);
        assert_eq!(answer["config-error"], *lines);
        assert_eq!((&answer["exit-code"], &answer["reply"]), (&1.into(), &"failed".into()));
    }
}
