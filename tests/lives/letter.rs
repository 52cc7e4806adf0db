//! Messages as they are written: what is equal in two of them, and what is not.

use super::nature::{Nature, Sizes};
use super::support::Message;
use fastrand::Rng;
use std::collections::BTreeSet;

/// Octets of the body, as sizes are chosen.
const BODY: std::ops::Range<usize> = 50..6000;

/// A message by its content.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    /// The text, with LF.
    pub(crate) text: Vec<u8>,
    /// Empty: it has none.
    pub(crate) message_id: String,
    /// The header, with the empty line.
    head: String,
    body_octets: usize,
}

/// Octets on the wire.
fn wire_octets(text: &[u8]) -> u64 {
    (text.len() + text.iter().filter(|&&octet| octet == b'\n').count()) as u64
}

impl Letter {
    fn new(message_id: String, head: String, body_octets: usize, mark: usize) -> Self {
        // The mark is in the body, and its length the same in all.
        let mut text = format!("{head}letter {mark:06}\n").into_bytes();
        while text.len() < head.len() + body_octets {
            let line = (head.len() + body_octets - text.len()).min(60);
            text.extend_from_slice(
                &b".and so on, line by line, until there are enough of them all\n"[61 - line.max(2)..],
            );
        }
        Self { text, message_id, head, body_octets }
    }

    /// Octets on the wire.
    pub(crate) fn octets(&self) -> u64 {
        wire_octets(&self.text)
    }

    /// What a delivery of the header alone holds.
    pub(crate) fn is_head_of(&self, text: &[u8]) -> bool {
        text.ends_with(self.head.as_bytes())
    }

    /// As the server has it.
    pub(crate) fn listed(&self, uid: &str, tag: usize, nature: &Nature, random: &mut Rng) -> Message {
        let message = Message::text(uid, &self.text).tagged(tag);
        match nature.sizes {
            Sizes::Honest => message,
            Sizes::Inflated => message.listed(self.octets() * 2 + 11),
            Sizes::Stored => message.listed(self.text.len() as u64),
            Sizes::Constant => message.listed(1234),
            Sizes::Random => message.listed(random.u64(1..9000)),
        }
    }
}

/// Writes letters, some of them much like others.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) letters: Vec<Letter>,
    octets: BTreeSet<u64>,
}

impl Writer {
    /// A letter: an old one once more, one that is much like an old one, or a new one.  Gives its index.
    pub(crate) fn letter(&mut self, nature: &Nature, random: &mut Rng) -> usize {
        let old = match self.letters.len() {
            0 => return self.fresh(nature, random),
            letters => random.usize(..letters),
        };
        match random.u8(..20) {
            0..2 => old,
            2..4 => self.with_id_of(old, nature, random),
            4..6 => self.with_size_of(old, nature),
            6..8 => self.with_head_of(old, nature, random),
            8 => self.bare(nature, random),
            _ => self.fresh(nature, random),
        }
    }

    /// A letter that is like no other.
    pub(crate) fn fresh(&mut self, nature: &Nature, random: &mut Rng) -> usize {
        let message_id = format!("<{:04}@example.org>", self.letters.len());
        let octets = random.usize(BODY);
        self.write(nature, message_id, octets)
    }

    /// The same Message-ID in another header.
    fn with_id_of(&mut self, old: usize, nature: &Nature, random: &mut Rng) -> usize {
        let Letter { message_id, body_octets, .. } = self.letters[old].clone();
        let octets = if random.bool() { body_octets } else { random.usize(BODY) };
        self.write(nature, message_id, octets)
    }

    /// A letter whose header identifies nothing.
    fn bare(&mut self, nature: &Nature, random: &mut Rng) -> usize {
        let octets = random.usize(BODY);
        self.write(nature, String::new(), octets)
    }

    fn with_size_of(&mut self, old: usize, nature: &Nature) -> usize {
        let message_id = format!("<{:04}@example.org>", self.letters.len());
        let octets = self.letters[old].body_octets;
        self.write(nature, message_id, octets)
    }

    /// Another body below the same header.  Whoever cannot believe a unique-id knows a message by that header, so
    /// such a pair is only where they can be believed.
    fn with_head_of(&mut self, old: usize, nature: &Nature, random: &mut Rng) -> usize {
        if !nature.twins {
            return self.fresh(nature, random);
        }
        let Letter { message_id, head, body_octets, .. } = self.letters[old].clone();
        let octets = if random.bool() { body_octets } else { random.usize(BODY) };
        self.add(nature, |mark, octets| Letter::new(message_id.clone(), head.clone(), octets, mark), octets)
    }

    fn write(&mut self, nature: &Nature, message_id: String, octets: usize) -> usize {
        let letter = |mark: usize, octets| {
            let from = "From: Sender <sender@example.org>\nTo: user@example.net";
            if message_id.is_empty() {
                return Letter::new(message_id.clone(), format!("{from}\nSubject: number {mark:06}\n\n"), octets, mark);
            }
            let head = format!(
                "Received: from test.invalid (test.invalid [192.0.2.1])\n\tby store.example.net with ESMTP id {mark:06}\n\
                 {from}\nSubject: number {mark:06}\n\
                 Date: Mon, 02 Jan 2023 03:04:05 +0000\nMessage-ID: {message_id}\n\n"
            );
            Letter::new(message_id.clone(), head, octets, mark)
        };
        self.add(nature, letter, octets)
    }

    /// Where a size must tell letters apart, each has its own.
    fn add(&mut self, nature: &Nature, letter: impl Fn(usize, usize) -> Letter, mut octets: usize) -> usize {
        let mark = self.letters.len();
        let mut made = letter(mark, octets);
        while !nature.are_ids_true() && self.octets.contains(&made.octets()) {
            octets += 1;
            made = letter(mark, octets);
        }
        self.octets.insert(made.octets());
        self.letters.push(made);
        mark
    }
}
