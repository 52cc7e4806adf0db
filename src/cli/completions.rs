//! `postrider completions`: scripts with which the Tab key completes commands, options and the names of accounts.
//!
//! A shell's script calls the program at each Tab, with [`VARIABLE`] set.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompleteEnv, CompletionCandidate, Shell};

use super::{Cli, IO_ERROR, output};
use crate::config::{Config, find_file};

/// Names the shell that wants to complete a command line.
const VARIABLE: &str = "POSTRIDER_COMPLETE";

/// Answers a shell that wants to complete a command line; returns the exit code.  `None`: no shell asks.
pub(super) fn answer(arguments: &[OsString]) -> Option<u8> {
    std::env::var_os(VARIABLE)?;
    let here = std::env::current_dir().ok();
    match CompleteEnv::with_factory(Cli::command).var(VARIABLE).try_complete(arguments, here.as_deref()) {
        Ok(answered) => answered.then_some(0),
        // The reader may have gone away.
        Err(_) => Some(IO_ERROR),
    }
}

/// Writes a shell's script.  It is made in memory first, because clap_complete panics when it cannot write.
pub(super) fn write(shell: Shell) -> u8 {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let written = shells
        .completer(&shell.to_string())
        .map(|completer| completer.write_registration(VARIABLE, "postrider", "postrider", "postrider", &mut script));
    if !matches!(written, Some(Ok(()))) {
        return IO_ERROR;
    }
    if shell == Shell::Zsh {
        // zsh reads the file at the first Tab, and expects an answer to that Tab, too.
        script
            .extend_from_slice(b"[ \"$funcstack[1]\" = \"_postrider\" ] && _clap_dynamic_completer_postrider \"$@\"\n");
    }
    let _ = output::write(&script);
    0
}

/// The names of the accounts, for an argument that takes an account.
pub(super) fn accounts() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let named = named_file(std::env::args_os());
        let file = find_file(named.as_deref(), &|name| std::env::var_os(name));
        // What is wrong with the configuration is not reported at a Tab.
        let config = file.ok().and_then(|file| Config::load(&file).ok());
        let accounts = config.map(|config| config.accounts).unwrap_or_default();
        accounts.iter().map(|account| CompletionCandidate::new(account.name.as_str())).collect()
    })
}

/// The configuration file that a command line names.
fn named_file(arguments: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "-c" || text == "--config" {
            return arguments.next().map(PathBuf::from);
        }
        let joined = text.strip_prefix("--config=").or_else(|| text.strip_prefix("-c")).filter(|path| !path.is_empty());
        if let Some(path) = joined {
            return Some(Path::new(path).to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_a_command_line_names_is_found_in_each_way_to_write_it() {
        for (line, want) in [
            ("postrider -- postrider list", None),
            ("postrider -- postrider -c a.toml list", Some("a.toml")),
            ("postrider -- postrider list --config a.toml ", Some("a.toml")),
            ("postrider -- postrider --config=a.toml list", Some("a.toml")),
            ("postrider -- postrider -ca.toml list", Some("a.toml")),
            ("postrider -- postrider list -c", None),
        ] {
            let words = line.split_whitespace().map(OsString::from);
            assert_eq!(named_file(words), want.map(PathBuf::from), "{line}");
        }
    }
}
