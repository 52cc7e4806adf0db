//! What a server says within a login, in each mechanism: the first octet chooses it, a line is a
//! message of the server's.
//!
//! The client is asked only a few times, nothing but LOGIN and PLAIN gives the password away, and
//! with SCRAM only a server that knows it can accept the login.

use postrider::testing::sasl::{Credentials, Exchange, ExchangeError, Identity, Mechanism};
use postrider::testing::secret::Secret;

use super::{assert_fit_to_be_shown, scram};

/// As in the examples of RFC 5802 and RFC 7677, so that the corpus may hold their dialogues.
const USERNAME: &str = "user";
const PASSWORD: &str = "pencil";
const NONCES: [(Mechanism, &str); 2] =
    [(Mechanism::ScramSha1, "fyko+d2lbbFgONRv9qkxdawL"), (Mechanism::ScramSha256, "rOprNGfwEbeRWgbNEkqO")];
const TOKEN: &str = "vF9dft4qmTc2Nvb3RlckBhbHR2aXN0YS5jb20K";

/// The mechanisms of SASL by the letter that chooses one.
const MECHANISMS: [(u8, Mechanism); 8] = [
    (b'1', Mechanism::ScramSha1),
    (b'2', Mechanism::ScramSha256),
    (b'c', Mechanism::CramMd5),
    (b'e', Mechanism::External),
    (b'l', Mechanism::Login),
    (b'o', Mechanism::OAuthBearer),
    (b'p', Mechanism::Plain),
    (b'x', Mechanism::XOAuth2),
];

/// The outcome of a run of an exchange.
struct Run {
    /// The messages of the client.
    said: Vec<Vec<u8>>,
    /// How many messages of the server were answered.
    answered: usize,
    /// What became of the first that was not.
    fault: Option<ExchangeError>,
    refusal: Option<String>,
    /// What the exchange says when the server accepts the login.
    finished: Result<(), ExchangeError>,
}

pub(super) fn holds(input: &[u8]) {
    let Some((letter, rest)) = input.split_first() else { return };
    let Some((_, mechanism)) = MECHANISMS.into_iter().find(|(known, _)| known == letter) else { return };
    let challenges: Vec<&[u8]> = rest.split(|&octet| octet == b'\n').skip(1).collect();
    // Many iterations are allowed, and take long.
    if is_scram(mechanism) && challenges.iter().any(|challenge| challenge.windows(5).any(is_large)) {
        return;
    }
    let run = run(mechanism, &challenges);
    bounded(&run, &challenges);
    secret(mechanism, &run);
    match mechanism {
        Mechanism::ScramSha1 | Mechanism::ScramSha256 => proven(mechanism, &challenges, &run),
        Mechanism::CramMd5 => keyed(&challenges, &run),
        Mechanism::Plain | Mechanism::External => assert_eq!(run.answered, 0),
        _ => {}
    }
}

fn is_scram(mechanism: Mechanism) -> bool {
    matches!(mechanism, Mechanism::ScramSha1 | Mechanism::ScramSha256)
}

/// Five digits, more than 4999.
fn is_large(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_digit)
}

fn run(mechanism: Mechanism, challenges: &[&[u8]]) -> Run {
    let credentials = match mechanism {
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => Credentials::Token(Secret::new(TOKEN.into())),
        Mechanism::External => Credentials::Certificate,
        _ => Credentials::Password(Secret::new(PASSWORD.into())),
    };
    let nonce = NONCES.iter().find(|(of, _)| *of == mechanism).map_or("", |(_, nonce)| nonce);
    let identity = Identity { username: USERNAME, host: "server.example.com", port: 995 };
    let mut exchange = Exchange::new(mechanism, &identity, &credentials, nonce.to_owned()).expect("it begins");
    let initial = exchange.initial().expect("it begins");
    let mut said: Vec<Vec<u8>> = initial.iter().map(|message| message.expose().to_vec()).collect();
    let (mut answered, mut fault) = (0, None);
    for challenge in challenges {
        match exchange.answer(challenge) {
            Ok(message) => said.push(message.expose().to_vec()),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
        answered += 1;
    }
    let refusal = exchange.refusal().map(str::to_owned);
    Run { said, answered, fault, refusal, finished: exchange.finish() }
}

/// A server cannot go on asking, and each of its messages has one answer.
fn bounded(run: &Run, challenges: &[&[u8]]) {
    assert!(run.answered <= 4);
    assert!(challenges.len() <= 4 || run.fault.is_some());
    assert!(run.said.len() - run.answered <= 1);
    for text in run.refusal.iter().cloned().chain(run.fault.iter().map(ToString::to_string)) {
        assert_fit_to_be_shown(&text);
        assert!(text.len() < 1000, "{text}");
        // A server that knows it may say it.
        let is_known = |secret: &str| challenges.iter().any(|said| String::from_utf8_lossy(said).contains(secret));
        assert!([PASSWORD, TOKEN].iter().all(|secret| !text.contains(secret) || is_known(secret)), "{text}");
    }
}

/// A password is sent once, and only where the mechanism is to send it.
fn secret(mechanism: Mechanism, run: &Run) {
    let holds = |secret: &str| {
        let holds = |message: &&Vec<u8>| message.windows(secret.len()).any(|octets| octets == secret.as_bytes());
        run.said.iter().filter(holds).count()
    };
    match mechanism {
        Mechanism::Plain => assert_eq!(holds(PASSWORD), 1),
        Mechanism::Login => assert_eq!(holds(PASSWORD), usize::from(run.answered >= 2)),
        Mechanism::OAuthBearer | Mechanism::XOAuth2 => assert_eq!(holds(TOKEN), 1),
        // The server's own octets come back in the nonce, so this word may be among them.
        _ if is_scram(mechanism) => {}
        _ => assert_eq!(holds(PASSWORD), 0),
    }
}

/// With SCRAM a login counts only after the one right signature.
fn proven(mechanism: Mechanism, challenges: &[&[u8]], run: &Run) {
    let signature = match challenges {
        [first, last, ..] if run.answered >= 2 => Some((*first, *last)),
        _ => None,
    };
    if run.refusal.is_some() || run.fault.is_some() {
        assert!(run.finished.is_err(), "refused or broken, and accepted");
    }
    if run.finished.is_ok() {
        let (first, last) = signature.expect("two messages");
        assert!(last.starts_with(b"v="));
        // Without it, or with another, nothing is believed.
        assert!(self::run(mechanism, &[first]).finished.is_err());
        let mut other = last.to_vec();
        other[2] ^= 1;
        assert!(self::run(mechanism, &[first, &other]).finished.is_err());
    }
    let (Mechanism::ScramSha256, Some((first, last))) = (mechanism, signature) else { return };
    if run.refusal.is_some() {
        return;
    }
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).expect("text");
    let bare = text(&run.said[0]).strip_prefix("n,,").expect("a header").to_owned();
    let want = scram::last_message(PASSWORD.as_bytes(), &bare, &text(first), &text(&run.said[1]));
    // An extension may follow it.
    let said = last.split(|&octet| octet == b',').next().unwrap_or_default();
    assert_eq!(Some(said), want.as_ref().map(String::as_bytes), "another signature was believed");
}

/// The digest of RFC 2195, and never for a challenge whose answers could be computed beforehand.
fn keyed(challenges: &[&[u8]], run: &Run) {
    for (challenge, answer) in challenges.iter().zip(&run.said).take(1) {
        assert!(challenge.iter().any(u8::is_ascii_graphic));
        assert_eq!(answer, scram::cram_md5(USERNAME, PASSWORD.as_bytes(), challenge).as_bytes());
    }
}
