//! Errors of signing in and of renewing tokens.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::credential::CredentialError;
use crate::failure::{Class, Failure};
use crate::filesystem::FileError;
use crate::message::Name;
use crate::net::NetError;

/// Why a token cannot be obtained.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    #[error("nobody has signed in for this account yet")]
    NotSignedIn { account: Name },
    #[error("its tokens were issued for another client id, token endpoint or scope than the configuration has now")]
    OtherClient { account: Name },
    #[error("{step}: the provider {provider} refused: {code}{}", described(description))]
    Refused { account: Name, provider: String, step: &'static str, code: String, description: Option<String> },
    #[error("{step}: the provider {provider} refused for now: {code}")]
    Unwilling { provider: String, step: &'static str, code: String },
    #[error("{step}: the provider {provider} {fault}")]
    Answer { provider: String, step: &'static str, fault: &'static str },
    #[error("{step}: {source}")]
    Net { provider: String, step: &'static str, source: Box<NetError> },
    #[error("client secret of {provider}: {source}")]
    Secret { provider: String, source: Box<CredentialError> },
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {fault}", path.display())]
    Unsafe { account: Name, path: PathBuf, fault: String },
    #[error("{}: is damaged", path.display())]
    Damaged { account: Name, path: PathBuf },
    #[error("{}: another process has held it for {} s", path.display(), limit.as_secs())]
    Busy { path: PathBuf, limit: Duration },
    #[error("the provider {provider} gave no refresh token, without which somebody would have to sign in every hour")]
    NoRefreshToken { provider: String },
    #[error("the provider {provider} has no device flow")]
    NoDeviceFlow { provider: String },
    #[error("redirect-uri of {provider} does not lead to this machine")]
    NoListener { provider: String },
    #[error("listening for the browser at {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("nobody has signed in within {} minutes", limit.as_secs().div_ceil(60))]
    Late { limit: Duration },
    #[error("no address or code was pasted")]
    NothingPasted,
    #[error("it was stopped by a bug: {0}")]
    Bug(String),
}

impl From<FileError> for OAuthError {
    fn from(FileError { path, source }: FileError) -> Self {
        OAuthError::File { path, source }
    }
}

fn described(description: &Option<String>) -> String {
    description.as_ref().map_or(String::new(), |text| format!(" ({text})"))
}

impl OAuthError {
    /// Whether trying again is useless until somebody signs in or changes the configuration.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            OAuthError::NotSignedIn { .. }
                | OAuthError::OtherClient { .. }
                | OAuthError::Refused { .. }
                | OAuthError::Damaged { .. }
        )
    }
}

impl Failure for OAuthError {
    fn class(&self) -> Class {
        match self {
            OAuthError::NotSignedIn { .. }
            | OAuthError::OtherClient { .. }
            | OAuthError::Refused { .. }
            | OAuthError::NoRefreshToken { .. }
            | OAuthError::Damaged { .. } => Class::LoginRefused,
            OAuthError::Unwilling { .. }
            | OAuthError::Busy { .. }
            | OAuthError::Late { .. }
            | OAuthError::NothingPasted
            | OAuthError::Bug(_) => Class::TryLater,
            OAuthError::Answer { .. } => Class::Protocol,
            OAuthError::Net { source, .. } => source.class(),
            OAuthError::Secret { source, .. } => source.class(),
            OAuthError::File { .. } | OAuthError::Unsafe { .. } | OAuthError::Listen { .. } => Class::LocalIo,
            OAuthError::NoDeviceFlow { .. } | OAuthError::NoListener { .. } => Class::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            OAuthError::NotSignedIn { account }
            | OAuthError::OtherClient { account }
            | OAuthError::Damaged { account, .. } => format!("Run `postrider login {account}`."),
            OAuthError::Refused { account, provider, code, .. } => match code.as_str() {
                "invalid_client" | "unauthorized_client" => format!(
                    "Check `client-id` and the client secret in [oauth.{provider}]; then run `postrider login {account}`."
                ),
                "invalid_scope" => {
                    format!("Check `scopes` in [oauth.{provider}]; then run `postrider login {account}`.")
                }
                _ => format!("Run `postrider login {account}`."),
            },
            OAuthError::Unwilling { .. } => "It is tried again later.".into(),
            OAuthError::Answer { provider, .. } => {
                format!("Check the endpoints in [oauth.{provider}]; it is tried again later.")
            }
            OAuthError::Net { provider, .. } => format!(
                "Check the network, and the endpoints and `tls-ca` in [oauth.{provider}]; it is tried again later."
            ),
            OAuthError::Secret { source, .. } => return source.advice(),
            OAuthError::File { .. } => {
                "Check the state directory and its disk; it must belong to the user that runs postrider.".into()
            }
            OAuthError::Unsafe { account, .. } => {
                format!("Somebody else may have had the tokens: remove the file and run `postrider login {account}`.")
            }
            OAuthError::Busy { .. } => "It is tried again later.".into(),
            OAuthError::NoRefreshToken { provider } => format!(
                "Check `scopes` in [oauth.{provider}]: many providers want `offline_access`.  Taking the permission \
                 away on the provider's web page makes it ask again."
            ),
            OAuthError::NoDeviceFlow { provider } => {
                format!("Leave out --device, or set `device-authorization-endpoint` in [oauth.{provider}].")
            }
            OAuthError::NoListener { .. } => "Use --paste.".into(),
            OAuthError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                "Whoever has that port would get the provider's answer: use --paste, or another port in `redirect-uri`."
                    .into()
            }
            OAuthError::Listen { .. } => "Use --paste.".into(),
            OAuthError::Late { .. } | OAuthError::NothingPasted => "Nothing has changed; try it again.".into(),
            OAuthError::Bug(_) => "Please report it.".into(),
        })
    }
}
