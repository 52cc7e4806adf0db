//! Reads the files of a configuration from the disk.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::context::Context;
use super::files::{absolute, beside, names};
use super::parse::{self, Access, parse};
use super::source::Source;
use super::{Config, ConfigError};
use crate::filesystem::owner::{self, Fault};
use crate::filesystem::{self, Accepts};

/// Octets of one file.  Ten thousand accounts need about two MiB.
const SIZE_LIMIT: u64 = 4 << 20;

/// Octets of all files.
const TOTAL_LIMIT: u64 = 16 << 20;

impl Config {
    /// Reads a configuration: the main file at `path`, and every `conf.d/*.toml` beside it.
    ///
    /// # Errors
    /// A file cannot be read or used; the error lists everything that is wrong with all of them.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        // The main file may be a pipe, as `-c <(...)` makes it.
        load(path, Accepts::FileOrPipe)
    }

    /// Reads the configuration of a running service again.  A pipe cannot be read twice.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_again(path: &Path) -> Result<Config, ConfigError> {
        load(path, Accepts::File)
    }
}

fn load(path: &Path, main: Accepts) -> Result<Config, ConfigError> {
    Raws::read(path, main).parse(path)
}

/// The contents of a configuration's files: of the main one, and of the others.
pub(super) struct Raws {
    main: Raw,
    more: Vec<Raw>,
}

impl Raws {
    pub(super) fn read(path: &Path, main: Accepts) -> Self {
        let folder = beside(path);
        let mut left = TOTAL_LIMIT;
        let main = match fault_above(path) {
            None => Raw::read(path.to_owned(), main, &mut left),
            Some(fault) => Raw::fault(path.to_owned(), fault),
        };
        let more: Vec<Raw> = match names(&folder) {
            // Anyone who may write to the folder decides what is read, also later.
            Ok(_) if let Some(fault) = fault_of(&folder, owner::fault) => vec![Raw::fault(folder, fault)],
            Ok(names) => names.iter().map(|name| Raw::read(folder.join(name), Accepts::File, &mut left)).collect(),
            // The folder is reported in place of its files.
            Err(error) => {
                let cause = format!("cannot be read: {}", owner::explained(&folder, &error));
                vec![Raw::fault(folder, cause)]
            }
        };
        Self { main, more }
    }

    /// The configuration of the main file at `path`.
    pub(super) fn parse(&self, path: &Path) -> Result<Config, ConfigError> {
        let digests = std::iter::once(&self.main).chain(&self.more).filter_map(Raw::digest).collect();
        let more: Vec<parse::File<'_>> = self.more.iter().map(Raw::file).collect();
        let main_path = absolute(path);
        let context = Context {
            folder: main_path.parent().unwrap_or(Path::new("/")),
            environment: &|name| std::env::var_os(name),
            check_files: &crate::net::check_files,
            folders_of: &filesystem::Folder::of,
        };
        parse(&self.main.file(), &more, &context).map(|config| Config { digests, ..config })
    }

    /// The octets of the main file, if it could be read.
    pub(super) fn main(&self) -> Option<&[u8]> {
        self.main.content.as_ref().ok().map(|(octets, _)| octets.as_slice())
    }
}

/// The octets of a file, wiped after use.
struct Raw {
    path: PathBuf,
    content: Result<(Zeroizing<Vec<u8>>, Access), String>,
}

impl Raw {
    fn read(path: PathBuf, accepts: Accepts, left: &mut u64) -> Self {
        let content = content(&path, accepts, left);
        Self { path, content }
    }

    fn fault(path: PathBuf, message: String) -> Self {
        Self { path, content: Err(message) }
    }

    fn digest(&self) -> Option<(PathBuf, [u8; 32])> {
        let (octets, access) = self.content.as_ref().ok()?;
        let is_file = access.mode & libc::S_IFMT == libc::S_IFREG;
        is_file.then(|| (absolute(&self.path), filesystem::digest(octets, access.mode, access.owner)))
    }

    fn file(&self) -> parse::File<'_> {
        let (text, access) = match &self.content {
            Ok((octets, access)) => (text(octets), *access),
            Err(message) => (Err(message.clone()), Access::default()),
        };
        parse::File { shown: self.path.clone(), path: absolute(&self.path), text, access }
    }
}

/// What is wrong with the folder of a file: anyone who may write to it can replace the file.
fn fault_above(path: &Path) -> Option<String> {
    let own = path.to_owned();
    let led_to = filesystem::in_time(path, filesystem::PATIENCE, move || own.canonicalize().ok()).ok().flatten();
    let paths = std::iter::once(absolute(path)).chain(led_to);
    paths.into_iter().find_map(|path| {
        let folder = path.parent()?;
        Some(format!("its folder {} {}", folder.display(), fault_of(folder, owner::fault_of_shared)?))
    })
}

/// What is wrong with a folder.  One that cannot be examined is reported when it is read; one whose
/// disk does not answer in time is not trusted.
fn fault_of(folder: &Path, fault: fn(&Metadata) -> Option<Fault>) -> Option<String> {
    let own = folder.to_owned();
    match filesystem::in_time(folder, filesystem::PATIENCE, move || own.metadata()) {
        Ok(metadata) => Some(fault(&metadata.ok()?)?.told(folder)),
        Err(late) => Some(format!("cannot be looked at: {late}")),
    }
}

fn content(path: &Path, accepts: Accepts, left: &mut u64) -> Result<(Zeroizing<Vec<u8>>, Access), String> {
    let read = filesystem::read(path, SIZE_LIMIT.min(*left), accepts);
    let filesystem::Content { octets, metadata } = read.map_err(|error| error.to_string())?;
    if let Some(fault) = owner::fault(&metadata) {
        return Err(fault.told(path));
    }
    let length = octets.len() as u64;
    if length > SIZE_LIMIT {
        return Err(format!("is longer than {} MiB", SIZE_LIMIT >> 20));
    }
    *left = left
        .checked_sub(length)
        .ok_or_else(|| format!("all files together are longer than {} MiB", TOTAL_LIMIT >> 20))?;
    let access = Access { mode: metadata.mode(), owner: metadata.uid() };
    Ok((octets, access))
}

/// The octets as text, without an editor's byte order mark.
fn text(octets: &[u8]) -> Result<&str, String> {
    match std::str::from_utf8(octets) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let valid = octets.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
            let valid = valid.unwrap_or_default();
            let place = Source::new(valid).position(valid.len());
            Err(format!("is not in UTF-8: line {}, column {}", place.line, place.column))
        }
    }
}
