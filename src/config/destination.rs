//! The keys of a destination.

use std::path::PathBuf;

use crate::deliver::smtp::DeliveredTo;
use crate::deliver::{Destination, Kind, maildir, smtp};
use crate::header;
use crate::message::Name;
use crate::net::TlsMode;

use super::account::{TIMEOUT, listed};
use super::endpoint::{self, SMTP};
use super::keys::Section;
use super::reader::Reader;
use super::table::At;
use super::{defaults, password};

/// A value of `type`.
struct Type {
    name: &'static str,
    /// The keys that it has.
    sections: &'static [Section],
    read: fn(&mut Reader<'_, '_, '_>) -> Option<Kind>,
}

/// The values of `type`.
const TYPES: &[Type] = &[
    Type { name: "maildir", sections: &[Section::Destination, Section::OfType("maildir")], read: maildir },
    Type { name: "smtp", sections: &[Section::Destination, Section::OfType("smtp")], read: smtp },
];

/// The values of `delivered-to`.
const DELIVERED_TO: [(&str, DeliveredTo); 2] = [("rename", DeliveredTo::Rename), ("keep", DeliveredTo::Keep)];

/// Types that are planned but not supported yet.
const LATER: [&str; 3] = ["lmtp", "command", "mbox"];

/// The sections of the destination's type.  `None`: the type is missing or wrong, which has been
/// reported, and the other keys cannot be checked.
pub(super) fn sections(reader: &mut Reader<'_, '_, '_>) -> Option<&'static [Section]> {
    reader.require("type");
    let (text, entry) = reader.string("type")?;
    if LATER.contains(&text) {
        let types = listed(&TYPES.iter().map(|of| of.name).collect::<Vec<_>>());
        reader.problems.error(&entry.at(), format!("`type`: `{text}` is not supported; write {types}"));
        return None;
    }
    let words: Vec<_> = TYPES.iter().map(|of| (of.name, of.sections)).collect();
    reader.word("type", &words)
}

/// Reads a destination of a known type.
pub(super) fn read(reader: &mut Reader<'_, '_, '_>, name: &Name, sections: &[Section]) -> Option<Destination> {
    reader.refuse_unknown();
    let of = TYPES.iter().find(|of| of.sections == sections)?;
    let kind = (of.read)(reader)?;
    Some(Destination { name: name.clone(), kind })
}

fn maildir(reader: &mut Reader<'_, '_, '_>) -> Option<Kind> {
    reader.require("path");
    let path = reader.path("path");
    let file_mode = reader.parsed("file-mode", file_mode).unwrap_or(maildir::FILE_MODE);
    let path = path?;
    // Without `.` and doubled or trailing slashes, so that equal folders are equal paths.
    Some(Kind::Maildir(maildir::Settings { path: path.components().collect::<PathBuf>(), file_mode }))
}

/// The permission bits of a message, as chmod(1) takes them.
fn file_mode(text: &str) -> Result<u32, String> {
    const HOW: &str = "write three octal digits, as in \"0640\"";
    let is_octal = (3..=4).contains(&text.len()) && text.bytes().all(|octet| matches!(octet, b'0'..=b'7'));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal).ok_or(HOW)?;
    let fault = match mode {
        _ if mode & 0o7000 != 0 => "a message has no setuid, setgid or sticky bit: write \"0640\", not \"2640\"",
        _ if mode & 0o111 != 0 => {
            "a message is not executable; folders get their x bits by themselves: write \"0640\", not \"0750\""
        }
        _ if mode & 0o002 != 0 => "a message must not be writable by everyone: write \"0660\" for a group",
        _ if mode & 0o600 != 0o600 => "its owner must be able to read and write a message: write \"0600\" or more",
        _ => return Ok(mode),
    };
    Err(fault.into())
}

fn smtp(reader: &mut Reader<'_, '_, '_>) -> Option<Kind> {
    let endpoint = endpoint::read(reader, &SMTP);
    let login = login(reader);
    reader.require("recipient");
    let recipients = recipients(reader);
    let sender = sender(reader);
    let delivered_to = reader.word("delivered-to", &DELIVERED_TO).unwrap_or_default();
    let hello = reader.parsed("hello", hello);
    let timeout = reader.duration("timeout", TIMEOUT.0..=TIMEOUT.1).unwrap_or(defaults::TIMEOUT);
    let endpoint = endpoint?;
    if endpoint.tls == TlsMode::None && !endpoint.is_private() {
        let at = reader.entry("tls").map_or(reader.at.clone(), |entry| entry.at());
        if password::is_set(reader) || reader.entry("username").is_some() {
            let message = "a login needs TLS: with tls = \"none\" the password could be read on the way";
            reader.problems.error(&at, message);
        } else {
            let message = format!("{}: with tls = \"none\" the mail can be read on the way", reader.what);
            reader.problems.warning(&at, message);
        }
    }
    let recipients = recipients?;
    let settings = smtp::Settings { endpoint, login, recipients, sender, delivered_to, hello, timeout };
    Some(Kind::Smtp(Box::new(settings)))
}

/// User name and password: both or neither.
fn login(reader: &mut Reader<'_, '_, '_>) -> Option<(String, crate::credential::SecretSource)> {
    let username = reader.plain("username").map(|(text, _)| text.to_owned());
    let secret = password::read(reader);
    match (reader.entry("username"), password::is_set(reader)) {
        (Some(entry), false) => {
            let message = format!("`username` needs a password too: one of {}", listed(&password::KEYS));
            reader.problems.absence(&entry.key_at(), message);
        }
        (None, true) => {
            let set = password::KEYS.into_iter().find_map(|name| Some((name, reader.entry(name)?)));
            if let Some((name, entry)) = set {
                reader.problems.absence(&entry.key_at(), format!("`{name}` needs `username` too"));
            }
        }
        _ => {}
    }
    username.zip(secret)
}

fn recipients(reader: &mut Reader<'_, '_, '_>) -> Option<Vec<String>> {
    let found = reader.one_or_more("recipient")?;
    let mut recipients = Vec::new();
    for (text, at) in found {
        if address(text) { recipients.push(text.to_owned()) } else { wrong_address(reader, "recipient", text, &at) }
    }
    Some(recipients)
}

/// `""` and `"<>"` are the null reverse-path of RFC 5321 §4.5.5.
fn sender(reader: &mut Reader<'_, '_, '_>) -> Option<String> {
    let (text, entry) = reader.string("sender")?;
    if text.is_empty() || text == "<>" {
        return Some(String::new());
    }
    if !address(text) {
        wrong_address(reader, "sender", text, &entry.at());
        return None;
    }
    Some(text.to_owned())
}

fn wrong_address(reader: &mut Reader<'_, '_, '_>, name: &str, text: &str, at: &At) {
    let shown = reader.problems.echo(at, text, "this");
    reader.problems.error(at, format!("`{name}`: {shown} is not an address such as alice@example.org"));
}

fn address(text: &str) -> bool {
    header::envelope_address(text).is_some()
}

/// A host name, or an address literal in brackets (RFC 5321 §4.1.3).
fn hello(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if text.len() <= 255 && text.chars().all(good) { Ok(text.to_owned()) } else { Err("not a host name".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;

    #[test]
    fn the_key_type_names_every_type() {
        let takes = keys::find(&[Section::Destination], "type").expect("a key").takes;
        for of in TYPES {
            assert!(takes.contains(&format!("\"{}\"", of.name)), "{}: {takes}", of.name);
        }
        assert!(!TYPES.iter().any(|of| LATER.contains(&of.name)), "no longer later");
    }
}
