//! Connections to one server, kept for the next message and shared by all polls.
//!
//! A server does not say how many it takes from one client until it refuses one (Exim serves 20 in
//! all).  So if one more fails while others work, no message fails with it: fewer are opened for a
//! while.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::client::Refused;
use super::{Accepted, Because, Client, SendError, Settings, SmtpError};
use crate::credential::CredentialError;
use crate::deliver::carrier::Probed;
use crate::failure::{Class, Failure};
use crate::header::Head;
use crate::spool::Spool;

/// Connections to one server at a time.  Postfix allows 50 from one address; four keep it busy
/// while we wait for our own disk, and after a crash no more messages than these are sent twice.
const CONNECTIONS: usize = 4;

/// A server works if it has accepted a connection or a message within this time.
const WORKS_LIMIT: Duration = Duration::from_secs(30);

/// How long a server is not asked for more connections after one too many.
const NARROW_LIMIT: Duration = Duration::from_secs(2 * 60);

/// A connection that has been idle for longer may have been closed by the server.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// The server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnavailableError {
    /// There is no connection.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// There is no password.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl Failure for UnavailableError {
    fn is_shortage(&self) -> bool {
        match self {
            UnavailableError::Smtp(error) => error.is_shortage(),
            UnavailableError::Credential(error) => error.is_shortage(),
        }
    }

    fn class(&self) -> Class {
        match self {
            UnavailableError::Smtp(error) => error.class(),
            UnavailableError::Credential(error) => error.class(),
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            UnavailableError::Smtp(error) => error.advice(),
            UnavailableError::Credential(error) => error.advice(),
        }
    }
}

/// A message was not accepted, or could not even be offered.
#[derive(Debug)]
pub enum DeliveryError {
    /// The server cannot be used.
    Unavailable(UnavailableError),
    /// This message was not accepted.
    Send(SendError),
}

/// The connections to one server.
pub struct Pool {
    settings: Settings,
    connections: Mutex<Connections>,
    permits: Semaphore,
}

#[derive(Default)]
struct Connections {
    resting: Vec<(Client, Instant)>,
    /// How many are in use.
    lent: usize,
    /// When the server last accepted a connection or a message.
    worked: Option<Instant>,
    /// Permits that are held back, and since when.
    narrowed: Option<(usize, Instant)>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("server", &self.settings.endpoint.shown()).finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool without connections yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, connections: Mutex::default(), permits: Semaphore::new(CONNECTIONS) }
    }

    /// Sends that may run at the same time.
    pub fn width(&self) -> usize {
        CONNECTIONS
    }

    /// Makes sure that there is a connection; `rehearses`: and that the server would take mail on it.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses us.
    pub async fn probe(&self, rehearses: bool) -> Result<Probed, UnavailableError> {
        let Ok(_permit) = self.permits.acquire().await else { return Ok(Probed::Works) };
        let mut client = match self.rested().filter(|_| !rehearses) {
            Some(client) => client,
            None => self.connect().await?,
        };
        let rehearsed = if rehearses { client.rehearse().await } else { Ok(()) };
        self.rest(client);
        match rehearsed {
            Err(SendError::NotServed(error)) if error.is_whoever_sends() => Err(error.into()),
            // It may take real senders, and neither the null sender nor its own recipient.
            Err(SendError::NotServed(_)) => Ok(Probed::Unclear),
            _ => Ok(Probed::Works),
        }
    }

    /// Makes a new connection, outside of the pool's bounds, to look at what the server offers.
    ///
    /// # Errors
    /// The server cannot be reached, or refuses us.
    pub async fn connect(&self) -> Result<Client, UnavailableError> {
        let secret = match &self.settings.login {
            Some((_, source)) => Some(source.read().await?),
            None => None,
        };
        let client = Client::connect(&self.settings, secret.as_ref()).await?;
        self.lock().worked = Some(Instant::now());
        Ok(client)
    }

    /// Sends one message; see [`Client::send`].
    ///
    /// # Errors
    /// The message was not accepted, unless [`SendError::Lost`] says that this is not known.
    pub async fn send(
        &self,
        head: &Head,
        prefix: &[u8],
        message_id: &str,
        spool: &Spool,
    ) -> Result<Accepted, DeliveryError> {
        let mut refused = Refused::default();
        loop {
            self.widen(Instant::now());
            let Ok(permit) = self.permits.acquire().await else {
                return Err(DeliveryError::Send(SendError::Deferred { reason: "postrider is ending".into() }));
            };
            if let Some(client) = self.rested() {
                let mut lent = self.lend(client);
                match lent.client.send_on(head, prefix, message_id, spool, &mut refused).await {
                    Err(SendError::NotServed(error)) => {
                        let error = self.judge(&mut lent.client, error).await;
                        return lent.give_back(Err(error));
                    }
                    // Usually it was closed while it was idle; a new one will do.
                    Err(SendError::Lost { outcome_unknown: false, source }) if !source.is_at_message() => {}
                    result => return lent.give_back(result),
                }
            }
            let client = match self.connect().await {
                Ok(client) => client,
                Err(error) if self.is_one_too_many(&error, Instant::now()) => {
                    self.narrow(permit);
                    continue;
                }
                Err(error) => return Err(DeliveryError::Unavailable(error)),
            };
            let mut lent = self.lend(client);
            let before = refused.senders;
            match lent.client.send_on(head, prefix, message_id, spool, &mut refused).await {
                // The server has hung up on a sender; each is tried once, so this ends.
                Err(SendError::Lost { outcome_unknown: false, .. }) if refused.senders > before => {}
                Err(SendError::NotServed(error)) => {
                    let error = self.judge(&mut lent.client, error).await;
                    return lent.give_back(Err(error));
                }
                // 421: it may turn everybody away.
                Err(SendError::Lost { outcome_unknown: false, source: error @ SmtpError::Refused { .. } })
                    if !error.is_at_message() =>
                {
                    let error = self.judge(&mut lent.client, error).await;
                    return lent.give_back(Err(error));
                }
                result => return lent.give_back(result),
            }
        }
    }

    /// Whom a refusal before the message concerns: if the server takes another envelope, it was the message's.
    async fn judge(&self, client: &mut Client, error: SmtpError) -> SendError {
        let (reason, may_be_of_sender) = match &error {
            SmtpError::NotServed { reason, trouble, .. } => (reason.clone(), trouble.may_be_of_sender()),
            error => (error.to_string(), true),
        };
        let serves_others = may_be_of_sender
            && match client.is_usable() {
                true => client.rehearse().await.is_ok(),
                false => match self.connect().await {
                    Ok(mut other) => other.rehearse().await.is_ok(),
                    Err(_) => false,
                },
            };
        match serves_others {
            true => SendError::Refused { reason, because: Because::Unsaid { like: None } },
            false => SendError::NotServed(error),
        }
    }

    /// Closes the idle connections.
    pub async fn close(&self) {
        while let Some(client) = self.rested() {
            client.quit().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rested(&self) -> Option<Client> {
        let mut connections = self.lock();
        connections.resting.retain(|(_, since)| since.elapsed() < REST_LIMIT);
        connections.resting.pop().map(|(client, _)| client)
    }

    fn rest(&self, client: Client) {
        if client.is_usable() {
            self.lock().resting.push((client, Instant::now()));
        }
    }

    fn lend(&self, client: Client) -> Lent<'_> {
        self.lock().lent += 1;
        Lent { client, count: Count(self) }
    }

    /// Whether the server only refuses this connection: it is reachable, and serves others.  A wrong
    /// login or setting would be wrong for all of them.
    fn is_one_too_many(&self, error: &UnavailableError, now: Instant) -> bool {
        let is_of_server = matches!(error.class(), Class::TryLater | Class::Unreachable | Class::Protocol);
        let Connections { resting, lent, worked, .. } = &*self.lock();
        let works = worked.is_some_and(|at| now.duration_since(at) < WORKS_LIMIT);
        is_of_server && works && (*lent > 0 || !resting.is_empty())
    }

    /// Allows one connection less.  There is another one, which holds a permit of its own or releases one.
    fn narrow(&self, permit: SemaphorePermit<'_>) {
        permit.forget();
        let narrowed = &mut self.lock().narrowed;
        *narrowed = Some((narrowed.map_or(0, |(permits, _)| permits) + 1, Instant::now()));
    }

    fn widen(&self, now: Instant) {
        let is_over = |(_, since): &mut (usize, Instant)| now.duration_since(*since) >= NARROW_LIMIT;
        if let Some((permits, _)) = self.lock().narrowed.take_if(is_over) {
            self.permits.add_permits(permits);
        }
    }
}

/// A connection in use.
struct Lent<'a> {
    client: Client,
    count: Count<'a>,
}

impl Lent<'_> {
    fn give_back(self, result: Result<Accepted, SendError>) -> Result<Accepted, DeliveryError> {
        let Self { client, count } = self;
        let pool = count.0;
        if result.is_ok() {
            pool.lock().worked = Some(Instant::now());
        }
        pool.rest(client);
        result.map_err(DeliveryError::Send)
    }
}

/// Counts a connection in use, even if its sending is cancelled.
struct Count<'a>(&'a Pool);

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.0.lock().lent -= 1;
    }
}
