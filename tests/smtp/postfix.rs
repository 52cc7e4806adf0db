//! A real Postfix.

use std::time::Duration;

use postrider::testing::deliver::smtp::{Client, SendError, Settings, SmtpError};
use postrider::testing::net::{NetError, TlsMode};

use super::support::*;
use super::{HELLO, connect, send, send_after, settings};

/// The message as a mail store has it: LF, and one at the end.
fn stored(message: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(message.len() + 1);
    for line in message.split_inclusive(|&octet| octet == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        text.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        text.push(b'\n');
    }
    text
}

#[tokio::test]
async fn a_real_server_gets_every_message_octet_for_octet() {
    let certificates = Dovecot::start();
    let (cert, key) = (certificates.certificate(), certificates.key());
    let (cert, key) = (cert.to_str().expect("a path"), key.to_str().expect("a path"));
    let server = Postfix::start_with(&["--cert", cert, "--key", key]);
    let mut settings = settings(server.port);
    settings.recipients.push("somebody@example.net".into());
    settings.endpoint.tls = TlsMode::StartTls;
    let error = Client::connect(&settings, None).await.err().expect("an unknown authority");
    assert!(matches!(error, SmtpError::Net(NetError::Handshake { fault: Some(_), .. })), "{error:?}");
    settings.endpoint.trust.ca_file = Some(certificates.ca());
    let mut client = connect(&settings).await;
    assert_eq!(client.tls_version(), Some("TLS 1.3"));
    assert!(client.extensions().contains(&"PIPELINING"));

    let mut sent: Vec<Vec<u8>> = (0..16).map(|index| message(7, index, Mix::Edge)).collect();
    sent.extend((0..100).map(|index| message(8, index, Mix::Realistic)));
    sent.push(message(9, 1, Mix::Fixed(20_000_000)));
    for message in &sent {
        send_after(&mut client, b"Received: by postrider; now\n", message).await.expect("accepted");
    }
    client.quit().await;
    server.wait_until_delivered(2 * sent.len(), Duration::from_secs(60));
    for recipient in ["user1", "somebody"] {
        let delivered = read_messages(&server.delivered(recipient));
        assert_eq!(delivered.len(), sent.len());
        for message in &sent {
            let want = [b"Received: by postrider; now\n", &stored(message)[..]].concat();
            let found = delivered.iter().filter(|text| text.ends_with(&want)).count();
            let start = String::from_utf8_lossy(&message[..200.min(message.len())]).into_owned();
            assert_eq!(found, 1, "{start}");
        }
        assert!(delivered.iter().all(|text| text.starts_with(b"Return-Path: <sender")));
    }
}

#[tokio::test]
async fn a_real_server_refuses_an_unknown_domain_and_takes_the_next_message() {
    let server = Postfix::start();
    let recipients = vec!["user2@example.net".into(), "a@elsewhere.example".into()];
    let mut client = connect(&Settings { recipients, ..settings(server.port) }).await;
    for _ in 0..2 {
        assert!(matches!(send(&mut client, HELLO).await, Err(SendError::NotServed(_))));
        assert!(client.is_usable());
    }
    let mut settings = settings(server.port);
    settings.recipients = vec!["user2@example.net".into()];
    settings.hello = None;
    let mut client = connect(&settings).await;
    let accepted = send(&mut client, HELLO).await.expect("accepted");
    assert!(accepted.reply.contains("queued as"), "{}", accepted.reply);
    server.wait_until_delivered(1, Duration::from_secs(20));
    assert_eq!(server.delivered_count(), 1);
}
