//! Finds the configuration file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::failure::{Class, Failure};
use crate::filesystem;

/// The configuration of the system's service, which is looked for last.
pub(super) const SYSTEM_FILE: &str = "/etc/postrider/config.toml";

/// No configuration file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum FindError {
    #[error("{} does not exist ({by} names it)", path.display())]
    Missing { path: PathBuf, by: &'static str },
    #[error("there is no configuration file; looked for {}", listed(places))]
    Nowhere { places: Vec<PathBuf> },
}

fn listed(places: &[PathBuf]) -> String {
    places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(" and ")
}

impl Failure for FindError {
    fn class(&self) -> Class {
        Class::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            FindError::Missing { .. } => "Create it, or name another file with -c FILE.".into(),
            FindError::Nowhere { places } => {
                let place = places.first().map_or(SYSTEM_FILE.into(), |place| place.display().to_string());
                format!(
                    "Write {place}, or name a file with -c FILE.  postrider.toml(5) has examples, and the package a sample: \
                     /usr/share/doc/postrider/examples/config.toml."
                )
            }
        })
    }
}

/// The configuration file: the explicit one (`-c`), else `$POSTRIDER_CONFIG`, else
/// `$XDG_CONFIG_HOME/postrider/config.toml` (without the variable, `~/.config/...`), else
/// `/etc/postrider/config.toml`.
///
/// # Errors
/// A file named by `-c` or `$POSTRIDER_CONFIG` does not exist (no other one is taken in its place), or
/// there is no configuration file at all.
pub fn find_file(
    explicit: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<PathBuf, FindError> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let named = explicit.map(|path| (path.to_owned(), "-c"));
    if let Some((path, by)) = named.or_else(|| Some((variable("POSTRIDER_CONFIG")?, "$POSTRIDER_CONFIG"))) {
        // A file that exists but may not be read is reported when it is opened.
        return if exists(&path) { Ok(path) } else { Err(FindError::Missing { path, by }) };
    }
    // The XDG base directory specification says that relative values are ignored.
    let own = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let own = own.or_else(|| Some(variable("HOME")?.join(".config")));
    let own = own.map(|folder| folder.join("postrider/config.toml"));
    let places: Vec<PathBuf> = own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]).collect();
    match places.iter().find(|place| exists(place)) {
        Some(place) => Ok(place.clone()),
        None => Err(FindError::Nowhere { places }),
    }
}

/// Only a clear "no such file" counts as absent: a folder that may not be entered must not make
/// another file the configuration.
fn exists(path: &Path) -> bool {
    let own = path.to_owned();
    // A disk that does not answer in time is reported when the file is opened, too.
    filesystem::in_time(path, filesystem::PATIENCE, move || own.try_exists()).flatten().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_that_has_a_file_wins() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        for name in ["xdg/postrider", "home/.config/postrider"] {
            std::fs::create_dir_all(at(name)).expect("created");
            std::fs::write(at(name).join("config.toml"), "").expect("written");
        }
        std::fs::write(at("named.toml"), "").expect("written");
        let environment = |xdg: bool, named: bool| {
            move |name: &str| -> Option<OsString> {
                match name {
                    "HOME" => Some(at("home").into()),
                    "XDG_CONFIG_HOME" if xdg => Some(at("xdg").into()),
                    "POSTRIDER_CONFIG" if named => Some(at("named.toml").into()),
                    _ => None,
                }
            }
        };
        let in_xdg = at("xdg/postrider/config.toml");
        assert_eq!(find_file(Some(&in_xdg), &environment(false, true)), Ok(in_xdg.clone()));
        assert_eq!(find_file(None, &environment(true, true)), Ok(at("named.toml")));
        assert_eq!(find_file(None, &environment(true, false)), Ok(in_xdg));
        assert_eq!(find_file(None, &environment(false, false)), Ok(at("home/.config/postrider/config.toml")));
    }

    #[test]
    fn a_named_file_that_is_missing_is_an_error_and_no_other_is_taken() {
        let nothing = |_: &str| None;
        let by_variable = |name: &str| (name == "POSTRIDER_CONFIG").then(|| "/nowhere/b.toml".into());
        for (found, message) in [
            (find_file(Some(Path::new("/nowhere/a.toml")), &nothing), "/nowhere/a.toml does not exist (-c names it)"),
            (find_file(None, &by_variable), "/nowhere/b.toml does not exist ($POSTRIDER_CONFIG names it)"),
        ] {
            assert_eq!(found.expect_err("missing").to_string(), message);
        }
    }

    #[test]
    fn without_any_file_the_places_are_named() {
        let home = |name: &str| (name == "HOME").then(|| "/nowhere".into());
        let error = FindError::Nowhere {
            places: vec!["/nowhere/.config/postrider/config.toml".into(), "/etc/postrider/config.toml".into()],
        };
        if !Path::new(SYSTEM_FILE).exists() {
            assert_eq!(find_file(None, &home), Err(error.clone()));
        }
        assert_eq!(
            error.to_string(),
            "there is no configuration file; looked for /nowhere/.config/postrider/config.toml and \
             /etc/postrider/config.toml"
        );
    }
}
