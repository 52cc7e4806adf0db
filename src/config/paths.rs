//! Resolves the paths of the configuration: `~`, relative paths, and the defaults of the state's folders.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::find::SYSTEM_FILE;

/// Where the system's unit keeps its state (`StateDirectory=`), so that root's commands find it.
pub(super) const SYSTEM_STATE: &str = "/var/lib/postrider";
/// Where the system's unit has its socket (`RuntimeDirectory=`).
const SYSTEM_RUNTIME: &str = "/run/postrider";

/// How shells and systemd write the home directory.
const IN_A_SHELL: [&str; 3] = ["$HOME", "${HOME}", "%h"];

/// What paths are resolved against.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The folder of the main configuration file, also for paths in the files of `conf.d`.
    folder: PathBuf,
    /// `$HOME`.
    home: Option<PathBuf>,
}

impl Paths {
    pub(super) fn new(folder: &Path, environment: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { folder: folder.to_owned(), home: absolute(environment, "HOME") }
    }

    /// An absolute path stays as it is, `~` is the home directory, and other paths are relative to the
    /// folder of the main configuration file.
    pub(super) fn resolve(&self, text: &str) -> Result<PathBuf, String> {
        if IN_A_SHELL
            .iter()
            .any(|home| text == *home || text.strip_prefix(home).is_some_and(|rest| rest.starts_with('/')))
        {
            return Err("variables are not expanded: write ~ for the home directory, as in \"~/Maildir\"".into());
        }
        let Some(rest) = text.strip_prefix('~') else { return Ok(self.folder.join(text)) };
        if !rest.is_empty() && !rest.starts_with('/') {
            return Err("only ~ and ~/ are understood, not the home directory of another user".into());
        }
        let home = self.home.as_ref().ok_or("~ cannot be resolved, because $HOME is not set; write the whole path")?;
        let rest = rest.trim_start_matches('/');
        Ok(if rest.is_empty() { home.clone() } else { home.join(rest) })
    }
}

/// Whether a path has a part that looks like a variable; it is not expanded.
pub(super) fn has_variable(text: &str) -> bool {
    let is_variable = |part: &str| {
        let name = part.split_once('$').map(|(_, name)| name.strip_prefix('{').unwrap_or(name));
        name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'))
    };
    text.split('/').any(is_variable)
}

/// The default of `state-dir`: `$STATE_DIRECTORY` (systemd), unless it is the configuration's own
/// folder; else, if `file` is the system's, the state directory of its unit; else
/// `$XDG_STATE_HOME/postrider`; else `~/.local/state/postrider`.
pub(super) fn default_state_dir(file: &Path, environment: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // Before version 254, systemd put the state of a user's unit where the configuration is.
    let is_meant = |dir: &PathBuf| Some(dir) != config_folder_of_user(environment).as_ref();
    of_systemd(environment, "STATE_DIRECTORY")
        .filter(is_meant)
        .or_else(|| (file == Path::new(SYSTEM_FILE)).then(|| SYSTEM_STATE.into()))
        .or_else(|| state_dir_of_user(environment))
}

/// Where a user's state is kept: `$XDG_STATE_HOME/postrider`, else `~/.local/state/postrider`.
pub(super) fn state_dir_of_user(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || Some(absolute(environment, "HOME")?.join(".local/state"));
    Some(absolute(environment, "XDG_STATE_HOME").or_else(home)?.join("postrider"))
}

/// Where a user's configuration is: `$XDG_CONFIG_HOME/postrider`, else `~/.config/postrider`.
pub(super) fn config_folder_of_user(environment: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let home = || Some(absolute(environment, "HOME")?.join(".config"));
    Some(absolute(environment, "XDG_CONFIG_HOME").or_else(home)?.join("postrider"))
}

/// The default of `runtime-dir`: `$RUNTIME_DIRECTORY` (systemd); else, if `file` is the system's, the
/// runtime directory of its unit; else `$XDG_RUNTIME_DIR/postrider`; else the folder `run` in the
/// state directory.
pub(super) fn default_runtime_dir(
    file: &Path,
    state_dir: &Path,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> PathBuf {
    of_systemd(environment, "RUNTIME_DIRECTORY")
        .or_else(|| (file == Path::new(SYSTEM_FILE)).then(|| SYSTEM_RUNTIME.into()))
        .or_else(|| Some(absolute(environment, "XDG_RUNTIME_DIR")?.join("postrider")))
        .unwrap_or_else(|| state_dir.join("run"))
}

/// systemd.exec(5): several directories are separated by colons; the first one is used.
fn of_systemd(environment: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let value = environment(name)?;
    let first = value.as_bytes().split(|&b| b == b':').next()?;
    Some(PathBuf::from(OsString::from_vec(first.to_vec()))).filter(|path| path.is_absolute())
}

/// The XDG base directory specification says that relative and empty values are ignored.
fn absolute(environment: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<PathBuf> {
    environment(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn a_path_is_resolved_against_the_home_or_the_folder_of_the_file() {
        let paths = Paths::new(Path::new("/etc/postrider"), &environment(&[("HOME", "/home/a")]));
        for (text, want) in [
            ("/x/y", Some("/x/y")),
            ("~", Some("/home/a")),
            ("~/Maildir", Some("/home/a/Maildir")),
            ("~//x", Some("/home/a/x")),
            ("pw/x", Some("/etc/postrider/pw/x")),
            ("~bob/x", None),
            ("$HOME/Maildir", None),
            ("${HOME}", None),
            ("%h/Maildir", None),
            ("$HOMES/x", Some("/etc/postrider/$HOMES/x")),
        ] {
            assert_eq!(paths.resolve(text).ok(), want.map(PathBuf::from), "{text}");
        }
        let homeless = Paths::new(Path::new("/etc"), &environment(&[]));
        assert!(homeless.resolve("~/x").expect_err("no home").contains("$HOME is not set"));
    }

    #[test]
    fn the_state_follows_systemd_then_the_system_then_xdg_then_the_home() {
        const OWN: &str = "/home/a/.config/postrider/config.toml";
        for (file, set, state, runtime) in [
            (SYSTEM_FILE, &[("STATE_DIRECTORY", "/s:/t"), ("RUNTIME_DIRECTORY", "/r"), ("HOME", "/h")][..], "/s", "/r"),
            (
                OWN,
                &[("XDG_STATE_HOME", "/x"), ("XDG_RUNTIME_DIR", "/run/u"), ("HOME", "/h")],
                "/x/postrider",
                "/run/u/postrider",
            ),
            (SYSTEM_FILE, &[("XDG_RUNTIME_DIR", "/run/user/0"), ("HOME", "/root")], SYSTEM_STATE, SYSTEM_RUNTIME),
            (
                OWN,
                &[("XDG_STATE_HOME", "x"), ("HOME", "/h")],
                "/h/.local/state/postrider",
                "/h/.local/state/postrider/run",
            ),
            // systemd before 254, for a user's unit with StateDirectory=.
            (
                OWN,
                &[("STATE_DIRECTORY", "/h/.config/postrider"), ("HOME", "/h")],
                "/h/.local/state/postrider",
                "/h/.local/state/postrider/run",
            ),
        ] {
            let file = Path::new(file);
            let found = default_state_dir(file, &environment(set)).expect("found");
            assert_eq!(found, Path::new(state));
            assert_eq!(default_runtime_dir(file, &found, &environment(set)), Path::new(runtime));
        }
        assert_eq!(default_state_dir(Path::new(OWN), &environment(&[])), None);
    }
}
