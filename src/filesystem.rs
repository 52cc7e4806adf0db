//! Files of this machine: whose they are, how those of ours are opened, and on what kind of file
//! system they lie.

pub mod owner;
mod people;
pub mod private;

use std::io;
use std::path::Path;

pub use people::Person;
pub use private::FileError;

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
/// The path is not there, or cannot be looked at.
pub fn network_kind(path: &Path) -> io::Result<Option<&'static str>> {
    let stat = rustix::fs::statfs(path)?;
    #[allow(clippy::allow_attributes, clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    let magic = stat.f_type as i64 & 0xffff_ffff;
    Ok(NETWORK.iter().find(|(known, _)| *known == magic).map(|(_, kind)| *kind))
}
