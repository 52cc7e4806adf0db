//! What a server offers in its answer to EHLO (RFC 5321 §4.1.1.1).

use std::fmt::Write as _;

/// The offers that are of use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtp_utf8: bool,
    /// RFC 3207.
    pub start_tls: bool,
    /// RFC 1870; the largest message, `None` for any.
    pub size: Option<Option<u64>>,
    /// RFC 4954, PLAIN.
    pub plain: bool,
    /// The same, LOGIN.
    pub login: bool,
}

impl Extensions {
    /// Reads the lines of the answer; the first one is the server's name.
    pub fn parse(lines: &[String]) -> Self {
        let mut found = Self::default();
        for line in lines.iter().skip(1) {
            // `AUTH=PLAIN` is from before the standard, and still announced.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or_default().to_ascii_uppercase();
            match keyword.as_str() {
                "PIPELINING" => found.pipelining = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtp_utf8 = true,
                "STARTTLS" => found.start_tls = true,
                "SIZE" => found.size = Some(words.next().and_then(|size| size.parse().ok()).filter(|&size| size > 0)),
                "AUTH" => {
                    for mechanism in words {
                        found.plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        found.login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Their names.
    pub fn names(&self) -> Vec<&'static str> {
        let names = [
            (self.pipelining, "PIPELINING"),
            (self.eight_bit_mime, "8BITMIME"),
            (self.smtp_utf8, "SMTPUTF8"),
            (self.start_tls, "STARTTLS"),
            (self.size.is_some(), "SIZE"),
            (self.plain, "AUTH PLAIN"),
            (self.login, "AUTH LOGIN"),
        ];
        names.into_iter().filter(|(offered, _)| *offered).map(|(_, name)| name).collect()
    }

    /// An answer to EHLO with what lettre has to know, written as it expects it.
    pub fn answer(&self) -> String {
        let mut answer = String::from("250-server\r\n");
        for name in self.names().into_iter().filter(|name| *name != "STARTTLS") {
            let _ = write!(answer, "250-{name}\r\n");
        }
        answer + "250 HELP\r\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Extensions {
        Extensions::parse(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn offers_have_any_case_and_the_first_line_offers_nothing() {
        assert_eq!(parse("STARTTLS\n"), Extensions::default());
        let offers = parse("mx hello\nPipelining\n8bitmime\nstarttls\nsmtputf8\nsize 100\nauth plain LOGIN\nX\n\n");
        let all = ["PIPELINING", "8BITMIME", "SMTPUTF8", "STARTTLS", "SIZE", "AUTH PLAIN", "AUTH LOGIN"];
        assert_eq!(offers.names(), all);
        assert_eq!(parse("mx\nAUTH=LOGIN\n").names(), ["AUTH LOGIN"]);
    }

    #[test]
    fn a_size_of_nothing_or_zero_is_no_limit() {
        for (line, want) in [("SIZE", Some(None)), ("SIZE 0", Some(None)), ("SIZE x", Some(None)), ("X", None)] {
            assert_eq!(parse(&format!("mx\n{line}\n")).size, want, "{line:?}");
        }
        assert_eq!(parse("mx\nSIZE 10240000\n").size, Some(Some(10_240_000)));
    }
}
