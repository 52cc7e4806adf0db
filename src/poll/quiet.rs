//! A listing that left nothing to do is not looked at again while nothing has changed.
//!
//! Its digest shows whether it is the same, and covers everything else that the decision about it
//! depends on, except the state, which forgets the digest with any change (`store::quiet`), and
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
    // Another version may decide differently.
    add(env!("CARGO_PKG_VERSION").as_bytes());
    // Its `Debug` output has every rule, including those that are yet to come.
    add(format!("{:?}", account.policy).as_bytes());
    add(&listing.digest());
    for place in places {
        let Place { destination, kind, location, recipient, machine } = place;
        let texts = [destination.as_str(), kind, recipient, machine].map(str::as_bytes);
        texts.into_iter().chain([location.as_os_str().as_bytes()]).for_each(&mut add);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use crate::plan::{Initial, Oversize, Policy, Retention};

    #[test]
    fn every_wish_is_in_the_text_that_the_digest_is_made_of() {
        let policy = Policy::default;
        // For each new field, add a row below.
        let Policy { retention: _, initial: _, max_size: _, oversize: _, max_messages: _ } = policy();
        let others = [
            Policy { retention: Retention::Delete, ..policy() },
            Policy { initial: Initial::None, ..policy() },
            Policy { max_size: Some(1), ..policy() },
            Policy { oversize: Oversize::Headers, ..policy() },
            Policy { max_messages: Some(1), ..policy() },
        ];
        for other in others {
            assert_ne!(format!("{other:?}"), format!("{:?}", policy()));
        }
    }
}
