//! The service's control socket, from a client's side.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::output;
use crate::config::Config;
use crate::control::{Reply, Request, socket_path};
use crate::failure::Class;

/// Silence of the service that ends a request: it tells progress ten times a second, and answers
/// at once otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// Octets of an answer: the status of ten thousand accounts has some millions.
const ANSWER_LIMIT: u64 = 64 << 20;

/// A connection with a request under way.
pub(super) struct Answers {
    lines: BufReader<UnixStream>,
}

/// Asks the service.  `None` if there is none, or the one there has another state directory.
pub(super) fn ask(config: &Config, request: &Request) -> Option<io::Result<Answers>> {
    // The socket may be that of a service with another configuration.
    match open(config, &Request::Status)?.and_then(|mut answers| answers.next()) {
        Ok(Some(Reply::Status(status))) if status.state_dir == config.state_dir.display().to_string() => {}
        Ok(Some(reply @ Reply::Failed { .. })) => return Some(Err(io::Error::other(failure(reply)))),
        Ok(_) => return None,
        Err(error) => return Some(Err(error)),
    }
    open(config, request)
}

fn open(config: &Config, request: &Request) -> Option<io::Result<Answers>> {
    let mut stream = match UnixStream::connect(socket_path(&config.runtime_dir)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return None;
        }
        Err(error) => return Some(Err(error)),
    };
    let send = || {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        Ok(Answers { lines: BufReader::new(stream) })
    };
    Some(send())
}

impl Answers {
    /// The next answer; `None` at the end.  One that is too long is cut, and cannot be read then.
    pub(super) fn next(&mut self) -> io::Result<Option<Reply>> {
        let mut line = Vec::new();
        match (&mut self.lines).take(ANSWER_LIMIT).read_until(b'\n', &mut line)? {
            0 => Ok(None),
            _ => Ok(Some(serde_json::from_slice(&line)?)),
        }
    }
}

fn failure(reply: Reply) -> String {
    match reply {
        Reply::Failed { error, .. } => error,
        _ => "an answer to another question".to_owned(),
    }
}

/// A request that is answered by one line.
///
/// # Errors
/// It is complained about, and the exit code given.
pub(super) fn one(config: &Config, request: &Request) -> Result<Reply, u8> {
    let Some(answers) = ask(config, request) else {
        let path = socket_path(&config.runtime_dir);
        let text = format!(
            "postrider: the service does not run: nothing answers at {}.  Start it with `systemctl start postrider` or \
             `postrider run`; `postrider fetch` works without it.",
            path.display()
        );
        output::say(&text);
        return Err(Class::Unreachable.exit_code());
    };
    match answers.and_then(|mut answers| answers.next()) {
        Ok(Some(Reply::Failed { error, exit_code })) => {
            output::say(&format!("postrider: the service refuses: {error}"));
            Err(exit_code)
        }
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(broken("it has closed the connection")),
        Err(error) => Err(broken(&error.to_string())),
    }
}

/// Complains about a service that does not answer as it should; gives the exit code.
pub(super) fn broken(cause: &str) -> u8 {
    output::say(&format!(
        "postrider: the service does not answer: {cause}.  It is for root, its own user and group; its log tells more."
    ));
    Class::Unreachable.exit_code()
}
