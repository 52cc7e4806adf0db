//! The Maildir, and what its reader does with it.

use fastrand::Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A Maildir; it may not be there yet.
pub(crate) struct Home {
    path: PathBuf,
    /// What its reader has thrown away, each as often as that.
    removed: BTreeMap<Vec<u8>, usize>,
}

impl Home {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, removed: BTreeMap::new() }
    }

    /// Everything that ever came, each as often as it came.
    pub(crate) fn delivered(&self) -> BTreeMap<Vec<u8>, usize> {
        let mut delivered = self.removed.clone();
        for file in ["new", "cur"].iter().flat_map(|folder| files(&self.path.join(folder))) {
            *delivered.entry(std::fs::read(file).expect("a message")).or_default() += 1;
        }
        delivered
    }

    /// The reader looks at new mail, and files some of it and, perhaps, throws some away.
    pub(crate) fn read(&mut self, throws: bool, random: &mut Rng) -> (usize, usize) {
        let (mut filed, mut thrown) = (0, 0);
        let mut mail: Vec<_> = files(&self.path.join("new"))
            .into_iter()
            .map(|file| (std::fs::read(&file).expect("a message"), file))
            .collect();
        // A file's name is another in each life of the same seed.
        mail.sort();
        for (text, file) in mail {
            let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            match random.u8(..6) {
                0..3 => {
                    std::fs::rename(&file, self.path.join(format!("cur/{name}:2,S"))).expect("filed");
                    filed += 1;
                }
                3 if throws => {
                    *self.removed.entry(text).or_default() += 1;
                    std::fs::remove_file(file).expect("thrown away");
                    thrown += 1;
                }
                _ => {}
            }
        }
        (filed, thrown)
    }
}

/// The files of a folder, in no order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
