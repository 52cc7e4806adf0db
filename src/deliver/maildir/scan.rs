//! What a Maildir shows of a state that was lost: which messages it holds, by the names of its
//! files, in all of its folders.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use blake3::Hasher;

use super::error::{MaildirError, failure};
use super::name::NameParts;
use crate::filesystem::{owner, private};
use crate::header::{self, Head, SCAN_LIMIT};
use crate::message::UnixTime;

/// Levels of folders that are looked into: mail is rarely sorted deeper.
const DEPTH: usize = 12;

/// A trace header longer than this is not ours.
const TRACE_LIMIT: usize = 4096;

/// A file of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its path below the Maildir.
    pub path: String,
    /// When it was made.
    pub at: UnixTime,
    /// Identifies its message.
    pub token: String,
}

/// Every file of ours in `new` and `cur` of a Maildir and of the folders in it, whether they are called
/// `.Archive` or `Archive`.  `instance`: only those of one state directory.
///
/// # Errors
/// It is not there, or a part of it cannot be read.
pub fn scan(maildir: &Path, instance: Option<&str>) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    if let Some(foreign) = owner::foreign(maildir)? {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, foreign.to_string()));
    }
    for sub in ["new", "cur"] {
        std::fs::read_dir(maildir.join(sub))?;
    }
    folder(maildir, "", instance, DEPTH, &mut found)?;
    Ok(found)
}

fn folder(maildir: &Path, below: &str, instance: Option<&str>, depth: usize, found: &mut Vec<Found>) -> io::Result<()> {
    for entry in std::fs::read_dir(maildir.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if depth == 0 || name == "tmp" || !entry.file_type()?.is_dir() {
            continue;
        }
        let path = format!("{below}{name}/");
        match name {
            "new" | "cur" => messages(maildir, &path, instance, found)?,
            _ => folder(maildir, &path, instance, depth - 1, found)?,
        }
    }
    Ok(())
}

fn messages(maildir: &Path, below: &str, instance: Option<&str>, found: &mut Vec<Found>) -> io::Result<()> {
    for entry in std::fs::read_dir(maildir.join(below))? {
        let name = entry?.file_name();
        let Some(parts) = name.to_str().and_then(NameParts::of) else { continue };
        if instance.is_none_or(|instance| instance == parts.instance) {
            let path = format!("{below}{}", name.to_string_lossy());
            found.push(Found { path, at: parts.at, token: parts.token.to_owned() });
        }
    }
    Ok(())
}

/// A Maildir that cannot be read.
pub fn scan_failure(maildir: &Path, error: &io::Error) -> MaildirError {
    failure(maildir, "cannot be read, and the state was lost", error)
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Octets without the trace header that was put before the message, and without mbox lines, which were not
    /// always dropped.
    pub octets: u64,
    /// BLAKE3 of the same.
    pub digest: [u8; 32],
    /// There is a header and nothing after it.
    pub header_only: bool,
    /// What its header says.
    pub head: Head,
}

/// Reads a message as it was delivered.
///
/// # Errors
/// It is not there any more, or cannot be read.
pub fn hold(path: &Path) -> io::Result<Held> {
    let mut file = BufReader::with_capacity(1 << 16, private::open(path, File::options().read(true))?);
    skip_trace(&mut file)?;
    let lines = header::envelope_lines(file.fill_buf()?);
    file.consume(lines);
    let (mut hash, mut octets, mut end) = (Hasher::new(), 0_u64, End::default());
    let (mut piece, mut beginning) = (vec![0; 1 << 16], Vec::new());
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            let (digest, head) = (hash.finalize().into(), Head::scan(&beginning));
            return Ok(Held { octets, digest, header_only: !end.has_body, head });
        }
        hash.update(&piece[..read]);
        beginning.extend_from_slice(&piece[..read.min(SCAN_LIMIT - beginning.len())]);
        octets += read as u64;
        end.look(&piece[..read]);
    }
}

/// Skips the `Received:` field of [`crate::trace`], if the file begins with one.
fn skip_trace(file: &mut BufReader<File>) -> io::Result<()> {
    let seen = file.fill_buf()?;
    let seen = &seen[..seen.len().min(TRACE_LIMIT)];
    let mut end = 0;
    while let Some(line) = memchr::memchr(b'\n', &seen[end..]) {
        end += line + 1;
        if !matches!(seen.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    let field = &seen[..end];
    let is_ours = field.starts_with(b"Received: from ") && memchr::memmem::find(field, b" (postrider);").is_some();
    file.consume(if is_ours { end } else { 0 });
    Ok(())
}

/// Looks for anything after the header's end, across pieces.
struct End {
    after_header: bool,
    at_line_start: bool,
    has_body: bool,
}

impl Default for End {
    fn default() -> Self {
        Self { after_header: false, at_line_start: true, has_body: false }
    }
}

impl End {
    fn look(&mut self, piece: &[u8]) {
        for &octet in piece {
            if self.has_body {
                return;
            }
            match (self.after_header, octet) {
                (true, _) => self.has_body = true,
                (false, b'\n') if self.at_line_start => self.after_header = true,
                (false, b'\n') => self.at_line_start = true,
                (false, _) => self.at_line_start = false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageKey, Origin};

    fn name(uid: &[u8], instance: &str) -> String {
        let key = MessageKey::new(uid, 0).expect("a key");
        super::super::file_name("P1Q2", instance, &Origin::new("a").expect("an origin"), &key)
    }

    #[test]
    fn every_folder_is_looked_into_and_only_files_of_this_state_directory_count() {
        let dir = tempfile::tempdir().expect("a directory");
        for sub in ["new", "cur", "tmp", ".Archive/cur", ".Archive/new", "Sorted/2026/cur"] {
            std::fs::create_dir_all(dir.path().join(sub)).expect("made");
        }
        for path in [
            format!("new/{}", name(b"1", "mine")),
            format!("cur/{}:2,S", name(b"2", "mine")),
            format!(".Archive/cur/{},S=5:2,RS", name(b"3", "mine")),
            format!("Sorted/2026/cur/{}", name(b"4", "mine")),
            format!("tmp/{}", name(b"5", "mine")),
            format!("new/{}", name(b"6", "theirs")),
            "new/1700000000.V1.host".to_owned(),
            ".Archive/dovecot-uidlist".to_owned(),
        ] {
            std::fs::write(dir.path().join(path), "x").expect("written");
        }
        let mut found = scan(dir.path(), Some("mine")).expect("read");
        found.sort_by(|a, b| a.path.cmp(&b.path));
        let folders: Vec<_> = found.iter().map(|found| found.path.rsplit_once('/').expect("a folder").0).collect();
        assert_eq!(folders, [".Archive/cur", "Sorted/2026/cur", "cur", "new"]);
        assert_eq!(scan(dir.path(), None).expect("read").len(), 5);
        std::fs::remove_dir_all(dir.path().join("new")).expect("removed");
        scan(dir.path(), None).expect_err("a Maildir without new/ is none");
    }

    #[test]
    fn a_file_tells_the_message_without_what_was_put_before_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("m");
        let ours = "Received: from h\n\tby b with POP3 (postrider);\n\tTue, 24 Nov 2026 22:05:38 +0000\n";
        for (text, before, header_only) in [
            ("Subject: x\n\nbody\n", ours, false),
            ("Subject: x\n\nbody\n", "", false),
            ("Received: from other\n\tby them; today\nSubject: x\n\n", ours, true),
            ("Subject: x\n", ours, true),
            ("\nbody\n", "", false),
            ("Received: from other\n\tby them; today\n\nbody", "", false),
        ] {
            std::fs::write(&path, format!("{before}{text}")).expect("written");
            let held = hold(&path).expect("read");
            let digest: [u8; 32] = blake3::hash(text.as_bytes()).into();
            let head = Head::scan(text.as_bytes());
            assert_eq!(held, Held { octets: text.len() as u64, digest, header_only, head }, "{text:?}");
        }
    }
}
