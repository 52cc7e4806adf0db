//! What a call does to the disk or says to the mailbox's server.
//!
//! Paths are relative to the program's home.  A call that could change a file and is not
//! understood is an error: a record with a gap would prove nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::trace::{Call, octets, path};

/// The calls to be recorded: those that are understood, and those that must not come.
pub const CALLS: &str = "open,openat,creat,mkdir,mkdirat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,\
    fallocate,copy_file_range,sendfile,splice,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,\
    rmdir,fsync,fdatasync,sync_file_range,syncfs,sync,msync,sendto,sendmsg,recvfrom,recvmsg,io_uring_setup";

/// The folders of the program's home that are recorded.
const RECORDED: [&str; 2] = ["state", "home"];

/// One thing that a call does.
#[derive(Clone, Debug)]
pub enum Operation {
    /// An empty file is created.
    Create(PathBuf),
    /// A directory is created.
    MakeDirectory(PathBuf),
    /// Octets are written at an offset.
    Write { path: PathBuf, offset: u64, data: Vec<u8> },
    /// A file is truncated, or extended with zeros.
    Resize { path: PathBuf, octets: u64 },
    /// A file gets a second name.
    Link { from: PathBuf, to: PathBuf },
    /// A file gets another name instead of its old one.
    Rename { from: PathBuf, to: PathBuf },
    /// A file loses a name.
    Remove(PathBuf),
    /// A file or directory is made durable.
    Sync(PathBuf),
    /// Everything is made durable.
    SyncAll,
    /// The server is told something.
    Say(Vec<u8>),
    /// The server is heard.
    Hear(Vec<u8>),
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(path) => write!(out, "create {}", path.display()),
            Self::MakeDirectory(path) => write!(out, "make the directory {}", path.display()),
            Self::Write { path, offset, data } => write!(out, "write {} at {offset} of {}", data.len(), path.display()),
            Self::Resize { path, octets } => write!(out, "cut {} to {octets}", path.display()),
            Self::Link { to, .. } => write!(out, "link to {}", to.display()),
            Self::Rename { to, .. } => write!(out, "rename to {}", to.display()),
            Self::Remove(path) => write!(out, "remove {}", path.display()),
            Self::Sync(path) => write!(out, "sync {}", path.display()),
            Self::SyncAll => write!(out, "sync everything"),
            Self::Say(octets) => write!(out, "say {:.40?}", String::from_utf8_lossy(octets)),
            Self::Hear(octets) => write!(out, "hear {:.40?}", String::from_utf8_lossy(octets)),
        }
    }
}

/// Understands calls one after the other.
pub struct Interpreter {
    home: PathBuf,
    files: BTreeSet<PathBuf>,
    /// Where the next write(2) goes; each of the files is open once.
    positions: BTreeMap<PathBuf, u64>,
}

impl Interpreter {
    /// For a program in `home`, in which these files exist.
    pub fn new(home: &Path, files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { home: home.to_owned(), files: files.into_iter().collect(), positions: BTreeMap::new() }
    }

    /// What a call does; nothing if it concerns other files.
    pub fn understand(&mut self, call: &Call) -> Vec<Operation> {
        let argument = |at: usize| call.arguments.get(at).map_or("", String::as_str);
        let number = |at: usize| argument(at).parse().unwrap_or_else(|_| panic!("no number: {call:?}"));
        match call.name.as_str() {
            "sendto" => return vec![Operation::Say(octets(argument(1)))],
            "recvfrom" => return vec![Operation::Hear(octets(argument(1)))],
            "sendmsg" | "recvmsg" | "io_uring_setup" | "sync" => panic!("not understood: {call:?}"),
            _ => {}
        }
        match call.name.as_str() {
            "open" | "creat" => self.open(call, argument(1)),
            "openat" => self.open(call, argument(2)),
            "mkdir" => self.named("", argument(0)).into_iter().map(Operation::MakeDirectory).collect(),
            "write" => self.append(argument(0), octets(argument(1))),
            "pwrite64" => {
                let write = |path| Operation::Write { path, offset: number(3), data: octets(argument(1)) };
                self.opened(argument(0)).map(write).into_iter().collect()
            }
            "ftruncate" => {
                let resize = |path| Operation::Resize { path, octets: number(1) };
                self.opened(argument(0)).map(resize).into_iter().collect()
            }
            "rename" => self.rename(("", argument(0)), ("", argument(1))),
            "renameat" | "renameat2" => self.rename((argument(0), argument(1)), (argument(2), argument(3))),
            "link" => self.link(("", argument(0)), ("", argument(1))),
            "linkat" => self.link((argument(0), argument(1)), (argument(2), argument(3))),
            "unlink" => self.remove("", argument(0)),
            "unlinkat" => self.remove(argument(0), argument(1)),
            "fsync" | "fdatasync" => self.opened(argument(0)).map(Operation::Sync).into_iter().collect(),
            // All that is recorded lies on one file system.
            "syncfs" => vec![Operation::SyncAll],
            _ => {
                let concerned = call.arguments.iter().find_map(|argument| self.opened(argument));
                assert!(concerned.is_none(), "not understood: {call:?}");
                Vec::new()
            }
        }
    }

    fn open(&mut self, call: &Call, flags: &str) -> Vec<Operation> {
        let Some(path) = self.opened(&call.result) else { return Vec::new() };
        if flags.contains("O_DIRECTORY") {
            return Vec::new();
        }
        assert!(!flags.contains("O_APPEND"), "not understood: {call:?}");
        self.positions.insert(path.clone(), 0);
        if flags.contains("O_CREAT") && self.files.insert(path.clone()) {
            return vec![Operation::Create(path)];
        }
        if flags.contains("O_TRUNC") { vec![Operation::Resize { path, octets: 0 }] } else { Vec::new() }
    }

    fn append(&mut self, descriptor: &str, data: Vec<u8>) -> Vec<Operation> {
        let Some(path) = self.opened(descriptor) else { return Vec::new() };
        let position = self.positions.entry(path.clone()).or_default();
        let offset = *position;
        *position += data.len() as u64;
        vec![Operation::Write { path, offset, data }]
    }

    fn rename(&mut self, from: (&str, &str), to: (&str, &str)) -> Vec<Operation> {
        let (Some(from), Some(to)) = (self.named(from.0, from.1), self.named(to.0, to.1)) else { return Vec::new() };
        self.files.remove(&from);
        self.files.insert(to.clone());
        vec![Operation::Rename { from, to }]
    }

    fn link(&mut self, from: (&str, &str), to: (&str, &str)) -> Vec<Operation> {
        let (Some(from), Some(to)) = (self.named(from.0, from.1), self.named(to.0, to.1)) else { return Vec::new() };
        self.files.insert(to.clone());
        vec![Operation::Link { from, to }]
    }

    fn remove(&mut self, directory: &str, name: &str) -> Vec<Operation> {
        let Some(path) = self.named(directory, name) else { return Vec::new() };
        self.files.remove(&path);
        vec![Operation::Remove(path)]
    }

    /// The recorded path of an open file.
    fn opened(&self, descriptor: &str) -> Option<PathBuf> {
        self.recorded(&path(descriptor)?)
    }

    /// The recorded path of a name in a directory.
    fn named(&self, directory: &str, name: &str) -> Option<PathBuf> {
        let name = PathBuf::from(OsString::from_vec(octets(name)));
        let name = match name.strip_prefix("/proc/self/cwd") {
            Ok(in_home) => self.home.join(in_home),
            Err(_) => path(directory).unwrap_or_else(|| self.home.clone()).join(name),
        };
        self.recorded(&name)
    }

    /// The home itself is recorded too, for the names in it.  What SQLite shares between
    /// processes is in memory only.
    fn recorded(&self, path: &Path) -> Option<PathBuf> {
        let path = path.strip_prefix(&self.home).ok()?;
        let is_ours = path.as_os_str().is_empty() || RECORDED.iter().any(|folder| path.starts_with(folder));
        let is_shared_memory = path.to_string_lossy().ends_with("-shm");
        (is_ours && !is_shared_memory).then(|| path.to_owned())
    }
}
