//! Requests to a provider and its responses, for the transcript: the names of all fields, and only the values that
//! are not secret.

use hyper::StatusCode;
use oauth2::HttpRequest;
use serde_json::Value;

use crate::transcript::Transcript;

/// Fields of a request whose values are shown.
const ASKED: [&str; 3] = ["grant_type", "scope", "response_type"];

/// Fields of a response whose values are shown.
const ANSWERED: [&str; 6] = ["error", "error_description", "expires_in", "interval", "scope", "token_type"];

/// Records a request.  The values that are not shown are hidden from now on, whichever side sends them.
pub(super) fn request(transcript: &mut Transcript, request: &HttpRequest) {
    if !transcript.is_wanted() {
        return;
    }
    // A client may authenticate itself by a header.
    for value in request.headers().get_all(hyper::header::AUTHORIZATION) {
        let value = value.as_bytes();
        transcript.hide(value.strip_prefix(b"Basic ").unwrap_or(value));
    }
    let mut fields = Vec::new();
    for (name, value) in form(request.body()) {
        let is_shown = ASKED.contains(&&*name);
        if !is_shown {
            transcript.hide(value.as_bytes());
        }
        fields.push(format!("{name}={}", if is_shown { &value } else { "***" }));
    }
    let (method, path) = (request.method(), request.uri().path());
    transcript.asked(&format!("{method} {path} {}", fields.join("&")));
}

/// Records the status of a response.
pub(super) fn status(transcript: &Transcript, status: StatusCode) {
    if transcript.is_wanted() {
        transcript.answered(&format!("HTTP status {}", status.as_u16()));
    }
}

/// Records the fields of a response.
pub(super) fn answer(transcript: &Transcript, body: &[u8]) {
    if !transcript.is_wanted() {
        return;
    }
    let text = match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => {
            let one = |(name, value): (&String, &Value)| {
                if ANSWERED.contains(&&**name) { format!("{name}: {value}") } else { format!("{name}: ***") }
            };
            fields.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        _ => format!("({} octets that are not a JSON object)", body.len()),
    };
    transcript.answered(&text);
}

/// The fields of a form (application/x-www-form-urlencoded).
fn form(body: &[u8]) -> Vec<(String, String)> {
    let fields = body.split(|octet| *octet == b'&');
    let pairs = fields.map(|field| {
        let at = memchr::memchr(b'=', field).unwrap_or(field.len());
        (decoded(&field[..at]), decoded(field.get(at + 1..).unwrap_or_default()))
    });
    pairs.collect()
}

fn decoded(text: &[u8]) -> String {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        let (octet, after) = match first {
            b'+' => (b' ', after),
            b'%' => match escaped() {
                Some(octet) => (octet, &after[2..]),
                None => (b'%', after),
            },
            octet => (*octet, after),
        };
        octets.push(octet);
        rest = after;
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let fields = form(b"grant_type=refresh_token&refresh_token=1%2F%2fa+b%zz&x");
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(pairs, [("grant_type", "refresh_token"), ("refresh_token", "1//a b%zz"), ("x", "")]);
    }
}
