//! PLAIN (RFC 4616).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The one message of PLAIN, in base64: authorization identity (none), name, password.
/// `None` if the name or the password holds a NUL, which would change their meaning.
pub fn initial_response(username: &str, password: &Secret) -> Option<Secret> {
    if username.contains('\0') || password.expose().contains(&0) {
        return None;
    }
    let mut message = Zeroizing::new(Vec::with_capacity(username.len() + password.expose().len() + 2));
    message.push(0);
    message.extend_from_slice(username.as_bytes());
    message.push(0);
    message.extend_from_slice(password.expose());
    Some(Secret::new(STANDARD.encode(&*message).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_the_one_of_rfc_4616() {
        let message = initial_response("tim", &Secret::new(b"tanstaaftanstaaf".to_vec())).expect("no NUL");
        assert_eq!(message.expose(), b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
    }

    #[test]
    fn a_nul_cannot_shift_the_fields() {
        assert!(initial_response("a\0b", &Secret::new(b"c".to_vec())).is_none());
        assert!(initial_response("a", &Secret::new(b"b\0c".to_vec())).is_none());
    }
}
