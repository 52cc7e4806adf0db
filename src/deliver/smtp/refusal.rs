//! Whom a refusal concerns: this message, its content, or everybody.  Pure.
//!
//! Until the message itself is sent, a server knows the client, the sender and the recipients; only then can it judge
//! the content.  What it says besides is its status (RFC 3463, RFC 5248), or else its words.

use super::command::Command;
use super::trouble::Trouble;
use super::{Because, Reply, SendError, SmtpError};

/// The status at the beginning of a reply's text; empty if there is none.
fn status(reply: &Reply) -> &str {
    // Some write it as `#5.2.2`, `[5.2.2]` or `5.2.2:`.
    let word = reply.text.split(' ').next().unwrap_or_default().trim_matches(['#', '[', ']', '(', ')', ':', ',', ';']);
    let is_status = word.starts_with(['4', '5']) && word.split('.').count() == 3;
    if is_status { word } else { "" }
}

/// A status without its class: 4.2.2 and 5.2.2 say the same.
fn detail(reply: &Reply) -> &str {
    status(reply).get(2..).unwrap_or_default()
}

/// What a negative reply to a command of the envelope means, whoever the sender is; `None` if it is not one.
pub(super) fn of_command(server: &str, command: &Command, reply: &Reply) -> Option<SendError> {
    let reason = match command {
        Command::Rcpt(address) => format!("recipient {address}: {reply}"),
        _ => format!("{}: {reply}", command.step()),
    };
    let not_served = |trouble| {
        let (server, reason) = (server.to_owned(), reason.clone());
        Some(SendError::NotServed(SmtpError::NotServed { server, reason, trouble }))
    };
    match (reply.code / 100, command) {
        (4, Command::Mail(_) | Command::Rcpt(_)) => match (shortage(reply), detail(reply)) {
            (Some(trouble), _) => not_served(trouble),
            // Behind DATA, what looks at the message may have failed at it.
            (None, "3.0") => not_served(Trouble::Busy),
            (None, _) => Some(SendError::Deferred { reason }),
        },
        // RFC 5321 §4.2.3 calls 552 an exceeded storage allocation: before the message, that is the mailbox's.
        (5, Command::Rcpt(_)) if reply.code == 552 && status(reply).is_empty() => not_served(Trouble::Mailbox),
        (5, _) if is_size(reply) => Some(SendError::Refused { reason, because: Because::Content }),
        (5, Command::Mail(_) | Command::Rcpt(_)) => match (trouble(reply), command) {
            (Trouble::Relay, Command::Mail(_)) => not_served(Trouble::Sender),
            (trouble, _) => not_served(trouble),
        },
        _ => of_message(server, reply, reason),
    }
}

/// What a negative reply to DATA or to the message means; `None` if it is not one.
pub(super) fn of_message(server: &str, reply: &Reply, reason: String) -> Option<SendError> {
    let server = server.to_owned();
    let not_served = |trouble, reason| SendError::NotServed(SmtpError::NotServed { server, reason, trouble });
    match (reply.code / 100, shortage(reply)) {
        (4 | 5, Some(trouble)) => Some(not_served(trouble, reason)),
        (5, None) if is_login(reply) => Some(not_served(Trouble::Login, reason)),
        (5, None) => Some(SendError::Refused { reason, because: because(reply) }),
        (4, None) => Some(SendError::Deferred { reason }),
        _ => None,
    }
}

/// Whether the content is why the message is refused.
fn because(reply: &Reply) -> Because {
    // RFC 3463 §3.7: 5.6.x is the media, 5.2.3 and 5.3.4 the size.
    if is_size(reply) || status(reply).starts_with("5.6.") {
        Because::Content
    } else {
        Because::Unsaid { like: Some(format!("{} {}", reply.code, status(reply))) }
    }
}

/// 552 alone is the size (RFC 1870 §6.1) unless status or words say something else.
fn is_size(reply: &Reply) -> bool {
    let (status, text) = (status(reply), reply.text.to_ascii_lowercase());
    let is_mailbox = ["quota", "full", "mailbox", "storage"].iter().any(|word| text.contains(word));
    matches!(status, "5.2.3" | "5.3.4") || (reply.code == 552 && status.is_empty() && !is_mailbox)
}

/// What a server says of itself or of a mailbox, and of no message.  Not 4.2.0: so Postfix greylists.
fn shortage(reply: &Reply) -> Option<Trouble> {
    match detail(reply) {
        "2.1" | "2.2" => Some(Trouble::Mailbox),
        "3.1" | "3.2" | "3.5" => Some(Trouble::Busy),
        _ => None,
    }
}

/// RFC 4954 §6.
fn is_login(reply: &Reply) -> bool {
    let says = |words: &str| reply.text.to_ascii_lowercase().contains(words);
    matches!(reply.code, 530 | 534 | 535 | 538)
        || matches!(detail(reply), "7.8" | "7.9" | "7.11")
        || says("authentication required")
        || says("authentication is required")
}

/// What a permanent refusal of the envelope is about.
fn trouble(reply: &Reply) -> Trouble {
    let text = reply.text.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if is_login(reply) {
        return Trouble::Login;
    }
    if let Some(trouble) = shortage(reply) {
        return trouble;
    }
    match detail(reply) {
        "1.1" | "1.2" | "1.3" | "1.4" | "1.5" | "1.6" | "1.10" => Trouble::Recipient,
        _ if says(&[
            "blocked",
            "block list",
            "blocklist",
            "blacklist",
            "black list",
            "denylist",
            "spamhaus",
            "dnsbl",
        ]) =>
        {
            Trouble::Blocked
        }
        _ => Trouble::Relay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::envelope_address;

    /// What it means, in short.
    fn short(meaning: Option<SendError>) -> String {
        match meaning {
            None => "none".into(),
            Some(SendError::Refused { because: Because::Content, .. }) => "content".into(),
            Some(SendError::Refused { because: Because::Unsaid { like }, .. }) => {
                format!("like {}", like.expect("said"))
            }
            Some(SendError::Deferred { .. }) => "later".into(),
            Some(SendError::NotServed(SmtpError::NotServed { trouble, .. })) => format!("{trouble:?}"),
            Some(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn a_refused_envelope_is_told_from_a_refused_message() {
        let recipient = Command::Rcpt(envelope_address("a@x.org").expect("an address"));
        for (code, text, mail, rcpt, dot) in [
            (250, "ok", "none", "none", "none"),
            (530, "5.7.0 Authentication required", "Login", "Login", "Login"),
            (554, "5.7.1 <a@x.org>: Relay access denied", "Sender", "Relay", "like 554 5.7.1"),
            (554, "5.7.1 Client host [192.0.2.1] blocked using zen.example", "Blocked", "Blocked", "like 554 5.7.1"),
            (550, "5.1.1 nobody", "Recipient", "Recipient", "like 550 5.1.1"),
            (550, "nobody", "Sender", "Relay", "like 550 "),
            (550, "5.2.1 disabled", "Mailbox", "Mailbox", "Mailbox"),
            (552, "5.2.2 over quota", "Mailbox", "Mailbox", "Mailbox"),
            (452, "4.2.2 over quota", "Mailbox", "Mailbox", "Mailbox"),
            (452, "4.3.1 no space", "Busy", "Busy", "Busy"),
            (552, "5.3.4 too large", "content", "content", "content"),
            (552, "too large", "content", "Mailbox", "content"),
            (552, "mailbox is full", "Sender", "Mailbox", "like 552 "),
            (552, "#5.2.2 over quota", "Mailbox", "Mailbox", "Mailbox"),
            (550, "[5.1.1]: nobody", "Recipient", "Recipient", "like 550 5.1.1"),
            (552, "5.2.3 too large for this mailbox", "content", "content", "content"),
            (554, "5.6.0 bare LF", "Sender", "Relay", "content"),
            (550, "5.7.1 spam", "Sender", "Relay", "like 550 5.7.1"),
            (550, "5.7.26 DMARC", "Sender", "Relay", "like 550 5.7.26"),
            (450, "4.2.0 greylisted", "later", "later", "later"),
            (450, "4.7.1 greylisted", "later", "later", "later"),
            (451, "try again", "later", "later", "later"),
            (451, "4.3.0 queue file write error", "Busy", "Busy", "later"),
        ] {
            let reply = Reply::new(code, text);
            let of = |command: &Command| short(of_command("h", command, &reply));
            let found = [of(&Command::Mail(String::new())), of(&recipient), of(&Command::Data)];
            assert_eq!(found, [mail, rcpt, dot], "{code} {text}");
            assert_eq!(short(of_message("h", &reply, "the message".into())), dot, "{code} {text}");
        }
    }
}
