//! What is remembered of a server from one session to the next: what it announces, so that it need
//! not be asked each time, and that it cannot take several commands at once.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::error::PollError;
use super::doubt;
use super::login::log_in_with;
use super::{Account, Context, connect_to, unix_now};
use crate::message::UnixTime;
use crate::net::{Endpoint, Stream, TlsMode};
use crate::pop3::reply::Capabilities;
use crate::pop3::session::{Session, SessionError};
use crate::secret::Secret;
use crate::store::{Change, Host, HostMemory, StoreError};

/// So long what a server announces is taken for true.
const BELIEVED: Duration = Duration::from_secs(24 * 3600);

/// So long a server that has mixed up its replies gets one command at a time.
const OUT_OF_STEP: Duration = Duration::from_secs(30 * 24 * 3600);

/// So long one whose connection broke with several commands unanswered: it may have been the line.
const BROKEN: Duration = Duration::from_secs(24 * 3600);

/// A server during a session.
pub(super) struct Server {
    host: Host,
    memory: HostMemory,
    /// Whether the memory is to be written down.
    is_new: bool,
}

/// Connects and logs in.  What the server announces is asked for only if it is not known, or not
/// the same after STLS.
pub(super) async fn open(
    account: &Account,
    context: &Context,
    deadline: Instant,
) -> Result<(Session<Stream>, Server), PollError> {
    let now = unix_now();
    let host = host(&account.endpoint);
    let mut memory = context.store.host(host.clone()).await?;
    let known = known(&account.endpoint, &memory, now);
    let is_known = known.is_some();
    let mut offered = None;
    let work = async {
        let client = connect_to(account, known).await?;
        let lines = client.capabilities().announced.then(|| client.capabilities().lines.clone());
        Ok((log_in_with(account, client, &mut offered).await?, lines))
    };
    let opened = timeout_at(deadline, work).await.unwrap_or(Err(PollError::Deadline { limit: account.deadline }));
    let opened = judged(account, context, offered, opened).await?;
    let (mut session, lines) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            if is_known && matches!(
                    error,
                    PollError::Session(_) | PollError::TokenRefused { .. } | PollError::Doubted { .. }
                ) {
                // Perhaps it announces something else by now.
                memory.capabilities = None;
                context.store.apply(vec![Change::Host { host, memory }], now).await?;
            }
            return Err(error);
        }
    };
    if memory.lock_step_until > now {
        session.go_lock_step();
    }
    let is_new = !is_known && account.endpoint.tls != TlsMode::StartTls && lines.is_some();
    if is_new {
        memory.capabilities = lines.map(|lines| (lines, now));
    }
    Ok((session, Server { host, memory, is_new }))
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
    /// What was learnt by the login.
    pub(super) fn news(&self) -> Option<Change> {
        self.is_new.then(|| Change::Host { host: self.host.clone(), memory: self.memory.clone() })
    }

    /// What is to be remembered after an error with so many commands in flight: perhaps the server
    /// announces something else by now, or cannot take so many.
    pub(super) fn broke(&self, account: &Account, error: &PollError, flight: usize) -> Option<Change> {
        let PollError::Session(error) = error else { return None };
        let mut memory = HostMemory { capabilities: None, ..self.memory.clone() };
        if let Some(time) = lock_step(error, flight) {
            if time == OUT_OF_STEP {
                warn!(account = %account.name, "the server mixes up its answers to several commands: it gets one at a time");
            } else {
                info!(account = %account.name, "several commands were unanswered: the server gets one at a time for a day");
            }
            memory.lock_step_until = unix_now().saturating_add(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        }
        (memory != self.memory).then(|| Change::Host { host: self.host.clone(), memory })
    }
}

/// So long a server is to get one command at a time after an error with so many in flight.
fn lock_step(error: &SessionError, flight: usize) -> Option<Duration> {
    match error {
        _ if flight < 2 => None,
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
        let closed = || SessionError::Closed { step: String::new() };
        let displaced = SessionError::Displaced { step: String::new(), line: String::new() };
        assert_eq!(lock_step(&displaced, 2), Some(OUT_OF_STEP));
        assert_eq!(lock_step(&closed(), 2), Some(BROKEN));
        assert_eq!(lock_step(&closed(), 1), None);
        assert_eq!(lock_step(&SessionError::NoListing, 9), None);
    }
}
