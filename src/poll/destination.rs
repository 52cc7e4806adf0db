//! The destinations of one poll: each is used until its first failure, which affects no other.

use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::error::PollError;
use super::piece::{Job, State};
use crate::deliver::maildir::{self, Maildir, MaildirError};
use crate::deliver::{Carrier, Kind, Outlet, OutletError};
use crate::failure::{Failure, describe, is_shortage};
use crate::message::MessageKey;
use crate::plan::Place;
use crate::threads::{self, ThreadError};

/// A destination of this poll.
#[derive(Debug)]
pub(super) struct OpenDestination {
    pub(super) outlet: Arc<Outlet>,
    pub(super) place: Place,
    /// Open, if it is a Maildir.
    pub(super) maildir: Option<Arc<Maildir>>,
    /// The state knows it.
    was_there: bool,
    failure: OnceLock<Arc<OutletError>>,
    /// Messages at which connections have ended since one was delivered.
    breaks: Mutex<Vec<MessageKey>>,
}

/// Different messages at which connections end, from which on the destination is the cause and not they.
const BREAKS: usize = 3;

impl OpenDestination {
    /// Opens a destination, as far as that needs no network.  `was_there`: the state knows it.
    pub(super) fn open(outlet: Arc<Outlet>, place: Place, was_there: bool) -> Self {
        if let Some(lapse) = outlet.health.lapse(Instant::now()) {
            let failure = OnceLock::from(Arc::new(OutletError::Waiting(lapse)));
            return Self { outlet, place, maildir: None, was_there, failure, breaks: Mutex::default() };
        }
        let (maildir, failure) = match &outlet.destination.kind {
            Kind::Maildir(settings) => match Maildir::open(settings, was_there) {
                Ok(maildir) => (Some(Arc::new(maildir)), OnceLock::new()),
                Err(error) => (None, OnceLock::from(Arc::new(OutletError::from(error)))),
            },
            _ => (None, OnceLock::new()),
        };
        Self { outlet, place, maildir, was_there, failure, breaks: Mutex::default() }
    }

    /// If two lead to the same folder, the second one is not used: the folder would get each message twice.
    pub(super) fn refuse_twins(destinations: &[Self]) {
        let identity = |destination: &Self| destination.maildir.as_ref().and_then(|maildir| maildir.identity().ok());
        for (index, destination) in destinations.iter().enumerate().skip(1) {
            let Some(own) = identity(destination) else { continue };
            if let Some(first) = destinations[..index].iter().find(|first| identity(first) == Some(own)) {
                destination.fail(OutletError::SameFolder { other: first.place.destination.clone() });
            }
        }
    }

    /// Whether messages are staged in it, open or not.
    pub(super) fn is_maildir(&self) -> bool {
        self.outlet.destination.maildir().is_some()
    }

    /// The carrier that messages are handed over to, if they are not staged.
    pub(super) fn carrier(&self) -> Option<&dyn Carrier> {
        self.outlet.carrier()
    }

    /// Whether `Delivered-To` fields are renamed on the way there.
    pub(super) fn renames(&self) -> bool {
        self.outlet.destination.renames_delivered_to()
    }

    /// Whether it can still be used in this poll.
    pub(super) fn is_up(&self) -> bool {
        self.failure.get().is_none()
    }

    /// Whether it was left alone because it has failed before.
    fn is_waiting(&self) -> bool {
        self.failure.get().is_some_and(|failure| matches!(**failure, OutletError::Waiting(_)))
    }

    /// Shares with other polls whether it works; `used`: it was actually tried.
    pub(super) fn tell(&self, used: bool) {
        match self.failure.get() {
            _ if self.is_waiting() => {}
            // The destination itself may work.
            Some(failure) if failure.is_shortage() => {}
            Some(failure) => self.outlet.health.failed(&**failure, Instant::now()),
            None if used => self.outlet.health.recovered(),
            None => {}
        }
    }

    /// Notes a failure after which nothing more is tried in this poll; the first one counts.
    pub(super) fn fail(&self, error: impl Into<OutletError>) {
        let _ = self.failure.set(Arc::new(error.into()));
    }

    /// The state of a parcel that cannot be written.
    pub(super) fn fault(&self, error: io::Error) -> State {
        match &self.maildir {
            Some(maildir) => self.maildir_fault(maildir::draft_failure(maildir.path(), &error)),
            None if error.kind() == io::ErrorKind::FileTooLarge => State::Unfit(format!(
                "it cannot be spooled in the state directory: {error} (RLIMIT_FSIZE, `ulimit -f`)"
            )),
            None => {
                let (text, is_shortage) = (error.to_string(), is_shortage(&error));
                if !is_shortage {
                    self.fail(OutletError::Spool(error));
                }
                State::Failed(text)
            }
        }
    }

    /// The same for a Maildir.  A failure that is not the destination's fault affects no other message.
    pub(super) fn maildir_fault(&self, error: MaildirError) -> State {
        match error.kind {
            io::ErrorKind::FileTooLarge => State::Unfit(format!("{error} (RLIMIT_FSIZE, `ulimit -f`)")),
            _ if error.is_shortage() => State::Failed(error.to_string()),
            _ => State::Failed(self.fail_with(error)),
        }
    }

    /// Notes that a connection ended at a message, and returns the text of the error.  Several different messages in a row
    /// make a failure of it.
    pub(super) fn broke(&self, key: &MessageKey, error: OutletError) -> String {
        let text = describe(&error);
        let mut breaks = self.breaks.lock().unwrap_or_else(PoisonError::into_inner);
        if !breaks.contains(key) {
            breaks.push(key.clone());
        }
        if breaks.len() >= BREAKS {
            self.fail(error);
        }
        text
    }

    /// Notes that a message was delivered.
    pub(super) fn worked(&self) {
        self.breaks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes a failure, and returns its text.
    pub(super) fn fail_with(&self, error: impl Into<OutletError>) -> String {
        let error = error.into();
        let text = describe(&error);
        self.fail(error);
        text
    }

    /// Makes sure that a server can be reached, and that a Maildir can be written.
    ///
    /// # Errors
    /// No thread became free in time, or it panicked.
    pub(super) async fn probe(&self, deadline: Instant) -> Result<(), ThreadError> {
        if let Some(carrier) = self.carrier()
            && self.is_up()
            && let Err(error) = carrier.probe(self.was_there).await
        {
            self.fail(error);
        }
        if let Some(maildir) = self.maildir.clone().filter(|_| self.is_up())
            && let Err(error) = threads::run_until(deadline.into(), move || maildir.probe()).await?
        {
            self.fail(error);
        }
        Ok(())
    }

    /// The failure, if there was one.
    pub(super) fn failure(&self, others_work: bool) -> Option<PollError> {
        let name = self.place.destination.clone();
        self.failure.get().map(|source| PollError::Destination { name, source: Arc::clone(source), others_work })
    }
}

/// Whether one of a message's destinations can be used; it may have none, if only its content is wanted.
pub(super) fn is_deliverable(job: &Job, destinations: &[OpenDestination]) -> bool {
    job.targets.is_empty() || job.targets.iter().any(|&target| destinations[target].is_up())
}
