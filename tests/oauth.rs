//! OAuth 2.0, by the whole program: signing in, renewing, and what a provider may do wrong, against
//! a scripted authorization server; and logins with its tokens at a real Dovecot.
#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

#[path = "oauth/device.rs"]
mod device;
#[path = "oauth/dovecot.rs"]
mod dovecot;
#[path = "oauth/faults.rs"]
mod faults;
#[path = "oauth/kept.rs"]
mod kept;
#[path = "oauth/listener.rs"]
mod listener;
#[path = "oauth/renewal.rs"]
mod renewal;
#[path = "oauth/service.rs"]
mod service;
#[path = "oauth/sign_in.rs"]
mod sign_in;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oauth2::url::Url;
use support::*;

/// Far longer than anything takes.
const LIMIT: Duration = Duration::from_secs(120);

/// What nobody may ever see.
const SECRET: &str = "cl1ent-s3cret.canary";
const CODE: &str = "c0de.canary-4711";
const ACCESS: &str = "acc3ss.canary";
const REFRESH: &str = "r3fresh.canary";

/// A provider `p` on a port of this machine.
fn provider(port: u16) -> String {
    format!(
        "[oauth.p]\nauthorization-endpoint = \"http://127.0.0.1:{port}/authorize\"\n\
         token-endpoint = \"http://127.0.0.1:{port}/token\"\nscopes = [\"mail\", \"offline\"]\n\
         client-id = \"client-1\"\nclient-secret = \"{SECRET}\"\n"
    )
}

/// user1's account at a mailbox in clear, which signs in at `p`.
fn account(pop3: u16, lines: &str) -> String {
    format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {pop3}\ntls = \"none\"\nusername = \"user1\"\ntimeout = \"20s\"\n\
         interval = \"1h\"\noauth = \"p\"\nauth = \"xoauth2\"\ndeliver = \"mail\"\n{lines}\n{}",
        maildir("mail")
    )
}

/// The program with both, and everything logged.
fn program(authorization: &AuthorizationServer, pop3: u16) -> Postrider {
    let mut program = Postrider::with_config(&format!("{}{}", account(pop3, ""), provider(authorization.port)));
    program.env("POSTRIDER_LOG", "trace");
    program
}

/// A mailbox that takes these tokens.
fn mailbox_for(tokens: &[&str]) -> MailboxServer {
    let tokens = tokens.iter().map(|&token| token.to_owned()).collect();
    let capabilities = ["TOP", "UIDL", "SASL XOAUTH2 OAUTHBEARER", "RESP-CODES", "PIPELINING"];
    let capabilities = Some(capabilities.map(str::to_owned).to_vec());
    MailboxServer::start_with(
        Message::several(2, Mix::Tiny),
        Behaviour { tokens, capabilities, ..Behaviour::default() },
    )
}

/// The tokens that a mailbox was offered.
fn offered(mailbox: &MailboxServer) -> Vec<String> {
    mailbox.commands().iter().filter_map(|line| line.strip_prefix("token ").map(str::to_owned)).collect()
}

/// Answers a code with the first tokens, and each refresh token with the next ones.
fn rotating(lifetime: u64) -> AuthorizationServer {
    let number = Mutex::new(0);
    AuthorizationServer::start(move |asked| {
        let mut number = number.lock().expect("no panic while locked");
        *number += 1;
        assert_eq!(asked.path, "/token");
        tokens(&format!("{ACCESS}-{number}"), Some(&format!("{REFRESH}-{number}")), lifetime)
    })
}

/// Signs in by pasting the code alone.
#[track_caller]
fn sign_in(program: &Postrider) -> Output {
    program.run_with_input(&["login", "a", "--paste"], &format!("{CODE}\n")).assert_success()
}

/// The parameters of an address.
fn parameters(address: &str) -> BTreeMap<String, String> {
    Url::parse(address).expect("an address").query_pairs().into_owned().collect()
}

/// The file of an account's tokens.
fn kept(program: &Postrider) -> serde_json::Value {
    let text = std::fs::read(program.state_dir().join("tokens/a")).expect("tokens");
    serde_json::from_slice(&text).expect("JSON")
}

/// Nothing that somebody could log in with, as it is or in base64.
#[track_caller]
fn assert_no_secret(output: &Output) {
    let text = output.text();
    for secret in ["canary", "s3cret", "r3fresh", "acc3ss"] {
        assert!(!text.contains(secret), "{secret}:\n{text}");
    }
    for secret in [SECRET, CODE, ACCESS, REFRESH] {
        for before in ["", "x", "xx"] {
            let encoded = STANDARD.encode(format!("{before}{secret}"));
            assert!(!text.contains(&encoded[4..encoded.len() - 4]), "{secret} in base64:\n{text}");
        }
    }
    assert!(!text.contains("panicked"), "{text}");
}

#[track_caller]
fn assert_says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} is not in: {}", output.text());
    }
}
