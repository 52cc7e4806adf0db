//! Greeting, encryption, login: what a server is told, and when it is left.

use std::time::Duration;

use postrider::testing::credential::SecretSource;
use postrider::testing::deliver::smtp::{Client, Settings, SmtpError};
use postrider::testing::failure::{Class, Failure as _};
use postrider::testing::net::TlsMode;
use postrider::testing::secret::Secret;

use super::support::*;
use super::{HELLO, behaviour, connect, replying, send, settings};

fn with_login(port: u16) -> Settings {
    let secret = SecretSource::Inline(Secret::new(b"unused".to_vec()));
    Settings { login: Some(("alice".into(), secret)), ..settings(port) }
}

#[tokio::test]
async fn a_server_that_does_not_serve_is_told_apart() {
    for (stage, reply, class) in [
        (Stage::Connect, "554 5.7.1 not you", Class::Unreachable),
        (Stage::Connect, "421 4.3.2 busy", Class::TryLater),
        (Stage::Ehlo, "450 4.3.2 busy", Class::TryLater),
        (Stage::Connect, "+OK POP3 ready", Class::Protocol),
    ] {
        let server = ScriptedSmtp::start_with(replying(stage, None, reply));
        let error = Client::connect(&settings(server.port()), None).await.err().expect("refused");
        assert_eq!(error.class(), class, "{error:?}");
        assert!(error.to_string().contains(&reply[4..]), "{error}");
    }
    let error = Client::connect(&settings(free_port()), None).await.err().expect("nobody there");
    assert_eq!(error.class(), Class::Unreachable);
}

#[tokio::test]
async fn a_server_that_does_not_know_ehlo_is_told_helo_and_nothing_that_it_did_not_offer() {
    let unknown = ["500 5.5.1 what", "501 syntax", "502 5.5.1 not implemented", "503 x", "504 no", "550 no", "555 no"];
    for reply in unknown {
        let server = ScriptedSmtp::start_with(replying(Stage::Ehlo, None, reply));
        let mut client = connect(&settings(server.port())).await;
        assert_eq!(client.extensions(), [""; 0]);
        for _ in 0..2 {
            send(&mut client, "From: a@example.org\r\nMessage-ID: <1@x>\r\n\r\ncafé\r\n".as_bytes())
                .await
                .expect("sent");
        }
        client.quit().await;
        let message = ["MAIL FROM:<a@example.org>", "RCPT TO:<user1@example.net>", "DATA"];
        let want = [&["EHLO client.example.org", "HELO client.example.org"][..], &message, &message, &["QUIT"]];
        assert_eq!((server.commands(), server.connections()), (want.concat().iter().map(|&s| s.into()).collect(), 1));
    }
    for (reply, class) in [("554 5.7.1 not you", Class::Unreachable), ("421 4.3.2 busy", Class::TryLater)] {
        let server = ScriptedSmtp::start_with(replying(Stage::Ehlo, None, reply));
        let error = Client::connect(&settings(server.port()), None).await.err().expect("refused");
        assert_eq!((error.class(), server.commands().len()), (class, 1), "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_up_at_ehlo_is_told_helo_in_another_connection() {
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.drop_at = Some((Stage::Ehlo, None))));
    let mut client = connect(&settings(server.port())).await;
    send(&mut client, HELLO).await.expect("accepted");
    let greetings = ["EHLO client.example.org", "HELO client.example.org"];
    assert_eq!((&server.commands()[..2], server.connections()), (&greetings.map(str::to_owned)[..], 2));

    // It answers before it hangs up.
    let dialogues: [&[&str]; 2] = [
        &["S: 220 x", "C: EHLO *", "S: 500 what", "close"],
        &["S: 220 x", "C: HELO *", "S: 250 x", "C: QUIT", "S: 221 bye"],
    ];
    let server = Scripted::dialogues(&dialogues);
    connect(&settings(server.port())).await.quit().await;
    assert_eq!(server.connections(), 2);

    // It hangs up at anything: what is told is the first failure.
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.drop_at = Some((Stage::Ehlo, None))));
    server.change(|behaviour| behaviour.replies.push((Stage::Helo, None, "554 no".into())));
    let error = Client::connect(&settings(server.port()), None).await.err().expect("refused");
    assert!(matches!(&error, SmtpError::Closed { place } if place.step == "EHLO"), "{error:?}");
}

#[tokio::test]
async fn a_server_without_ehlo_gets_no_mail_where_encryption_or_a_login_is_wanted() {
    for drops in [false, true] {
        let server = ScriptedSmtp::start_with(behaviour(|behaviour| {
            if drops {
                behaviour.drop_at = Some((Stage::Ehlo, None))
            } else {
                behaviour.replies.push((Stage::Ehlo, None, "502 5.5.1 what".into()))
            }
        }));
        let mut encrypted = settings(server.port());
        encrypted.endpoint.tls = TlsMode::StartTls;
        let error = Client::connect(&encrypted, None).await.err().expect("refused");
        assert!(drops || matches!(error, SmtpError::NoStartTls { .. }), "{error:?}");
        let secret = Secret::new(b"x".to_vec());
        let error = Client::connect(&with_login(server.port()), Some(&secret)).await.err().expect("refused");
        assert!(drops || matches!(error, SmtpError::NoMechanism { .. }), "{error:?}");
        assert!(server.commands().iter().all(|line| line.contains("LO ")), "{:?}", server.commands());
    }
}

#[tokio::test]
async fn addresses_of_the_settings_that_need_smtputf8_are_the_settings_fault_where_it_is_not_offered() {
    let server = ScriptedSmtp::start();
    let good = settings(server.port());
    for bad in [
        Settings { recipients: vec!["jürgen@example.net".into()], ..good.clone() },
        Settings { sender: Some("jürgen@example.net".into()), ..good.clone() },
    ] {
        let error = Client::connect(&bad, None).await.err().expect("refused");
        assert_eq!(error.class(), Class::Configuration);
        server.change(|behaviour| behaviour.extensions = vec!["SMTPUTF8".into()]);
        connect(&bad).await.quit().await;
        server.change(|behaviour| behaviour.extensions = Vec::new());
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    for stage in [Stage::Connect, Stage::Ehlo] {
        let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.hang_at = Some((stage, None))));
        let settings = Settings { timeout: Duration::from_millis(200), ..settings(server.port()) };
        let error = Client::connect(&settings, None).await.err().expect("silence");
        assert!(matches!(error, SmtpError::Timeout { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_login_is_tried_once_and_its_refusal_is_told() {
    let secret = Secret::new("pässword".as_bytes().to_vec());
    for (offer, first) in [("AUTH LOGIN PLAIN", "AUTH PLAIN AGFsaWNlAHDDpHNzd29yZA=="), ("auth login", "AUTH LOGIN")] {
        let extensions = vec![offer.to_owned()];
        let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.extensions = extensions.clone()));
        let mut client = Client::connect(&with_login(server.port()), Some(&secret)).await.expect("logged in");
        assert_eq!(server.commands()[1], first);
        send(&mut client, HELLO).await.expect("accepted");
        server.change(|behaviour| behaviour.replies.push((Stage::Auth, None, "535 5.7.8 wrong".into())));
        let error = Client::connect(&with_login(server.port()), Some(&secret)).await.err().expect("refused");
        assert_eq!(error.class(), Class::LoginRefused);
        assert!(!format!("{error} {error:?}").contains("pässword"));
    }
    let server = ScriptedSmtp::start();
    let error = Client::connect(&with_login(server.port()), Some(&secret)).await.err().expect("no way");
    assert!(matches!(error, SmtpError::NoMechanism { .. }), "{error:?}");
}

#[tokio::test]
async fn no_password_crosses_the_network_in_clear() {
    // Nobody is connected to: the refusal comes first.
    let mut settings = with_login(25);
    settings.endpoint.host = "mail.example.invalid".into();
    let secret = Secret::new(b"x".to_vec());
    let error = Client::connect(&settings, Some(&secret)).await.err().expect("refused");
    assert!(matches!(error, SmtpError::ClearLogin { .. }), "{error:?}");
}

#[tokio::test]
async fn settings_that_are_no_addresses_are_refused_before_the_connection() {
    let server = ScriptedSmtp::start();
    let good = settings(server.port());
    for bad in [
        Settings { recipients: vec![], ..good.clone() },
        Settings { recipients: vec!["a b@example.net".into()], ..good.clone() },
        Settings { sender: Some("a@example.net> X".into()), ..good.clone() },
    ] {
        let error = Client::connect(&bad, None).await.err().expect("refused");
        assert_eq!(error.class(), Class::Configuration);
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_wanted() {
    let server = ScriptedSmtp::start_with(behaviour(|behaviour| behaviour.extensions = vec!["AUTH PLAIN".into()]));
    let mut settings = with_login(server.port());
    settings.endpoint.tls = TlsMode::StartTls;
    let error = Client::connect(&settings, Some(&Secret::new(b"x".to_vec()))).await.err().expect("refused");
    assert!(matches!(error, SmtpError::NoStartTls { .. }), "{error:?}");
    assert_eq!(server.commands(), ["EHLO client.example.org"]);
}

#[tokio::test]
async fn what_is_injected_behind_starttls_ends_the_connection() {
    let start = ["S: 220 x", "C: EHLO *", "S: 250-x", "S: 250 STARTTLS", "C: STARTTLS"];
    for injected in ["R: 220 go\r\n250 AUTH PLAIN\r\n", "R: 220 go\r\n2", "R: 220 go\r\n250-x\r\n"] {
        let script: Vec<&str> = start.into_iter().chain([injected, "eof"]).collect();
        let server = Scripted::dialogue(&script);
        let mut settings = settings(server.port());
        settings.endpoint.tls = TlsMode::StartTls;
        let error = Client::connect(&settings, None).await.err().expect("refused");
        assert!(matches!(error, SmtpError::Protocol { .. }), "{error:?}");
        server.assert_followed();
    }
    let server = Scripted::dialogue(&[&start[..], &["S: 454 4.7.0 not now", "eof"]].concat());
    let mut settings = settings(server.port());
    settings.endpoint.tls = TlsMode::StartTls;
    let error = Client::connect(&settings, None).await.err().expect("refused");
    assert_eq!(error.class(), Class::TryLater);
    server.assert_followed();
}
