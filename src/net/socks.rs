//! SOCKS 5 (RFC 1928), with a user name and a password if the proxy wants them (RFC 1929).
//!
//! The server's name is sent to the proxy and never looked up here.  The proxy is not trusted: the
//! length of each part of its replies is known before it is read, nothing after the last reply is
//! consumed, and the deadline is that of the whole connection.  Everything is sent to it in clear,
//! its password too; the mailbox's password is sent later, and only as `tls` allows.

use std::io;
use std::net::IpAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Proxy;
use crate::credential::{CredentialError, SecretSource};
use crate::secret::Secret;

const VERSION: u8 = 5;
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The most octets of a name, a user name and a password, whose length is one octet.
const FIELD_LIMIT: usize = 255;

/// Why a proxy cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum ProxyFault {
    #[error(transparent)]
    Password(#[from] CredentialError),
    #[error("{0} is empty or longer than {FIELD_LIMIT} octets, which SOCKS cannot send")]
    Field(&'static str),
    #[error("it has closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("it does not speak SOCKS 5 (its answer begins with {0:#04x})")]
    NotSocks(u8),
    #[error("it wants a user name and a password")]
    LoginWanted,
    #[error("it takes neither a user name and a password nor a client without them")]
    NoMethod,
    #[error("it chose a way to log in that was not offered ({0:#04x})")]
    OtherMethod(u8),
    #[error("it refuses the user name and the password")]
    LoginRefused,
    #[error("{}", in_words(*.0))]
    Refused(u8),
    #[error("its answer names an address of an unknown kind ({0:#04x})")]
    OtherAddress(u8),
}

/// The reply field of RFC 1928 §6.
fn in_words(reply: u8) -> String {
    let words = match reply {
        1 => "it has failed",
        2 => "its rules do not allow the connection",
        3 => "the server's network cannot be reached from there",
        4 => "the server's name is not known there, or it cannot be reached from there",
        5 => "the server refuses the connection",
        6 => "the server did not answer in time",
        7 => "it does not connect for others",
        8 => "it does not know this kind of address",
        _ => "it has failed for a reason without a name",
    };
    format!("{words} (reply {reply})")
}

impl ProxyFault {
    pub(super) fn advice(&self) -> &'static str {
        match self {
            ProxyFault::Password(_) => "`proxy-password-file` must hold the password as its first line.",
            ProxyFault::Field(_) => "Check `host`, `proxy-username` and `proxy-password-file`.",
            ProxyFault::LoginWanted => "Set `proxy-username` and `proxy-password-file`.",
            ProxyFault::LoginRefused => "Check `proxy-username` and `proxy-password-file`.",
            ProxyFault::Refused(2 | 7) => "Ask the proxy's operator to allow it.",
            ProxyFault::Refused(_) => "Check `host` and `port`, which the proxy looks up and connects to.",
            _ => "Check that `proxy` names a SOCKS 5 proxy.",
        }
    }
}

impl From<io::Error> for ProxyFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => ProxyFault::Closed,
            _ => ProxyFault::Broken(error),
        }
    }
}

/// Has the proxy at the other end of `stream` connect to a host; what is read from `stream`
/// afterwards comes from the host.
///
/// # Errors
/// The proxy refuses, closes the connection or does not speak SOCKS 5; the password cannot be read or sent.
pub async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), ProxyFault> {
    let request = request(host, port)?;
    let methods = if proxy.login.is_some() { &[NO_LOGIN, LOGIN][..] } else { &[NO_LOGIN] };
    stream.write_all(&[&[VERSION, u8::try_from(methods.len()).unwrap_or(1)], methods].concat()).await?;
    let [version, method] = read(stream).await?;
    if version != VERSION {
        return Err(ProxyFault::NotSocks(version));
    }
    match (method, &proxy.login) {
        (NO_LOGIN, _) => {}
        (LOGIN, Some((username, file))) => {
            let password = SecretSource::File(file.clone()).read().await?;
            stream.write_all(login(username, &password)?.expose()).await?;
            let [version, status] = read(stream).await?;
            match (version, status) {
                (LOGIN_VERSION, 0) => {}
                (LOGIN_VERSION, _) => return Err(ProxyFault::LoginRefused),
                _ => return Err(ProxyFault::NotSocks(version)),
            }
        }
        (LOGIN | 0xff, None) => return Err(ProxyFault::LoginWanted),
        (0xff, Some(_)) => return Err(ProxyFault::NoMethod),
        _ => return Err(ProxyFault::OtherMethod(method)),
    }
    stream.write_all(&request).await?;
    // A refusal may end before its address.
    let [version, reply] = read(stream).await?;
    match (version, reply) {
        (VERSION, 0) => {}
        (VERSION, _) => return Err(ProxyFault::Refused(reply)),
        _ => return Err(ProxyFault::NotSocks(version)),
    }
    let [_, kind] = read(stream).await?;
    let octets = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(read::<1>(stream).await?[0]),
        _ => return Err(ProxyFault::OtherAddress(kind)),
    };
    // The address that the proxy connects from, and its port.
    stream.read_exact(&mut [0; FIELD_LIMIT + 2][..octets + 2]).await?;
    Ok(())
}

async fn read<const N: usize>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<[u8; N]> {
    let mut octets = [0; N];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

/// RFC 1928 §4.
fn request(host: &str, port: u16) -> Result<Vec<u8>, ProxyFault> {
    let mut octets = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            octets.push(IPV4);
            octets.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            octets.push(IPV6);
            octets.extend(address.octets());
        }
        Err(_) => {
            octets.push(NAME);
            octets.extend(field("the server's name", host.as_bytes())?);
        }
    }
    octets.extend(port.to_be_bytes());
    Ok(octets)
}

/// RFC 1929 §2.
fn login(username: &str, password: &Secret) -> Result<Secret, ProxyFault> {
    let username = field("the user name", username.as_bytes())?;
    let password = Secret::new(field("the password", password.expose())?);
    Ok(Secret::new([&[LOGIN_VERSION], &username[..], password.expose()].concat()))
}

/// A length and that many octets.
fn field(what: &'static str, octets: &[u8]) -> Result<Vec<u8>, ProxyFault> {
    match u8::try_from(octets.len()) {
        Ok(length @ 1..) => Ok([&[length], octets].concat()),
        _ => Err(ProxyFault::Field(what)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is sent to a proxy that replies with these octets, and the outcome: the rest of the
    /// octets, which come from the server behind the proxy.
    async fn converse(login: bool, host: &str, answers: &[u8]) -> (Vec<u8>, Result<Vec<u8>, ProxyFault>) {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("password");
        std::fs::write(&file, "s3cret\n").expect("written");
        let login = login.then(|| ("alice".to_owned(), file));
        let proxy = Proxy { host: "proxy.example".into(), port: 1080, login };
        let mut said = Vec::new();
        let mut stream = tokio::io::join(answers, &mut said);
        let outcome = ask(&mut stream, &proxy, host, 995).await;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("the rest");
        (said, outcome.map(|()| rest))
    }

    #[tokio::test]
    async fn a_name_is_sent_as_a_name_and_an_address_as_an_address() {
        let name = b"\x05\x01\x00\x05\x01\x00\x03\x0bpop.example\x03\xe3".to_vec();
        let v4 = b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x03\xe3".to_vec();
        let v6 = [b"\x05\x01\x00\x05\x01\x00\x04", &[0; 15][..], b"\x01\x03\xe3"].concat();
        for (host, want) in [("pop.example", name), ("192.0.2.1", v4), ("::1", v6)] {
            let (said, outcome) = converse(false, host, b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0+OK").await;
            assert_eq!((said, outcome.expect("connected")), (want, b"+OK".to_vec()), "{host}");
        }
    }

    #[tokio::test]
    async fn user_name_and_password_are_sent_only_if_the_proxy_asks() {
        let granted = b"\x05\x00\x00\x01\0\0\0\0\0\0";
        let (said, outcome) = converse(true, "h", &[b"\x05\x02\x01\x00", &granted[..]].concat()).await;
        outcome.expect("connected");
        assert!(said.starts_with(b"\x05\x02\x00\x02\x01\x05alice\x06s3cret\x05\x01"), "{said:?}");
        let (said, outcome) = converse(true, "h", &[b"\x05\x00", &granted[..]].concat()).await;
        outcome.expect("connected");
        assert!(!said.windows(6).any(|octets| octets == b"s3cret"), "{said:?}");
    }

    #[tokio::test]
    async fn nothing_behind_the_answer_is_taken_whatever_address_it_has() {
        for address in [&b"\x01abcd"[..], b"\x04abcdefghijklmnop", b"\x03\x05abcde", b"\x03\x00"] {
            let answers = [b"\x05\x00\x05\x00\x00", address, b"\x04\x38+OK ready"].concat();
            let (_, outcome) = converse(false, "h", &answers).await;
            assert_eq!(outcome.expect("connected"), b"+OK ready");
        }
    }

    #[tokio::test]
    async fn every_refusal_is_told_in_words() {
        for (login, answers, words) in [
            (false, &b"HTTP/1.1 400 Bad Request"[..], "does not speak SOCKS 5 (its answer begins with 0x48)"),
            (false, b"\x05\xff", "wants a user name"),
            (false, b"\x05\x02", "wants a user name"),
            (true, b"\x05\xff", "takes neither"),
            (true, b"\x05\x01", "was not offered (0x01)"),
            (true, b"\x05\x02\x01\x01", "refuses the user name"),
            (true, b"\x05\x02\x05\x00", "does not speak SOCKS 5"),
            (false, b"\x05\x00\x05\x01", "it has failed (reply 1)"),
            (false, b"\x05\x00\x05\x02", "its rules"),
            (false, b"\x05\x00\x05\x03", "network"),
            (false, b"\x05\x00\x05\x04", "name is not known there"),
            (false, b"\x05\x00\x05\x05", "the server refuses"),
            (false, b"\x05\x00\x05\x06", "in time"),
            (false, b"\x05\x00\x05\x07", "does not connect"),
            (false, b"\x05\x00\x05\x08", "kind of address"),
            (false, b"\x05\x00\x05\xfe", "(reply 254)"),
            (false, b"\x05\x00\x05\x00\x00\x09", "unknown kind (0x09)"),
            (false, b"", "closed"),
            (false, b"\x05\x00\x05\x00\x00\x03\xffabc", "closed"),
        ] {
            let text = converse(login, "h", answers).await.1.expect_err(words).to_string();
            assert!(text.contains(words), "{text}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_a_field_is_not_sent() {
        let (said, outcome) = converse(false, &"x".repeat(256), b"\x05\x00").await;
        assert!(said.is_empty() && matches!(outcome, Err(ProxyFault::Field(_))), "{outcome:?}");
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic_or_say_the_password_unasked(answers in prop::collection::vec(0..6_u8, 0..24)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
            let (said, outcome) = runtime.block_on(converse(true, "h", &answers));
            let is_asked = answers.starts_with(&[VERSION, LOGIN]);
            prop_assert!(is_asked || !said.windows(6).any(|octets| octets == b"s3cret"));
            prop_assert!(outcome.is_err() || answers.starts_with(&[VERSION]));
        }
    }
}
