//! What must arrive in a Maildir, and the verdict on what did.

use super::mail::{Fill, message};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// How many octets at the start of a message are searched for its mark.
const HEAD_OCTETS: usize = 64 * 1024;

/// Headers that a delivery may put before a message.
const TRACE_HEADERS: [&str; 5] = ["received", "return-path", "delivered-to", "x-original-to", "envelope-to"];

/// How a message's own first header begins; no trace header is looked for from there on.
const OWN_FIRST_HEADER: &[u8] = b"Received: from test.invalid";

type Hash = [u8; 32];

/// The messages that must arrive: mark and content, with LF and a final newline.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    wanted: BTreeMap<String, Hash>,
}

impl Manifest {
    /// The manifest of generated messages.
    pub fn of(fill: &Fill) -> Self {
        let mut manifest = Self::default();
        for index in fill.indexes() {
            manifest.add(&message(fill.seed, index, fill.mix));
        }
        manifest
    }

    /// Adds a message, with LF or CRLF; it must have an `X-Test-Message` header.
    pub fn add(&mut self, message: &[u8]) {
        let lf = as_stored(message);
        let mark = mark(&lf).expect("an X-Test-Message header");
        self.add_hash(mark, Sha256::digest(&lf).into());
    }

    /// Adds a message by the SHA-256 of its content with LF.
    pub fn add_hash(&mut self, mark: String, sha256: Hash) {
        let before = self.wanted.insert(mark.clone(), sha256);
        assert!(before.is_none_or(|hash| hash == sha256), "two messages are marked {mark}");
    }

    /// Adds what is in another manifest.
    pub fn merge(&mut self, other: Manifest) {
        self.wanted.extend(other.wanted);
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Whether nothing must arrive.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Compares the `new` and `cur` of a Maildir with the manifest, byte for byte.
    /// A Maildir that does not exist is an empty one.
    pub fn verify(&self, maildir: &Path) -> Verdict {
        let mut verdict = Verdict { expected: self.len(), ..Verdict::default() };
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for path in ["new", "cur"].iter().flat_map(|sub| files(&maildir.join(sub))) {
            let (mark, hash) = examine(&path);
            match mark.and_then(|mark| Some((self.wanted.get(&mark)?, mark))) {
                None => verdict.unknown.push(path),
                Some((wanted, mark)) => {
                    verdict.found += 1;
                    *seen.entry(mark).or_default() += 1;
                    if *wanted != hash {
                        verdict.corrupt.push(path);
                    }
                }
            }
        }
        verdict.missing = self.wanted.keys().filter(|mark| !seen.contains_key(*mark)).cloned().collect();
        verdict.duplicate = seen.into_iter().filter(|(_, count)| *count > 1).map(|(mark, _)| mark).collect();
        verdict.left_in_tmp = files(&maildir.join("tmp")).len();
        verdict
    }
}

/// What a Maildir holds, compared with what it should hold.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Messages of the manifest.
    pub expected: usize,
    /// Files that carry a mark of the manifest.
    pub found: usize,
    /// Marks that are nowhere.
    pub missing: Vec<String>,
    /// Marks that are there more than once.
    pub duplicate: Vec<String>,
    /// Files whose content differs.
    pub corrupt: Vec<PathBuf>,
    /// Files that are not in the manifest.
    pub unknown: Vec<PathBuf>,
    /// Files in `tmp`.
    pub left_in_tmp: usize,
}

impl Verdict {
    /// Every message once, byte for byte, and nothing else, not even in `tmp`.
    #[track_caller]
    pub fn assert_exactly_once(&self) {
        self.assert_nothing_wrong();
        assert!(self.missing.is_empty() && self.left_in_tmp == 0, "{self}");
    }

    /// What is there is right and there once; messages may still be missing.
    #[track_caller]
    pub fn assert_nothing_wrong(&self) {
        let wrong = self.duplicate.len() + self.corrupt.len() + self.unknown.len();
        assert!(wrong == 0, "{self}");
    }

    /// Every message at least once and unharmed: what SMTP and commands promise.
    #[track_caller]
    pub fn assert_at_least_once(&self) {
        let wrong = self.missing.len() + self.corrupt.len() + self.unknown.len();
        assert!(wrong == 0, "{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "expected {} found {} missing {} duplicate {} corrupt {} unknown {} left in tmp {}",
            self.expected,
            self.found,
            self.missing.len(),
            self.duplicate.len(),
            self.corrupt.len(),
            self.unknown.len(),
            self.left_in_tmp
        )?;
        let some = 5;
        for mark in self.missing.iter().take(some) {
            writeln!(out, "  missing: {mark}")?;
        }
        for mark in self.duplicate.iter().take(some) {
            writeln!(out, "  duplicate: {mark}")?;
        }
        for path in self.corrupt.iter().take(some) {
            writeln!(out, "  corrupt: {}", path.display())?;
        }
        for path in self.unknown.iter().take(some) {
            writeln!(out, "  unknown: {}", path.display())?;
        }
        Ok(())
    }
}

/// A message as a Maildir must get it: CRLF as LF, a newline at the end, nothing else changed.
pub fn as_stored(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1);
    for (position, &byte) in message.iter().enumerate() {
        if byte != b'\r' || message.get(position + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    if out.last() != Some(&b'\n') {
        out.push(b'\n');
    }
    out
}

/// The value of the `X-Test-Message` header.
pub fn mark(head: &[u8]) -> Option<String> {
    head.split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"X-Test-Message: "))
        .map(|value| String::from_utf8_lossy(value).trim_end().to_owned())
}

/// Where a message begins behind the trace headers that were put before it.
fn own_start(head: &[u8]) -> usize {
    let mut start = 0;
    while !head[start..].starts_with(OWN_FIRST_HEADER) {
        let rest = &head[start..];
        let name_end = rest.iter().position(|byte| matches!(byte, b':' | b'\n')).unwrap_or(0);
        let name = String::from_utf8_lossy(&rest[..name_end]).to_ascii_lowercase();
        if !TRACE_HEADERS.contains(&name.as_str()) {
            break;
        }
        start += header_octets(rest);
    }
    start
}

/// The length of the first header field, its folded lines included.
fn header_octets(head: &[u8]) -> usize {
    let mut end = 0;
    loop {
        match head[end..].iter().position(|&byte| byte == b'\n') {
            None => return head.len(),
            Some(newline) => end += newline + 1,
        }
        if !matches!(head.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

/// Reads a file of any size in pieces.
fn examine(path: &Path) -> (Option<String>, Hash) {
    let mut file = File::open(path).expect("open a message");
    let mut head = Vec::new();
    file.by_ref().take(HEAD_OCTETS as u64).read_to_end(&mut head).expect("read a message");
    let start = own_start(&head);
    let mut hash = Sha256::new();
    hash.update(&head[start..]);
    let mut piece = vec![0; HEAD_OCTETS];
    loop {
        match file.read(&mut piece).expect("read a message") {
            0 => break,
            octets => hash.update(&piece[..octets]),
        }
    }
    (mark(&head), hash.finalize().into())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .map(|entries| entries.map(|entry| entry.expect("directory entry").path()).collect())
        .unwrap_or_default()
}
