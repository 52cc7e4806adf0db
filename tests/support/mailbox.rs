//! What a [`MailboxServer`](super::MailboxServer) holds, and how it may misbehave.

use super::mail::{Mix, message, with_crlf};
use super::manifest::{as_stored, mark};
use sha2::{Digest, Sha256};
use std::borrow::Cow;

/// Lines of a large message, repeated: at least this many octets.
const BLOCK_OCTETS: usize = 64 * 1024;

/// A message in the mailbox.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its unique-id; without one it is left out of UIDL's answer.
    pub uid: Option<Vec<u8>>,
    /// What LIST and STAT say, if not the truth.
    pub listed_octets: Option<u64>,
    /// What the test knows it by, whatever its unique-id and content are.
    pub tag: usize,
    head: Vec<u8>,
    block: Vec<u8>,
    stuffed_block: Vec<u8>,
    blocks: u64,
}

impl Message {
    /// A message given with LF or CRLF; sent with CRLF and a line end at the end.
    pub fn text(uid: &str, text: &[u8]) -> Self {
        Self::wire(uid, &with_crlf(&as_stored(text)))
    }

    /// A message of exactly these octets, dots yet unstuffed.  Without CRLF at its end
    /// the server sends one before the final dot.
    pub fn wire(uid: &str, octets: &[u8]) -> Self {
        Self {
            uid: Some(uid.as_bytes().to_vec()),
            listed_octets: None,
            tag: 0,
            head: octets.to_vec(),
            block: Vec::new(),
            stuffed_block: Vec::new(),
            blocks: 0,
        }
    }

    /// A generated message; `uid-SEED-INDEX` is its unique-id.
    pub fn generated(seed: u64, index: usize, mix: Mix) -> Self {
        Self::text(&format!("uid-{seed}-{index}"), &message(seed, index, mix))
    }

    /// Generated messages 1 to `count`, with seed 1.
    pub fn several(count: usize, mix: Mix) -> Vec<Self> {
        (1..=count).map(|index| Self::generated(1, index, mix)).collect()
    }

    /// A message of at least this many octets that is made while it is sent.
    pub fn large(uid: &str, index: usize, octets: u64) -> Self {
        let mut large = Self::text(uid, &message(1, index, Mix::Tiny));
        while large.block.len() < BLOCK_OCTETS {
            let line = large.block.len();
            // One line in each block must be stuffed.
            let start = if line == 0 { ".dot" } else { "line" };
            large.block.extend_from_slice(format!("{start} {line:08} {:-<60}\r\n", "").as_bytes());
        }
        large.stuffed_block = stuff(&large.block);
        large.blocks = octets.div_ceil(large.block.len() as u64);
        large
    }

    /// Sets what LIST and STAT say.
    pub fn listed(self, octets: u64) -> Self {
        Self { listed_octets: Some(octets), ..self }
    }

    /// The same message under another unique-id.
    pub fn named(self, uid: &[u8]) -> Self {
        Self { uid: Some(uid.to_vec()), ..self }
    }

    /// Sets what the test knows it by.
    pub fn tagged(self, tag: usize) -> Self {
        Self { tag, ..self }
    }

    /// Takes the unique-id away.
    pub fn without_uid(self) -> Self {
        Self { uid: None, ..self }
    }

    /// The true size on the wire, dots unstuffed.
    pub fn octets(&self) -> u64 {
        self.head.len() as u64 + self.blocks * self.block.len() as u64
    }

    /// The message piece by piece, as it goes over the wire without its final dot.
    pub fn pieces(&self, stuffed: bool) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let head = if stuffed { Cow::Owned(stuff(&self.head)) } else { Cow::Borrowed(&self.head[..]) };
        let block = if stuffed { &self.stuffed_block } else { &self.block };
        std::iter::once(head).chain((0..self.blocks).map(move |_| Cow::Borrowed(&block[..])))
    }

    /// The header and this many lines of the body, as TOP wants them.
    pub fn top(&self, lines: usize) -> Vec<u8> {
        let body = self.head.windows(4).position(|four| four == b"\r\n\r\n");
        let mut end = body.map_or(self.head.len(), |at| at + 4);
        for _ in 0..lines {
            let Some(newline) = self.head[end..].iter().position(|&byte| byte == b'\n') else {
                end = self.head.len();
                break;
            };
            end += newline + 1;
        }
        stuff(&self.head[..end])
    }

    /// The SHA-256 of the message as it goes over the wire, dots unstuffed.
    pub fn wire_sha256(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.pieces(false).for_each(|piece| hash.update(&piece));
        hash.finalize().into()
    }

    /// Its mark and the SHA-256 of what a Maildir must get, if it carries a mark.
    pub fn expectation(&self) -> Option<(String, [u8; 32])> {
        let mark = mark(&self.head)?;
        let mut hash = Sha256::new();
        hash.update(as_stored(&self.head));
        let block = as_stored(&self.block);
        for _ in 0..self.blocks {
            hash.update(&block);
        }
        Some((mark, hash.finalize().into()))
    }
}

/// Doubles the dot at the beginning of a line.
pub fn stuff(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + 16);
    for (at, &byte) in octets.iter().enumerate() {
        if byte == b'.' && (at == 0 || octets[..at].ends_with(b"\r\n")) {
            out.push(b'.');
        }
        out.push(byte);
    }
    out
}

/// What QUIT does after a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quit {
    /// Deletes and answers +OK.
    Answer,
    /// Deletes nothing and answers -ERR.
    Refuse,
    /// Deletes and closes without an answer.
    DeleteSilently,
    /// Closes without an answer and deletes nothing.
    Vanish,
}

/// How the server differs from an honest one.  A command is named by its beginning:
/// `RETR` means all, `RETR 3` that of the session's third message.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// The first line.
    pub greeting: String,
    /// What CAPA lists; `None`: CAPA is refused.
    pub capabilities: Option<Vec<String>>,
    /// What CAPA lists after the login, if it is something else.
    pub capabilities_after_login: Option<Vec<String>>,
    /// The answer to PASS and AUTH instead of a login.
    pub refuse_login: Option<String>,
    /// The one line that answers a command instead of what it asks for.
    pub answers: Vec<(String, String)>,
    /// The access tokens that XOAUTH2 and OAUTHBEARER take.
    pub tokens: Vec<String>,
    /// Unique-ids that this time are not listed.
    pub hidden: Vec<String>,
    /// Leaves dots at line beginnings as they are.
    pub unstuffed: bool,
    /// What QUIT does.
    pub quit: Quit,
    /// Reads this command and says nothing more.
    pub hang_at: Option<String>,
    /// Closes instead of answering this command.
    pub drop_at: Option<String>,
    /// Closes instead of answering this command of the connection, by its number.
    pub drop_at_nth: Option<usize>,
    /// Sends octets that nobody asked for in one piece with the answer to this command.
    pub inject_after: Option<(String, Vec<u8>)>,
    /// Closes after this many octets of a connection.
    pub cut_after_octets: Option<u64>,
    /// Closes after this many octets of the answer to RETR of a message.
    pub cut_in_retr: Option<(usize, u64)>,
    /// Sends what RETR asks for in parts of this many octets, which the client reads one by one.
    pub retr_part: Option<usize>,
    /// QUIT deletes what was retrieved.
    pub pops: bool,
    /// Says nothing more after this many octets of the answer to RETR of a message.
    pub hang_in_retr: Option<(usize, u64)>,
    /// What happens at one message.
    pub poison: Option<Poison>,
    /// Only this many connections, counted from the server's start, hang, drop,
    /// inject or cut.
    pub faulty_connections: usize,
}

/// What a server does instead of answering a command about one message.
#[derive(Clone, Debug)]
pub struct Poison {
    /// The command's verb.
    pub verb: &'static str,
    /// The message's unique-id; empty: every message.
    pub uid: String,
    /// What it sends.
    pub sends: &'static str,
    /// It closes then.
    pub closes: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        let capabilities = ["TOP", "UIDL", "USER", "SASL PLAIN", "RESP-CODES", "PIPELINING"];
        Self {
            greeting: "+OK ready".to_owned(),
            capabilities: Some(capabilities.map(str::to_owned).to_vec()),
            capabilities_after_login: None,
            refuse_login: None,
            answers: Vec::new(),
            tokens: Vec::new(),
            hidden: Vec::new(),
            unstuffed: false,
            quit: Quit::Answer,
            hang_at: None,
            drop_at: None,
            drop_at_nth: None,
            inject_after: None,
            cut_after_octets: None,
            cut_in_retr: None,
            retr_part: None,
            pops: false,
            hang_in_retr: None,
            poison: None,
            faulty_connections: usize::MAX,
        }
    }
}

impl Behaviour {
    /// The same without what only the first connections suffer.
    pub fn without_faults(self) -> Self {
        Self {
            hang_at: None,
            drop_at: None,
            drop_at_nth: None,
            inject_after: None,
            cut_after_octets: None,
            cut_in_retr: None,
            hang_in_retr: None,
            ..self
        }
    }
}
