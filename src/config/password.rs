//! The keys that set a password, or say where it comes from.

use crate::credential::SecretSource;
use crate::secret::Secret;

use super::hint::BACKSLASH;
use super::reader::Reader;

/// The keys, for a command, a file, a credential, and the secret itself; one of them is used.
pub(super) const KEYS: [&str; 4] = ["password-command", "password-file", "password-credential", "password"];

/// The same for the secret of an OAuth 2.0 client.
pub(super) const CLIENT_SECRET: [&str; 4] =
    ["client-secret-command", "client-secret-file", "client-secret-credential", "client-secret"];

/// Reads the one password key of a table.  Its own key, of whatever kind, replaces an inherited one.
/// `None`: there is no such key, or it is not usable.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<SecretSource> {
    secret(reader, KEYS, "password")
}

/// The same for a secret with other keys.
pub(super) fn secret(reader: &mut Reader<'_, '_, '_>, keys: [&'static str; 4], what: &str) -> Option<SecretSource> {
    let own: Vec<&str> = keys.into_iter().filter(|name| reader.own_entry(name).is_some()).collect();
    let names =
        if own.is_empty() { keys.into_iter().filter(|name| reader.entry(name).is_some()).collect() } else { own };
    if let [first, second, ..] = names[..] {
        let later = [first, second].into_iter().filter_map(|name| reader.entry(name));
        if let Some(entry) = later.max_by_key(|entry| entry.key_at().octets.start) {
            let message = format!("`{first}` and `{second}` are both set; one {what} is enough");
            reader.problems.error(&entry.key_at(), message);
        }
        return None;
    }
    let [by_command, by_file, by_credential, inline] = keys;
    match *names.first()? {
        name if name == by_command => command(reader, name).map(SecretSource::Command),
        name if name == by_file => reader.path(name).map(SecretSource::File),
        name if name == by_credential => {
            reader.parsed(name, |text| credential(text, by_file)).map(SecretSource::Credential)
        }
        _ => itself(reader, inline).map(SecretSource::Inline),
    }
}

/// Whether any password key is there, usable or not.
pub(super) fn is_set(reader: &Reader<'_, '_, '_>) -> bool {
    KEYS.into_iter().any(|name| reader.entry(name).is_some())
}

fn itself(reader: &mut Reader<'_, '_, '_>, name: &str) -> Option<Secret> {
    let (text, entry) = reader.string(name)?;
    let fault = if text.is_empty() {
        "is empty"
    } else if text.contains(['\0', '\r', '\n']) {
        "has a line end, which no login can send"
    } else {
        reader.warn_of_escape(name, text, entry);
        return Some(Secret::new(text.as_bytes().to_vec()));
    };
    let hint = if reader.problems.is_escaped(&entry.at()) { format!("; {BACKSLASH}") } else { String::new() };
    reader.problems.error(&entry.key_at(), format!("`{name}` {fault}{hint}"));
    None
}

/// An argument list: a program and its arguments.
pub(super) fn command(reader: &mut Reader<'_, '_, '_>, name: &str) -> Option<Vec<String>> {
    let argv = reader.array(name)?;
    for (n, (word, at)) in argv.iter().enumerate() {
        let fault = match n {
            0 if word.is_empty() => "has no program: its first string is empty",
            _ if word.contains('\0') => "has a NUL, which cannot be passed to a program",
            _ => {
                if word.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
                    reader.problems.warning(at, format!("`{name}` has a control character: {BACKSLASH}"));
                }
                continue;
            }
        };
        reader.problems.error(at, format!("`{name}` {fault}"));
        return None;
    }
    Some(argv.into_iter().map(|(word, _)| word.to_owned()).collect())
}

/// The name of a file in `$CREDENTIALS_DIRECTORY`; it must not lead out of that directory.
fn credential(text: &str, by_file: &str) -> Result<String, String> {
    if text.contains('/') || matches!(text, "." | "..") {
        Err(format!("takes the name of a systemd credential, not a path; for a path there is `{by_file}`"))
    } else {
        Ok(text.to_owned())
    }
}
