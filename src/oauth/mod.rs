//! OAuth 2.0: signing in to a provider, keeping its tokens, and renewing them.
//!
//! A [`Grant`] is the access that somebody gave an account by signing in (`postrider login`).  Its
//! tokens are in a file of the state directory (`vault`); [`Grant::access`] returns the access
//! token, renewed before it expires or when a server has refused it (`access`).  A new refresh
//! token from the provider is durable before the access token that came with it is used, and a
//! kernel lock keeps two processes from spending the same one.
//!
//! Signing in is `sign_in`: by a redirect to this machine (RFC 8252) with PKCE (RFC 7636), by an
//! address that somebody pastes, or by a device code (RFC 8628).  The protocol's messages are the
//! crate `oauth2`'s; they travel over [`crate::net`] (`http`), so that authorities, proxies and
//! deadlines are those of every other connection.
//!
//! A provider's responses are hostile input: they are bounded, redirects are not followed, and their
//! text is shown only where it cannot repeat what was sent.  Tokens, codes and verifiers are neither
//! logged nor shown.

mod access;
mod answer;
mod error;
mod http;
mod listener;
mod protocol;
mod provider;
mod sign_in;
mod tokens;
mod told;
mod vault;

use std::sync::Arc;

pub(crate) use error::OAuthError;
pub(crate) use listener::Listener;
pub(crate) use provider::{Preset, Provider, endpoint, redirect};
pub(crate) use vault::Vault;

use crate::message::Name;
use crate::net::Route;

/// An account's access at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The account.
    pub account: Name,
    /// Its user name, which a provider may propose to the person who signs in.
    pub username: String,
    /// The provider that issues the tokens.
    pub provider: Arc<Provider>,
    /// The route to the provider.
    pub route: Route,
    /// Where the tokens are.
    pub vault: Vault,
}
