//! The messages on record, by the tokens in the names of files in Maildirs.

use std::collections::HashSet;

/// The tokens of deliveries, as numbers: there may be millions.
#[derive(Debug, Default)]
pub struct DeliveryTokens(HashSet<u128>);

impl DeliveryTokens {
    /// Whether a message is on record.
    pub fn contains(&self, token: &str) -> bool {
        number(token).is_some_and(|number| self.0.contains(&number))
    }

    pub(in crate::store) fn add(&mut self, token: &str) {
        self.0.extend(number(token));
    }
}

/// A token is 128 bits in hexadecimal; anything else is not on record.
fn number(token: &str) -> Option<u128> {
    u128::from_str_radix(token, 16).ok()
}
