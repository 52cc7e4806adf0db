//! The keys of an account.

use std::time::Duration;

use crate::account::{Account, Credential};
use crate::credential::SecretSource;
use crate::message::Name;
use crate::plan::{Initial, Oversize, Policy, Retention, SHORTEST_HISTORY};
use crate::sasl::{Credentials, Mechanism};
use crate::secret::Secret;

use super::endpoint::{self, POP3};
use super::oauth::{self, Providers};
use super::reader::Reader;
use super::{defaults, password};

/// Servers lock out clients that poll more often; an interval of more than a month is a typing error.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(31 * 86_400));
/// A message that reappears within days must not be fetched twice.
const HISTORY: (Duration, Duration) = (SHORTEST_HISTORY, Duration::from_secs(36_500 * 86_400));
/// RFC 1939 §3 lets a server be silent for ten minutes.
pub(super) const TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3600));
/// A first poll over a slow line may take days.
const DEADLINE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(7 * 86_400));

/// The keys that set a token; an account uses one of them.
const TOKEN_KEYS: [&str; 2] = ["oauth", "token-command"];

/// Reads an account.  `None` if an essential key is missing or wrong, which has been reported.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>, name: &Name, providers: &Providers) -> Option<Account> {
    reader.refuse_unknown();
    let endpoint = endpoint::read(reader, &POP3);
    reader.require("username");
    let username = reader.plain("username").map(|(text, _)| text.to_owned());
    let auth = auth(reader).unwrap_or_default();
    let granted = |reader: &mut Reader<'_, '_, '_>| {
        let route = endpoint.as_ref().map(|endpoint| &endpoint.route);
        oauth::credential(reader, name, username.as_deref(), route, providers)
    };
    let credential = credential(reader, &auth, &granted);
    let timeout = reader.duration("timeout", TIMEOUT.0..=TIMEOUT.1);
    let deadline = reader.duration("deadline", DEADLINE.0..=DEADLINE.1);
    let account = Account {
        name: name.clone(),
        enabled: reader.boolean("enabled").unwrap_or(defaults::ENABLED),
        policy: policy(reader),
        deliver: deliver(reader),
        history: reader.duration("history", HISTORY.0..=HISTORY.1).unwrap_or(defaults::HISTORY),
        interval: reader.duration("interval", INTERVAL.0..=INTERVAL.1).unwrap_or(defaults::INTERVAL),
        timeout: timeout.unwrap_or(defaults::TIMEOUT),
        deadline: deadline.unwrap_or(defaults::DEADLINE),
        received_header: reader.boolean("received-header").unwrap_or(defaults::RECEIVED_HEADER),
        endpoint: endpoint?,
        username: username?,
        credential: credential?,
        auth,
    };
    if account.timeout > account.deadline
        && let Some(entry) = reader.entry("deadline").or_else(|| reader.entry("timeout"))
    {
        reader.problems.warning(&entry.key_at(), "`deadline` is shorter than `timeout`, which then never ends a poll");
    }
    Some(account)
}

fn policy(reader: &mut Reader<'_, '_, '_>) -> Policy {
    let retention = [("keep", Retention::Keep), ("delete", Retention::Delete)];
    let initial = [("all", Initial::All), ("none", Initial::None)];
    let oversize = [("skip", Oversize::Skip), ("headers", Oversize::Headers)];
    let policy = Policy {
        retention: reader.word_or_duration("retention", &retention, Retention::After).unwrap_or_default(),
        initial: reader.word_or_duration("initial", &initial, Initial::Since).unwrap_or_default(),
        max_size: reader.size("max-size"),
        oversize: reader.word("oversize", &oversize).unwrap_or_default(),
        max_messages: reader.integer("max-messages", 1..=u32::MAX.into()).and_then(|n| u32::try_from(n).ok()),
    };
    if let (Some(entry), None, true) = (reader.own_entry("oversize"), reader.entry("max-size"), reader.complete)
        && policy.oversize == Oversize::Headers
    {
        reader.problems.warning(&entry.key_at(), "`oversize` has no effect without `max-size`");
    }
    policy
}

/// `auto`, a mechanism, or several in order.  Empty: automatic.
fn auth(reader: &mut Reader<'_, '_, '_>) -> Option<Vec<Mechanism>> {
    let words = reader.one_or_more("auth")?;
    if let [("auto", _)] = words[..] {
        return Some(Vec::new());
    }
    let mut mechanisms = Vec::new();
    for (word, at) in &words {
        let lower = word.to_ascii_lowercase();
        match Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == lower) {
            Some(mechanism) => mechanisms.push(mechanism),
            None => {
                let names = listed(&Mechanism::ALL.map(Mechanism::name));
                let shown = reader.problems.echo(at, word, "this mechanism");
                let message = match *word {
                    "auto" => "`auto` stands alone, without other mechanisms".to_owned(),
                    _ => format!("`auth`: {shown} is not known; write `auto`, {names}"),
                };
                reader.problems.error(at, message);
            }
        }
    }
    Some(mechanisms)
}

/// A password, a token, or the certificate alone.  The account's own key decides, then the mechanism
/// that it names.
fn credential<'r, 't, 's>(
    reader: &mut Reader<'r, 't, 's>,
    auth: &[Mechanism],
    granted: &dyn Fn(&mut Reader<'r, 't, 's>) -> Option<Credential>,
) -> Option<Credential> {
    let takes = |mechanism: Mechanism| auth.contains(&mechanism);
    if takes(Mechanism::External) {
        if reader.complete && reader.entry("tls-client-cert").is_none() {
            let message = "`external` needs `tls-client-cert`, which is what it logs in with".to_owned();
            reader.problems.absence(&reader.at, message);
        }
        if auth.iter().any(|&mechanism| mechanism != Mechanism::External) {
            report(reader, "`external` stands alone: it needs neither password nor token");
        }
        return Some(Credential::Certificate);
    }
    let (is_token, is_password) =
        (takes(Mechanism::OAuthBearer) || takes(Mechanism::XOAuth2), password::is_set(reader));
    let own_password = password::KEYS.into_iter().any(|name| reader.own_entry(name).is_some());
    let own_token = TOKEN_KEYS.into_iter().find(|name| reader.own_entry(name).is_some());
    if let (true, Some(token)) = (own_password, own_token) {
        report(reader, &format!("a password and `{token}` are both set; one is enough"));
    }
    let token = own_token.or_else(|| TOKEN_KEYS.into_iter().find(|name| reader.entry(name).is_some()));
    if let Some(token) = token.filter(|_| own_token.is_some() || is_token || !is_password) {
        let is_set =
            |name: &str| if own_token.is_some() { reader.own_entry(name) } else { reader.entry(name) }.is_some();
        if TOKEN_KEYS.into_iter().all(is_set) {
            report(reader, "`oauth` and `token-command` are both set; one is enough");
        }
        let wrong = auth.iter().find(|&&mechanism| !mechanism.takes(&Credentials::Token(Secret::new(Vec::new()))));
        if let Some(wrong) = wrong {
            report(reader, &format!("`{}` needs a password, but `{token}` is set", wrong.name()));
        }
        return match token {
            "oauth" => granted(reader),
            _ => password::command(reader, token).map(|argv| Credential::Token(SecretSource::Command(argv))),
        };
    }
    if is_token {
        report(reader, "`oauthbearer` and `xoauth2` need `oauth` or `token-command`");
    }
    if reader.complete && !is_password {
        let message = format!("{} needs a password: one of {}, or `oauth`", reader.what, listed(&password::KEYS));
        reader.problems.absence(&reader.at, message);
    }
    password::read(reader).map(Credential::Password)
}

/// Reports a problem with the mechanisms at the key that names them.
fn report(reader: &mut Reader<'_, '_, '_>, message: &str) {
    let token = || TOKEN_KEYS.into_iter().find_map(|name| reader.entry(name));
    let at = match reader.entry("auth").or_else(token) {
        Some(entry) => entry.key_at(),
        None => return reader.problems.absence(&reader.at, message.to_owned()),
    };
    reader.problems.error(&at, message);
}

/// The names; whether such destinations exist is checked once all are known.
fn deliver(reader: &mut Reader<'_, '_, '_>) -> Vec<Name> {
    let names = reader.one_or_more("deliver").unwrap_or_default();
    names.iter().filter_map(|(name, _)| Name::new(name)).collect()
}

/// "`a`, `b` or `c`".
pub(super) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}
