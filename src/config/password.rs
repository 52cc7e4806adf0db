//! The keys that say where a password comes from.

use crate::credential::SecretSource;
use crate::secret::Secret;

use super::reader::Reader;

/// The keys, of which one is used.
pub(super) const KEYS: [&str; 4] = ["password-command", "password-file", "password-credential", "password"];

/// Reads the one password key of a table.  Its own key, of whatever kind, takes the place of an
/// inherited one.  `None`: there is none, or it is not usable.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Option<SecretSource> {
    let own: Vec<&str> = KEYS.into_iter().filter(|name| reader.own_entry(name).is_some()).collect();
    let names = match own.is_empty() {
        true => KEYS.into_iter().filter(|name| reader.entry(name).is_some()).collect(),
        false => own,
    };
    if let [first, second, ..] = names[..] {
        let later = [first, second].into_iter().filter_map(|name| reader.entry(name));
        if let Some(entry) = later.max_by_key(|entry| entry.key_at().octets.start) {
            let message = format!("`{first}` and `{second}` are both set; one password is enough");
            reader.problems.error(&entry.key_at(), message);
        }
        return None;
    }
    match *names.first()? {
        "password-command" => command(reader, "password-command").map(SecretSource::Command),
        "password-file" => reader.path("password-file").map(SecretSource::File),
        "password-credential" => reader.parsed("password-credential", credential).map(SecretSource::Credential),
        _ => inline(reader).map(SecretSource::Inline),
    }
}

/// Whether any password key is there, usable or not.
pub(super) fn is_set(reader: &Reader<'_, '_, '_>) -> bool {
    KEYS.into_iter().any(|name| reader.entry(name).is_some())
}

fn inline(reader: &mut Reader<'_, '_, '_>) -> Option<Secret> {
    let (text, entry) = reader.string("password")?;
    let fault = if text.is_empty() {
        "is empty"
    } else if text.contains(['\0', '\r', '\n']) {
        "has a line end, which no login can send"
    } else {
        return Some(Secret::new(text.as_bytes().to_vec()));
    };
    reader.problems.error(&entry.key_at(), format!("`password` {fault}"));
    None
}

/// An argument list: a program and what it is called with.
pub(super) fn command(reader: &mut Reader<'_, '_, '_>, name: &str) -> Option<Vec<String>> {
    let argv = reader.array(name)?;
    for (n, (word, at)) in argv.iter().enumerate() {
        let fault = match n {
            0 if word.is_empty() => "has no program: its first string is empty",
            _ if word.contains('\0') => "has a NUL, which no program can be given",
            _ => continue,
        };
        reader.problems.error(at, format!("`{name}` {fault}"));
        return None;
    }
    Some(argv.into_iter().map(|(word, _)| word.to_owned()).collect())
}

/// A file in `$CREDENTIALS_DIRECTORY`, so it must not lead out of there.
fn credential(text: &str) -> Result<String, String> {
    match text.contains('/') || matches!(text, "." | "..") {
        true => Err("takes the name of a systemd credential, not a path; for a path there is `password-file`".into()),
        false => Ok(text.to_owned()),
    }
}
