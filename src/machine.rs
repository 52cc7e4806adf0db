//! This machine's name, as uname(2) tells it now.

/// The name of this host: any octets, at most 64 on Linux, and perhaps not the full one.
pub(crate) fn host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}
