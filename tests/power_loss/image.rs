//! What a disk holds: names, and the content of the files that they lead to.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory; it is never renamed.
    Directory,
    /// A file, by its number.
    File(u64),
}

/// A disk's content.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Relative to the home.  A name whose directory has none cannot be reached.
    pub names: BTreeMap<Arc<Path>, Entry>,
    /// By number.
    pub files: BTreeMap<u64, Arc<Vec<u8>>>,
}

impl Image {
    /// The names that can be reached, in order.
    fn reachable(&self) -> impl Iterator<Item = (&Path, Entry)> {
        let is_there = |path: &Path| {
            path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).all(|above| {
                let entry = self.names.get(above);
                entry == Some(&Entry::Directory)
            })
        };
        self.names.iter().map(|(path, entry)| (&**path, *entry)).filter(move |(path, _)| is_there(path))
    }

    /// The files that can be reached.
    pub fn paths(&self) -> Vec<PathBuf> {
        let files = self.reachable().filter(|(_, entry)| *entry != Entry::Directory);
        files.map(|(path, _)| path.to_owned()).collect()
    }

    /// Tells images apart by what can be reached of them.
    pub fn hash(&self, hash: &mut impl Hasher) {
        let mut first: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, (path, entry)) in self.reachable().enumerate() {
            path.hash(hash);
            let number = match entry {
                Entry::Directory => None,
                Entry::File(number) => Some(number),
            };
            // Two names of one file are not two files.
            let known = number.map(|number| *first.entry(number).or_insert(at));
            known.hash(hash);
            if known == Some(at) {
                number.map(|number| &self.files[&number]).hash(hash);
            }
        }
    }

    /// Creates it below a home that has none of it yet.
    pub fn write(&self, home: &Path) {
        let mut written: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for (path, entry) in self.reachable() {
            let path = home.join(path);
            match entry {
                Entry::Directory => DirBuilder::new().mode(0o700).create(&path).expect("a directory"),
                Entry::File(number) => match written.get(&number) {
                    Some(first) => std::fs::hard_link(first, &path).expect("a link"),
                    None => {
                        let mut options = OpenOptions::new();
                        let file: std::io::Result<File> = options.write(true).create_new(true).mode(0o600).open(&path);
                        file.expect("a file").write_all(&self.files[&number]).expect("its content");
                        written.insert(number, path);
                    }
                },
            }
        }
    }
}
