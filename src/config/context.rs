//! What a configuration depends on besides its text.

use std::ffi::OsString;
use std::path::Path;

use crate::filesystem::Folder;
use crate::net::{NetError, Trust};

/// What a configuration depends on besides its text.
pub(super) struct Context<'c> {
    /// The folder of the main file, absolute.
    pub(super) folder: &'c Path,
    /// Looks up an environment variable.
    pub(super) environment: &'c dyn Fn(&str) -> Option<OsString>,
    /// Checks the files of certificates and keys.
    pub(super) check_files: &'c dyn Fn(&Trust) -> Result<(), NetError>,
    /// Finds the folders that the paths of Maildirs lead to.
    pub(super) folders_of: &'c dyn Fn(&[&Path]) -> Vec<Folder>,
}
