//! Connections to one server, kept for the next message and shared by all polls.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::{Accepted, Client, SendError, Settings, SmtpError};
use crate::credential::CredentialError;
use crate::failure::{Class, Failure};
use crate::header::Head;
use crate::spool::Spool;

/// Connections to one server at a time.  Postfix allows 50 from one address; four keep it busy
/// while we wait for our own disk.
const CONNECTIONS: usize = 4;

/// A connection that has rested longer may have been closed by the server.
const REST_LIMIT: Duration = Duration::from_secs(20);

/// The server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnavailableError {
    /// No connection.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
    /// No password.
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl Failure for UnavailableError {
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
    /// This message.
    Send(SendError),
}

/// The connections to one server.
pub struct Pool {
    settings: Settings,
    resting: Mutex<Vec<(Client, Instant)>>,
    permits: Semaphore,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("server", &self.settings.endpoint.shown()).finish_non_exhaustive()
    }
}

impl Pool {
    /// No connection yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, resting: Mutex::default(), permits: Semaphore::new(CONNECTIONS) }
    }

    /// Sends that may run at the same time.
    pub fn width(&self) -> usize {
        CONNECTIONS
    }

    /// Makes sure that there is a connection.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub async fn probe(&self) -> Result<(), UnavailableError> {
        let Ok(_permit) = self.permits.acquire().await else { return Ok(()) };
        if let Some(client) = self.rested() {
            self.rest(client);
            return Ok(());
        }
        let client = self.connect().await?;
        self.rest(client);
        Ok(())
    }

    /// Connects anew, outside of the pool's bounds, to look at what the server offers.
    ///
    /// # Errors
    /// The server cannot be reached, or does not let us in.
    pub async fn connect(&self) -> Result<Client, UnavailableError> {
        let secret = match &self.settings.login {
            Some((_, source)) => Some(source.read().await?),
            None => None,
        };
        Ok(Client::connect(&self.settings, secret.as_ref()).await?)
    }

    /// Sends one message; see [`Client::send`].
    ///
    /// # Errors
    /// Nobody has got the message, unless [`SendError::Lost`] says that it is not known.
    pub async fn send(
        &self,
        head: &Head,
        prefix: &[u8],
        message_id: &str,
        spool: &Spool,
    ) -> Result<Accepted, DeliveryError> {
        let Ok(_permit) = self.permits.acquire().await else {
            return Err(DeliveryError::Send(SendError::Deferred { reason: "postrider is ending".into() }));
        };
        if let Some(mut client) = self.rested() {
            match client.send(head, prefix, message_id, spool).await {
                // It had been closed while it rested: nothing was sent, a new one will do.
                Err(SendError::Lost { outcome_unknown: false, .. }) => {}
                result => {
                    self.rest(client);
                    return result.map_err(DeliveryError::Send);
                }
            }
        }
        let mut client = self.connect().await.map_err(DeliveryError::Unavailable)?;
        let result = client.send(head, prefix, message_id, spool).await;
        self.rest(client);
        result.map_err(DeliveryError::Send)
    }

    /// Closes the connections that rest.
    pub async fn close(&self) {
        while let Some(client) = self.rested() {
            client.quit().await;
        }
    }

    fn rested(&self) -> Option<Client> {
        let mut resting = self.resting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        resting.retain(|(_, since)| since.elapsed() < REST_LIMIT);
        resting.pop().map(|(client, _)| client)
    }

    fn rest(&self, client: Client) {
        if client.is_usable() {
            let mut resting = self.resting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            resting.push((client, Instant::now()));
        }
    }
}
