//! The identity of the folder that a path leads to.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::{PATIENCE, in_time};

/// A folder: two paths that lead to the same one, by links, bind mounts or `..`, have equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Folder {
    /// The nearest folder that exists, and what is missing below it.
    There {
        /// Device and inode.
        at: (u64, u64),
        /// Names that are still to be made.
        missing: Vec<OsString>,
    },
    /// It cannot be looked at in time: its path has to do.
    Unseen(PathBuf),
}

impl Folder {
    /// The folders that paths lead to, whether or not they exist yet.
    pub(crate) fn of(paths: &[&Path]) -> Vec<Self> {
        let own: Vec<PathBuf> = paths.iter().map(|path| (*path).to_owned()).collect();
        let unseen = || paths.iter().map(|path| Self::Unseen((*path).to_owned())).collect();
        let look = move || own.iter().map(|path| Self::look(path)).collect();
        paths.first().map_or_else(Vec::new, |first| in_time(first, PATIENCE, look).unwrap_or_else(|_| unseen()))
    }

    fn look(path: &Path) -> Self {
        let mut missing = Vec::new();
        let mut there = path;
        loop {
            if let Ok(metadata) = std::fs::metadata(there) {
                missing.reverse();
                return Self::There { at: (metadata.dev(), metadata.ino()), missing };
            }
            let (Some(parent), Some(Component::Normal(name))) = (there.parent(), there.components().next_back()) else {
                return Self::Unseen(path.to_owned());
            };
            missing.push(name.to_owned());
            there = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_known_by_whatever_name_it_has() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| Folder::of(&[&dir.path().join(name)]);
        std::fs::create_dir_all(dir.path().join("mail/x")).expect("made");
        std::os::unix::fs::symlink("mail", dir.path().join("link")).expect("linked");
        for (one, other, same) in [
            ("mail", "link", true),
            ("mail", "mail/x/..", true),
            ("mail/x", "link/x", true),
            ("mail", "mail/x", false),
            // Not there yet.
            ("mail/new", "link/new", true),
            ("mail/new/a", "link/new/a", true),
            ("mail/new", "mail/other", false),
            ("new", "mail/new", false),
        ] {
            assert_eq!(at(one) == at(other), same, "{one} {other}");
        }
    }
}
