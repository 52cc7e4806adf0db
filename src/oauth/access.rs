//! The access token of a login: the stored one, or a new one.

use super::Grant;
use super::error::OAuthError;
use super::tokens::Tokens;
use crate::message::UnixTime;
use crate::secret::Secret;
use crate::transcript;

/// An access token.
#[derive(Clone, Debug)]
pub struct Access {
    /// The token.
    pub token: Secret,
    /// Whether it was issued for this login: then there is no better one.
    pub is_new: bool,
}

impl Grant {
    /// The access token for a login at `now`, by the wall clock.  It is renewed if it is about to
    /// expire, or is the one that a server has refused.
    ///
    /// # Errors
    /// Nobody has signed in, the provider refuses or cannot be reached, or the tokens cannot be
    /// read or written.
    pub async fn access(&self, now: UnixTime, refused: Option<&Secret>) -> Result<Access, OAuthError> {
        let tokens = self.tokens()?;
        if let Some(token) = tokens.usable(now, refused) {
            return Ok(Access { token: token.clone(), is_new: false });
        }
        // On a task of its own: a poll that times out must not drop a refresh token between the
        // provider's reply and the disk.
        let (grant, refused) = (self.clone(), refused.cloned());
        let whose = transcript::whose();
        let renewal = async move { grant.renew(now, refused.as_ref()).await };
        let renewal = tokio::spawn(transcript::carried(whose, renewal));
        renewal.await.unwrap_or_else(|error| Err(OAuthError::Bug(error.to_string())))
    }

    /// Checks that there are tokens of this client.
    ///
    /// # Errors
    /// Nobody has signed in, or the tokens cannot be read.
    pub fn check(&self) -> Result<(), OAuthError> {
        self.tokens().map(|_| ())
    }

    async fn renew(&self, now: UnixTime, refused: Option<&Secret>) -> Result<Access, OAuthError> {
        let lock = self.vault.lock().await?;
        // Another poll or process may have renewed them meanwhile.
        let tokens = self.tokens()?;
        if let Some(token) = tokens.usable(now, refused) {
            return Ok(Access { token: token.clone(), is_new: false });
        }
        // A disk that cannot be written to must be noticed before a refresh token is spent.
        self.vault.write(&tokens, &lock).await?;
        let answer = self.refresh(&tokens.refresh_token).await?;
        let tokens = tokens.renewed(answer, now);
        self.vault.write(&tokens, &lock).await?;
        tracing::debug!(account = %self.account, "the access token was renewed");
        Ok(Access { token: tokens.access().clone(), is_new: true })
    }

    /// The stored tokens, if they belong to this client.
    fn tokens(&self) -> Result<Tokens, OAuthError> {
        let account = || self.account.clone();
        let tokens = self.vault.read()?;
        let tokens = tokens.ok_or_else(|| OAuthError::NotSignedIn { account: account() })?;
        if tokens.client == self.provider.binding() {
            Ok(tokens)
        } else {
            Err(OAuthError::OtherClient { account: account() })
        }
    }
}
