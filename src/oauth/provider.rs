//! A provider: its endpoints, the scopes to ask for, and our client id.

use std::net::IpAddr;
use std::path::PathBuf;

use oauth2::url::{Host, Url};
use sha2::{Digest, Sha256};

use crate::credential::SecretSource;
use crate::net::{Endpoint, Route, TlsMode, Trust};
use crate::text;

/// A provider of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in the configuration.
    pub name: String,
    /// The endpoint at which a person signs in.
    pub authorization: Url,
    /// The endpoint that exchanges codes and refresh tokens for access tokens.
    pub token: Url,
    /// The endpoint at which a device asks for a code (RFC 8628), if there is one.
    pub device: Option<Url>,
    /// The scopes to ask for.
    pub scopes: Vec<String>,
    /// Our client id.
    pub client_id: String,
    /// The client secret, for providers that want one.
    pub client_secret: Option<SecretSource>,
    /// Where the browser is sent back to, exactly as it is written: a provider may compare it letter
    /// by letter.
    pub redirect: String,
    /// More parameters for the address at which a person signs in.
    pub parameters: &'static [(&'static str, &'static str)],
    /// Certificate authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// A provider with built-in settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// Gmail and Google Workspace.
    Google,
    /// Outlook.com and Microsoft 365.
    Microsoft,
}

impl Preset {
    /// Every preset with its name.
    pub(crate) const ALL: [(&'static str, Preset); 2] = [("google", Preset::Google), ("microsoft", Preset::Microsoft)];

    /// Where a person signs in.
    pub(crate) fn authorization(self, tenant: &str) -> String {
        match self {
            Preset::Google => "https://accounts.google.com/o/oauth2/v2/auth".into(),
            Preset::Microsoft => format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize"),
        }
    }

    /// Where tokens come from.
    pub(crate) fn token(self, tenant: &str) -> String {
        match self {
            Preset::Google => "https://oauth2.googleapis.com/token".into(),
            Preset::Microsoft => format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"),
        }
    }

    /// Where device codes come from.  Google issues none for mail (2026).
    pub(crate) fn device(self, tenant: &str) -> Option<String> {
        match self {
            Preset::Google => None,
            Preset::Microsoft => Some(format!("https://login.microsoftonline.com/{tenant}/oauth2/v2.0/devicecode")),
        }
    }

    /// The scopes to ask for.
    pub(crate) fn scopes(self) -> &'static [&'static str] {
        match self {
            Preset::Google => &["https://mail.google.com/"],
            Preset::Microsoft => &["https://outlook.office.com/POP.AccessAsUser.All", "offline_access"],
        }
    }

    /// Where the browser comes back to: both leave the port to us (RFC 8252 §7.3), Microsoft only
    /// for this name.
    pub(crate) fn redirect(self) -> &'static str {
        match self {
            Preset::Google => "http://127.0.0.1",
            Preset::Microsoft => "http://localhost",
        }
    }

    /// Google issues a refresh token only on request, and a second one only after a new consent.
    pub(crate) fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Preset::Google => &[("access_type", "offline"), ("prompt", "consent")],
            Preset::Microsoft => &[],
        }
    }
}

impl Provider {
    /// A digest of the client, endpoint and scopes: tokens of any others are not used.
    pub(super) fn binding(&self) -> String {
        let mut digest = Sha256::new();
        let parts = [self.token.as_str(), &self.client_id].into_iter().chain(self.scopes.iter().map(String::as_str));
        for part in parts {
            digest.update(part.as_bytes());
            digest.update([0]);
        }
        text::hex(&digest.finalize()[..16])
    }

    /// The server of one of the endpoints.
    pub(super) fn server(&self, host: &str, port: u16, is_encrypted: bool, route: &Route) -> Endpoint {
        let route = match route {
            // The command leads only to the mail server.
            Route::Command(_) => Route::default(),
            // In clear only within this machine: to a proxy the name means another machine.
            _ if !is_encrypted => Route::default(),
            route => route.clone(),
        };
        let trust = Trust { ca_file: self.ca_file.clone(), ..Trust::default() };
        let tls = if is_encrypted { TlsMode::Implicit } else { TlsMode::None };
        Endpoint { host: host.trim_matches(['[', ']']).to_owned(), port, tls, trust, route }
    }
}

/// An endpoint: https, or http on this machine.
///
/// # Errors
/// What is wrong, to follow the key's name.
pub(crate) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|_| "write an address such as https://login.example/token")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address without user name and password is wanted".into());
    }
    if url.fragment().is_some() {
        return Err("an endpoint has no fragment (#...), see RFC 6749".into());
    }
    match url.scheme() {
        "https" if url.has_host() => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err("must be https: what is sent there is as good as a password".into()),
        _ => Err("write an address such as https://login.example/token".into()),
    }
}

/// The address that a browser is sent back to: http on this machine, or any https page that shows
/// its own address.
///
/// # Errors
/// What is wrong, to follow the key's name.
pub(crate) fn redirect(text: &str) -> Result<Url, String> {
    let url = endpoint(text)?;
    match url.query() {
        Some(_) => Err("must not have a query (?...)".into()),
        None => Ok(url),
    }
}

/// Whether an address leads to this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_encrypted_or_on_this_machine() {
        for good in ["https://login.example/token", "http://127.0.0.1:8080/t", "http://localhost/", "http://[::1]:1/"] {
            assert!(endpoint(good).is_ok(), "{good}");
        }
        for (bad, words) in [
            ("http://login.example/token", "must be https"),
            ("http://127.0.0.1.example/", "must be https"),
            ("ftp://login.example/", "such as https://"),
            ("login.example/token", "such as https://"),
            ("https://a:b@login.example/", "without user name"),
            ("https://login.example/#x", "no fragment"),
        ] {
            let fault = endpoint(bad).expect_err(bad);
            assert!(fault.contains(words), "{bad}: {fault}");
        }
    }

    #[test]
    fn every_preset_is_made_of_good_endpoints() {
        for (_, preset) in Preset::ALL {
            for text in [preset.authorization("common"), preset.token("common")].into_iter().chain(preset.device("x")) {
                assert_eq!(endpoint(&text).map(|url| url.scheme() == "https"), Ok(true), "{text}");
            }
            assert!(redirect(preset.redirect()).is_ok());
        }
    }
}
