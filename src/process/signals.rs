//! The signals that the program understands.

use std::io;

use tokio::signal::unix::{self, SignalKind, signal};

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end.
    Terminate,
    /// SIGINT: end.
    Interrupt,
    /// SIGHUP: read the configuration again.
    Hangup,
    /// SIGUSR1: poll now.
    User1,
}

impl Signal {
    /// The name, such as `SIGTERM`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Terminate => "SIGTERM",
            Signal::Interrupt => "SIGINT",
            Signal::Hangup => "SIGHUP",
            Signal::User1 => "SIGUSR1",
        }
    }
}

/// Catches signals.
#[derive(Debug)]
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: Option<unix::Signal>,
    user1: Option<unix::Signal>,
}

impl Signals {
    /// Catches the signals that end a process.
    ///
    /// # Errors
    /// The system refuses.
    pub fn of_command() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())?, hangup: None, user1: None })
    }

    /// Catches the signals that the service understands.
    ///
    /// # Errors
    /// The system refuses.
    pub fn of_service() -> io::Result<Self> {
        let hangup = Some(signal(SignalKind::hangup())?);
        let user1 = Some(signal(SignalKind::user_defined1())?);
        Ok(Self { hangup, user1, ..Self::of_command()? })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            () = one(&mut self.hangup) => Signal::Hangup,
            () = one(&mut self.user1) => Signal::User1,
        }
    }
}

async fn one(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
