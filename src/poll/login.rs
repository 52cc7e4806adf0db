//! Logging in: with which credentials, and what becomes of a token that the server refuses.
//!
//! A password is tried once.  A token may have expired on its way, or been revoked: one that was
//! refused is renewed and the new one tried once, on a connection of its own; if that is refused
//! too, it counts as a refused login.

use super::{PollError, connect, connect_to};
use crate::account::{Account, Credential};
use crate::clock::unix_now;
use crate::credential::Kind;
use crate::net::{Endpoint, Stream};
use crate::pop3::session::{Client, Login, Session, SessionError, Skips};
use crate::sasl::{Credentials, Identity};
use crate::secret::Secret;

/// The credentials that are offered to the server.
async fn credentials(credential: &Credential) -> Result<Offered, PollError> {
    let (credentials, is_final) = match credential {
        Credential::Password(source) => (Credentials::Password(source.read().await?), true),
        Credential::Certificate => (Credentials::Certificate, true),
        Credential::Token(source) => (Credentials::Token(source.read_as(Kind::Token).await?), false),
        Credential::OAuth(grant) => {
            let access = grant.access(unix_now(), None).await?;
            (Credentials::Token(access.token), access.is_new)
        }
    };
    Ok(Offered { credentials, is_final })
}

/// A token to replace one that was refused; `None` if there is no other.
async fn renewed(credential: &Credential, refused: &Secret) -> Result<Option<Credentials>, PollError> {
    let token = match credential {
        Credential::Password(_) | Credential::Certificate => return Ok(None),
        // The refusal says more than a command that fails the second time.
        Credential::Token(source) => match source.read_as(Kind::Token).await {
            Ok(token) => token,
            Err(_) => return Ok(None),
        },
        Credential::OAuth(grant) => grant.access(unix_now(), Some(refused)).await?.token,
    };
    Ok((token != *refused).then_some(Credentials::Token(token)))
}

/// What is offered to the server.
struct Offered {
    credentials: Credentials,
    /// There can be no better credentials.
    is_final: bool,
}

/// Logs in with the account's credentials; if the server breaks off at CAPA after the login, once more without it.
///
/// # Errors
/// The password or the token cannot be had, or the server refuses.
pub async fn log_in(account: &Account, client: Client<Stream>) -> Result<Session<Stream>, PollError> {
    match log_in_with(account, client, &mut None).await {
        Err(PollError::Session(SessionError::Capabilities { stage, .. })) => {
            let client = connect_to(account, None, Skips::default().with(stage)).await?;
            log_in_with(account, client, &mut None).await
        }
        result => result,
    }
}

/// The same; puts the password that it offers into `offered`.
pub(super) async fn log_in_with(
    account: &Account,
    client: Client<Stream>,
    offered: &mut Option<Secret>,
) -> Result<Session<Stream>, PollError> {
    let Offered { credentials, is_final } = credentials(&account.credential).await?;
    if let Credentials::Password(password) = &credentials {
        *offered = Some(password.clone());
    }
    let refusal = match try_once(account, client, &credentials).await {
        Err(error) if error.is_token_refused() => error,
        result => return Ok(result?),
    };
    let told = |error| told(account, error);
    let Credentials::Token(refused) = &credentials else { return Err(told(refusal)) };
    if is_final {
        return Err(told(refusal));
    }
    tracing::debug!(account = %account.name, "the server has refused the token; asking for a new one");
    match renewed(&account.credential, refused).await? {
        Some(credentials) => Ok(try_once(account, connect(account).await?, &credentials).await.map_err(told)?),
        None => Err(told(refusal)),
    }
}

async fn try_once(
    account: &Account,
    client: Client<Stream>,
    credentials: &Credentials,
) -> Result<Session<Stream>, SessionError> {
    let Endpoint { host, port, .. } = &account.endpoint;
    let login = Login {
        identity: Identity { username: &account.username, host, port: *port },
        credentials,
        mechanisms: &account.auth,
        is_encrypted: client.stream().is_encrypted(),
        is_private: client.stream().is_private(),
    };
    client.login(&login).await
}

/// A refusal with the advice that fits, which depends on who keeps the token.
fn told(account: &Account, source: SessionError) -> PollError {
    match account.credential {
        Credential::OAuth(_) if source.is_token_refused() => {
            PollError::TokenRefused { account: account.name.clone(), source: Box::new(source) }
        }
        _ => source.into(),
    }
}
