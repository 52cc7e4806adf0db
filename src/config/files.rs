//! The files that a configuration is made of, and the others that the service depends on.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Config;
use crate::credential::SecretSource;
use crate::filesystem;
use crate::net::{Endpoint, Route};

/// The folder beside the main file whose files are read with it.
pub(super) const FOLDER: &str = "conf.d";

/// The folder whose `*.toml` are read together with the main file, whether or not it exists;
/// absolute.
pub fn folder_of(main: &Path) -> PathBuf {
    absolute(&beside(main))
}

/// The files of that folder that count, whether or not they can be read; empty if the folder cannot
/// be read.
pub fn fragments_of(folder: &Path) -> Vec<PathBuf> {
    names(folder).unwrap_or_default().into_iter().map(|name| folder.join(name)).collect()
}

/// The files of a configuration, valid or not: the main one, then those of [`folder_of`] in the
/// order in which they are read; absolute.
pub fn files_of(main: &Path) -> Vec<PathBuf> {
    // A folder that cannot be read is an error when the configuration is loaded.
    std::iter::once(absolute(main)).chain(fragments_of(&folder_of(main))).collect()
}

/// `conf.d` beside the main file; relative if the path of the main file is.
pub(super) fn beside(main: &Path) -> PathBuf {
    main.with_file_name(FOLDER)
}

/// The names of the files in a folder that are read: `*.toml`, not hidden (editors lock and save
/// with hidden files), sorted by their octets.  Empty if there is no folder.
pub(super) fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let own = folder.to_owned();
    filesystem::in_time(folder, filesystem::PATIENCE, move || names_now(&own))?
}

fn names_now(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.retain(|name| name.as_bytes().ends_with(b".toml") && !name.as_bytes().starts_with(b"."));
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

/// The absolute path.  An empty path, or any if the working directory is gone, stays as it is.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Config {
    /// Every file whose content matters while the service runs: those of the configuration, those
    /// with passwords, authorities, certificates and keys, and those that show that someone signed in.
    pub fn watched(&self) -> BTreeSet<PathBuf> {
        let mut watched: BTreeSet<PathBuf> = self.files.iter().cloned().collect();
        for account in &self.accounts {
            watch(&mut watched, account.credential.source(), &account.endpoint);
            if let Some(grant) = account.credential.grant() {
                watched.insert(grant.vault.stamp());
                watched.extend(grant.provider.ca_file.clone());
                if let Some(SecretSource::File(path)) = &grant.provider.client_secret {
                    watched.insert(path.clone());
                }
            }
        }
        for destination in &self.destinations {
            if let Some(endpoint) = destination.endpoint() {
                watch(&mut watched, destination.secret(), endpoint);
            }
        }
        watched
    }
}

fn watch(watched: &mut BTreeSet<PathBuf>, secret: Option<&SecretSource>, endpoint: &Endpoint) {
    if let Some(SecretSource::File(path)) = secret {
        watched.insert(path.clone());
    }
    if let Route::Proxy { proxy, .. } = &endpoint.route {
        watched.extend(proxy.login.iter().map(|(_, file)| file.clone()));
    }
    let trust = &endpoint.trust;
    watched.extend(trust.ca_file.clone());
    watched.extend(trust.client_certificate.iter().flat_map(|(certificate, key)| [certificate.clone(), key.clone()]));
}
