//! Reads the files of a configuration from the disk.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::files::{absolute, beside, names};
use super::parse::{self, Access, Context, parse};
use super::source::Source;
use super::{Config, ConfigError};
use crate::filesystem::{self, Accepts, ReadError};

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

    /// Reads the configuration of a running service again.  A pipe has nothing more to give.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_again(path: &Path) -> Result<Config, ConfigError> {
        load(path, Accepts::File)
    }
}

fn load(path: &Path, main: Accepts) -> Result<Config, ConfigError> {
    let folder = beside(path);
    let mut left = TOTAL_LIMIT;
    let main = Raw::read(path.to_owned(), main, &mut left);
    let more: Vec<Raw> = match names(&folder) {
        Ok(names) => names.iter().map(|name| Raw::read(folder.join(name), Accepts::File, &mut left)).collect(),
        // The folder stands for the files that it keeps from us.
        Err(error) => vec![Raw::fault(folder, format!("cannot be read: {error}"))],
    };
    let digests = std::iter::once(&main).chain(&more).filter_map(Raw::digest).collect();
    let more: Vec<parse::File<'_>> = more.iter().map(Raw::file).collect();
    let main_path = absolute(path);
    let context = Context {
        folder: main_path.parent().unwrap_or(Path::new("/")),
        environment: &|name| std::env::var_os(name),
        check_files: &crate::net::check_files,
        folders_of: &filesystem::Folder::of,
    };
    parse(&main.file(), &more, &context).map(|config| Config { digests, ..config })
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
        is_file.then(|| (absolute(&self.path), Sha256::digest(octets).into()))
    }

    fn file(&self) -> parse::File<'_> {
        let (text, access) = match &self.content {
            Ok((octets, access)) => (text(octets), *access),
            Err(message) => (Err(message.clone()), Access::default()),
        };
        parse::File { shown: self.path.clone(), path: absolute(&self.path), text, access }
    }
}

fn content(path: &Path, accepts: Accepts, left: &mut u64) -> Result<(Zeroizing<Vec<u8>>, Access), String> {
    let read = filesystem::read(path, SIZE_LIMIT.min(*left), accepts);
    let filesystem::Content { octets, metadata } = read.map_err(|error: ReadError| error.to_string())?;
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
