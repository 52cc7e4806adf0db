//! The certificate authorities where the configuration names none: those of the environment or of the system,
//! read once.
//!
//! async-native-tls builds an OpenSSL context for every connection, and OpenSSL reads the
//! system's bundle for every context: 46 ms of CPU with Debian's 150 authorities (measured,
//! 2026).  So the process starts with OpenSSL's own bundle switched off
//! ([`super::environment_for_openssl`]), and contexts get the authorities parsed here.
//!
//! `SSL_CERT_FILE` and `SSL_CERT_DIR` mean what they mean to OpenSSL.  Where one of them is set, the system's
//! authorities are not used: a typing error must not turn one wanted authority into a hundred and fifty.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use native_tls::Certificate;

use super::{NetError, pem};
use crate::{filesystem, subprocess};

/// Where systems keep their authorities in one file, in the order of how common they are.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The variable that names a file of authorities.
const FILE: &str = "SSL_CERT_FILE";

/// The variable that names folders of authorities, separated by colons.
const FOLDERS: &str = "SSL_CERT_DIR";

/// The most files of one folder that are looked at; a system's folder has a few hundred.
const FOLDER_LIMIT: usize = 4096;

static ROOTS: OnceLock<Vec<Certificate>> = OnceLock::new();

/// Remembers the user's own bundle before OpenSSL's variable is overwritten.
pub(super) fn remember_environment() {
    subprocess::remember(FILE);
}

/// The authorities of the environment, or else of the system.  If there are none, they are looked for again
/// the next time.
///
/// # Errors
/// [`NetError::File`] if the environment names some, and there are none.
pub(super) fn authorities() -> Result<&'static [Certificate], NetError> {
    if let Some(known) = ROOTS.get() {
        return Ok(known);
    }
    let (file, folders) = (subprocess::variable(FILE), subprocess::variable(FOLDERS));
    let found = match (&file, &folders) {
        (None, None) => of_system(),
        _ => of_environment(file, folders.as_deref())?,
    };
    if found.is_empty() {
        return Ok(&[]);
    }
    Ok(ROOTS.get_or_init(|| found))
}

fn of_system() -> Vec<Certificate> {
    let bundle = BUNDLES.iter().find_map(|path| pem::read(Path::new(path)).ok());
    bundle.and_then(|pem| Certificate::stack_from_pem(&pem).ok()).unwrap_or_default()
}

/// The authorities that both variables name together; a fault is an error only if there are none.
fn of_environment(file: Option<OsString>, folders: Option<&OsStr>) -> Result<Vec<Certificate>, NetError> {
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    if let Some(file) = file.map(PathBuf::from) {
        match pem::read_authorities(&file) {
            Ok(certificates) => found.extend(certificates),
            Err(error) => faults.push(at(FILE, &error)),
        }
    }
    for folder in folders.into_iter().flat_map(|folders| folders.as_bytes().split(|&octet| octet == b':')) {
        let folder = Path::new(OsStr::from_bytes(folder));
        match in_folder(folder) {
            Ok(certificates) if certificates.is_empty() => {
                faults.push(pem::bad(Path::new(FOLDERS), format!("{} {NOTHING}", folder.display())));
            }
            Ok(certificates) => found.extend(certificates),
            Err(error) => {
                let cause = format!("{} cannot be read: {error}", folder.display());
                faults.push(pem::bad(Path::new(FOLDERS), cause));
            }
        }
    }
    match faults.into_iter().next() {
        Some(fault) if found.is_empty() => Err(fault),
        _ => Ok(found),
    }
}

const NOTHING: &str = "holds no certificate under a name that `openssl rehash` makes";

/// The fault of a file, as one of the variable that names it.
fn at(variable: &str, error: &NetError) -> NetError {
    match error {
        NetError::File { path, cause, is_late } => NetError::File {
            path: variable.into(),
            cause: format!(
                "{} {cause}",
                if path.as_os_str().is_empty() { "\"\"".into() } else { path.to_string_lossy() }
            ),
            is_late: *is_late,
        },
        other => pem::bad(Path::new(variable), other.to_string()),
    }
}

/// The authorities of a folder: like OpenSSL, only files that are named by the hash of their subject.
fn in_folder(folder: &Path) -> io::Result<Vec<Certificate>> {
    let own = folder.to_owned();
    let names = move || -> io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(own)?.take(FOLDER_LIMIT).collect::<io::Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter(|entry| is_hash(&entry.file_name())).map(|entry| entry.path()).collect())
    };
    let mut names = filesystem::in_time(folder, filesystem::PATIENCE, names)??;
    names.sort();
    Ok(names.iter().filter_map(|path| pem::read_authorities(path).ok()).flatten().collect())
}

/// `0123abcd.0`.
fn is_hash(name: &OsStr) -> bool {
    let name = name.as_bytes();
    let is_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    matches!(name.split_at_checked(8), Some((hash, [b'.', number @ ..]))
        if hash.iter().all(u8::is_ascii_hexdigit) && is_digits(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        use openssl::{asn1::Asn1Time, hash::MessageDigest, pkey::PKey, rsa::Rsa, x509::X509};
        let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
        let mut builder = X509::builder().expect("a certificate");
        builder.set_pubkey(&key).expect("its key");
        builder.set_not_before(&Asn1Time::days_from_now(0).expect("now")).expect("set");
        builder.set_not_after(&Asn1Time::days_from_now(1).expect("tomorrow")).expect("set");
        builder.sign(&key, MessageDigest::sha256()).expect("signed");
        builder.build().to_pem().expect("PEM")
    }

    #[test]
    fn what_the_environment_names_is_all_that_is_trusted_and_nothing_is_a_fault() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("one.pem"), certificate()).expect("written");
        std::fs::write(at("text"), "none").expect("written");
        for name in ["hashed", "named", "empty"] {
            std::fs::create_dir(at(name)).expect("made");
        }
        std::fs::write(at("hashed/0a1b2c3d.0"), certificate()).expect("written");
        std::fs::write(at("hashed/other.pem"), certificate()).expect("written");
        std::fs::write(at("named/other.pem"), certificate()).expect("written");
        let several = format!("{}:{}", at("nowhere").display(), at("hashed").display());
        let path = |name: &str| Some(at(name).into_os_string());
        for (file, folders, want) in [
            (path("one.pem"), None, Ok(1)),
            (None, path("hashed"), Ok(1)),
            (path("one.pem"), path("hashed"), Ok(2)),
            (path("one.pem"), path("nowhere"), Ok(1)),
            (None, Some(several.into()), Ok(1)),
            (path("nowhere"), None, Err("SSL_CERT_FILE: ")),
            (path("text"), None, Err("holds no certificate in PEM")),
            (path("empty"), None, Err("is a folder, not a file")),
            (Some("".into()), None, Err("SSL_CERT_FILE: \"\" cannot be read")),
            (Some("/dev/null".into()), None, Err("is a device, not a file")),
            (None, path("named"), Err("openssl rehash")),
            (None, path("nowhere"), Err("SSL_CERT_DIR: ")),
            (None, Some("".into()), Err("SSL_CERT_DIR: ")),
            (path("nowhere"), path("empty"), Err("SSL_CERT_FILE: ")),
        ] {
            match (of_environment(file.clone(), folders.as_deref()), want) {
                (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{file:?} {folders:?}"),
                (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
                (found, want) => {
                    panic!("{file:?} {folders:?}: {found:?} and not {want:?}", found = found.map(|f| f.len()))
                }
            }
        }
    }
}
