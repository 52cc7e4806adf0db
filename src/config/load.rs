//! Reads a configuration file from the disk.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::parse::{Access, Context, parse};
use super::source::Source;
use super::{Config, ConfigError};

/// Ten thousand accounts need about two MiB.
const SIZE_LIMIT: u64 = 4 << 20;

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// The file cannot be read or used; the error lists everything that is wrong with it.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let fail = |message: String| ConfigError::of_file(path, message);
        let unreadable = |error: std::io::Error| fail(format!("cannot be read: {error}"));
        let absolute = std::path::absolute(path).map_err(unreadable)?;
        let file = File::open(path).map_err(unreadable)?;
        // Of the file that is open, not of its name: that may be another one by now.
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(fail("is a folder, not a file".into()));
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > SIZE_LIMIT {
            return Err(fail(format!("is longer than {} MiB", SIZE_LIMIT >> 20)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let valid = bytes.get(..error.valid_up_to()).and_then(|valid| std::str::from_utf8(valid).ok());
            let valid = valid.unwrap_or_default();
            let place = Source::new(valid).position(valid.len());
            fail(format!("is not in UTF-8: line {}, column {}", place.line, place.column))
        })?;
        let access = Access { mode: metadata.mode(), owner: metadata.uid(), user: rustix::process::geteuid().as_raw() };
        let context = Context {
            file: path,
            folder: absolute.parent().unwrap_or(Path::new("/")),
            environment: &|name| std::env::var_os(name),
            access,
            check_files: &crate::net::check_files,
        };
        // An editor's byte order mark is no part of the text.
        parse(text.strip_prefix('\u{feff}').unwrap_or(text), &context)
    }
}
