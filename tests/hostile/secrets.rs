//! Passwords that are looked for wherever they must not be.

use base64::prelude::{BASE64_STANDARD, Engine as _};

/// The user's name.
pub(crate) const USER: &str = "canary-user";

/// The password of an account.
pub(crate) fn password(account: &str) -> String {
    format!("canary-Qx7-{account}-Zw9")
}

/// Whether the account's password is in `text`, as it is or in base64.
pub(crate) fn is_in(text: &[u8], account: &str) -> bool {
    let password = password(account);
    let encoded = (0..3).map(|before| {
        // Wherever it begins in the octets that were encoded, its middle has one of three forms.
        let shifted = ["\0".repeat(before).as_bytes(), password.as_bytes()].concat();
        let text = BASE64_STANDARD.encode(shifted);
        text[4..text.len() - 4].to_owned()
    });
    [password.clone()].into_iter().chain(encoded).any(|form| memchr::memmem::find(text, form.as_bytes()).is_some())
}

#[test]
fn a_password_is_found_in_every_form() {
    let login = format!("\0{USER}\0{}", password("a"));
    for text in [password("a"), BASE64_STANDARD.encode(&login), BASE64_STANDARD.encode(password("a"))] {
        assert!(is_in(format!("AUTH PLAIN {text}\r\n").as_bytes(), "a"), "{text}");
        assert!(!is_in(text.as_bytes(), "b"));
    }
}
