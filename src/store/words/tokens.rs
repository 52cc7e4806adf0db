//! The messages that are on record, as the names of files in Maildirs tell them.

use std::collections::HashSet;

/// DeliveryTokens, as numbers: there may be millions.
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

/// A token is 128 bits in hexadecimal; whatever is none is on no record.
fn number(token: &str) -> Option<u128> {
    u128::from_str_radix(token, 16).ok()
}
