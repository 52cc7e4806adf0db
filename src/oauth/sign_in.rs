//! Signing in: by a browser that comes back with a code, or by a code that is typed elsewhere.

use std::time::Duration;

use oauth2::{
    CsrfToken, DeviceCodeErrorResponseType, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardDeviceAuthorizationResponse,
};
use tokio::sync::mpsc;

use super::Grant;
use super::answer::{Brought, Refusal, of_paste};
use super::error::OAuthError;
use super::http::HttpError;
use super::listener::Listener;
use super::protocol::Answer;
use super::tokens::Tokens;
use crate::message::UnixTime;
use crate::secret::Secret;
use crate::text;

/// Time for a person to sign in; then the state and the verifier are discarded.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The shortest and the longest pause before a provider is asked again whether a device code was typed,
/// whatever pause it asks for.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// An attempt to sign in by a browser.
pub struct Browser<'a> {
    grant: &'a Grant,
    url: String,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
    redirect: RedirectUrl,
}

/// An attempt to sign in by a device code.
pub struct Device<'a> {
    grant: &'a Grant,
    details: StandardDeviceAuthorizationResponse,
    limit: Duration,
}

impl Grant {
    /// Begins a sign-in whose browser comes back to a listener, or else to the provider's redirect-uri
    /// as it is.
    ///
    /// # Errors
    /// The client's secret cannot be read.
    pub async fn by_browser(&self, listener: Option<&Listener>) -> Result<Browser<'_>, OAuthError> {
        let redirect = listener.map_or(self.provider.redirect.as_str(), Listener::redirect).to_owned();
        let provider = || self.provider.name.clone();
        let redirect = RedirectUrl::new(redirect).map_err(|_| OAuthError::NoListener { provider: provider() })?;
        let client = self.client().await?.set_redirect_uri(redirect.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let mut request = client.authorize_url(CsrfToken::new_random).set_pkce_challenge(challenge);
        for scope in &self.provider.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        for (name, value) in self.provider.parameters {
            request = request.add_extra_param(*name, *value);
        }
        // The user name: providers that know the parameter propose it, others ignore it.
        if self.username.contains('@') {
            request = request.add_extra_param("login_hint", self.username.as_str());
        }
        let (url, state) = request.url();
        Ok(Browser { grant: self, url: url.to_string(), state, verifier, redirect })
    }

    /// Asks for a device code.
    ///
    /// # Errors
    /// The provider has no device flow, refuses or cannot be reached.
    pub async fn by_device(&self) -> Result<Device<'_>, OAuthError> {
        let none = || OAuthError::NoDeviceFlow { provider: self.provider.name.clone() };
        let client = self.client().await?;
        let request = client.exchange_device_code().map_err(|_| none())?;
        let scopes = self.provider.scopes.iter().map(|scope| Scope::new(scope.clone()));
        let http = self.http();
        let details: Result<StandardDeviceAuthorizationResponse, _> =
            request.add_scopes(scopes).request_async(&http).await;
        let details = details.map_err(|error| self.error("asking for a device code", error, &[]))?;
        let limit = details.expires_in().min(2 * PATIENCE);
        Ok(Device { grant: self, details, limit })
    }

    /// Stores the tokens of a new sign-in, and notifies a running service.
    async fn keep(&self, answer: Answer, now: UnixTime) -> Result<(), OAuthError> {
        let word = CsrfToken::new_random().into_secret();
        let none = || OAuthError::NoRefreshToken { provider: self.provider.name.clone() };
        let tokens = Tokens::new(self.provider.binding(), word.clone(), answer, now).ok_or_else(none)?;
        let lock = self.vault.lock().await?;
        self.vault.write(&tokens, &lock).await?;
        self.vault.write_stamp(&word, &lock)
    }
}

impl Browser<'_> {
    /// The address at which a person signs in.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until the browser comes back to the listener or somebody pastes the address where it
    /// ended, and stores the tokens.  A paste without an answer is reported, and another one awaited.
    ///
    /// # Errors
    /// The person or the provider refuses, no answer comes, or the tokens cannot be obtained or stored.
    pub async fn finish(
        self,
        listener: Option<&Listener>,
        pastes: Option<mpsc::Receiver<String>>,
        tell: &dyn Fn(&str),
        now: fn() -> UnixTime,
    ) -> Result<(), OAuthError> {
        let state = self.state.secret().clone();
        let by_redirect = async {
            match listener {
                Some(listener) => listener.wait(&state).await,
                None => std::future::pending().await,
            }
        };
        let brought = async {
            tokio::select! {
                brought = by_redirect => Ok(brought),
                brought = pasted(pastes, &state, listener.is_some(), tell) => brought,
            }
        };
        let late = || OAuthError::Late { limit: PATIENCE };
        let code = match tokio::time::timeout(PATIENCE, brought).await.map_err(|_| late())?? {
            Ok(code) => code,
            Err(Refusal { code, description }) => {
                return Err(self.grant.refused("signing in", &code, description.as_deref(), &[]));
            }
        };
        let answer = self.grant.redeem(&code, self.verifier, &self.redirect).await?;
        self.grant.keep(answer, now()).await
    }
}

/// The first code or refusal that is pasted.  The end of the input is an error only where no listener
/// can bring an answer.
async fn pasted(
    pastes: Option<mpsc::Receiver<String>>,
    state: &str,
    has_listener: bool,
    tell: &dyn Fn(&str),
) -> Result<Result<Secret, Refusal>, OAuthError> {
    if let Some(mut pastes) = pastes {
        while let Some(text) = pastes.recv().await {
            match of_paste(&text, state) {
                Brought::Answer(answer) => return Ok(answer),
                Brought::Foreign => tell("This belongs to another attempt to sign in.  Use the address above."),
                Brought::Nothing => tell("This is neither the address of such a page nor a code."),
            }
        }
    }
    if has_listener { std::future::pending().await } else { Err(OAuthError::NothingPasted) }
}

impl Device<'_> {
    /// Where the code is to be typed.
    pub fn url(&self) -> String {
        text::shown(self.details.verification_uri().as_bytes())
    }

    /// The code to be typed.
    pub fn user_code(&self) -> String {
        text::shown(self.details.user_code().secret().as_bytes())
    }

    /// How long the code is valid.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// Waits until the code was typed, and stores the tokens.
    ///
    /// # Errors
    /// The person or the provider refuses, the code expires, or the tokens cannot be obtained or stored.
    pub async fn finish(self, now: fn() -> UnixTime) -> Result<(), OAuthError> {
        let client = self.grant.client().await?;
        let http = self.grant.http();
        let pause = |wanted: Duration| tokio::time::sleep(wanted.clamp(PAUSE.0, PAUSE.1));
        let request = client.exchange_device_access_token(&self.details);
        let answer = request.request_async(&http, pause, Some(self.limit)).await;
        let said = [self.details.device_code().secret().as_str()];
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(response)
                if *response.error() == DeviceCodeErrorResponseType::ExpiredToken =>
            {
                OAuthError::Late { limit: self.limit }
            }
            error => self.failure(error, &said),
        })?;
        self.grant.keep(Answer::of(&answer), now()).await
    }

    fn failure(
        &self,
        error: RequestTokenError<HttpError, oauth2::DeviceCodeErrorResponse>,
        said: &[&str],
    ) -> OAuthError {
        self.grant.error("waiting for the device code to be typed", error, said)
    }
}
