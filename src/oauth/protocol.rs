//! The requests to a provider, and how its responses are read.

use std::sync::Arc;
use std::time::Duration;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, EndpointMaybeSet, EndpointNotSet, EndpointSet, ErrorResponse,
    ErrorResponseType, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, StandardErrorResponse,
    TokenResponse, TokenUrl,
};

use super::Grant;
use super::error::OAuthError;
use super::http::{Http, HttpError};
use crate::secret::Secret;
use crate::text;

/// The crate's client with our endpoints.
pub(super) type Client = BasicClient<EndpointSet, EndpointMaybeSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The most octets of an error code that are shown.
const CODE_LIMIT: usize = 64;

/// Codes by which a provider says "not now".
const UNWILLING: [&str; 3] = ["temporarily_unavailable", "server_error", "slow_down"];

/// Tokens as the provider sent them.
pub(super) struct Answer {
    pub(super) access: Secret,
    /// `None`: the previous one stays.
    pub(super) refresh: Option<Secret>,
    pub(super) lifetime: Option<Duration>,
}

impl Answer {
    pub(super) fn of(response: &BasicTokenResponse) -> Self {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        Self {
            access: secret(response.access_token().secret()),
            refresh: response
                .refresh_token()
                .map(|token| secret(token.secret()))
                .filter(|token| !token.expose().is_empty()),
            lifetime: response.expires_in(),
        }
    }
}

impl Grant {
    pub(super) fn http(&self) -> Http {
        Http { provider: Arc::clone(&self.provider), route: self.route.clone() }
    }

    /// The client with its secret, if it has one.
    pub(super) async fn client(&self) -> Result<Client, OAuthError> {
        let provider = &self.provider;
        let device = provider.device.clone().map(oauth2::DeviceAuthorizationUrl::from_url);
        let client = BasicClient::new(ClientId::new(provider.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(provider.authorization.clone()))
            .set_token_uri(TokenUrl::from_url(provider.token.clone()))
            .set_device_authorization_url_option(device);
        let Some(source) = &provider.client_secret else { return Ok(client) };
        let failed = |source| OAuthError::Secret { provider: provider.name.clone(), source: Box::new(source) };
        let secret = source.read().await.map_err(failed)?;
        Ok(client.set_client_secret(ClientSecret::new(String::from_utf8_lossy(secret.expose()).into_owned())))
    }

    /// Exchanges a refresh token for an access token.
    pub(super) async fn refresh(&self, token: &Secret) -> Result<Answer, OAuthError> {
        let client = self.client().await?;
        let token = RefreshToken::new(String::from_utf8_lossy(token.expose()).into_owned());
        let (http, said) = (self.http(), [token.secret().as_str()]);
        let response = client.exchange_refresh_token(&token).request_async(&http).await;
        let response = response.map_err(|error| self.error("renewing the token", error, &said))?;
        Ok(Answer::of(&response))
    }

    /// Exchanges the code that a person has brought for tokens.
    pub(super) async fn redeem(
        &self,
        code: &Secret,
        verifier: PkceCodeVerifier,
        redirect: &RedirectUrl,
    ) -> Result<Answer, OAuthError> {
        let client = self.client().await?.set_redirect_uri(redirect.clone());
        let code = AuthorizationCode::new(String::from_utf8_lossy(code.expose()).into_owned());
        let verifier_again = verifier.secret().clone();
        let said = [code.secret().clone(), verifier_again];
        let http = self.http();
        let response = client.exchange_code(code).set_pkce_verifier(verifier).request_async(&http).await;
        let said: Vec<&str> = said.iter().map(String::as_str).collect();
        Ok(Answer::of(&response.map_err(|error| self.error("asking for tokens", error, &said))?))
    }

    /// Converts the crate's error.  No message may hold any of `said`.
    pub(super) fn error<T: ErrorResponseType + AsRef<str> + std::fmt::Display + 'static>(
        &self,
        step: &'static str,
        error: RequestTokenError<HttpError, StandardErrorResponse<T>>,
        said: &[&str],
    ) -> OAuthError
    where
        StandardErrorResponse<T>: ErrorResponse,
    {
        let provider = self.provider.name.clone();
        match error {
            RequestTokenError::ServerResponse(response) => {
                let code: &str = response.error().as_ref();
                self.refused(step, code, response.error_description().map(String::as_str), said)
            }
            RequestTokenError::Request(HttpError::Net(source)) => {
                OAuthError::Net { provider, step, source: Box::new(source) }
            }
            RequestTokenError::Request(HttpError::Unwilling(status)) => {
                OAuthError::Unwilling { provider, step, code: format!("HTTP status {status}") }
            }
            RequestTokenError::Request(HttpError::Broken) => {
                OAuthError::Answer { provider, step, fault: "broke off, or does not speak HTTP" }
            }
            RequestTokenError::Request(HttpError::Large) => {
                OAuthError::Answer { provider, step, fault: "gave an answer that is too large" }
            }
            RequestTokenError::Request(HttpError::Redirect) => {
                OAuthError::Answer { provider, step, fault: "answered with a redirect, which is not followed" }
            }
            // Their texts quote the response, which may hold tokens.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OAuthError::Answer { provider, step, fault: "sent a reply that is not valid OAuth 2.0" }
            }
        }
    }

    /// An error code of the provider's (RFC 6749 §5.2), and the words that came with it.
    pub(super) fn refused(
        &self,
        step: &'static str,
        code: &str,
        description: Option<&str>,
        said: &[&str],
    ) -> OAuthError {
        let provider = self.provider.name.clone();
        let is_clean = |text: &&str| !said.iter().any(|secret| repeats(text, secret));
        let code = Some(code).filter(is_clean).unwrap_or("(not shown: it repeats what it was sent)");
        let code = text::escape(code.trim().as_bytes(), CODE_LIMIT);
        if UNWILLING.contains(&code.as_str()) {
            return OAuthError::Unwilling { provider, step, code };
        }
        let description = description.filter(is_clean).map(|words| text::shown(words.as_bytes()));
        let description = description.filter(|words| !words.is_empty());
        OAuthError::Refused { account: self.account.clone(), provider, step, code, description }
    }
}

/// Whether a text holds the beginning of a secret: a provider may truncate it.
fn repeats(text: &str, secret: &str) -> bool {
    let start: String = secret.chars().take(12).collect();
    start.len() >= 4 && text.contains(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_repeats_a_secret_is_known_by_its_beginning() {
        assert!(repeats("bad token 1//0abcdefghij...", "1//0abcdefghijklmnop"));
        assert!(!repeats("the token has expired", "1//0abcdefghijklmnop"));
        assert!(!repeats("abc", "abc"));
    }
}
