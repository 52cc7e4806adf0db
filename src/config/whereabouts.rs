//! Where the state and the socket of a configuration are, even if it is broken or gone.
//!
//! A command that asks the running service, or reads the state, needs only two folders.  They are
//! taken from the main file as far as it can be read; if it does not name them, they are the
//! defaults.  What is wrong with the configuration is kept, to be reported beside the answer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use toml::de::{DeTable, DeValue};

use super::find::{FindError, find_file};
use super::load::Raws;
use super::paths::{self, Paths, SYSTEM_STATE};
use super::{Config, files};
use crate::failure::{self, Failure};
use crate::filesystem::{self, Accepts};

/// The two folders, and the configuration that they come from.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    /// The main file, or the place where it should be; absolute.
    pub file: PathBuf,
    /// Where the state is kept.
    pub state_dir: PathBuf,
    /// Where sockets are made.
    pub runtime_dir: PathBuf,
    /// The configuration, or what is wrong with it.
    pub config: Result<Config, Broken>,
    /// Whether the state directory is only the default, because no readable configuration names it.
    pub is_guess: bool,
}

/// A configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// What is wrong, in one or more lines.
    pub text: String,
    /// Whether it is unusable because this user may not read it; another user may.
    pub is_closed: bool,
}

type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

impl Whereabouts {
    /// The folders of the configuration that [`find_file`] finds.
    pub fn look(explicit: Option<&Path>, environment: Environment<'_>) -> Self {
        match find_file(explicit, environment) {
            Ok(file) => Self::of_file(&file, Accepts::FileOrPromptPipe, environment),
            Err(error) => Self::without_file(&error, environment),
        }
    }

    /// Looks again; a pipe cannot be read twice.
    #[must_use]
    pub fn again(&self, environment: Environment<'_>) -> Self {
        if self.file.is_file() { Self::of_file(&self.file, Accepts::File, environment) } else { self.clone() }
    }

    fn of_file(file: &Path, accepts: Accepts, environment: Environment<'_>) -> Self {
        let raws = Raws::read(file, accepts);
        match raws.parse(file) {
            Ok(config) => config.into(),
            Err(error) => {
                let broken = Broken { text: error.to_string(), is_closed: is_closed(file) };
                let text = raws.main().map(|octets| String::from_utf8_lossy(octets));
                Self::guess(file, text.as_deref().unwrap_or_default(), broken, environment)
            }
        }
    }

    /// Without a file: the first defaults that are in use, else the first ones.
    fn without_file(error: &FindError, environment: Environment<'_>) -> Self {
        let text = failure::paragraph(&failure::describe(error), error.advice().as_deref());
        let broken = || Broken { text: text.clone(), is_closed: false };
        let places = match error {
            FindError::Missing { path, .. } => std::slice::from_ref(path),
            FindError::Nowhere { places } => places,
        };
        let guess = |place: &PathBuf| Self::guess(place, "", broken(), environment);
        let used = places.iter().map(guess).find(Self::is_used);
        used.unwrap_or_else(|| guess(places.first().unwrap_or(&PathBuf::new())))
    }

    /// The folders that the text of a main file names, even if it is broken, and the defaults for the others.
    fn guess(file: &Path, text: &str, broken: Broken, environment: Environment<'_>) -> Self {
        let file = files::absolute(file);
        let (root, _) = DeTable::parse_recoverable(text.trim_start_matches('\u{feff}'));
        let paths = Paths::new(file.parent().unwrap_or(Path::new("/")), environment);
        let named = |key: &str| match root.get_ref().get(key)?.get_ref() {
            DeValue::String(path) if !path.is_empty() => paths.resolve(path).ok(),
            _ => None,
        };
        let state_dir = named("state-dir");
        let is_guess = state_dir.is_none();
        let state_dir = state_dir.or_else(|| paths::default_state_dir(&file, environment));
        let state_dir = state_dir.unwrap_or_else(|| SYSTEM_STATE.into());
        let runtime_dir =
            named("runtime-dir").unwrap_or_else(|| paths::default_runtime_dir(&file, &state_dir, environment));
        Self { file, state_dir, runtime_dir, config: Err(broken), is_guess }
    }

    fn is_used(&self) -> bool {
        let folders = [self.state_dir.clone(), self.runtime_dir.clone()];
        let look = move || folders.iter().any(|folder| folder.exists());
        filesystem::in_time(&self.state_dir, filesystem::PATIENCE, look).unwrap_or(false)
    }

    /// What is wrong with the configuration.
    pub fn broken(&self) -> Option<&Broken> {
        self.config.as_ref().err()
    }

    /// The names of its accounts; empty if it is broken.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        let accounts = self.config.as_ref().map_or(&[][..], |config| &config.accounts);
        accounts.iter().map(|account| account.name.as_str())
    }
}

impl From<Config> for Whereabouts {
    fn from(config: Config) -> Self {
        let (state_dir, runtime_dir) = (config.state_dir.clone(), config.runtime_dir.clone());
        Self { file: files::absolute(&config.file), state_dir, runtime_dir, config: Ok(config), is_guess: false }
    }
}

/// Whether there is a file of the configuration that this user may not read.
fn is_closed(main: &Path) -> bool {
    let main = main.to_owned();
    let look = move || {
        let files = files::files_of(&main).into_iter().chain([files::folder_of(&main)]);
        let denied = Err(rustix::io::Errno::ACCESS);
        files.into_iter().any(|file| rustix::fs::accessat(CWD, file, Access::READ_OK, AtFlags::EACCESS) == denied)
    };
    filesystem::in_time(Path::new("the configuration"), filesystem::PATIENCE, look).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<OsString> {
        [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r")].iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    fn guessed(text: &str) -> (String, String) {
        let broken = Broken { text: String::new(), is_closed: false };
        let found = Whereabouts::guess(Path::new("/etc/p.toml"), text, broken, &environment);
        (found.state_dir.display().to_string(), found.runtime_dir.display().to_string())
    }

    #[test]
    fn the_folders_are_read_from_a_file_in_whatever_state_it_is() {
        let default = ("/h/.local/state/postrider", "/r/postrider");
        for (text, state, runtime) in [
            ("state-dir = \"/s\"\nruntime-dir = \"~/r\"\nintervall = 3\n[accounts.a]\nhost = ", "/s", "/h/r"),
            ("\u{feff}state-dir = \"s\" # \u{fffd}\n]]]]\nruntime-dir = '/x'\n", "/etc/s", "/x"),
            ("state-dir = 3\nruntime-dir = \"\"\n", default.0, default.1),
            ("state-dir = \"~bob/s\"\n", default.0, default.1),
            ("", default.0, default.1),
        ] {
            assert_eq!(guessed(text), (state.to_owned(), runtime.to_owned()), "{text}");
        }
    }

    #[test]
    fn of_no_file_the_folders_that_are_used_count() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = dir.path().to_owned();
        let environment = move |name: &str| (name == "HOME").then(|| home.clone().into());
        let named = dir.path().join("gone.toml");
        let found = Whereabouts::look(Some(&named), &environment);
        assert_eq!(found.file, named);
        assert_eq!(found.state_dir, dir.path().join(".local/state/postrider"));
        assert!(found.broken().expect("no file").text.contains("does not exist"));
        assert_eq!(found.accounts().count(), 0);
        assert!(found.is_guess);
    }

    #[test]
    fn a_folder_that_is_named_is_no_guess() {
        let is_guess = |text: &str| {
            let broken = Broken { text: String::new(), is_closed: false };
            Whereabouts::guess(Path::new("/etc/p.toml"), text, broken, &environment).is_guess
        };
        assert!(!is_guess("state-dir = \"/s\"\n]]]"));
        assert!(is_guess("") && is_guess("state-dir = 3") && is_guess("runtime-dir = \"/r\""));
    }
}
