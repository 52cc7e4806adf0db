//! Tests of all steps from a text to a configuration.

mod accepted;
mod oauth;
mod refused;
mod rendered;
mod sample;
mod secrecy;
mod several;

use std::ffi::OsString;
use std::path::Path;

use super::context::Context;
use super::parse::{Access, File};
use super::{Config, ConfigError, parse};
use crate::filesystem::Folder;
use crate::net::NetError;

/// The destination that the tests' accounts deliver to.
const HOME: &str = "[destinations.home]\ntype = \"maildir\"\npath = \"/m\"\n";

/// Parses a file of mode 0600 in `/etc/postrider`, with `$HOME` and no other variable set.
fn parse_text(text: &str) -> Result<Config, ConfigError> {
    parse_with_mode(text, 0o600)
}

fn parse_with_mode(text: &str, mode: u32) -> Result<Config, ConfigError> {
    parse_as(text, mode, 1000)
}

fn parse_as(text: &str, mode: u32, owner: u32) -> Result<Config, ConfigError> {
    let access = Access { mode: 0o100_000 | mode, owner };
    parse_files(&[File { access, ..file("config.toml", text) }])
}

/// A file of mode 0600.
fn file<'t>(name: &str, text: &'t str) -> File<'t> {
    let access = Access { mode: 0o100_600, owner: 1000 };
    File { shown: name.into(), path: Path::new("/etc/postrider").join(name), text: Ok(text), access }
}

/// Parses several files; the first one is the main one.
fn parse_files(files: &[File<'_>]) -> Result<Config, ConfigError> {
    let environment = |name: &str| (name == "HOME").then(|| OsString::from("/home/a"));
    let context = Context {
        folder: Path::new("/etc/postrider"),
        environment: &environment,
        check_files: &|trust| match &trust.ca_file {
            Some(path) if path.ends_with("bad.pem") => {
                Err(NetError::File { path: path.clone(), cause: "holds no certificate".into(), is_late: false })
            }
            _ => Ok(()),
        },
        folders_of: &|paths| paths.iter().map(|path| Folder::Unseen((*path).to_owned())).collect(),
    };
    parse::parse(&files[0], &files[1..], &context)
}

/// An account with these lines and the keys that it needs, and its destination.
fn with_account(lines: &str) -> String {
    let needed =
        [("host", "\"pop.example\""), ("username", "\"alice\""), ("password-file", "\"/p\""), ("deliver", "\"home\"")];
    let has = |key: &str| lines.lines().any(|line| line.split('=').next().is_some_and(|name| name.trim() == key));
    let own_password = super::password::KEYS.into_iter().chain(["token-command", "oauth"]).any(has);
    let needed = needed.iter().filter(|(key, _)| !(has(key) || own_password && *key == "password-file"));
    let needed: String = needed.map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[accounts.work]\n{lines}\n{needed}{HOME}")
}

/// An SMTP destination, in use, with these lines and the keys that it needs.
fn with_smtp(lines: &str) -> String {
    let host = if lines.contains("host =") { "" } else { "host = \"localhost\"\n" };
    let recipient = if lines.contains("recipient =") { "" } else { "recipient = \"a@b.example\"\n" };
    let account = with_account("deliver = [\"home\", \"hub\"]");
    format!("{account}[destinations.hub]\ntype = \"smtp\"\n{host}{recipient}{lines}\n")
}
