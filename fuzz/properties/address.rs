//! An address list, and a single address that is to stand in an SMTP command.

use postrider::testing::header::{Head, envelope_address};

pub(super) fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    single(&text);
    list(&text);
}

/// It cannot be read as more than one argument, or as the end of one.
fn single(text: &str) {
    let Some(address) = envelope_address(text) else { return };
    assert_eq!(address.to_string(), text);
    assert!(text.len() <= 450 && !text.contains(|c: char| c.is_control()), "{text:?}");
    let bare = outside_of_quotes(text).expect("quotes that end");
    let breaks = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '(' | ')' | '\\');
    assert!(!bare.contains(breaks) && bare.contains('@'), "{text:?}");
    if let Some(quoted) = address.quoted() {
        let quoted = quoted.to_string();
        assert!(quoted.starts_with('"') && envelope_address(&quoted).is_none_or(|again| again.quoted().is_none()));
        assert_eq!(quoted.replace('"', ""), text);
    }
}

/// The text without its quoted strings; `None` if one does not end.
fn outside_of_quotes(text: &str) -> Option<String> {
    let mut bare = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '"' {
            bare.push(c);
            continue;
        }
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => drop(chars.next()?),
                _ => {}
            }
        }
    }
    Some(bare)
}

fn list(text: &str) {
    let text = text.replace(['\r', '\n'], " ");
    let from = |list: &str| Head::scan(format!("From: {list}\n").as_bytes()).from;
    if let Some(address) = from(&text) {
        assert!(envelope_address(&address).is_some());
        // Nothing is made up: every character stands in the list, in this order.
        let mut chars = text.chars();
        assert!(address.chars().all(|c| chars.any(|found| found == c)), "{address} of {text:?}");
    }
    for first in ["alice@example.org", "\"Liddell, A.\" <alice@example.org>", "(a, b) Alice <alice@example.org>"] {
        assert_eq!(from(&format!("{first}, {text}")).as_deref(), Some("alice@example.org"), "whatever follows");
    }
}
