//! A host as it may be written in the configuration.

/// The maximum length of a host name (RFC 1035 §2.3.4).
const HOST_LIMIT: usize = 253;

/// A host name or an address; an IPv6 address may be in brackets.
pub(super) fn host(text: &str, port_key: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<std::net::IpAddr>().is_ok() {
        return Ok(bare.to_owned());
    }
    if text.contains("://") || text.contains('/') {
        return Err("write only the name of the host, not a URL".into());
    }
    if let Some((_, port)) = text.rsplit_once(':') {
        return Err(match port.parse::<u16>() {
            Ok(port) if port_key == "port = " => format!("the port has its own key: port = {port}"),
            _ => "neither a host name nor an address".into(),
        });
    }
    let good = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    match text.len() <= HOST_LIMIT && text.chars().all(good) && !text.starts_with(['-', '.']) {
        true if text.is_ascii() => Ok(text.to_owned()),
        true => Err("not in ASCII; write the name in its xn-- form".into()),
        false => Err("neither a host name nor an address".into()),
    }
}
