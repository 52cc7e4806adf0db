//! What the server may have done with the mailbox, by what it was told and has answered.

use std::collections::BTreeSet;

/// A server's mailbox as the client's side knows it.  Messages go by their index.
pub struct Mailbox {
    /// By the session's message numbers.
    listing: Vec<usize>,
    /// Gone for certain.
    gone: BTreeSet<usize>,
    /// Their deletion was asked for in this session.
    asked: BTreeSet<usize>,
    said_quit: bool,
    /// The beginning of a command.
    line: Vec<u8>,
}

impl Mailbox {
    /// A session begins, with these messages.
    pub fn new(gone: BTreeSet<usize>, listing: Vec<usize>) -> Self {
        Self { listing, gone, asked: BTreeSet::new(), said_quit: false, line: Vec::new() }
    }

    /// The client says something.
    pub fn say(&mut self, octets: &[u8]) {
        for &octet in octets {
            if octet != b'\n' {
                self.line.push(octet);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).trim_end().to_owned();
            if let Some(number) = line.strip_prefix("DELE ") {
                let number: usize = number.parse().expect("a message number");
                self.asked.insert(self.listing[number - 1]);
            }
            self.said_quit |= line == "QUIT";
        }
    }

    /// The client has heard something.
    pub fn hear(&mut self, octets: &[u8]) {
        // Every other answer has been heard before QUIT is said.
        if self.said_quit && octets.starts_with(b"+OK") {
            self.gone.append(&mut self.asked);
        }
    }

    /// Sets of messages that may be gone.  A server in a hurry deletes at once, and an honest one at
    /// QUIT or, if it does not hear that, never.
    pub fn possible(&self) -> Vec<BTreeSet<usize>> {
        let mut possible = vec![self.gone.clone()];
        if !self.asked.is_empty() {
            possible.push(self.gone.union(&self.asked).copied().collect());
        }
        possible
    }
}

#[test]
fn a_deletion_is_uncertain_until_the_answer_to_quit_is_heard() {
    let mut mailbox = Mailbox::new([7].into(), vec![4, 5]);
    mailbox.say(b"RETR 1\r\nDE");
    assert_eq!(mailbox.possible(), [[7].into()]);
    mailbox.say(b"LE 2\r\n");
    mailbox.hear(b"+OK\r\n");
    mailbox.say(b"QUIT\r\n");
    assert_eq!(mailbox.possible(), [BTreeSet::from([7]), BTreeSet::from([5, 7])]);
    mailbox.hear(b"+OK bye\r\n");
    assert_eq!(mailbox.possible(), [[5, 7].into()]);
}
