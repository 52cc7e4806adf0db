//! The JSON by which a server refuses a token (RFC 7628 §3.2.2): nothing of it is shown but what
//! is known, since it may hold the token.

use postrider::testing::sasl::{Credentials, Exchange, Identity, Mechanism};
use postrider::testing::secret::Secret;
use serde_json::Value;

/// The words for each status.
const KNOWN: [(&str, &str); 6] = [
    ("400", "the token is invalid or has expired"),
    ("401", "the token is invalid or has expired"),
    ("invalid_token", "the token is invalid or has expired"),
    ("403", "the token does not allow this: it lacks the scope"),
    ("insufficient_scope", "the token does not allow this: it lacks the scope"),
    ("invalid_request", "the server does not understand the token"),
];

pub(super) fn holds(json: &[u8]) {
    let status = match serde_json::from_slice::<Value>(json) {
        Ok(Value::Object(object)) => object.get("status").map(|status| match status {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        _ => None,
    };
    let want = KNOWN.iter().find(|(known, _)| status.as_deref() == Some(known)).map(|(_, words)| *words);
    for (mechanism, answer) in [(Mechanism::XOAuth2, &b""[..]), (Mechanism::OAuthBearer, b"\x01")] {
        let identity = Identity { username: "user", host: "server.example.com", port: 995 };
        let credentials = Credentials::Token(Secret::new(b"token".to_vec()));
        let mut exchange = Exchange::new(mechanism, &identity, &credentials, String::new()).expect("it begins");
        exchange.initial().expect("it begins");
        match exchange.answer(json) {
            Ok(message) => {
                assert_eq!((exchange.refusal(), message.expose()), (want, answer));
                assert!(json.len() <= 4096);
            }
            Err(_) => assert!(json.len() > 4096 || json.is_empty(), "{:?}", String::from_utf8_lossy(json)),
        }
    }
}
