//! A connection that a command makes (`connect-command`): its standard input and output.
//!
//! There is no shell, and the environment is small.  The command is killed with all that it has
//! started when the connection is dropped, or when it ends.  Its standard error is drained, so that
//! it never waits for us, and the last line is reported if it ends by itself.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Sleep, sleep};

use super::NetError;
use crate::credential::ended;
use crate::subprocess::{self, Rest, Running};
use crate::text;

/// The variables of our environment that a command gets: enough to find programs, keys and an agent.
const ENVIRONMENT: [&str; 11] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Time between the end of the command's output and its exit, to learn how it ended.
const GRACE: Duration = Duration::from_secs(1);

/// Octets of standard error that are kept; the last line is in them.
const KEPT: usize = 1024;

/// How a command ended, once it has; shared with others than the connection's owner.
pub(super) type LastLine = Arc<OnceLock<String>>;

/// A running command.
#[derive(Debug)]
pub(super) struct Tunnel {
    program: String,
    child: Running,
    input: Option<ChildStdin>,
    output: ChildStdout,
    errors: Option<ChildStderr>,
    said: Vec<u8>,
    status: Option<ExitStatus>,
    /// Its output has ended: how long its exit is waited for.
    grace: Option<Pin<Box<Sleep>>>,
    last_line: LastLine,
}

impl Tunnel {
    /// Starts a command.
    ///
    /// # Errors
    /// There is no such program, or it cannot be run.
    pub(super) fn start(argv: &[String]) -> Result<Self, NetError> {
        let (program, arguments) = argv.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
        let failed = |source| NetError::CommandStart { program: program.to_owned(), source };
        let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, subprocess::variable(name)?)));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(kept)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = Running::start(&mut command, Rest::Killed).map_err(failed)?;
        let missing = || failed(io::ErrorKind::BrokenPipe.into());
        Ok(Self {
            program: program.to_owned(),
            input: Some(child.input().ok_or_else(missing)?),
            output: child.output().ok_or_else(missing)?,
            errors: child.errors(),
            child,
            said: Vec::new(),
            status: None,
            grace: None,
            last_line: LastLine::default(),
        })
    }

    /// Where the command's end will be recorded.
    pub(super) fn last_line(&self) -> LastLine {
        Arc::clone(&self.last_line)
    }

    /// Takes what has come on standard error.
    fn drain(&mut self, cx: &mut Context<'_>) {
        let mut octets = [0; KEPT];
        while let Some(errors) = &mut self.errors {
            let mut buf = ReadBuf::new(&mut octets);
            match Pin::new(errors).poll_read(cx, &mut buf) {
                Poll::Pending => return,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    self.said.extend_from_slice(buf.filled());
                    let surplus = self.said.len().saturating_sub(KEPT);
                    self.said.drain(..surplus);
                }
                Poll::Ready(_) => self.errors = None,
            }
        }
    }

    /// Its output or its input is closed: waits for its exit, but not for long.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.drain(cx);
        if self.status.is_none()
            && let Poll::Ready(Ok(status)) = self.child.poll_wait(cx)
        {
            self.status = Some(status);
        }
        let grace = self.grace.get_or_insert_with(|| Box::pin(sleep(GRACE)));
        let is_known = self.status.is_some() && self.errors.is_none();
        if !is_known && grace.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let how = self.status.as_ref().map_or_else(|| "has closed the connection".to_owned(), ended);
        let last_line = format!("connect-command {:?} {how}{}", self.program, last_line(&self.said));
        Poll::Ready(io::Error::new(io::ErrorKind::BrokenPipe, self.last_line.get_or_init(|| last_line).clone()))
    }
}

/// The last line that is not empty, to be appended to how the command ended.
fn last_line(said: &[u8]) -> String {
    let line = said.rsplit(|&octet| octet == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    line.map_or(String::new(), |line| format!(": {}", text::shown(line)))
}

impl AsyncRead for Tunnel {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.drain(cx);
        let before = buf.remaining();
        match Pin::new(&mut this.output).poll_read(cx, buf) {
            Poll::Ready(Ok(())) if buf.remaining() == before && before > 0 => this.poll_end(cx).map(Err),
            read => read,
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // It may read nothing more until its standard error is drained.
        this.drain(cx);
        let Some(input) = &mut this.input else { return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) };
        match Pin::new(input).poll_write(cx, buf) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => this.poll_end(cx).map(Err),
            written => written,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().input = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn start(argv: &[&str]) -> Tunnel {
        Tunnel::start(&argv.iter().map(|&word| word.to_owned()).collect::<Vec<_>>()).expect("started")
    }

    #[tokio::test]
    async fn what_is_written_goes_in_and_what_it_prints_comes_out() {
        let mut tunnel = start(&["cat"]);
        tunnel.write_all(b"$HOME").await.expect("written");
        tunnel.shutdown().await.expect("shut");
        let mut octets = Vec::new();
        let error = tunnel.read_to_end(&mut octets).await.expect_err("its end is told");
        assert_eq!(octets, b"$HOME");
        assert_eq!(error.to_string(), "connect-command \"cat\" ended with exit code 0");
    }

    #[tokio::test]
    async fn the_last_line_of_its_complaints_is_told_and_none_holds_it_up() {
        let script =
            "head -c 300000 /dev/zero | tr '\\0' x >&2; echo through; printf '\\nno \\033way\\n\\n' >&2; exit 3";
        let mut tunnel = start(&["sh", "-c", script]);
        let mut octets = Vec::new();
        let error = tunnel.read_to_end(&mut octets).await.expect_err("ended");
        assert_eq!(octets, b"through\n");
        assert_eq!(error.to_string(), "connect-command \"sh\" ended with exit code 3: no \\x1bway");
        assert_eq!(tunnel.last_line().get(), Some(&error.to_string()));
    }

    #[tokio::test]
    async fn a_command_that_only_closes_its_output_is_not_waited_for() {
        let mut tunnel = start(&["sh", "-c", "exec >&- 2>&-; sleep 1000"]);
        let error = tunnel.read_u8().await.expect_err("closed");
        assert_eq!(error.to_string(), "connect-command \"sh\" has closed the connection");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told_at_once() {
        let error = Tunnel::start(&["/nowhere/x".to_owned()]).expect_err("not there");
        assert!(matches!(error, NetError::CommandStart { .. }), "{error}");
    }
}
