//! What is remembered of a server from one session to the next: what it announces, so that it need
//! not be asked each time, and that it cannot handle several commands at once.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::error::PollError;
use super::login::log_in_with;
use super::report::Report;
use super::{Context, connect_to, doubt};
use crate::account::Account;
use crate::clock::{seconds, unix_now};
use crate::event::{Event, LockStep};
use crate::message::UnixTime;
use crate::net::{Endpoint, Stream, TlsMode};
use crate::pop3::reply::Capabilities;
use crate::pop3::session::{Form, Session, SessionError, Shape, Skips, Stage};
use crate::secret::Secret;
use crate::store::{Change, Host, HostMemory, StoreError};

/// How long a server's announced capabilities are trusted.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// How long a server that mixed up its replies gets one command at a time.
const OUT_OF_STEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// The same for one whose connection broke with several commands unanswered: the network may have been the cause.
const BROKEN: Duration = Duration::from_secs(24 * 3600);

/// What is kept of a server that answers in a shape of its own, until that is learnt.
const TO_BE_LEARNT: &str = "?";

/// A server during a session.
pub(super) struct Server {
    host: Host,
    memory: HostMemory,
    /// Whether the memory is to be recorded.
    is_new: bool,
    /// The shape of its answers is learnt in this session.
    learns: bool,
}

/// Connects and logs in.  What the server announces is asked for only if it is not known, or may
/// differ after STLS.
pub(super) async fn open(
    account: &Account,
    context: &Context,
    deadline: Instant,
) -> Result<(Session<Stream>, Server), PollError> {
    let now = unix_now();
    let host = host(&account.endpoint);
    let mut memory = context.store.host(host.clone()).await?;
    let mut skips = skips(&memory, now);
    let known = known(&account.endpoint, &memory, now).filter(|_| skips.is_empty());
    let is_known = known.is_some();
    let limit = account.deadline;
    let mut offered = None;
    let mut opened = timeout_at(deadline, attempt(account, known, skips, &mut offered))
        .await
        .unwrap_or(Err(PollError::Deadline { limit }));
    if !skips.is_empty() && opened.as_ref().is_err_and(wants_capabilities) {
        // Perhaps the network failed then, and the server did not hang up.
        skips = Skips::default();
        opened = timeout_at(deadline, attempt(account, None, skips, &mut offered))
            .await
            .unwrap_or(Err(PollError::Deadline { limit }));
    }
    let (mut session, lines) = match judged(account, context, offered, opened).await? {
        Ok(opened) => opened,
        Err(error) => {
            let before = memory.clone();
            learn(&mut memory, &error, now);
            if memory != before {
                context.store.apply(vec![Change::Host { host, memory }], now).await?;
            }
            return Err(error);
        }
    };
    let learns = memory.replies.as_deref() == Some(TO_BE_LEARNT);
    if memory.lock_step_until > now || learns {
        session.go_lock_step();
    }
    session.expect_shape(if learns { None } else { Some(shape(&memory)) });
    let mut is_new = !is_known && account.endpoint.tls != TlsMode::StartTls && lines.is_some();
    if is_new {
        memory.capabilities = lines.map(|lines| (lines, now));
    }
    // A server that works without being asked is not asked in future either.
    let until = now.saturating_add(seconds(OUT_OF_STEP));
    if memory.lessons.0 != skips.bits() || (!skips.is_empty() && until - memory.lessons.1 > seconds(BELIEVED)) {
        memory.lessons = (skips.bits(), if skips.is_empty() { 0 } else { until });
        is_new = true;
    }
    Ok((session, Server { host, memory, is_new, learns }))
}

/// Connects and logs in.  Returns what the server announced, too.
async fn attempt(
    account: &Account,
    known: Option<Capabilities>,
    skips: Skips,
    offered: &mut Option<Secret>,
) -> Result<(Session<Stream>, Option<Vec<String>>), PollError> {
    let client = connect_to(account, known, skips).await?;
    let lines = client.capabilities().announced.then(|| client.capabilities().lines.clone());
    Ok((log_in_with(account, client, offered).await?, lines))
}

/// Whether a login failed because what the server offers was not known.
fn wants_capabilities(error: &PollError) -> bool {
    matches!(error, PollError::Session(SessionError::NoMechanism { .. } | SessionError::ClearText { .. }))
}

/// Learns from a session that failed.
fn learn(memory: &mut HostMemory, error: &PollError, now: UnixTime) {
    let is_of_the_server =
        matches!(error, PollError::Session(_) | PollError::TokenRefused { .. } | PollError::Doubted { .. });
    if !is_of_the_server {
        return;
    }
    // Perhaps it announces something else by now.  A server that has answered CAPA before gets another chance.
    let has_answered = memory.capabilities.take().is_some();
    if let PollError::Session(SessionError::Capabilities { stage, .. }) = error
        && (!has_answered || *stage == Stage::Login)
    {
        memory.lessons = (skips(memory, now).with(*stage).bits(), now.saturating_add(seconds(BROKEN)));
    }
}

/// The stages at which the server is not asked what it offers.
fn skips(memory: &HostMemory, now: UnixTime) -> Skips {
    let (bits, until) = memory.lessons;
    Skips::of_bits(if until > now { bits } else { 0 })
}

/// The outcome of a login, in which a password that has worked before may be in doubt.
async fn judged<T>(
    account: &Account,
    context: &Context,
    offered: Option<Secret>,
    opened: Result<T, PollError>,
) -> Result<Result<T, PollError>, StoreError> {
    let Some(password) = offered else { return Ok(opened) };
    match opened {
        Ok(opened) => doubt::worked(account, context, &password).await.map(|()| Ok(opened)),
        Err(error) => doubt::refused(account, context, &password, error).await.map(Err),
    }
}

impl Server {
    /// Takes note of the shape of its answers, if that was learnt in this session.
    pub(super) fn learnt(&mut self, account: &Account, learnt: Option<Shape>) {
        let Some(shape) = learnt.filter(|_| self.learns) else { return };
        self.memory.replies = Some(shape.to_string());
        self.is_new = true;
        if shape.uidl == Some(Form::STANDARD) {
            // It was not the shape: several commands at once have confused it.
            let why = LockStep::OutOfStep;
            Event::OneCommandAtATime { account: account.name.clone(), why }.tell();
            self.memory.lock_step_until = unix_now().saturating_add(seconds(OUT_OF_STEP));
        } else if shape == Shape::NOTHING {
            Event::AnswersSayNothing { account: account.name.clone() }.tell();
        }
    }

    /// What was learnt from the login.
    pub(super) fn news(&self) -> Option<Change> {
        self.is_new.then(|| Change::Host { host: self.host.clone(), memory: self.memory.clone() })
    }

    /// Whether an answer out of place may be one of a shape that is not known.
    fn may_have_own_shape(&self, error: &PollError, flight: usize) -> bool {
        let is_displaced =
            matches!(error, PollError::Session(SessionError::Displaced { .. } | SessionError::OutOfStep { .. }));
        // Once the shape is known, the number of commands at once is suspected first.
        is_displaced && !self.learns && (self.memory.replies.is_none() || flight < 2)
    }

    /// What is to be remembered after an error with `flight` commands in flight: perhaps the server announces
    /// something else by now, or cannot handle that many.  The report says whether the poll may do better with
    /// one command at a time.
    pub(super) fn broke(
        &self,
        account: &Account,
        error: &PollError,
        flight: usize,
        report: &mut Report,
    ) -> Option<Change> {
        if !matches!(error, PollError::Session(_)) {
            return None;
        }
        let mut memory = self.memory.clone();
        learn(&mut memory, error, unix_now());
        if self.may_have_own_shape(error, flight) {
            // One command at a time, too: that may be the cause as well.
            memory.replies = Some(TO_BE_LEARNT.to_owned());
            report.slower = true;
            return Some(Change::Host { host: self.host.clone(), memory });
        }
        let time = lock_step(error, flight);
        if let Some(time) = time {
            let why = if time == OUT_OF_STEP { LockStep::OutOfStep } else { LockStep::Unanswered };
            Event::OneCommandAtATime { account: account.name.clone(), why }.tell();
            memory.lock_step_until = unix_now().saturating_add(seconds(time));
        }
        report.slower = time.is_some();
        (memory != self.memory).then(|| Change::Host { host: self.host.clone(), memory })
    }
}

/// The shape in which a server is known to answer.
fn shape(memory: &HostMemory) -> Shape {
    memory.replies.as_deref().and_then(|kept| kept.parse().ok()).unwrap_or_default()
}

/// How long a server gets one command at a time after an error with this many in flight.
fn lock_step(error: &PollError, flight: usize) -> Option<Duration> {
    let error = match error {
        _ if flight < 2 => return None,
        PollError::Session(error) => error,
        _ => return None,
    };
    match error {
        SessionError::OutOfStep { .. } | SessionError::Displaced { .. } | SessionError::LongLine { .. } => {
            Some(OUT_OF_STEP)
        }
        SessionError::Io { .. } | SessionError::Closed { .. } | SessionError::Silence { .. } => Some(BROKEN),
        _ => None,
    }
}

/// What the server is known to announce.  After STLS it is always asked again.
fn known(endpoint: &Endpoint, memory: &HostMemory, now: UnixTime) -> Option<Capabilities> {
    let (lines, asked) = memory.capabilities.as_ref()?;
    let age = u64::try_from(now - asked).ok()?;
    let is_believed = endpoint.tls != TlsMode::StartTls && age < BELIEVED.as_secs();
    is_believed.then(|| {
        let mut capabilities = Capabilities::default();
        lines.iter().for_each(|line| capabilities.add_line(line.as_bytes()));
        capabilities.announced = true;
        capabilities
    })
}

fn host(endpoint: &Endpoint) -> Host {
    let is_encrypted = endpoint.tls == TlsMode::Implicit;
    Host { name: endpoint.host.to_ascii_lowercase(), port: endpoint.port, is_encrypted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Route, Trust};

    fn endpoint(tls: TlsMode) -> Endpoint {
        let (trust, route) = (Trust::default(), Route::default());
        Endpoint { host: "Mail.example.org".to_owned(), port: 995, tls, trust, route }
    }

    #[test]
    fn what_a_server_announces_is_believed_for_a_day_and_never_across_stls() {
        let day = 24 * 3600;
        let memory = HostMemory { capabilities: Some((vec!["SASL PLAIN".to_owned()], 1000)), ..HostMemory::default() };
        for (tls, now, is_known) in [
            (TlsMode::Implicit, 1000, true),
            (TlsMode::None, 1000 + day - 1, true),
            (TlsMode::Implicit, 1000 + day, false),
            // A clock that has gone back.
            (TlsMode::Implicit, 999, false),
            (TlsMode::StartTls, 1000, false),
        ] {
            let known = known(&endpoint(tls), &memory, now);
            assert_eq!(
                known.map(|known| (known.announced, known.sasl)),
                is_known.then(|| (true, vec!["PLAIN".to_owned()]))
            );
        }
        assert_eq!(known(&endpoint(TlsMode::Implicit), &HostMemory::default(), 1000), None);
    }

    #[test]
    fn only_what_pipelining_may_have_broken_ends_it() {
        let closed = || PollError::from(SessionError::Closed { step: String::new() });
        let displaced = PollError::from(SessionError::Displaced { step: String::new(), line: String::new() });
        assert_eq!(lock_step(&displaced, 2), Some(OUT_OF_STEP));
        assert_eq!(lock_step(&closed(), 2), Some(BROKEN));
        assert_eq!(lock_step(&closed(), 1), None);
        assert_eq!(lock_step(&PollError::NoUniqueIds, 3), None);
        assert_eq!(lock_step(&SessionError::LongListing { step: String::new(), limit: 1 }.into(), 9), None);
    }
}
