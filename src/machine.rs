//! This machine's name, as uname(2) returns it now.

/// The name of this host: any octets, at most 64 on Linux, and perhaps not fully qualified.
pub(crate) fn host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}
