//! A server that follows a script line by line, for what no real server says.
//!
//! ```text
//! S: +OK ready        send the line and CRLF
//! C: USER *           expect a line; * stands for anything
//! R: +OK\r\n.\r       send what follows exactly as it is
//! hang                say nothing more; keep the connection open until the test ends
//! eof                 expect the client to close without another word
//! close               close the connection (also at the end of the script)
//! ```

use super::listener::{Connection, Listener};
use super::wait_until;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send these octets.
    Send(Vec<u8>),
    /// Expect a line that matches, where `*` stands for anything.
    Expect(String),
    /// Stay silent until the test ends.
    Hang,
    /// Expect the client to close without another word.
    Eof,
    /// Close the connection.
    Close,
}

impl Step {
    /// Reads a step as the module describes it.
    pub fn parse(step: &str) -> Self {
        match step.split_once(": ").unwrap_or((step, "")) {
            ("S", line) => Self::Send(format!("{line}\r\n").into_bytes()),
            ("R", octets) => Self::Send(octets.as_bytes().to_vec()),
            ("C", pattern) => Self::Expect(pattern.to_owned()),
            ("hang", "") => Self::Hang,
            ("eof", "") => Self::Eof,
            ("close", "") => Self::Close,
            _ => panic!("not a step of a script: {step:?}"),
        }
    }
}

/// A server that follows a script.
pub struct Scripted {
    listener: Listener,
    record: Arc<Mutex<Record>>,
}

#[derive(Default)]
struct Record {
    heard: Vec<String>,
    faults: Vec<String>,
    followed: usize,
    ended: usize,
}

impl Scripted {
    /// Follows the same dialogue in every connection.
    pub fn dialogue(steps: &[&str]) -> Self {
        Self::dialogues(&[steps])
    }

    /// Follows the first dialogue in the first connection, and so on; the last
    /// one in all that come after.
    pub fn dialogues(dialogues: &[&[&str]]) -> Self {
        Self::steps(dialogues.iter().map(|steps| steps.iter().map(|step| Step::parse(step)).collect()).collect())
    }

    /// The same with steps that may hold any octets.
    pub fn steps(dialogues: Vec<Vec<Step>>) -> Self {
        assert!(!dialogues.is_empty(), "a script needs a dialogue");
        Self::conversation(move |number, peer| peer.follow(&dialogues[number.min(dialogues.len() - 1)]))
    }

    /// Runs `talk` for each connection, with its number from 0.
    pub fn conversation(talk: impl Fn(usize, &mut Peer) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let record = Arc::new(Mutex::new(Record::default()));
        let for_threads = Arc::clone(&record);
        let listener = Listener::start(move |number, connection| {
            let mut peer = Peer { connection, record: Arc::clone(&for_threads) };
            let outcome = talk(number, &mut peer);
            let mut record = for_threads.lock().expect("no panic while locked");
            record.ended += 1;
            match outcome {
                Ok(()) => record.followed += 1,
                Err(error) => record.faults.push(format!("connection {number}: {error}")),
            }
            Ok(())
        });
        Self { listener, record }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.listener.connections()
    }

    /// Every line that clients have said, in order.
    pub fn heard(&self) -> Vec<String> {
        self.record.lock().expect("no panic while locked").heard.clone()
    }

    /// Waits until every connection has ended, and panics unless there was one
    /// and all went by the script.  Not for scripts that hang.
    #[track_caller]
    pub fn assert_followed(&self) {
        wait_until("the scripted connections to end", Duration::from_secs(10), || {
            let ended = self.record.lock().expect("no panic while locked").ended;
            ended > 0 && ended == self.connections()
        });
        let record = self.record.lock().expect("no panic while locked");
        assert!(record.faults.is_empty(), "{:#?}\nheard {:#?}", record.faults, record.heard);
    }
}

/// A connection that keeps a record of what the client says.
pub struct Peer {
    /// The connection itself.
    pub connection: Connection,
    record: Arc<Mutex<Record>>,
}

impl Peer {
    /// Goes through a script.
    ///
    /// # Errors
    /// The client said something else, or the connection broke.
    pub fn follow(&mut self, steps: &[Step]) -> io::Result<()> {
        for step in steps {
            match step {
                Step::Send(octets) => self.connection.send(octets)?,
                Step::Expect(pattern) => self.expect(pattern)?,
                Step::Hang => return self.connection.hang(),
                Step::Eof => {
                    // A client may also end by a reset.
                    if let Ok(Some(line)) = self.hear() {
                        return Err(unexpected("the end", &line));
                    }
                }
                Step::Close => return Ok(()),
            }
        }
        Ok(())
    }

    /// The client's next line, recorded; `None` at the end.
    pub fn hear(&mut self) -> io::Result<Option<String>> {
        let line = self.connection.read_line()?;
        let line = line.map(|line| String::from_utf8_lossy(&line).into_owned());
        if let Some(line) = &line {
            self.record.lock().expect("no panic while locked").heard.push(line.clone());
        }
        Ok(line)
    }

    /// Expects a line that matches.
    pub fn expect(&mut self, pattern: &str) -> io::Result<()> {
        match self.hear()? {
            Some(line) if matches(pattern, &line) => Ok(()),
            Some(line) => Err(unexpected(pattern, &line)),
            None => Err(unexpected(pattern, "the end")),
        }
    }
}

fn unexpected(wanted: &str, heard: &str) -> io::Error {
    io::Error::other(format!("expected {wanted:?}, heard {heard:?}"))
}

/// Whether a line is like a pattern, in which `*` stands for anything.
fn matches(pattern: &str, line: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == line,
        Some((start, rest)) => line.strip_prefix(start).is_some_and(|line| {
            line.char_indices().map(|(at, _)| at).chain([line.len()]).any(|at| matches(rest, &line[at..]))
        }),
    }
}
