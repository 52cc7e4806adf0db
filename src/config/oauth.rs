//! The keys of a provider of OAuth 2.0, `[oauth.NAME]`, and the account's key that names one.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::nearest::did_you_mean;
use super::password;
use super::reader::Reader;
use crate::account::Credential;
use crate::message::Name;
use crate::net::Route;
use crate::oauth::{Grant, Preset, Provider, Vault, endpoint, redirect};

/// The default of `tenant`: Microsoft accepts accounts of every directory.
const TENANT: &str = "common";

/// The redirect of a provider without a preset (RFC 8252 §7.3).
const REDIRECT: &str = "http://127.0.0.1";

/// The providers of a configuration, by name.
pub(super) struct Providers {
    /// `None`: the provider's table is not usable, which has been reported.
    pub(super) known: BTreeMap<String, Option<Arc<Provider>>>,
    /// Where tokens are kept.
    pub(super) state_dir: Option<PathBuf>,
    /// The names that accounts use.
    pub(super) used: RefCell<BTreeSet<String>>,
}

/// Reads a provider.  `None` if an essential key is missing or wrong, which has been reported.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>, name: &Name) -> Option<Provider> {
    reader.refuse_unknown();
    let by_name = Preset::ALL.into_iter().find(|(known, _)| *known == name.as_str()).map(|(_, preset)| preset);
    let preset = reader.word("preset", &Preset::ALL).or(by_name);
    let tenant = reader.parsed("tenant", tenant);
    if let (Some(entry), true) = (reader.own_entry("tenant"), preset != Some(Preset::Microsoft)) {
        reader.problems.warning(&entry.key_at(), "`tenant` has no effect without preset = \"microsoft\"");
    }
    let tenant = tenant.as_deref().unwrap_or(TENANT);
    if preset.is_none() {
        for key in ["authorization-endpoint", "token-endpoint", "scopes"] {
            reader.require(key);
        }
    }
    reader.require("client-id");
    let of_preset = |text: Option<String>| text.and_then(|text| endpoint(&text).ok());
    let authorization = reader.parsed("authorization-endpoint", endpoint);
    let token = reader.parsed("token-endpoint", endpoint);
    let device = reader.parsed("device-authorization-endpoint", endpoint);
    let scopes = scopes(reader);
    let client_id = reader.plain("client-id").map(|(text, _)| text.to_owned());
    let back = reader.parsed("redirect-uri", |text| redirect(text).map(|_| text.to_owned()));
    Some(Provider {
        name: name.to_string(),
        device: device.or_else(|| of_preset(preset.and_then(|preset| preset.device(tenant)))),
        client_secret: password::secret(reader, password::CLIENT_SECRET, "client secret"),
        redirect: back.unwrap_or_else(|| preset.map_or(REDIRECT, Preset::redirect).to_owned()),
        parameters: preset.map_or(&[], Preset::parameters),
        ca_file: reader.path("tls-ca"),
        authorization: authorization.or_else(|| of_preset(preset.map(|preset| preset.authorization(tenant))))?,
        token: token.or_else(|| of_preset(preset.map(|preset| preset.token(tenant))))?,
        scopes: scopes
            .or_else(|| preset.map(|preset| preset.scopes().iter().map(|&scope| scope.to_owned()).collect()))?,
        client_id: client_id?,
    })
}

/// RFC 6749 §3.3: visible characters without quotes and backslashes.
fn scopes(reader: &mut Reader<'_, '_, '_>) -> Option<Vec<String>> {
    let words = reader.one_or_more("scopes")?;
    let is_good = |word: &str| {
        !word.is_empty() && word.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'"' && octet != b'\\')
    };
    for (_, at) in words.iter().filter(|(word, _)| !is_good(word)) {
        reader.problems.error(at, "`scopes` takes an array with one scope in each string, without spaces");
    }
    words.iter().all(|(word, _)| is_good(word)).then(|| words.iter().map(|(word, _)| (*word).to_owned()).collect())
}

/// The name or the id of a directory; it becomes a part of URLs.
fn tenant(text: &str) -> Result<String, String> {
    if text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet)) && !text.starts_with('.') {
        Ok(text.to_owned())
    } else {
        Err("write a domain, a directory's id, \"common\", \"organizations\" or \"consumers\"".into())
    }
}

/// The provider that `oauth` names, as the account's credential.
pub(super) fn credential(
    reader: &mut Reader<'_, '_, '_>,
    name: &Name,
    username: Option<&str>,
    route: Option<&Route>,
    providers: &Providers,
) -> Option<Credential> {
    let (text, entry) = reader.plain("oauth")?;
    providers.used.borrow_mut().insert(text.to_owned());
    let Some(provider) = providers.known.get(text) else {
        let shown = reader.problems.echo(&entry.at(), text, "NAME");
        let bare = shown.trim_matches('`');
        let message = if Preset::ALL.iter().any(|(known, _)| *known == text) {
            format!("`oauth`: {shown} needs your client id: write a table [oauth.{bare}] with `client-id`")
        } else {
            let names = providers.known.keys().map(String::as_str);
            let names: Vec<&str> = names.chain(Preset::ALL.map(|(known, _)| known)).collect();
            let hint = did_you_mean(text, &names);
            format!("`oauth`: there is no provider {shown}; write a table [oauth.{bare}]{hint}")
        };
        reader.problems.nowhere(Some(&entry.at()), message);
        return None;
    };
    let (provider, state_dir) = (provider.as_ref()?, providers.state_dir.as_ref()?);
    Some(Credential::OAuth(Arc::new(Grant {
        account: name.clone(),
        username: username?.to_owned(),
        provider: Arc::clone(provider),
        route: route?.clone(),
        vault: Vault::new(state_dir, name),
    })))
}
