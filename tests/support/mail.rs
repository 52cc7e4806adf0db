//! Deterministic mail: the same seed, index and mix give the same message.
//!
//! Messages are made as an MTA stores them, with LF, save where the kind asks
//! for something else.  Each carries `X-Test-Message: SEED-INDEX`.

use std::fmt::Write as _;

/// The kinds of messages to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Log-normal sizes with a median of 8 KB; 2 % are 100 KB to 1 MB; one in four is peculiar.
    Realistic,
    /// About 500 octets, nothing peculiar.
    Tiny,
    /// About this many octets each, nothing peculiar.
    Fixed(usize),
    /// Small, and every one peculiar, all kinds in turn.
    Edge,
}

/// Which messages to put into a mailbox.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// How many.
    pub count: usize,
    /// The index of the first, to add to a mailbox later.
    pub first: usize,
    /// Another seed gives other messages.
    pub seed: u64,
    /// Their kinds.
    pub mix: Mix,
}

impl Fill {
    /// `count` messages of a mix, with seed 1 and from index 1.
    pub fn new(count: usize, mix: Mix) -> Self {
        Self { count, first: 1, seed: 1, mix }
    }

    /// The same with another first index.
    pub fn from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// The same with another seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The indexes of the messages.
    pub fn indexes(&self) -> std::ops::Range<usize> {
        self.first..self.first + self.count
    }
}

/// What can be peculiar about a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Dots,
    LongLine,
    HugeLine,
    EightBit,
    NoFinalNewline,
    StoredCrlf,
    HeaderOnly,
    TrailingBlankLines,
}

const PECULIAR: [Kind; 8] = [
    Kind::Dots,
    Kind::LongLine,
    Kind::HugeLine,
    Kind::EightBit,
    Kind::NoFinalNewline,
    Kind::StoredCrlf,
    Kind::HeaderOnly,
    Kind::TrailingBlankLines,
];

const WORDS: [&str; 24] = [
    "the", "of", "and", "to", "in", "that", "is", "was", "for", "on", "with", "mail", "server", "message", "queue",
    "delivery", "header", "folder", "reply", "attached", "report", "tomorrow", "meeting", "invoice",
];

/// One message as it lies in the server's Maildir.
pub fn message(seed: u64, index: usize, mix: Mix) -> Vec<u8> {
    let mut random = Random::new(seed, index);
    let (size, kind) = match mix {
        Mix::Realistic => random.realistic(),
        Mix::Tiny => (500, Kind::Plain),
        Mix::Fixed(size) => (size, Kind::Plain),
        Mix::Edge => (2000, PECULIAR[index % PECULIAR.len()]),
    };
    let mut head = header(seed, index).into_bytes();
    if kind == Kind::HeaderOnly {
        return head;
    }
    let mut text = Vec::with_capacity(size + 80);
    while head.len() + text.len() < size {
        random.line(&mut text);
    }
    if text.is_empty() {
        random.line(&mut text);
    }
    let body = peculiar(kind, text);
    head.push(b'\n');
    head.extend_from_slice(&body);
    if kind == Kind::StoredCrlf { with_crlf(&head) } else { head }
}

fn header(seed: u64, index: usize) -> String {
    let mut head = String::new();
    write!(
        head,
        "Received: from test.invalid (test.invalid [192.0.2.1])\n\
         \tby store.example.net with ESMTPS id {index:x}\n\
         \tfor <user@example.net>; Mon, 02 Jan 2023 03:04:05 +0000\n\
         X-Test-Message: {seed}-{index}\n\
         From: Sender {index} <sender{}@example.org>\n\
         To: user@example.net\n\
         Subject: message {index}\n\
         Date: Mon, 02 Jan 2023 03:04:05 +0000\n\
         Message-ID: <{seed}.{index}@example.org>\n\
         MIME-Version: 1.0\n\
         Content-Type: text/plain; charset=utf-8\n\
         Content-Transfer-Encoding: 8bit\n",
        index % 97
    )
    .expect("writing to a String");
    head
}

/// The body of a kind, made from ordinary text.
fn peculiar(kind: Kind, mut text: Vec<u8>) -> Vec<u8> {
    match kind {
        Kind::Dots => {
            let mut body = b".\n..\n.leading\n...three\n".to_vec();
            body.append(&mut text);
            body.extend_from_slice(b".in the end\n.\n");
            return body;
        }
        Kind::LongLine => {
            text.resize(text.len() + 2000, b'x');
            text.extend_from_slice(b"\nafter\n");
        }
        Kind::HugeLine => {
            text.push(b'.');
            text.resize(text.len() + 70_000, b'y');
            text.extend_from_slice(b"\nafter\n");
        }
        Kind::EightBit => {
            text.extend_from_slice("Grüße, żółw, 日本語\n".as_bytes());
            text.extend_from_slice(b"latin1 \xe9\xff\x80\n");
        }
        Kind::NoFinalNewline => {
            text.extend_from_slice(b"no newline at the end");
        }
        Kind::TrailingBlankLines => text.extend_from_slice(b"\n\n\n"),
        Kind::Plain | Kind::StoredCrlf | Kind::HeaderOnly => {}
    }
    text
}

/// The same with every LF as CRLF; the input has no CR before a LF.
pub fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 40);
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u64, index: usize) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ index as u64);
        random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// At least 0 and less than `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// More than 0, at most 1.
    fn fraction(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    fn realistic(&mut self) -> (usize, Kind) {
        // Box and Muller's normal deviate; e^9.01 is the median of 8 KB.
        let normal = (-2.0 * self.fraction().ln()).sqrt() * (std::f64::consts::TAU * self.fraction()).cos();
        let mut size = ((9.01 + 1.1 * normal).exp() as usize).clamp(900, 1 << 20);
        if self.below(50) == 0 {
            size = 100_000 + self.below(900_000);
        }
        let kind = if self.below(4) == 0 { PECULIAR[self.below(PECULIAR.len())] } else { Kind::Plain };
        (size, kind)
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        for position in 0..11 {
            if position > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(WORDS[self.below(WORDS.len())].as_bytes());
        }
        out.push(b'\n');
    }
}
