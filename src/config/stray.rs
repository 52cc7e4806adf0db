//! A user's state in the folder of the configuration, where it does not belong.
//!
//! Before systemd 254, a user's unit with `StateDirectory=` had its state in `~/.config/postrider`, while commands have
//! it in `~/.local/state/postrider`; since then systemd may have made a link from there.  With a second state beside
//! the first, all mail would be fetched twice.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::paths;

/// The names that a state directory may hold, the database first.
const FILES: [&str; 12] = [
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "lock",
    "initialized",
    "clean",
    "attempts",
    "spool",
    "rebuilding",
    "tokens",
    "run",
    "web-token",
];

/// A state in the folder of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stray {
    /// The state directory is a link to it.
    Linked {
        /// The folder of the configuration.
        folder: PathBuf,
        /// The command that moves it.
        mend: String,
    },
    /// It is there, and the state directory is another.
    Apart {
        /// The folder of the configuration.
        folder: PathBuf,
        /// Whether the state directory has a state of its own.
        is_second: bool,
        /// The command that leaves one state, in its proper place.
        mend: String,
    },
}

/// Looks for a state beside the configuration of this user, if `state_dir` is the user's default.
pub fn stray_state(state_dir: &Path, environment: &dyn Fn(&str) -> Option<OsString>) -> Option<Stray> {
    if paths::state_dir_of_user(environment).as_deref() != Some(state_dir) {
        return None;
    }
    let folder = paths::config_folder_of_user(environment)?;
    written(&folder)?;
    let (own, other) = (quoted(state_dir), quoted(&folder));
    let there = |name: &&&str| folder.join(name).symlink_metadata().is_ok();
    let files = FILES.iter().filter(there).map(|name| format!("{other}/{name}")).collect::<Vec<_>>().join(" ");
    let move_all = format!("mkdir -p -m 700 {own} && mv {files} {own}");
    if state_dir.canonicalize().is_ok_and(|real| folder.canonicalize().is_ok_and(|folder| folder == real)) {
        return Some(Stray::Linked { folder, mend: format!("rm {own} && {move_all}") });
    }
    let mend = match written(state_dir) {
        None => move_all,
        // The newer state is kept: the service polls more often than a user does by hand.
        Some(when) if Some(when) < written(&folder) => format!("mv {own} {own}.old && {move_all}"),
        Some(_) => format!("mkdir {other}/old-state && mv {files} {other}/old-state"),
    };
    Some(Stray::Apart { is_second: written(state_dir).is_some(), mend, folder })
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"/._-".contains(&octet));
    if is_plain { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// When the state in a folder was last written; `None`: there is no state.
fn written(folder: &Path) -> Option<std::time::SystemTime> {
    let modified = |name: &str| folder.join(name).metadata().ok()?.modified().ok();
    modified("state.db").max(modified("state.db").and(modified("state.db-wal")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_state_of_the_same_user_beside_the_configuration_is_a_stray() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().to_owned();
        let environment = move |name: &str| (name == "HOME").then(|| path.clone().into());
        let (own, folder) = (home.path().join(".local/state/postrider"), home.path().join(".config/postrider"));
        std::fs::create_dir_all(&folder).expect("made");
        assert_eq!(stray_state(&own, &environment), None);
        std::fs::write(folder.join("state.db"), "").expect("written");
        assert_eq!(stray_state(Path::new("/elsewhere"), &environment), None);
        assert!(matches!(stray_state(&own, &environment), Some(Stray::Apart { is_second: false, .. })));
        std::fs::create_dir_all(&own).expect("made");
        std::fs::write(own.join("state.db"), "").expect("written");
        assert!(matches!(stray_state(&own, &environment), Some(Stray::Apart { is_second: true, .. })));
        std::fs::remove_dir_all(&own).expect("removed");
        std::os::unix::fs::symlink(&folder, &own).expect("a link");
        assert!(matches!(stray_state(&own, &environment), Some(Stray::Linked { .. })));
    }
}
