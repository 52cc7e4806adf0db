//! A listing that left nothing to do is not looked at again while nothing has changed.
//!
//! Its digest tells whether it is the same, and covers everything else that the decision about it
//! is made of, except for the state, which forgets the digest with any change (`store::quiet`), and
//! the time (`plan::quiet`).

use std::os::unix::ffi::OsStrExt;

use blake3::Hasher;

use crate::account::Account;
use crate::plan::Place;
use crate::pop3::session::Listing;

/// The digest of a listing as this account, with its destinations, sees it.
pub(super) fn digest(listing: &Listing, account: &Account, places: &[Place]) -> [u8; 32] {
    let mut digest = Hasher::new();
    let mut add = |octets: &[u8]| {
        digest.update(&octets.len().to_le_bytes());
        digest.update(octets);
    };
    // Another version may decide otherwise.
    add(env!("CARGO_PKG_VERSION").as_bytes());
    // Its `Debug` has every wish, also those that are yet to come.
    add(format!("{:?}", account.policy).as_bytes());
    add(&listing.digest());
    for place in places {
        let Place { destination, kind, location, recipient, machine } = place;
        let texts = [destination.as_str(), kind, recipient, machine].map(str::as_bytes);
        texts.into_iter().chain([location.as_os_str().as_bytes()]).for_each(&mut add);
    }
    digest.finalize().into()
}
