//! The keys that say by which route a server is reached.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::net::{Proxy, Route};

use super::host::host;
use super::password;
use super::reader::Reader;

/// RFC 1928 §3.
const PORT: u16 = 1080;

/// Reads the keys of the route.  A table's own proxy or command replaces an inherited one of either
/// kind.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>) -> Route {
    let source = reader.parsed("source-address", address);
    let proxy = reader.parsed("proxy", proxy);
    let login = login(reader);
    let command = password::command(reader, "connect-command");
    let is_own = |name| reader.own_entry(name).is_some();
    let is_level = is_own("proxy") == is_own("connect-command");
    match (proxy, command) {
        (Some(Some(_)), Some(_)) if is_level => {
            if let Some(entry) = reader.entry("connect-command") {
                let message = "`proxy` and `connect-command` are both set; there is one way to a server";
                reader.problems.error(&entry.key_at(), message);
            }
            Route::Direct { source }
        }
        (proxy, Some(command)) if proxy.is_none() || is_level || is_own("connect-command") => {
            if let Some(entry) = reader.own_entry("source-address") {
                let message = "`source-address` has no effect with `connect-command`";
                reader.problems.warning(&entry.key_at(), message);
            }
            Route::Command(command)
        }
        (Some(Some((host, port))), _) => Route::Proxy { proxy: Proxy { host, port, login }, source },
        _ => Route::Direct { source },
    }
}

/// The proxy's user name and password file: both or neither, and only with a proxy.
fn login(reader: &mut Reader<'_, '_, '_>) -> Option<(String, PathBuf)> {
    let username = reader.plain("proxy-username").map(|(text, _)| text.to_owned());
    let password = reader.path("proxy-password-file");
    let needs = [
        ("proxy-username", "proxy-password-file"),
        ("proxy-password-file", "proxy-username"),
        ("proxy-username", "proxy"),
    ];
    for (there, missing) in needs.into_iter().filter(|_| reader.complete) {
        if let (Some(entry), None) = (reader.entry(there), reader.entry(missing)) {
            reader.problems.absence(&entry.key_at(), format!("`{there}` needs `{missing}` too"));
        }
    }
    username.zip(password)
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| "not an IP address such as 192.0.2.1 or 2001:db8::1".into())
}

/// `socks5://HOST` or `socks5://HOST:PORT`; `none` removes an inherited proxy.  Errors do not repeat
/// the text, which may hold a password.
fn proxy(text: &str) -> Result<Option<(String, u16)>, String> {
    const HOW: &str = "write socks5://HOST:PORT";
    if text == "none" {
        return Ok(None);
    }
    if text.contains('@') {
        return Err(
            "the user name and the password have their own keys: `proxy-username`, `proxy-password-file`".into()
        );
    }
    // Both send the server's name to the proxy here; elsewhere only the second does.
    let place = ["socks5://", "socks5h://"].iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or(HOW)?;
    let place = place.strip_suffix('/').unwrap_or(place);
    let (name, port) = match place.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse().ok().filter(|port| *port > 0).ok_or(HOW)?),
        _ => (place, PORT),
    };
    if name.is_empty() {
        return Err(HOW.into());
    }
    if name.contains(':') && !name.starts_with('[') {
        Err("an IPv6 address is put in brackets".into())
    } else {
        host(name, "").map(|host| Some((host, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port_and_nothing_secret() {
        for (text, want) in [
            ("socks5://gw.example", Some(("gw.example", 1080))),
            ("socks5h://gw.example:9050/", Some(("gw.example", 9050))),
            ("socks5://[::1]:9050", Some(("::1", 9050))),
            ("socks5://[::1]", Some(("::1", 1080))),
            ("none", None),
        ] {
            let want = want.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(proxy(text), Ok(want), "{text}");
        }
        for (text, words) in [
            ("gw.example:1080", "write socks5://"),
            ("http://gw.example:1080", "write socks5://"),
            ("socks5://gw.example:0", "write socks5://"),
            ("socks5://gw.example:port", "write socks5://"),
            ("socks5://::1", "in brackets"),
            ("socks5://", "write socks5://"),
            ("socks5://a b", "neither a host name"),
            ("socks5://alice:s3cret@gw.example", "own keys"),
            ("socks5://alice:s3cret", "write socks5://"),
        ] {
            let fault = proxy(text).expect_err(text);
            assert!(fault.contains(words) && !fault.contains("s3cret"), "{text}: {fault}");
        }
    }
}
