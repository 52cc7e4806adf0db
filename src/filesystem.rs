//! Files of this machine: their owners, how our own and those that a person names are opened, unique
//! names, and the kind of file system.

mod durable;
mod folder;
mod late;
pub(crate) mod owner;
mod people;
pub(crate) mod private;
pub(crate) mod sandbox;
mod whole;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many names are tried.  Names that are taken come from a process with the same id: one in
/// another container, or one that crashed.
const NAME_ATTEMPTS: usize = 100;

pub(crate) use durable::{sync_content, sync_file, sync_folder, sync_names};
pub(crate) use folder::Folder;
pub(crate) use late::{PATIENCE, in_time, in_time_async};
pub(crate) use people::Person;
pub(crate) use private::FileError;
pub(crate) use whole::{Accepts, Content, ReadError, digest, read, read_async};

/// Magic numbers of statfs(2) for file systems whose locks, memory maps and changes other machines
/// do not see.
const NETWORK: [(i64, &str); 6] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x517b, "SMB"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
];

/// The name of the network file system that a path is on; `None` for a local one.
///
/// # Errors
/// The path does not exist, or cannot be looked at.
pub(crate) fn network_kind(path: &Path) -> io::Result<Option<&'static str>> {
    let stat = rustix::fs::statfs(path)?;
    #[allow(clippy::allow_attributes, clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    let magic = stat.f_type as i64 & 0xffff_ffff;
    Ok(NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, kind)| *kind))
}

/// Makes something under a unique name, in a folder that others use at the same time.  `make` gets a
/// word that is unique in this process and, as a rule, on this machine; if the name made from it is
/// taken, `make` gets the next one.
///
/// # Errors
/// The error of `make`.
pub(crate) fn make_unique<T>(mut make: impl FnMut(&str) -> io::Result<T>) -> io::Result<T> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut attempt = || {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        make(&format!("P{}Q{count}", std::process::id()))
    };
    for _ in 1..NAME_ATTEMPTS {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_name_that_is_taken_is_followed_by_another_but_not_for_ever() {
        let tried = Cell::new(0);
        let taken_until = |free: usize| {
            tried.set(0);
            make_unique(|word| {
                tried.set(tried.get() + 1);
                if tried.get() < free { Err(io::ErrorKind::AlreadyExists.into()) } else { Ok(word.to_owned()) }
            })
        };
        assert_ne!(taken_until(1).expect("free"), taken_until(NAME_ATTEMPTS).expect("free"));
        assert_eq!(taken_until(usize::MAX).expect_err("taken").kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(tried.get(), NAME_ATTEMPTS);
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut tried = 0;
        let failed = make_unique::<()>(|_| {
            tried += 1;
            Err(io::ErrorKind::PermissionDenied.into())
        });
        assert_eq!((failed.expect_err("refused").kind(), tried), (io::ErrorKind::PermissionDenied, 1));
    }
}
