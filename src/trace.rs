//! The trace header that a message gets on its way through here (RFC 5321 §4.4).

use std::net::IpAddr;

/// Where a message came from, and how.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    /// The POP3 server's name or address.
    pub host: String,
    /// The address that was connected to.
    pub address: Option<IpAddr>,
    /// `TLS 1.3`, ...; `None` in clear.
    pub tls_version: Option<&'static str>,
    /// This host's name.
    pub by: String,
}

impl Trace {
    /// The `Received:` field, folded, with LF; `now` dates it.
    pub(crate) fn received(&self, now: &jiff::ZonedDateTime) -> String {
        let from = domain(&self.host);
        let address = self.address.map_or(String::new(), |address| format!(" ({})", literal(address)));
        let (protocol, version) = match self.tls_version {
            Some(version) => ("POP3S", format!(" ({version})")),
            None => ("POP3", String::new()),
        };
        let by = domain(&self.by);
        let date = jiff::fmt::rfc2822::to_string(now).unwrap_or_default();
        format!("Received: from {from}{address}\n\tby {by} with {protocol}{version} (postrider);\n\t{date}\n")
    }
}

/// Whether the value of a `Received:` field is one of [`Trace::received`], however it was folded since.
pub(crate) fn is_ours(value: &[u8]) -> bool {
    let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.any(|word| matches!(word, b"POP3" | b"POP3S")) && words.any(|word| word == b"(postrider);")
}

/// A name as it is, an address in brackets (RFC 5321 §4.1.3).
fn domain(host: &str) -> String {
    host.parse().map_or_else(|_| host.to_owned(), literal)
}

fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_the_one_of_rfc_5321() {
        let date: jiff::ZonedDateTime = "2026-11-24T22:05:38+00:00[UTC]".parse().expect("a date");
        let mut trace = Trace {
            host: "pop.example.org".into(),
            address: Some([192, 0, 2, 1].into()),
            tls_version: Some("TLS 1.3"),
            by: "home.example.net".into(),
        };
        assert_eq!(
            trace.received(&date),
            "Received: from pop.example.org ([192.0.2.1])\n\tby home.example.net with POP3S (TLS 1.3) (postrider);\n\
             \tTue, 24 Nov 2026 22:05:38 +0000\n"
        );
        assert!(is_ours(trace.received(&date).as_bytes()));
        assert!(is_ours(b" from a by b\r\n\twith POP3\r\n (postrider);\r\n\tTue, 24 Nov 2026 22:05:38 +0000"));
        for other in
            ["from a by b with SMTP (postrider); now", "from a by b with POP3; now", "by (postrider); POP3", ""]
        {
            assert!(!is_ours(other.as_bytes()), "{other:?}");
        }
        trace.host = "::1".into();
        trace.tls_version = None;
        trace.address = None;
        assert!(trace.received(&date).starts_with("Received: from [IPv6:::1]\n\tby home.example.net with POP3 (post"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_host_is_the_field_is_one_and_its_date_is_read_again(
            host in "[A-Za-z0-9._-]{1,253}|[0-9a-f:]{2,20}|[0-9.]{7,15}",
            by in "[A-Za-z0-9._-]{1,64}",
            octets in proptest::option::of(proptest::array::uniform16(0_u8..)),
            second in 0_i64..253_402_300_799 - 86_400,
            hours in -12_i8..=14,
        ) {
            let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(hours));
            let now = jiff::Timestamp::from_second(second).expect("a time").to_zoned_datetime(zone);
            let address = octets.map(|octets| IpAddr::from(octets).to_canonical());
            let field = Trace { host, address, tls_version: None, by }.received(&now);
            proptest::prop_assert_eq!(field.lines().count(), 3);
            proptest::prop_assert!(field.lines().skip(1).all(|line| line.starts_with('\t')));
            proptest::prop_assert!(field.lines().all(|line| line.len() <= 998));
            let head = crate::header::Head::scan(format!("{field}Subject: x\n\n").as_bytes());
            proptest::prop_assert_eq!((head.date, head.passages), (Some(second), 1));
        }
    }
}
