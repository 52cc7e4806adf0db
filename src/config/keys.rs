//! Every key of the configuration: the parser's lists of known keys and the manual come from here.

use std::time::Duration;

use super::{defaults, units};

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Before the first table.
    Top,
    /// In `[defaults]` and `[accounts.NAME]`.
    Account,
    /// In `[destinations.NAME]` of every type.
    Destination,
    /// In `[destinations.NAME]` with this `type`.
    OfType(&'static str),
    /// In `[oauth.NAME]`.
    OAuth,
}

/// What applies when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The key is required.
    Required,
    /// This value, as it would be written.
    Value(&'static str),
    /// This switch.
    Switch(bool),
    /// This number.
    Number(usize),
    /// This duration.
    Time(Duration),
    /// Described by this text.
    Text(&'static str),
}

impl Absent {
    /// Whether a text, as it would be written in the configuration, is the default value.
    pub fn is_written(&self, text: &str) -> bool {
        let bare = text.trim_matches('"');
        match *self {
            Absent::Required | Absent::Text(_) => false,
            Absent::Value(value) => value == text,
            Absent::Switch(on) => text.parse() == Ok(on),
            Absent::Number(number) => text.parse() == Ok(number),
            Absent::Time(time) => bare != text && units::duration(bare) == Ok(time),
        }
    }
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it may stand.
    pub section: Section,
    /// Its name.
    pub name: &'static str,
    /// What it takes, such as "a string".
    pub takes: &'static str,
    /// What applies without it.
    pub absent: Absent,
}

const fn key(section: Section, name: &'static str, takes: &'static str, absent: Absent) -> Key {
    Key { section, name, takes, absent }
}

const DURATION: &str = "a duration such as \"90s\", \"5m\", \"2h\" or \"14d\"";
const PATH: &str = "a path";
const TEXT: &str = "a string";
const ENDPOINT: &str = "an https address";
const TLS: &str = "\"implicit\", \"starttls\" or \"none\"";

use Absent::{Number, Required, Switch, Text, Time, Value};
use Section::{Account, Destination, OAuth, Top};

const MAILDIR: Section = Section::OfType("maildir");
const SMTP: Section = Section::OfType("smtp");

/// All keys, in the order of the manual.
pub const KEYS: &[Key] = &[
    key(
        Top,
        "state-dir",
        PATH,
        Text(
            "$STATE_DIRECTORY, else $XDG_STATE_HOME/postrider, else ~/.local/state/postrider; the system: /var/lib/postrider",
        ),
    ),
    key(
        Top,
        "runtime-dir",
        PATH,
        Text("$RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR/postrider, else the folder run in state-dir"),
    ),
    key(Top, "max-concurrent-polls", "an integer from 1 to 10000", Number(defaults::MAX_CONCURRENT_POLLS)),
    key(Top, "max-polls-per-host", "an integer from 1 to 1000", Number(defaults::MAX_POLLS_PER_HOST)),
    key(Top, "log-level", "\"error\", \"warn\", \"info\", \"debug\" or \"trace\"", Value("\"info\"")),
    key(Top, "record-headers", "true or false", Switch(defaults::RECORD_HEADERS)),
    key(Top, "defaults", "a table of account keys", Text("none")),
    key(Top, "accounts", "a table of accounts", Required),
    key(Top, "destinations", "a table of destinations", Required),
    key(Top, "oauth", "a table of providers", Text("none")),
    key(Account, "enabled", "true or false", Switch(defaults::ENABLED)),
    key(Account, "host", "a host name or an address", Required),
    key(Account, "port", "an integer from 1 to 65535", Text("995 with tls = \"implicit\", else 110")),
    key(Account, "tls", TLS, Value("\"implicit\"")),
    key(Account, "tls-ca", PATH, Text("the system's authorities")),
    key(Account, "tls-pin", "\"sha256:HEX\"", Text("none")),
    key(Account, "tls-server-name", "a host name", Text("that of host")),
    key(Account, "tls-min", "\"1.2\" or \"1.3\"", Value("\"1.2\"")),
    key(Account, "tls-client-cert", PATH, Text("none")),
    key(Account, "tls-client-key", PATH, Text("none")),
    key(Account, "source-address", "an IP address", Text("the system chooses")),
    key(Account, "proxy", "\"socks5://HOST:PORT\" or \"none\"", Text("none")),
    key(Account, "proxy-username", TEXT, Text("none")),
    key(Account, "proxy-password-file", PATH, Text("none")),
    key(Account, "connect-command", "an array of strings", Text("none")),
    key(Account, "username", TEXT, Required),
    key(Account, "password", TEXT, Text("one of the password keys is required")),
    key(Account, "password-file", PATH, Text("one of the password keys is required")),
    key(Account, "password-command", "an array of strings", Text("one of the password keys is required")),
    key(Account, "password-credential", "the name of a credential", Text("one of the password keys is required")),
    key(Account, "token-command", "an array of strings", Text("none")),
    key(Account, "oauth", "the name of a provider", Text("none")),
    key(Account, "auth", "\"auto\", or mechanisms in order", Value("\"auto\"")),
    key(Account, "interval", DURATION, Time(defaults::INTERVAL)),
    key(Account, "retention", "\"keep\", \"delete\" or a duration such as \"14d\"", Value("\"keep\"")),
    key(Account, "initial", "\"all\", \"none\" or a duration such as \"30d\"", Value("\"all\"")),
    key(Account, "max-size", "a size such as \"10MB\" or \"10MiB\", or octets as an integer", Text("any size")),
    key(Account, "oversize", "\"skip\" or \"headers\"", Value("\"skip\"")),
    key(Account, "max-messages", "an integer of at least 1", Text("all")),
    key(Account, "history", "a duration of at least \"7d\"", Time(defaults::HISTORY)),
    key(Account, "timeout", DURATION, Time(defaults::TIMEOUT)),
    key(Account, "deadline", DURATION, Time(defaults::DEADLINE)),
    key(Account, "deliver", "the name of a destination, or an array of names", Required),
    key(Account, "received-header", "true or false", Switch(defaults::RECEIVED_HEADER)),
    key(Destination, "type", "\"maildir\" or \"smtp\"", Required),
    key(MAILDIR, "path", PATH, Required),
    key(MAILDIR, "file-mode", "permission bits such as \"0640\"", Value("\"0600\"")),
    key(SMTP, "host", "a host name or an address", Required),
    key(SMTP, "port", "an integer from 1 to 65535", Text("465 with tls = \"implicit\", else 25")),
    key(SMTP, "tls", TLS, Text("\"none\" for this machine, else \"starttls\"")),
    key(SMTP, "tls-ca", PATH, Text("the system's authorities")),
    key(SMTP, "tls-pin", "\"sha256:HEX\"", Text("none")),
    key(SMTP, "tls-server-name", "a host name", Text("that of host")),
    key(SMTP, "tls-min", "\"1.2\" or \"1.3\"", Value("\"1.2\"")),
    key(SMTP, "tls-client-cert", PATH, Text("none")),
    key(SMTP, "tls-client-key", PATH, Text("none")),
    key(SMTP, "source-address", "an IP address", Text("the system chooses")),
    key(SMTP, "proxy", "\"socks5://HOST:PORT\" or \"none\"", Text("none")),
    key(SMTP, "proxy-username", TEXT, Text("none")),
    key(SMTP, "proxy-password-file", PATH, Text("none")),
    key(SMTP, "connect-command", "an array of strings", Text("none")),
    key(SMTP, "username", TEXT, Text("no login")),
    key(SMTP, "password", TEXT, Text("no login")),
    key(SMTP, "password-file", PATH, Text("no login")),
    key(SMTP, "password-command", "an array of strings", Text("no login")),
    key(SMTP, "password-credential", "the name of a credential", Text("no login")),
    key(SMTP, "recipient", "an address, or an array of addresses", Required),
    key(SMTP, "sender", "an address, or \"\" for the null sender", Text("the message's own")),
    key(SMTP, "delivered-to", "\"rename\" or \"keep\"", Value("\"rename\"")),
    key(SMTP, "hello", "a host name", Text("this machine's name")),
    key(SMTP, "timeout", DURATION, Time(defaults::TIMEOUT)),
    key(OAuth, "client-id", TEXT, Required),
    key(OAuth, "client-secret", TEXT, Text("none")),
    key(OAuth, "client-secret-file", PATH, Text("none")),
    key(OAuth, "client-secret-command", "an array of strings", Text("none")),
    key(OAuth, "client-secret-credential", "the name of a credential", Text("none")),
    key(OAuth, "preset", "\"google\" or \"microsoft\"", Text("that of the table's name")),
    key(OAuth, "tenant", "a domain or the id of a directory", Value("\"common\"")),
    key(OAuth, "authorization-endpoint", ENDPOINT, Text("that of the preset")),
    key(OAuth, "token-endpoint", ENDPOINT, Text("that of the preset")),
    key(OAuth, "device-authorization-endpoint", ENDPOINT, Text("that of the preset, else none")),
    key(OAuth, "scopes", "an array of strings", Text("those of the preset")),
    key(
        OAuth,
        "redirect-uri",
        "an http address of this machine",
        Text("that of the preset, else \"http://127.0.0.1\""),
    ),
    key(OAuth, "tls-ca", PATH, Text("the system's authorities")),
];

/// The key of that name in one of `sections`.
pub(super) fn find(sections: &[Section], name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name && sections.contains(&key.section))
}

/// Whether any section has such a key.
pub(super) fn is_known(name: &str) -> bool {
    KEYS.iter().any(|key| key.name == name)
}

/// The names of all keys of some sections.
pub(super) fn names(sections: &[Section]) -> Vec<&'static str> {
    KEYS.iter().filter(|key| sections.contains(&key.section)).map(|key| key.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_kebab_case_and_stands_once_in_its_section() {
        for (n, key) in KEYS.iter().enumerate() {
            assert!(key.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", key.name);
            assert!(!KEYS[..n].iter().any(|other| (other.section, other.name) == (key.section, key.name)));
        }
    }
}
