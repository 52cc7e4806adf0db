//! The configuration's files: `%%` on a line begins the next one, of `conf.d`.
//!
//! Any text yields a configuration or problems, each with a place that exists and a line that is
//! the file's; and a password in the middle of it is never shown.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postrider::testing::config::{Config, ConfigError, Problem, Weight};

use super::assert_fit_to_be_shown;

/// What divides the files, and the place where the password is put.
const NEXT_FILE: &str = "\n%%\n";

/// A password that is nowhere else, on a line of its own.
const CANARY: &str = "Zq7xKw9vPd";
/// What would give it away.
const PARTS: [&str; 2] = ["Zq7xKw", "Kw9vPd"];

pub(super) fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if text.len() > 16_384 || text.contains("/dev") {
        return;
    }
    let files: Vec<&str> = text.split(NEXT_FILE).take(3).collect();
    judged(&files);
    // The fuzzer finds the password out in time.
    if PARTS.iter().any(|part| text.contains(part)) {
        return;
    }
    let whole_lines = text.rfind('\n').map_or("", |end| &text[..=end]);
    // In the middle or at the end, as the input's length has it: reading files is most of the time that this takes.
    let middle = whole_lines.len() / (1 + text.len() % 2);
    let at = whole_lines[..whole_lines.floor_char_boundary(middle)].rfind('\n').map_or(0, |at| at + 1);
    let with_password = format!("{}password = \"{CANARY}\"\n{}", &text[..at], &text[at..]);
    silent(&with_password.split(NEXT_FILE).take(3).collect::<Vec<_>>());
}

/// The files on the disk; `conf.d` keeps those that are not the main one.
fn load(files: &[&str]) -> Result<Config, ConfigError> {
    thread_local! {
        static DIR: tempfile::TempDir = tempfile::tempdir().expect("a directory");
    }
    DIR.with(|dir| {
        let (main, folder) = (dir.path().join("config.toml"), dir.path().join("conf.d"));
        let _ = std::fs::remove_dir_all(&folder);
        let (first, more) = files.split_first().expect("a file");
        write(&main, first);
        if !more.is_empty() {
            std::fs::create_dir(&folder).expect("a folder");
        }
        more.iter().enumerate().for_each(|(n, text)| write(&folder.join(format!("{n}.toml")), text));
        Config::load(&main)
    })
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("private");
}

fn judged(files: &[&str]) {
    let judged = load(files);
    if files.concat().len() % 8 == 0 {
        assert_eq!(load(files), judged, "twice the same");
    }
    match judged {
        Ok(config) => sound(&config),
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            assert!(error.problems().iter().any(|problem| problem.weight == Weight::Error));
            error.problems().iter().for_each(|problem| placed(problem, files));
        }
    }
}

/// The place is in the file, and the line that is shown is the file's.
fn placed(problem: &Problem, files: &[&str]) {
    assert_fit_to_be_shown(&problem.message);
    assert_fit_to_be_shown(&problem.on_one_line());
    let Some(place) = &problem.place else { return };
    let name = problem.file.file_stem().and_then(|name| name.to_str()).expect("a name");
    let text = files[name.parse::<usize>().map_or(0, |n| n + 1)];
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line = text.split('\n').nth(place.line - 1).expect("a line of the file");
    assert!((1..=line.chars().count() + 1).contains(&place.column), "{problem:?}");
    if let Some((shown, octets)) = &place.shown {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let is_line = shown == line || shown.strip_suffix(" = ...").is_some_and(|start| line.starts_with(start));
        assert!(is_line, "{problem:?}");
        assert!(shown.get(octets.clone()).is_some(), "{problem:?}");
    }
}

/// What the rest of the program relies on.
fn sound(config: &Config) {
    let destinations: HashSet<&str> = config.destinations.iter().map(|one| one.name.as_str()).collect();
    let accounts: HashSet<&str> = config.accounts.iter().map(|one| one.name.as_str()).collect();
    assert_eq!((accounts.len(), destinations.len()), (config.accounts.len(), config.destinations.len()));
    for account in &config.accounts {
        assert!(!account.deliver.is_empty() && !account.endpoint.host.is_empty() && account.endpoint.port > 0);
        assert!(account.deliver.iter().all(|name| destinations.contains(name.as_str())));
        assert!(!account.timeout.is_zero() && !account.interval.is_zero() && !account.deadline.is_zero());
        assert_fit_to_be_shown(&account.endpoint.shown());
        let distinct: HashSet<_> = account.deliver.iter().collect();
        assert_eq!(distinct.len(), account.deliver.len());
    }
    assert!(config.max_concurrent_polls > 0 && config.max_polls_per_host > 0);
    config.warnings.iter().for_each(|warning| assert_fit_to_be_shown(warning));
}

fn silent(files: &[&str]) {
    let (shown, debugged) = match load(files) {
        Ok(config) => (config.warnings.concat(), format!("{config:?}")),
        Err(error) => (error.to_string(), format!("{error:?}")),
    };
    for part in PARTS {
        assert!(!shown.contains(part) && !debugged.contains(part), "{files:?}\n----\n{shown}\n{debugged}");
    }
}
