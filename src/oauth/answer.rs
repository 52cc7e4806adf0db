//! The answer that a browser brings back: the address that it was redirected to (RFC 6749 §4.1.2),
//! from a request to our listener or pasted by a person.  Pure.

use oauth2::url::{Url, form_urlencoded};

use crate::secret::Secret;

/// The most octets of a pasted text; an address with a code has about two thousand.
pub(super) const PASTE_LIMIT: usize = 64 * 1024;

/// What a browser or a person brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Brought {
    /// A code to be redeemed, or a refusal.
    Answer(Result<Secret, Refusal>),
    /// From another attempt to sign in, or an attack.
    Foreign,
    /// Neither a code nor a refusal.
    Nothing,
}

/// The person or the provider said no.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The error code.
    pub(super) code: String,
    /// Words for people.
    pub(super) description: Option<String>,
}

/// Reads the query of a redirect; `state` is the value that we sent with the request.
pub(super) fn of_query(query: &str, state: &str) -> Brought {
    let (mut code, mut error, mut description, mut found) = (None, None, None, None);
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match key.as_ref() {
            "code" => &mut code,
            "error" => &mut error,
            "error_description" => &mut description,
            "state" => &mut found,
            _ => continue,
        };
        // RFC 6749 §3.1: no parameter may come twice.
        if slot.replace(value.into_owned()).is_some() {
            return Brought::Nothing;
        }
    }
    match (code, error) {
        (None, None) => Brought::Nothing,
        _ if found.as_deref() != Some(state) => Brought::Foreign,
        (_, Some(code)) => Brought::Answer(Err(Refusal { code, description })),
        (Some(code), None) if code.is_empty() => Brought::Nothing,
        (Some(code), None) => found_code(code),
    }
}

/// Reads what a person has pasted: the address of the page, its query, or the code alone.  A code
/// alone has no state; the verifier of PKCE ties it to this attempt.
pub(super) fn of_paste(text: &str, state: &str) -> Brought {
    let text = text.trim().trim_matches(['"', '\'', '<', '>']).trim();
    if text.len() > PASTE_LIMIT {
        return Brought::Nothing;
    }
    if let Some(url) = Url::parse(text).ok().filter(Url::has_host) {
        // Some providers put the parameters into the fragment, if the application's settings say so.
        return match (url.query(), url.fragment()) {
            (Some(query), _) => of_query(query, state),
            (None, Some(fragment)) => of_query(fragment, state),
            (None, None) => Brought::Nothing,
        };
    }
    let query = text.trim_start_matches(['?', '#']);
    if query.contains("code=") || query.contains("error=") {
        return of_query(query, state);
    }
    // RFC 6749 appendix A.11: visible characters, here without the space.
    let is_code = text.len() >= 4 && text.bytes().all(|octet| octet.is_ascii_graphic());
    if !is_code {
        return Brought::Nothing;
    }
    // Copied out of an address, it is still encoded; a code has no percent sign of its own.
    let decoded = if text.contains('%') {
        form_urlencoded::parse(format!("c={}", text.replace('+', "%2B")).as_bytes())
            .next()
            .map(|(_, value)| value.into_owned())
    } else {
        Some(text.to_owned())
    };
    decoded.map_or(Brought::Nothing, found_code)
}

fn found_code(code: String) -> Brought {
    Brought::Answer(Ok(Secret::new(code.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Brought {
        found_code(text.to_owned())
    }

    fn refusal(code: &str, description: Option<&str>) -> Brought {
        Brought::Answer(Err(Refusal { code: code.into(), description: description.map(str::to_owned) }))
    }

    #[test]
    fn a_redirect_brings_a_code_only_with_our_state() {
        for (query, want) in [
            ("code=4%2F0AX&state=s1&scope=x", code("4/0AX")),
            ("state=s1&code=a+b", code("a b")),
            ("code=x&state=s2", Brought::Foreign),
            ("code=x", Brought::Foreign),
            ("error=access_denied&state=s1", refusal("access_denied", None)),
            ("error=access_denied&error_description=not+now&state=s1", refusal("access_denied", Some("not now"))),
            ("error=access_denied&state=x", Brought::Foreign),
            ("code=x&error=no&state=s1", refusal("no", None)),
            ("code=x&code=y&state=s1", Brought::Nothing),
            ("code=x&state=s1&state=s1", Brought::Nothing),
            ("code=&state=s1", Brought::Nothing),
            ("", Brought::Nothing),
        ] {
            assert_eq!(of_query(query, "s1"), want, "{query}");
        }
    }

    #[test]
    fn a_person_pastes_an_address_a_query_or_a_code() {
        for (text, want) in [
            (" http://127.0.0.1:4711/?state=s1&code=4%2F0AX \r\n", code("4/0AX")),
            ("<http://localhost/?code=x&state=s1>", code("x")),
            ("https://a.example/done#code=x&state=s1", code("x")),
            ("http://localhost/?code=x&state=s2", Brought::Foreign),
            ("http://localhost/", Brought::Nothing),
            ("?code=x&state=s1", code("x")),
            ("4/0AX-y_z", code("4/0AX-y_z")),
            ("4%2F0AX", code("4/0AX")),
            ("M.C5+a.b", code("M.C5+a.b")),
            ("", Brought::Nothing),
            ("two words", Brought::Nothing),
            ("abc", Brought::Nothing),
        ] {
            assert_eq!(of_paste(text, "s1"), want, "{text}");
        }
        assert_eq!(of_paste(&"x".repeat(PASTE_LIMIT + 1), "s1"), Brought::Nothing);
    }
}
