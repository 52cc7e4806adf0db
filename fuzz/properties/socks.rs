//! The answers of a SOCKS 5 proxy (RFC 1928, RFC 1929), after an octet that says whether there is a
//! login: never more is taken than they have, and the password is sent only when it is asked for.

use std::path::PathBuf;

use postrider::testing::net::{Proxy, ask_proxy};
use tokio::io::AsyncReadExt;

use super::block_on;
use super::turns::Turns;

const PASSWORD: &[u8] = b"s3cret";

pub(super) fn holds(input: &[u8]) {
    let Some((&letter, answers)) = input.split_first() else { return };
    let login = letter == b'l';
    let (want_said, want_rest) = naive(login, answers);
    for piece in [usize::MAX, 1, 3] {
        let (said, rest) = block_on(converse(login, answers, piece));
        assert_eq!(rest.as_deref(), want_rest, "in pieces of {piece}");
        assert_eq!(said, want_said);
        let told = said.windows(PASSWORD.len()).any(|octets| octets == PASSWORD);
        assert_eq!(told, login && answers.starts_with(b"\x05\x02"), "the password");
    }
}

/// What was said, and what the host behind the proxy has said; `None`: no connection.
async fn converse(login: bool, answers: &[u8], piece: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let login = login.then(|| ("alice".to_owned(), password_file()));
    let proxy = Proxy { host: "proxy.example".into(), port: 1080, login };
    let mut stream = Turns::new(answers, None, piece);
    let outcome = ask_proxy(&mut stream, &proxy, "pop.example", 995).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the rest");
    if let Err(error) = &outcome {
        super::assert_fit_to_be_shown(&error.to_string());
    }
    (stream.said, outcome.ok().map(|()| rest))
}

fn password_file() -> PathBuf {
    thread_local! {
        static DIR: tempfile::TempDir = {
            let dir = tempfile::tempdir().expect("a directory");
            std::fs::write(dir.path().join("password"), PASSWORD).expect("written");
            dir
        };
    }
    DIR.with(|dir| dir.path().join("password"))
}

/// The same by the RFCs' diagrams.
fn naive(login: bool, answers: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let mut said = if login { b"\x05\x02\x00\x02".to_vec() } else { b"\x05\x01\x00".to_vec() };
    let rest = match (login, answers) {
        (_, [5, 0, rest @ ..]) => Some(rest),
        (true, [5, 2, rest @ ..]) => {
            said.extend_from_slice(b"\x01\x05alice\x06s3cret");
            rest.strip_prefix(b"\x01\x00")
        }
        _ => None,
    };
    let Some(rest) = rest else { return (said, None) };
    said.extend_from_slice(b"\x05\x01\x00\x03\x0bpop.example\x03\xe3");
    let length = match rest {
        [5, 0, _, 1, ..] => 4 + 4 + 2,
        [5, 0, _, 4, ..] => 4 + 16 + 2,
        [5, 0, _, 3, length, ..] => 4 + 1 + usize::from(*length) + 2,
        _ => return (said, None),
    };
    (said, rest.get(length..))
}
