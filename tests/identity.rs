//! A unique-id is a hint, the content is the identity: what happens where they disagree, and where the operator
//! has changed what an account or a destination is.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "identity/edits.rs"]
mod edits;
#[path = "identity/headers.rs"]
mod headers;
#[path = "identity/mailboxes.rs"]
mod mailboxes;
#[path = "identity/mbox.rs"]
mod mbox;
#[path = "identity/places.rs"]
mod places;
mod support;
#[path = "identity/unique_ids.rs"]
mod unique_ids;

use std::collections::BTreeMap;
use std::time::Duration;

use support::*;

/// The message of a number: all have the same size, and nothing but the number tells them apart.
fn wire(number: usize) -> Vec<u8> {
    format!(
        "Received: from mx by pop; Mon, 1 Jan 2024 00:00:{:02} +0000\r\nMessage-ID: <{number:04}@example.net>\r\n\
         Subject: m{number:04}\r\n\r\ntext {number:04}\r\n",
        number % 60
    )
    .into_bytes()
}

/// Messages of these numbers whose unique-ids are their places, counted from one.
fn by_place(numbers: impl IntoIterator<Item = usize>) -> Vec<Message> {
    let message = |(place, number): (usize, usize)| Message::wire(&(place + 1).to_string(), &wire(number));
    numbers.into_iter().enumerate().map(message).collect()
}

/// How often each message is in a Maildir.
fn delivered(program: &Postrider, maildir: &str) -> BTreeMap<usize, usize> {
    let path = program.path(maildir);
    let mut found = BTreeMap::new();
    if path.exists() {
        for text in read_messages(&path) {
            let text = String::from_utf8_lossy(&text);
            let (_, rest) = text.split_once("Subject: m").expect("one of ours");
            *found.entry(rest[..4].parse().expect("a number")).or_insert(0) += 1;
        }
    }
    found
}

/// The numbers of the messages that a server still has.
fn remaining(server: &MailboxServer) -> Vec<usize> {
    let number = |octets: Vec<u8>| {
        let text = String::from_utf8_lossy(&octets).into_owned();
        let (_, rest) = text.split_once("Subject: m").expect("one of ours");
        rest[..4].parse().expect("a number")
    };
    server.remaining_octets().into_iter().map(number).collect()
}

/// Each of these exactly once.
fn once(numbers: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
    numbers.into_iter().map(|number| (number, 1)).collect()
}

fn without_top() -> Behaviour {
    let capabilities = ["UIDL", "USER", "SASL PLAIN", "PIPELINING"].map(str::to_owned).to_vec();
    Behaviour { capabilities: Some(capabilities), ..Behaviour::default() }
}

fn config(server: &MailboxServer, keys: &str) -> String {
    [mailbox(server.port(), "a", &format!("deliver = \"home\"\n{keys}")), maildir("home")].concat()
}
