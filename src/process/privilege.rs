//! Root's commands act as the owner of the state directory that they work in.
//!
//! The directory's owner may have put links in it, and could not use files that root would leave
//! there.  So root permanently gives up its rights, groups and environment before it touches
//! anything in the directory, as if the command were run by runuser(1).  Root becomes the first
//! owner along the path who is not root, since that user controls everything below.

use std::ffi::{CString, OsString};
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, getresuid, initgroups, setgroups, setresgid, setresuid};

use crate::failure::{Class, Failure};
use crate::filesystem::Person;
use crate::filesystem::owner::{self, Foreign};

/// Variables that would lead to root's folders and session.
const OF_ROOT: [&str; 9] = [
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "MAIL",
    "SSH_AUTH_SOCK",
    "GNUPGHOME",
];

/// Root cannot act as the owner of a state directory.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum PrivilegeError {
    #[error("state directory {}: {source}", path.display())]
    Look { path: PathBuf, source: io::Error },
    #[error("state directory {}: {foreign}", path.display())]
    Open { path: PathBuf, foreign: Foreign },
    #[error("{foreign}, and root cannot act as {}: {cause}", foreign.owner)]
    Refused { foreign: Foreign, cause: io::Error },
}

impl Failure for PrivilegeError {
    fn class(&self) -> Class {
        Class::LocalIo
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            PrivilegeError::Look { .. } => "Check `state-dir`, and the folders above it.".to_owned(),
            PrivilegeError::Open { foreign, .. } => {
                format!("Close that folder to others: `chmod o-w {}`.", foreign.path.display())
            }
            PrivilegeError::Refused { foreign: Foreign { owner, group, .. }, .. } => {
                format!("Run it as {owner}: `{}`.", owner::command_as(*owner, *group))
            }
        })
    }
}

/// The user that root acts as from now on.
#[derive(Debug)]
pub struct Acting {
    /// The foreign folder that is the reason, with its owner.
    pub foreign: Foreign,
    /// Variables to set in the environment, or, without a value, to remove.
    pub environment: Vec<(&'static str, Option<OsString>)>,
}

/// If this process is root's and a state directory is not, makes the process act as the directory's
/// owner.  `None`: nothing has changed.
///
/// # Errors
/// The system does not allow it, or all users may change the path; then nothing must be touched.
pub fn act_for(state_dir: &Path) -> Result<Option<Acting>, PrivilegeError> {
    let foreign = owner::foreign(state_dir);
    let foreign = foreign.map_err(|source| PrivilegeError::Look { path: state_dir.to_owned(), source })?;
    let Some(foreign) = foreign else { return Ok(None) };
    if foreign.owner.is_root() {
        return Err(PrivilegeError::Open { path: state_dir.to_owned(), foreign });
    }
    match become_owner(&foreign) {
        Ok(user) => Ok(Some(Acting { environment: environment(user), foreign })),
        Err(cause) => Err(PrivilegeError::Refused { foreign, cause }),
    }
}

/// Gives up all of root's rights, those of the groups first, since that needs the others.
fn become_owner(foreign: &Foreign) -> io::Result<Option<User>> {
    let Person(uid) = foreign.owner;
    let uid = Uid::from_raw(uid);
    let user = User::from_uid(uid)?;
    let gid = match &user {
        Some(user) => {
            initgroups(&CString::new(user.name.as_str())?, user.gid)?;
            user.gid
        }
        // A user without an entry has no other groups.
        None => {
            let gid = Gid::from_raw(foreign.group);
            setgroups(&[gid])?;
            gid
        }
    };
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let now = getresuid()?;
    if [now.real, now.effective, now.saved].iter().all(|now| *now == uid) {
        Ok(user)
    } else {
        Err(io::Error::other("the system reports success, but the user is another one"))
    }
}

fn environment(user: Option<User>) -> Vec<(&'static str, Option<OsString>)> {
    let (home, shell, name) = match user {
        Some(user) => (Some(user.dir.into()), Some(user.shell.into()), Some(user.name.into())),
        None => (None, None, None),
    };
    let own = [("HOME", home), ("SHELL", shell), ("USER", name.clone()), ("LOGNAME", name)];
    own.into_iter().chain(OF_ROOT.map(|name| (name, None))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_roots_folders_is_not_handed_on() {
        let environment = environment(None);
        for name in ["HOME", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"] {
            assert!(environment.contains(&(name, None)), "{name}");
        }
    }

    #[test]
    fn where_all_is_ones_own_nothing_changes() {
        let dir = tempfile::tempdir().expect("a directory");
        let before = getresuid().expect("known");
        assert!(act_for(&dir.path().join("state")).expect("looked at").is_none());
        assert_eq!(getresuid().expect("known"), before);
    }
}
