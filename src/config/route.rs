//! The keys that say by which way a server is reached.

use std::net::IpAddr;

use crate::net::Route;

use super::reader::Reader;

/// Reads the keys of the way.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Route {
    Route::Direct { source: reader.parsed("source-address", address) }
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "not an IP address such as 192.0.2.1 or 2001:db8::1".into())
}
