//! Logins, each by the whole program: every mechanism against a real Dovecot, with the right secret
//! and with a wrong one, which is tried once; and in `login/`, what no honest server would say.
//! Nothing that anybody could log in with is ever written, not even at the level trace.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

#[path = "login/hostile.rs"]
mod hostile;
#[path = "login/tokens.rs"]
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::{Dovecot, Fill, Mix, Output, Postrider, Scripted, maildir};

const ALL: &str = "plain login apop cram-md5 scram-sha-1 scram-sha-256";
const WRONG: &str = "wr0ng-s3cret.canary";

/// A server with these mechanisms and a message for user1.
fn server(mechanisms: &str) -> Dovecot {
    let server = Dovecot::start_with(&["--users", "2", "--mechanisms", mechanisms]);
    server.fill("user1", &Fill::new(1, Mix::Tiny));
    server
}

/// How the connection is made.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Implicit,
    StartTls,
    Clear,
}

/// user1's account; `keys` are its secret and how it is used.
fn account(server: &Dovecot, way: Way, keys: &str) -> String {
    let (port, tls) = match way {
        Way::Implicit => (server.tls_port, "implicit"),
        Way::StartTls => (server.port, "starttls"),
        Way::Clear => (server.port, "none"),
    };
    let ca = if way == Way::Clear { String::new() } else { format!("tls-ca = \"{}\"\n", server.ca().display()) };
    format!(
        "[accounts.a]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\n{ca}username = \"user1\"\n{keys}\n\
         deliver = \"mail\"\n{}",
        maildir("mail")
    )
}

/// The lines about logins that were tried, refused ones included.
fn attempts(server: &Dovecot) -> Vec<String> {
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("pop3-login: Info:"));
    lines.filter(|line| line.contains("Login: ") || line.contains("auth failed")).map(str::to_owned).collect()
}

/// The attempts of what `run` does, which the server logs when the connection ends.
fn attempts_of(server: &Dovecot, run: impl FnOnce()) -> Vec<String> {
    let before = attempts(server).len();
    run();
    support::wait_until("the attempt to be logged", std::time::Duration::from_secs(10), || {
        attempts(server).len() > before
    });
    attempts(server).split_off(before)
}

/// Nothing that somebody could log in with, as it is or in base64, wherever it stands in a message.
#[track_caller]
fn assert_no_secret(output: &Output, secrets: &[&str]) {
    let text = output.text();
    for secret in secrets {
        assert!(!text.contains(secret), "{secret}:\n{text}");
        for before in ["", "x", "xx", "\0user1\0"] {
            let encoded = STANDARD.encode(format!("{before}{secret}"));
            // What comes before and after it may change the first and the last characters.
            let inner = &encoded[4.min(encoded.len())..encoded.len().saturating_sub(4)];
            assert!(inner.len() >= 8 && !text.contains(inner), "{secret} in base64:\n{text}");
        }
    }
    assert!(!text.contains("panicked"), "{text}");
}

/// Fetches the one message by a mechanism, in one attempt.
#[track_caller]
fn assert_fetches(server: &Dovecot, way: Way, keys: &str, method: &str) {
    let program = Postrider::with_config(&account(server, way, keys));
    let tried = attempts_of(server, || drop(program.run(&["fetch"]).assert_success()));
    assert!(tried.len() == 1 && tried[0].contains(&format!("method={method},")), "{way:?} {keys}: {tried:#?}");
    assert_eq!(support::count_messages(&program.path("mail")), 1, "{way:?} {keys}");
}

/// Is refused in one attempt, says so in words, and never what was tried.
#[track_caller]
fn assert_refused(server: &Dovecot, way: Way, keys: &str, words: &[&str], secrets: &[&str]) {
    let mut program = Postrider::with_config(&account(server, way, keys));
    program.env("POSTRIDER_LOG", "trace");
    let mut runs = Vec::new();
    let tried = attempts_of(server, || runs.push(program.run(&["fetch"]).assert_code(77)));
    assert!(tried.len() == 1 && tried[0].contains("auth failed, 1 attempts"), "{way:?} {keys}: {tried:#?}");
    for word in words {
        assert!(runs[0].stderr.contains(word), "{word:?} is not in: {}", runs[0].stderr);
    }
    assert_no_secret(&runs[0], secrets);
    assert_eq!(support::count_messages(&program.path("mail")), 0);
}

#[test]
fn each_mechanism_fetches_by_its_name_and_is_refused_in_one_attempt() {
    let server = server(ALL);
    for (name, method) in [
        ("scram-sha-256", "SCRAM-SHA-256"),
        ("scram-sha-1", "SCRAM-SHA-1"),
        ("cram-md5", "CRAM-MD5"),
        ("plain", "PLAIN"),
        ("login", "LOGIN"),
        ("user", "PLAIN"),
        ("apop", "APOP"),
    ] {
        let keys = |password: &str| format!("auth = \"{name}\"\npassword = \"{password}\"");
        let said = format!("login as \"user1\" by {name}: the server refused");
        let ways = if name == "apop" { &[Way::Implicit][..] } else { &[Way::Implicit, Way::StartTls, Way::Clear] };
        for &way in ways {
            assert_fetches(&server, way, &keys("pass1"), method);
            assert_refused(&server, way, &keys(WRONG), &[&said, "Check `username` and the password"], &[WRONG]);
        }
    }
}

#[test]
fn the_strongest_that_is_offered_is_taken_without_being_named() {
    for (offered, method) in [
        (ALL, "SCRAM-SHA-256"),
        ("plain login apop cram-md5 scram-sha-1", "SCRAM-SHA-1"),
        ("plain login apop cram-md5", "CRAM-MD5"),
        ("login plain", "PLAIN"),
        ("login", "LOGIN"),
    ] {
        let server = server(offered);
        for way in [Way::Implicit, Way::Clear] {
            assert_fetches(&server, way, "password = \"pass1\"", method);
        }
        // The first of the operator's own list that is offered.
        let keys = "auth = [\"cram-md5\", \"login\", \"scram-sha-256\", \"plain\"]\npassword = \"pass1\"";
        let own = ["CRAM-MD5", "LOGIN", "PLAIN"].into_iter().find(|name| offered.contains(&name.to_lowercase()));
        assert_fetches(&server, Way::Implicit, keys, own.expect("one of them"));
    }
}

#[test]
fn apop_says_why_it_cannot_be() {
    let all = server(ALL);
    let without = server("plain");
    let keys = "auth = \"apop\"\npassword = \"pass1\"";
    for (server, way, words) in [
        (&all, Way::Clear, "APOP: the connection is not encrypted"),
        (&all, Way::StartTls, "APOP: its challenge came in the greeting, in clear before STLS"),
        (&without, Way::Implicit, "APOP: the server does not offer it"),
    ] {
        let run = Postrider::with_config(&account(server, way, keys)).run(&["fetch"]).assert_code(77);
        assert!(run.stderr.contains(words) && run.stderr.contains("No password was sent"), "{}", run.stderr);
        assert!(attempts(server).is_empty(), "{:?}", attempts(server));
    }
    // Of several it is passed over where it cannot be.
    let keys = "auth = [\"apop\", \"plain\"]\npassword = \"pass1\"";
    for (way, method) in [(Way::Implicit, "APOP"), (Way::StartTls, "PLAIN"), (Way::Clear, "PLAIN")] {
        assert_fetches(&all, way, keys, method);
    }
}

#[test]
fn a_password_that_is_not_text_says_where_it_can_be_used() {
    let server = server(ALL);
    std::fs::write(server.dir().join("users"), b"user1:{PLAIN}caf\xe9-s3cret\n").expect("written");
    let program = Postrider::new();
    std::fs::write(program.path("password"), b"caf\xe9-s3cret\n").expect("written");
    for name in ["scram-sha-256", "scram-sha-1", "cram-md5", "login"] {
        let keys = format!("auth = \"{name}\"\npassword-file = \"password\"");
        program.config(&account(&server, Way::Implicit, &keys));
        let run = program.run(&["fetch"]).assert_code(78);
        let words = ["is not text in UTF-8", &name.to_ascii_uppercase(), "`plain` or `user`"];
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
        assert!(!run.text().contains("s3cret"), "{}", run.text());
    }
    assert_eq!(attempts(&server), Vec::<String>::new());
    let only = Scripted::dialogue(&["S: +OK", "C: CAPA", "S: +OK", "S: SASL SCRAM-SHA-256", "S: .", "eof"]);
    let config = account(&server, Way::Clear, "password-file = \"password\"");
    program.config(&config.replace(&format!("port = {}", server.port), &format!("port = {}", only.port())));
    let run = program.run(&["fetch"]).assert_code(78);
    assert!(run.stderr.contains("is not text in UTF-8, and SCRAM-SHA-256"), "{}", run.stderr);
    only.assert_followed();
    for keys in ["", "auth = \"plain\"\n", "auth = \"user\"\n", "auth = \"apop\"\n"] {
        program.config(&account(&server, Way::Implicit, &format!("{keys}password-file = \"password\"")));
        program.run(&["fetch"]).assert_success();
    }
}

#[test]
fn a_client_certificate_alone_logs_in() {
    let server = server("plain external");
    let keys = |user: usize, auth: &str| {
        let file = |name: &str| server.dir().join("tls").join(name).display().to_string();
        let (cert, key) = (file(&format!("user{user}.pem")), file(&format!("user{user}-key.pem")));
        format!("auth = \"{auth}\"\ntls-client-cert = \"{cert}\"\ntls-client-key = \"{key}\"")
    };
    assert_fetches(&server, Way::Implicit, &keys(1, "external"), "EXTERNAL");
    assert_fetches(&server, Way::StartTls, &keys(1, "external"), "EXTERNAL");
    // Somebody else's certificate; and a password beside one's own.
    let words = ["login as \"user1\" by external", "`tls-client-cert`"];
    assert_refused(&server, Way::Implicit, &keys(2, "external"), &words, &[]);
    assert_fetches(&server, Way::Implicit, &(keys(1, "plain") + "\npassword = \"pass1\""), "PLAIN");
}
