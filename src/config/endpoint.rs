//! The keys that name a server and say how it proves its identity.

use crate::net::{Endpoint, TlsMode, TlsVersion, Trust};

use super::host::host;
use super::reader::Reader;
use super::route;

/// The words of `tls`.
const MODES: [(&str, TlsMode); 3] =
    [("implicit", TlsMode::Implicit), ("starttls", TlsMode::StartTls), ("none", TlsMode::None)];

/// The words of `tls-min`.
const VERSIONS: [(&str, TlsVersion); 2] = [("1.2", TlsVersion::V1_2), ("1.3", TlsVersion::V1_3)];

/// The defaults of a protocol.
pub(super) struct Protocol {
    name: &'static str,
    /// The port with implicit TLS.
    pub(super) implicit_port: u16,
    /// The port without implicit TLS.
    pub(super) port: u16,
    /// The TLS mode without the key `tls`; depends on whether the route is private.
    pub(super) tls: fn(bool) -> TlsMode,
}

/// The well-known ports of mail protocols, to find ports of another one.
const OTHERS: [(u16, &str); 8] = [
    (110, "POP3"),
    (995, "POP3"),
    (143, "IMAP"),
    (993, "IMAP"),
    (25, "SMTP"),
    (465, "SMTP"),
    (587, "SMTP"),
    (4190, "ManageSieve"),
];

impl Protocol {
    /// Why the TLS mode does not fit the port: both ends would wait for, or not understand, each other.
    fn misfit(&self, tls: TlsMode, port: u16) -> Option<String> {
        let Self { name, implicit_port, .. } = *self;
        match OTHERS.iter().find(|(known, _)| *known == port)?.1 {
            other if other != name => Some(format!("port {port} is for {other}, not for {name}")),
            _ if port == implicit_port && tls != TlsMode::Implicit => {
                Some(format!("a server speaks TLS at once on port {port}: write tls = \"implicit\", or another port"))
            }
            _ if port != implicit_port && tls == TlsMode::Implicit => Some(format!(
                "a server does not speak TLS at once on port {port}: write tls = \"starttls\", or port = {implicit_port}"
            )),
            _ => None,
        }
    }
}

/// POP3 (RFC 1939, RFC 8314): encrypted unless the configuration asks for clear text.
pub(super) const POP3: Protocol = Protocol { name: "POP3", implicit_port: 995, port: 110, tls: |_| TlsMode::Implicit };

/// SMTP (RFC 5321, RFC 8314): clear text only within this machine.
pub(super) const SMTP: Protocol = Protocol {
    name: "SMTP",
    implicit_port: 465,
    port: 25,
    tls: |is_private| if is_private { TlsMode::None } else { TlsMode::StartTls },
};

/// Reads `host`, `port`, `tls`, the `tls-` keys and those of the route.  `None` if there is no host.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>, protocol: &Protocol) -> Option<Endpoint> {
    reader.require("host");
    let host = reader.parsed("host", |text| host(text, "port = "));
    let tls = reader.word("tls", &MODES);
    let port = reader.integer("port", 1..=65535).and_then(|port| u16::try_from(port).ok());
    let trust = trust(reader);
    let route = route::read(reader);
    let host = host?;
    let tls = match (tls, reader.entry("tls")) {
        (Some(tls), _) => tls,
        (None, Some(_)) => return None,
        (None, None) => (protocol.tls)(route.is_private(&host)),
    };
    let port = port.unwrap_or(if tls == TlsMode::Implicit { protocol.implicit_port } else { protocol.port });
    if tls == TlsMode::None {
        warn_of_useless(reader);
    }
    if let (Some(fault), Some(entry)) = (protocol.misfit(tls, port), reader.entry("port")) {
        reader.problems.warning(&entry.at(), format!("{}: {fault}", reader.what));
    }
    Some(Endpoint { host, port, tls, trust, route })
}

fn trust(reader: &mut Reader<'_, '_, '_>) -> Trust {
    let certificate = reader.path("tls-client-cert");
    let key = reader.path("tls-client-key");
    if reader.complete {
        for (there, missing) in [("tls-client-cert", "tls-client-key"), ("tls-client-key", "tls-client-cert")] {
            if let (Some(entry), None) = (reader.entry(there), reader.entry(missing)) {
                reader.problems.absence(&entry.key_at(), format!("`{there}` needs `{missing}` too"));
            }
        }
    }
    Trust {
        ca_file: reader.path("tls-ca"),
        pin: reader.parsed("tls-pin", pin),
        server_name: reader.parsed("tls-server-name", |text| host(text, "the port is that of ")),
        min_version: reader.word("tls-min", &VERSIONS).unwrap_or_default(),
        client_certificate: certificate.zip(key),
    }
}

fn warn_of_useless(reader: &mut Reader<'_, '_, '_>) {
    for name in ["tls-ca", "tls-pin", "tls-server-name", "tls-min", "tls-client-cert", "tls-client-key"] {
        if let Some(entry) = reader.own_entry(name) {
            reader.problems.warning(&entry.key_at(), format!("`{name}` has no effect without TLS (tls = \"none\")"));
        }
    }
}

/// `sha256:HEX`, with or without colons between the octets.
fn pin(text: &str) -> Result<[u8; 32], String> {
    const HOW: &str = "write sha256: and the 64 hexadecimal digits of the certificate's SHA-256";
    let lower = text.to_ascii_lowercase();
    if ["md5:", "sha1:", "sha-1:"].iter().any(|weak| lower.starts_with(weak)) {
        return Err(format!("MD5 and SHA-1 can be forged and are not accepted; {HOW}"));
    }
    let hex = lower.strip_prefix("sha256:");
    let digits: String = hex.unwrap_or(&lower).chars().filter(|&c| c != ':').collect();
    if hex.is_none() && digits.chars().all(|c| c.is_ascii_hexdigit()) && matches!(digits.len(), 32 | 40) {
        return Err(format!("this looks like MD5 or SHA-1, which can be forged and are not accepted; {HOW}"));
    }
    if hex.is_none() || digits.len() != 64 || !digits.is_ascii() {
        return Err(HOW.into());
    }
    let mut pin = [0; 32];
    for (n, octet) in pin.iter_mut().enumerate() {
        let digits = digits.get(2 * n..2 * n + 2).unwrap_or_default();
        *octet = if digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            u8::from_str_radix(digits, 16).map_err(|_| HOW)?
        } else {
            return Err(HOW.into());
        };
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_sha256_and_nothing_weaker() {
        let hex = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
        let colons: Vec<&str> = (0..32).map(|n| &hex[2 * n..2 * n + 2]).collect();
        for good in [format!("sha256:{hex}"), format!("SHA256:{}", colons.join(":"))] {
            assert_eq!(pin(&good).map(|pin| (pin[1], pin[31])), Ok((0x11, 0xff)), "{good}");
        }
        for (bad, words) in [
            (format!("sha1:{}", &hex[..40]), "can be forged"),
            (hex[..32].to_owned(), "looks like MD5 or SHA-1"),
            (hex.to_owned(), "write sha256:"),
            (format!("sha256:{}", &hex[..62]), "64 hexadecimal digits"),
            (format!("sha256:{}+1", &hex[..62]), "64 hexadecimal digits"),
            (format!("sha256:{}é", &hex[..62]), "64 hexadecimal digits"),
        ] {
            let message = pin(&bad).expect_err(&bad);
            assert!(message.contains(words), "{bad}: {message}");
        }
    }

    #[test]
    fn a_port_on_which_both_ends_would_wait_for_each_other_is_told() {
        use TlsMode::{Implicit, None as Clear, StartTls};
        for (protocol, tls, port, want) in [
            (&POP3, Implicit, 995, ""),
            (&POP3, Implicit, 110, "write tls = \"starttls\", or port = 995"),
            (&POP3, StartTls, 995, "write tls = \"implicit\""),
            (&POP3, Clear, 995, "write tls = \"implicit\""),
            (&POP3, StartTls, 110, ""),
            (&POP3, Clear, 1110, ""),
            (&POP3, Implicit, 993, "port 993 is for IMAP, not for POP3"),
            (&SMTP, Implicit, 465, ""),
            (&SMTP, Implicit, 587, "write tls = \"starttls\", or port = 465"),
            (&SMTP, Implicit, 25, "write tls = \"starttls\""),
            (&SMTP, StartTls, 465, "write tls = \"implicit\""),
            (&SMTP, Clear, 465, "write tls = \"implicit\""),
            (&SMTP, StartTls, 587, ""),
            (&SMTP, Clear, 25, ""),
            (&SMTP, StartTls, 110, "port 110 is for POP3, not for SMTP"),
        ] {
            let told = protocol.misfit(tls, port).unwrap_or_default();
            assert!(told.contains(want) && want.is_empty() == told.is_empty(), "{tls:?} {port}: {told}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_nothing_more() {
        for (text, want) in [("a.example", "a.example"), ("::1", "::1"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")] {
            assert_eq!(host(text, "port = ").as_deref(), Ok(want));
        }
        for (text, words) in [
            ("pops://x", "only the name"),
            ("x:995", "port = 995"),
            ("a b", "neither"),
            ("-x", "neither"),
            ("ä.example", "xn--"),
        ] {
            let message = host(text, "port = ").expect_err(text);
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
