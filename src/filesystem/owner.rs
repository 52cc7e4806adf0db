//! Who owns a file, who else may change it, and so whether it is obeyed, written to, or left alone.
//!
//! * What root works in must be root's from `/` down ([`foreign`]): the owner of a part of the path
//!   may put a link there, and lead root to any file of the machine.
//! * What is obeyed (a configuration, a password file) must belong to root or this user, and nobody
//!   else may write it ([`fault`]), as with ssh and sudo.
//! * Where this user is denied access, [`obstacle`] names the file or folder that is closed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use super::people::{self, Person};

/// The most links of one path that are followed, as in the kernel (path_resolution(7)).
const LINK_LIMIT: usize = 40;

const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A part of a path that somebody other than root may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The part.
    pub path: PathBuf,
    /// Its owner; root, if everybody may change it.
    pub owner: Person,
    /// Its owner's group.
    pub group: u32,
    mode: u32,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, owner, mode, .. } = self;
        if owner.is_root() {
            write!(f, "{} can be changed by every user (mode {mode:04o})", path.display())
        } else {
            write!(f, "{} belongs to {owner}", path.display())
        }
    }
}

/// The first part of a path that somebody other than root may change; `None` if there is none, or
/// this process is not root's.  Missing parts of the path are going to be root's.
///
/// # Errors
/// The path cannot be looked at.
pub(crate) fn foreign(path: &Path) -> io::Result<Option<Foreign>> {
    if !Person::me().is_root() {
        return Ok(None);
    }
    walk(path, &|path| Ok(Part::of(&path.symlink_metadata()?)))
}

/// The metadata of a part of a path.
#[derive(Clone, Copy, Debug)]
struct Part {
    owner: u32,
    group: u32,
    mode: u32,
    is_link: bool,
    is_folder: bool,
}

impl Part {
    fn of(metadata: &Metadata) -> Self {
        Self {
            owner: metadata.uid(),
            group: metadata.gid(),
            mode: metadata.mode() & 0o7777,
            is_link: metadata.is_symlink(),
            is_folder: metadata.is_dir(),
        }
    }

    fn is_foreign(self) -> bool {
        let is_roots = self.owner == 0 || people::may_be_hidden_root(self.owner);
        !is_roots || self.is_folder && self.mode & (OTHERS_WRITE | STICKY) == OTHERS_WRITE
    }
}

fn walk(path: &Path, look: &dyn Fn(&Path) -> io::Result<Part>) -> io::Result<Option<Foreign>> {
    let mut left: VecDeque<OsString> = names(path);
    let (mut at, mut links) = (PathBuf::from("/"), 0);
    left.push_front(".".into());
    while let Some(name) = left.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = if name == "." { at.clone() } else { at.join(&name) };
        let part = match look(&next) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            part => part?,
        };
        if part.is_foreign() {
            let (owner, group, mode) = (Person(part.owner), part.group, part.mode);
            return Ok(Some(Foreign { path: next, owner, group, mode }));
        }
        if !part.is_link {
            at = next;
            continue;
        }
        links += 1;
        if links > LINK_LIMIT {
            return Err(rustix::io::Errno::LOOP.into());
        }
        let target = std::fs::read_link(&next)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            left.push_front(name);
        }
    }
    Ok(None)
}

/// The names of a path's parts.
fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part: Component<'_>| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

/// Why a file or folder is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is neither root's nor this user's.
    Owner {
        /// Its owner.
        owner: Person,
        /// Its group.
        group: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// Everybody may write it, or its group, which has other members.
    Writable {
        /// Its permission bits.
        mode: u32,
    },
}

impl Fault {
    /// The fault, in words that follow the file's name, and how to fix it.
    pub(crate) fn told(&self, path: &Path) -> String {
        match *self {
            Fault::Writable { mode } => {
                format!("may be written by others (mode {mode:04o}): chmod go-w {}", path.display())
            }
            Fault::Owner { owner, mode, group } => {
                let me = Person::me();
                let way = if me.is_root() {
                    format!("run `{}`", command_as(owner, group))
                } else {
                    format!("only what is {me}'s or root's is used")
                };
                format!("belongs to {owner} (mode {mode:04o}): {way}")
            }
        }
    }
}

/// Why a file or folder is not obeyed; `None`: it belongs to root or this user, and nobody else may
/// write it.  Its group may, if root and this user are the only known members.
pub(crate) fn fault(metadata: &Metadata) -> Option<Fault> {
    // Write access to a terminal or to /dev/null gives no control over what is read from it.
    if metadata.file_type().is_char_device() {
        return None;
    }
    judge(Part::of(metadata), Person::me(), &people::may_be_hidden_root, &people::members)
}

/// Whether others than its owner may read or change a file with a secret.  The group may read a file of root's:
/// that way the service itself cannot change it (root:postrider 0640).
pub(crate) fn is_open_to_others(mode: u32, owner: u32) -> bool {
    let open = mode & 0o077;
    open != 0 && !(open == 0o040 && owner == 0)
}

/// [`fault`] for a folder in which others may make files of their own, which are judged
/// separately: `/tmp`.
pub(crate) fn fault_of_shared(metadata: &Metadata) -> Option<Fault> {
    let part = Part::of(metadata);
    match part.mode & STICKY {
        0 => fault(metadata),
        _ => judge(Part { mode: 0, ..part }, Person::me(), &people::may_be_hidden_root, &people::members),
    }
}

fn judge(
    part: Part,
    me: Person,
    may_be_root: &dyn Fn(u32) -> bool,
    members: &dyn Fn(u32) -> Vec<u32>,
) -> Option<Fault> {
    let Part { owner, group, mode, .. } = part;
    let is_trusted = |uid: u32| uid == 0 || uid == me.0;
    if !is_trusted(owner) && !may_be_root(owner) {
        return Some(Fault::Owner { owner: Person(owner), group, mode });
    }
    let is_private = || {
        let members = members(group);
        !members.is_empty() && members.into_iter().all(is_trusted)
    };
    let is_open = mode & OTHERS_WRITE != 0 || mode & GROUP_WRITES != 0 && !is_private();
    is_open.then_some(Fault::Writable { mode })
}

/// A file or folder that this user may not enter, read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// The file or folder.
    pub path: PathBuf,
    owner: Person,
    mode: u32,
}

impl Obstacle {
    /// Its owner, in words that follow an error about `path`.
    pub(crate) fn told(&self, path: &Path) -> String {
        let Self { path: own, owner, mode } = self;
        if own == path {
            format!("it belongs to {owner} (mode {mode:04o})")
        } else {
            format!("{} belongs to {owner} (mode {mode:04o})", own.display())
        }
    }
}

/// The part of a path that is closed to this user; `None` if none is, or it cannot be determined.
pub(crate) fn obstacle(path: &Path) -> Option<Obstacle> {
    let is_barred = |path: &Path, access| {
        rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS) == Err(rustix::io::Errno::ACCESS)
    };
    let above: Vec<&Path> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
    let closed = above.iter().rev().copied().find(|folder| is_barred(folder, Access::EXEC_OK));
    let itself = || is_barred(path, Access::READ_OK | Access::WRITE_OK).then_some(path);
    let parent = || above.first().copied().filter(|folder| is_barred(folder, Access::WRITE_OK));
    let at = closed.or_else(itself).or_else(parent)?;
    let metadata = at.metadata().ok()?;
    Some(Obstacle { path: at.to_owned(), owner: Person(metadata.uid()), mode: metadata.mode() & 0o7777 })
}

/// An error about a path, with the owner where permissions are the reason.
pub(crate) fn explained(path: &Path, error: &io::Error) -> String {
    let obstacle = (error.kind() == ErrorKind::PermissionDenied).then(|| obstacle(path)).flatten();
    match obstacle {
        Some(obstacle) => format!("{error}; {}", obstacle.told(path)),
        None => error.to_string(),
    }
}

/// The command line that runs this command as somebody else.
pub(crate) fn command_as(person: Person, group: u32) -> String {
    let words: Vec<String> = std::env::args_os().map(|word| quoted(&word.to_string_lossy())).collect();
    match person.name() {
        Some(name) => format!("runuser -u {} -- {}", quoted(&name), words.join(" ")),
        None => format!("setpriv --reuid={} --regid={group} --clear-groups {}", person.0, words.join(" ")),
    }
}

/// A word, quoted for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests;
