//! The way to a server, by the whole program: from which address, and in `network/` through a proxy
//! and by a command.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "network/proxy.rs"]
mod proxy;
mod support;
#[path = "network/tunnel.rs"]
mod tunnel;

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use support::{
    Dovecot, Fill, MailboxServer, Message, Mix, Postrider, Scripted, ScriptedSmtp, SocksBehaviour, SocksProxy, Step,
    mailbox, maildir,
};

#[test]
fn the_server_sees_the_source_address() {
    let seen: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
    let for_server = Arc::clone(&seen);
    let server = Scripted::conversation(move |_, peer| {
        for_server.lock().expect("whole").push(peer.connection.client());
        peer.follow(&[Step::parse("S: -ERR not now"), Step::Eof])
    });
    for source in ["127.0.0.1", "127.0.0.2"] {
        let keys = format!("source-address = \"{source}\"\ndeliver = \"mail\"");
        Postrider::with_config(&(mailbox(server.port(), "a", &keys) + &maildir("mail"))).run(&["fetch"]);
        assert_eq!(seen.lock().expect("whole").pop(), source.parse().ok());
    }
}

#[test]
fn a_source_address_that_cannot_be_is_told() {
    let server = Scripted::dialogue(&["eof"]);
    for (source, words) in [
        ("192.0.2.1", ["connecting from 192.0.2.1: Cannot assign requested address", "address of this machine"]),
        ("::1", ["the host has no IPv6 address", "`source-address` of the other family"]),
    ] {
        let keys = format!("source-address = \"{source}\"\ndeliver = \"mail\"");
        let program = Postrider::with_config(&(mailbox(server.port(), "a", &keys) + &maildir("mail")));
        let run = program.run(&["fetch"]).assert_code(69);
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
    }
    assert_eq!(server.connections(), 0);
}
