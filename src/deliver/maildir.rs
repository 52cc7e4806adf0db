//! Delivery into a Maildir.

use std::path::PathBuf;

/// Settings of a Maildir destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The folder that holds `tmp`, `new` and `cur`.
    pub path: PathBuf,
}
