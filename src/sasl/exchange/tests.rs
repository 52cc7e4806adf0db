//! The messages of the RFCs, and what is not sent.

use super::*;

fn password(text: &str) -> Credentials {
    Credentials::Password(Secret::new(text.as_bytes().to_vec()))
}

fn token(text: &str) -> Credentials {
    Credentials::Token(Secret::new(text.as_bytes().to_vec()))
}

fn begin(
    mechanism: Mechanism,
    username: &str,
    credentials: &Credentials,
    nonce: &str,
) -> Result<Exchange, ExchangeError> {
    let identity = Identity { username, host: "server.example.com", port: 995 };
    Exchange::new(mechanism, &identity, credentials, nonce.to_owned())
}

fn text(secret: &Secret) -> String {
    String::from_utf8(secret.expose().to_vec()).expect("text")
}

/// The client's messages, given the server's.
#[track_caller]
fn run(mechanism: Mechanism, username: &str, credentials: &Credentials, nonce: &str, server: &[&str]) -> Vec<String> {
    let mut exchange = begin(mechanism, username, credentials, nonce).expect("begun");
    let mut said: Vec<String> = exchange.initial().expect("prepared").iter().map(text).collect();
    said.extend(server.iter().map(|line| text(&exchange.answer(line.as_bytes()).expect("answered"))));
    exchange.finish().expect("proven");
    said
}

#[test]
fn messages_are_those_of_the_rfcs() {
    let said = run(Mechanism::Plain, "tim", &password("tanstaaftanstaaf"), "", &[]);
    assert_eq!(said, ["\0tim\0tanstaaftanstaaf"]);
    let challenge = "<1896.697170952@postoffice.reston.mci.net>";
    let said = run(Mechanism::CramMd5, "tim", &password("tanstaaftanstaaf"), "", &[challenge]);
    assert_eq!(said, ["tim b913a602c7eda7a495b4e6e7334d3890"]);
    let said = run(Mechanism::Login, "tim", &password("secret"), "", &["Username:", "Password:"]);
    assert_eq!(said, ["tim", "secret"]);
    let said = run(
        Mechanism::ScramSha1,
        "user",
        &password("pencil"),
        "fyko+d2lbbFgONRv9qkxdawL",
        &["r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="],
    );
    assert_eq!(
        said,
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            ""
        ]
    );
    let said = run(
        Mechanism::ScramSha256,
        "user",
        &password("pencil"),
        "rOprNGfwEbeRWgbNEkqO",
        &[
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    );
    assert!(said[1].ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{said:?}");
    let said = run(Mechanism::XOAuth2, "someuser@example.com", &token("vF9dft4qmT"), "", &[]);
    assert_eq!(said, ["user=someuser@example.com\x01auth=Bearer vF9dft4qmT\x01\x01"]);
    let said = run(Mechanism::OAuthBearer, "a=b,c", &token("vF9dft4qmT"), "", &[]);
    let want = "n,a=a=3Db=2Cc,\x01host=server.example.com\x01port=995\x01auth=Bearer vF9dft4qmT\x01\x01";
    assert_eq!(said, [want]);
    assert_eq!(run(Mechanism::External, "tim", &Credentials::Certificate, "", &[]), ["tim"]);
}

#[test]
fn a_refused_token_is_answered_as_each_mechanism_wants_it() {
    for (mechanism, want) in [(Mechanism::XOAuth2, ""), (Mechanism::OAuthBearer, "\x01")] {
        let said = run(mechanism, "a", &token("t"), "", &["{\"status\":\"401\"}"]);
        assert_eq!(said[1], want);
    }
}

#[test]
fn a_server_that_does_not_know_the_password_is_not_believed() {
    let first = "r=rOprNGfwEbeRWgbNEkqO%x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    let begin = || {
        let mut exchange =
            begin(Mechanism::ScramSha256, "user", &password("pencil"), "rOprNGfwEbeRWgbNEkqO").expect("begun");
        exchange.initial().expect("prepared");
        exchange.answer(first.as_bytes()).expect("answered");
        exchange
    };
    assert_eq!(begin().finish(), Err(ExchangeError::Unproven("SCRAM-SHA-256")));
    for last in ["v=AAAA", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=\u{e9}", "", "x"] {
        let mut exchange = begin();
        let answered = exchange.answer(last.as_bytes());
        assert_eq!(answered, Err(ExchangeError::Unproven("SCRAM-SHA-256")), "{last}");
        assert!(exchange.finish().is_err(), "{last}");
    }
}

#[test]
fn a_refusal_within_the_mechanism_is_no_breach_of_its_rules() {
    let first = "r=rOprNGfwEbeRWgbNEkqO%x,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    for before in [&[][..], &[first]] {
        let mut exchange =
            begin(Mechanism::ScramSha256, "user", &password("pencil"), "rOprNGfwEbeRWgbNEkqO").expect("begun");
        exchange.initial().expect("prepared");
        before.iter().for_each(|line| drop(exchange.answer(line.as_bytes()).expect("answered")));
        assert_eq!(exchange.answer(b"e=invalid-proof").as_ref().map(text), Ok(String::new()));
        assert_eq!(exchange.refusal(), Some("invalid-proof"));
        // A server that then accepts it all the same is not believed.
        assert_eq!(exchange.finish(), Err(ExchangeError::Unproven("SCRAM-SHA-256")));
    }
    let mut exchange = begin(Mechanism::XOAuth2, "a", &token("t"), "").expect("begun");
    exchange.initial().expect("prepared");
    exchange.answer(b"{\"status\":\"401\",\"schemes\":\"t\"}").expect("answered");
    assert_eq!(exchange.refusal(), Some("the token is invalid or has expired"));
}

#[test]
fn after_a_refusal_within_scram_nothing_is_computed_and_nothing_believed() {
    let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let last = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    // More iterations than the guard allows, and no nonce of ours.
    let (costly, foreign) = (first.replace("4096", "4294967295"), first.replace("fyko", "gyko"));
    for (before, after) in [
        (&[][..], &[first, last][..]),
        (&[], &[&costly]),
        (&[], &[&foreign]),
        (&[first], &[last]),
        (&[first], &[first, last]),
        (&[first, last], &[]),
        (&[first, last], &[last]),
    ] {
        let credentials = password("pencil");
        let mut exchange =
            begin(Mechanism::ScramSha1, "user", &credentials, "fyko+d2lbbFgONRv9qkxdawL").expect("begun");
        exchange.initial().expect("prepared");
        before.iter().for_each(|line| drop(exchange.answer(line.as_bytes()).expect("answered")));
        exchange.answer(b"e=other-error").expect("a refusal has an answer");
        for line in after {
            assert!(matches!(exchange.answer(line.as_bytes()), Err(ExchangeError::Challenge { .. })), "{line}");
        }
        assert_eq!(exchange.finish(), Err(ExchangeError::Unproven("SCRAM-SHA-1")), "{before:?} {after:?}");
    }
}

#[test]
fn a_server_that_has_broken_the_rules_of_scram_is_not_believed_afterwards() {
    let first = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    let last = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    for said in [&["x", first, last][..], &[first, "v=AAAA", last], &[first, last, "x"], &[first, last, last]] {
        let credentials = password("pencil");
        let mut exchange =
            begin(Mechanism::ScramSha1, "user", &credentials, "fyko+d2lbbFgONRv9qkxdawL").expect("begun");
        exchange.initial().expect("prepared");
        assert!(said.iter().any(|line| exchange.answer(line.as_bytes()).is_err()), "{said:?}");
        assert_eq!(exchange.finish(), Err(ExchangeError::Unproven("SCRAM-SHA-1")), "{said:?}");
    }
}

#[test]
fn a_challenge_that_is_none_is_not_answered() {
    for challenge in ["", " ", "\0\x01"] {
        let mut exchange = begin(Mechanism::CramMd5, "a", &password("b"), "").expect("begun");
        exchange.initial().expect("prepared");
        let answered = exchange.answer(challenge.as_bytes());
        assert!(matches!(answered, Err(ExchangeError::Challenge { .. })), "{challenge:?}");
    }
}

#[test]
fn a_secret_that_is_no_text_goes_where_octets_go() {
    let octets = Credentials::Password(Secret::new(b"caf\xe9".to_vec()));
    for mechanism in [Mechanism::ScramSha256, Mechanism::ScramSha1, Mechanism::CramMd5, Mechanism::Login] {
        let begun = begin(mechanism, "a", &octets, "").map(drop);
        assert_eq!(begun, Err(ExchangeError::NotText(mechanism.sasl_name())));
    }
    let mut plain = begin(Mechanism::Plain, "a", &octets, "").expect("begun");
    assert_eq!(plain.initial().expect("prepared").expect("first").expose(), b"\0a\0caf\xe9");
}

#[test]
fn what_would_change_the_meaning_of_a_message_is_not_sent() {
    for (mechanism, username, credentials) in [
        (Mechanism::Plain, "a\0b", password("c")),
        (Mechanism::Plain, "a", password("b\0c")),
        (Mechanism::Login, "a", password("b\0c")),
        (Mechanism::XOAuth2, "a\x01auth=Bearer x", token("t")),
        (Mechanism::OAuthBearer, "a", token("t\x01\x01")),
    ] {
        assert!(
            matches!(begin(mechanism, username, &credentials, ""), Err(ExchangeError::Unsendable(_))),
            "{username:?}"
        );
    }
    assert!(matches!(begin(Mechanism::Plain, "a", &token("t"), ""), Err(ExchangeError::Proof(_))));
}

#[test]
fn a_server_cannot_go_on_asking() {
    let mut exchange = begin(Mechanism::Login, "a", &password("b"), "").expect("begun");
    let mut ask = || exchange.answer(b"more").is_ok();
    assert!([ask(), ask()].iter().all(|&answered| answered));
    assert!(!(0..10).any(|_| ask()));
    let mut plain = begin(Mechanism::Plain, "a", &password("b"), "").expect("begun");
    plain.initial().expect("prepared");
    assert!(plain.answer(b"").is_err());
}
