//! The destinations of one poll: each is used until its first failure, which affects no other.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::doubts::{Doubts, Judgement};
use super::error::PollError;
use super::piece::{Job, State};
use crate::clock::unix_now;
use crate::deliver::maildir::{self, Maildir, MaildirError};
use crate::deliver::{Carrier, Declined, Kind, Outlet, OutletError, Probed};
use crate::failure::{Failure, describe, is_shortage};
use crate::message::MessageKey;
use crate::plan::Place;
use crate::store::{Change, DestinationTrouble, Doubted, Ending};
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
    /// Which messages it refused, and whether that is about them.
    doubts: Doubts,
    /// Only a message shows whether it works.
    on_trial: AtomicBool,
}

impl OpenDestination {
    /// Opens a destination, as far as that needs no network.  `was_there`: the state knows it; `doubted`: messages that
    /// it refused earlier.
    pub(super) fn open(outlet: Arc<Outlet>, place: Place, was_there: bool, doubted: &[Doubted]) -> Self {
        let doubts =
            Doubts::new(&place.destination, doubted, outlet.health.last().is_some_and(|last| last.at_messages));
        if let Some(lapse) = outlet.health.lapse(unix_now()) {
            let failure = OnceLock::from(Arc::new(OutletError::Waiting(lapse)));
            return Self { outlet, place, maildir: None, was_there, failure, doubts, on_trial: AtomicBool::default() };
        }
        let (maildir, failure) = match &outlet.destination.kind {
            Kind::Maildir(settings) => match Maildir::open(settings, was_there) {
                Ok(maildir) => (Some(Arc::new(maildir)), OnceLock::new()),
                Err(error) => (None, OnceLock::from(Arc::new(OutletError::from(error)))),
            },
            _ => (None, OnceLock::new()),
        };
        Self { outlet, place, maildir, was_there, failure, doubts, on_trial: AtomicBool::default() }
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

    /// Whether it is tried with a single message.
    pub(super) fn is_on_trial(&self) -> bool {
        self.on_trial.load(Ordering::Relaxed)
    }

    /// Whether it has failed, and not worked since.
    pub(super) fn has_failed(&self) -> bool {
        self.outlet.health.last().is_some()
    }

    /// Whether it was left alone because it has failed before.
    fn is_waiting(&self) -> bool {
        self.failure.get().is_some_and(|failure| matches!(**failure, OutletError::Waiting(_)))
    }

    /// Shares with other polls whether it works, and returns what is to be recorded; `used`: it was actually tried.
    pub(super) async fn tell(&self, used: bool, salt: &str) -> Option<Change> {
        let health = &self.outlet.health;
        let lapse = match self.failure.get() {
            _ if self.is_waiting() => None,
            // The destination itself may work.
            Some(failure) if failure.is_shortage() => None,
            Some(failure) => health.failed(&**failure, self.doubts.are_of_destination(), unix_now()),
            None if used && self.works() && health.recovered() => {
                return Some(Change::DestinationWorks { name: self.place.destination.clone() });
            }
            None if self.has_failed() => return Some(Change::DestinationIdle { name: self.place.destination.clone() }),
            None => None,
        }?;
        let settings = self.outlet.mark(salt, lapse.class).await?;
        Some(Change::DestinationFails(DestinationTrouble {
            name: self.place.destination.clone(),
            settings,
            error: lapse.cause.clone(),
            advice: lapse.advice.clone(),
            exit_code: lapse.class.exit_code(),
            failures: lapse.failures,
            since: lapse.since,
            until: lapse.until,
            at_messages: lapse.at_messages,
        }))
    }

    /// Whether it is known to work: after it has failed at messages, only a delivery shows that.
    fn works(&self) -> bool {
        let needs_proof = self.is_on_trial() || self.outlet.health.last().is_some_and(|last| last.at_messages);
        self.doubts.have_accepted() || !needs_proof
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

    /// Judges a refusal that may be about the message or about the destination: then it is not used any more.
    pub(super) fn judge(&self, key: &MessageKey, declined: Declined) -> Ending {
        let Declined { error, like, of_all, for_good } = declined;
        let text = describe(&error);
        match self.doubts.judge(key, like.as_deref(), of_all) {
            Judgement::OfDestination => {
                self.fail(if of_all { error } else { OutletError::Alike(Box::new(error)) });
                Ending::Doubted(text)
            }
            Judgement::OfMessage if for_good => Ending::Suspect(text),
            Judgement::OfMessage | Judgement::Open => Ending::Doubted(text),
        }
    }

    /// The same for a connection that ended at a message.
    pub(super) fn judge_end(&self, key: &MessageKey, error: OutletError) -> Ending {
        let like = Some("the connection ends".to_owned());
        self.judge(key, Declined { error, like, of_all: false, for_good: true })
    }

    /// Notes that a message was delivered.
    pub(super) fn worked(&self) {
        self.doubts.accept();
    }

    /// Why a message was not tried there.
    pub(super) fn why_not(&self) -> String {
        match self.failure.get() {
            Some(failure) => format!("it was not tried, since the destination does not work: {}", describe(&**failure)),
            None => "the destination cannot be used".to_owned(),
        }
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
        {
            match carrier.probe(self.was_there, self.outlet.health.last().is_some()).await {
                Ok(Probed::Works) => {}
                Ok(Probed::Unclear) => self.on_trial.store(true, Ordering::Relaxed),
                Err(error) => self.fail(error),
            }
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
