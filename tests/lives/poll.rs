//! A fetch that ends well, is cut, or is killed.

use super::support::{Behaviour, MailboxServer, Postrider, Quit};
use fastrand::Rng;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

/// What happens to a fetch.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    None,
    /// The connection ends after so many octets.
    CutAfter(u64),
    /// It ends instead of the answer to the so-many-th command.
    DropAt(usize),
    /// The end of the session is another one.
    Quit(Quit),
    /// SIGKILL at the so-many-th command: before its answer, or so long after it.
    Kill(usize, Option<Duration>),
}

impl Fault {
    /// Any, for a session about so many messages.
    pub(crate) fn any(messages: usize, random: &mut Rng) -> Self {
        let commands = 8 + 3 * messages;
        match random.u8(..20) {
            0..3 => Self::CutAfter(random.u64(1..200 + 4000 * (1 + messages as u64))),
            3..6 => Self::DropAt(random.usize(1..commands)),
            6..8 => Self::Quit([Quit::Refuse, Quit::DeleteSilently, Quit::Vanish][random.usize(..3)]),
            8..12 => {
                let late = Duration::from_micros(random.u64(..5000));
                Self::Kill(random.usize(1..commands), Some(late).filter(|_| random.bool()))
            }
            _ => Self::None,
        }
    }

    fn behave(&self, behaviour: Behaviour) -> Behaviour {
        match *self {
            Self::None | Self::Kill(..) => behaviour,
            Self::CutAfter(octets) => Behaviour { cut_after_octets: Some(octets), ..behaviour },
            Self::DropAt(nth) => Behaviour { drop_at_nth: Some(nth), ..behaviour },
            Self::Quit(quit) => Behaviour { quit, ..behaviour },
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::CutAfter(octets) => write!(f, ", cut after {octets} octets"),
            Self::DropAt(nth) => write!(f, ", cut at command {nth}"),
            Self::Quit(quit) => write!(f, ", QUIT: {quit:?}"),
            Self::Kill(nth, None) => write!(f, ", killed at command {nth}"),
            Self::Kill(nth, Some(late)) => write!(f, ", killed {late:?} after command {nth}"),
        }
    }
}

/// What a fetch came to.
pub(crate) struct Fetched {
    /// `None`: it was killed.
    pub(crate) code: Option<i32>,
    /// What it said.
    pub(crate) text: String,
}

/// Fetches once, and waits until the server is done with it, too.
pub(crate) fn fetch(program: &Postrider, server: &MailboxServer, behaviour: Behaviour, fault: &Fault) -> Fetched {
    server.change(|now| *now = fault.behave(behaviour));
    let (reached, has_reached) = mpsc::channel();
    let (is_killed, killed) = mpsc::channel::<()>();
    if let Fault::Kill(nth, late) = *fault {
        let (commands, killed) = (AtomicUsize::new(0), Mutex::new(killed));
        server.watch(move |_| {
            if commands.fetch_add(1, Ordering::SeqCst) + 1 == nth {
                let _ = reached.send(());
                if late.is_none() {
                    // Until the other end is gone, whatever became of the program.
                    let _ = killed.lock().expect("no panic while locked").recv();
                }
            }
        });
    }
    let mut running = program.spawn(&["fetch"]);
    let output = loop {
        match has_reached.recv_timeout(Duration::from_millis(2)) {
            Ok(()) => {
                if let Fault::Kill(_, Some(late)) = *fault {
                    // Nothing is waited for: the moment itself is the fault.
                    std::thread::sleep(late);
                }
                break running.kill();
            }
            Err(RecvTimeoutError::Timeout) if running.is_running() => {}
            Err(_) => break running.wait(Duration::from_secs(60)),
        }
    };
    drop(is_killed);
    server.wait_until_idle();
    server.watch(|_| {});
    Fetched { code: output.code, text: output.text() }
}
