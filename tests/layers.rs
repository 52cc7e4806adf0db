//! A module imports only from a layer below its own, or what is listed here.
//!
//! Read from the source: every `crate::` and `super::` path outside of comments and tests.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "layers/circles.rs"]
mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules of each layer, from the words at the bottom to the face at the top.
const LAYERS: [&[&str]; 9] = [
    &["clock", "event", "failure", "machine", "message", "progress", "secret", "text"],
    &["header", "plan", "pop3::command", "pop3::multiline", "pop3::reply", "sasl", "schedule", "trace", "transcript"],
    &[
        "attempt",
        "credential",
        "deliver",
        "descriptors",
        "filesystem",
        "net",
        "oauth",
        "pop3::session",
        "spool",
        "store",
        "subprocess",
        "threads",
    ],
    &["account"],
    &["config", "poll", "rebuild"],
    &["engine", "process"],
    &["control"],
    &["daemon"],
    &["cli"],
];

/// Imports between modules of one layer, each with a reason to be.
const BESIDE: &[(&str, &str)] = &[
    ("attempt", "filesystem"),    // files of the state directory, which follow no link
    ("credential", "filesystem"), // a password's file may be anything, and anybody's
    ("credential", "subprocess"),
    ("deliver", "descriptors"), // files of messages count
    ("credential", "threads"),
    ("deliver", "credential"),  // the login of a mail server
    ("deliver", "descriptors"), // files of messages count
    ("deliver", "filesystem"),  // whose a Maildir is, and names that nobody else has
    ("deliver", "net"),
    ("deliver", "spool"), // a message on its way to a mail server
    ("deliver", "threads"),
    ("event", "failure"),  // how much it matters
    ("event", "message"),  // whose, and which message
    ("event", "text"),     // sentences are escaped
    ("header", "trace"),   // which of the Received fields are ours
    ("clock", "message"),  // a time
    ("message", "text"),   // a unique-id is shown escaped
    ("net", "credential"), // the login of a proxy
    ("net", "filesystem"), // a certificate's file may be anything, and anybody's
    ("net", "subprocess"),
    ("net", "threads"),
    ("oauth", "credential"), // the secret of a client
    ("oauth", "filesystem"), // files of the state directory
    ("oauth", "net"),
    ("oauth", "threads"),
    ("pop3::session", "net"),
    ("pop3::session", "threads"),
    ("spool", "descriptors"),
    ("spool", "filesystem"), // names that nobody else has
    ("store", "filesystem"), // a database on a network file system is refused
];

/// A module of the table, or what is not in it.
fn module(path: &[String]) -> String {
    match path {
        [first, second, ..] if first == "pop3" => format!("{first}::{second}"),
        [first, ..] => first.clone(),
        [] => "the crate's root".to_owned(),
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// The path of a file's module: `["poll", "stage"]`.
fn path_of(file: &Path, src: &Path) -> Vec<String> {
    let below = file.strip_prefix(src).expect("below src").with_extension("");
    let mut path: Vec<String> = below.iter().map(|part| part.to_str().expect("ASCII").to_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// The source without line comments and without what is compiled for tests alone.
fn without_tests(source: &str) -> String {
    let mut out = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if line == "#[cfg(test)]" {
            // Up to the end of the item, which begins at the margin.
            let end = |line: &&str| *line == "}" || (line.ends_with(';') && !line.starts_with(' '));
            lines.find(end);
        } else if !line.trim_start().starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The paths that a text names, from the crate's root.
fn imports(text: &str, own: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let is_start = !before.is_alphanumeric() && before != '_' && before != ':' && before != '$';
        let begun = [("crate::", 0), ("super::", 1)].into_iter().find(|(word, _)| is_start && rest.starts_with(word));
        if let Some((word, up)) = begun {
            rest = &rest[word.len()..];
            let mut base = if up == 0 { Vec::new() } else { own[..own.len().saturating_sub(1)].to_vec() };
            while let Some(further) = rest.strip_prefix("super::") {
                base.pop();
                rest = further;
            }
            tree(rest, &base, &mut found);
            before = ':';
        } else {
            before = next;
            rest = &rest[next.len_utf8()..];
        }
    }
    found
}

/// A path, or a group of them in braces, each up to two names long; returns what follows.
fn tree<'a>(text: &'a str, base: &[String], found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, base, found).trim_start();
            match rest.strip_prefix(',') {
                Some(further) => rest = further,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let path: Vec<String> = base.iter().cloned().chain((end > 0).then(|| text[..end].to_owned())).collect();
    match text[end..].strip_prefix("::") {
        Some(further) if end > 0 => tree(further, &path, found),
        _ => {
            found.push(path);
            let end = text.find([',', '}', ';']).unwrap_or(text.len());
            &text[end..]
        }
    }
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            // Modules of tests alone.
            true if path.ends_with("tests") => {}
            true => sources(&path, found),
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
}

/// Every import of one module from another, with the file that it stands in.
fn all_imports() -> Vec<(String, String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut all = Vec::new();
    for file in files.into_iter().filter(|file| !file.ends_with("src/lib.rs") && !file.ends_with("src/main.rs")) {
        let own = path_of(&file, &src);
        let text = without_tests(&std::fs::read_to_string(&file).expect("readable"));
        for path in imports(&text, &own) {
            all.push((module(&own), module(&path), file.clone()));
        }
    }
    all.retain(|(from, to, _)| from != to);
    all
}

#[test]
fn every_module_imports_only_from_below_or_as_listed() {
    let imports = all_imports();
    assert!(imports.len() > 200, "the imports were found: {}", imports.len());
    let mut wrong = BTreeSet::new();
    for (from, to, file) in &imports {
        let Some(own) = layer(from) else {
            wrong.insert(format!("{from} has no layer ({})", file.display()));
            continue;
        };
        match layer(to) {
            Some(other) if other < own => {}
            Some(other) if other == own && BESIDE.contains(&(from, to)) => {}
            _ => {
                wrong.insert(format!("{from} -> {to} ({})", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_import_is_allowed_that_does_not_exist() {
    let imports = all_imports();
    for (from, to) in BESIDE {
        assert_eq!(layer(from), layer(to), "{from} -> {to} are of one layer");
        assert!(imports.iter().any(|(a, b, _)| a == from && b == to), "{from} -> {to} is no more");
        assert!(!BESIDE.contains(&(to, from)), "{from} and {to} would depend on each other");
    }
}

#[test]
fn every_module_has_a_layer() {
    let lib = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).expect("readable");
    let declared = lib.lines().filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';'));
    let without = declared.filter(|name| *name != "pop3" && layer(name).is_none());
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    let own: Vec<String> = ["poll", "stage"].map(str::to_owned).to_vec();
    for (text, want) in [
        ("use crate::net::{self, Stream};", &["net", "net"][..]),
        ("use crate::{text, pop3::{command::Command, reply}};", &["text", "pop3::command", "pop3::reply"]),
        ("use super::sink::Sink;", &["poll"]),
        ("use super::super::store;", &["store"]),
        ("fn f() -> crate::plan::Step { crate::text::shown(x) }", &["plan", "text"]),
        ("pub(crate) fn f() {}", &[]),
        ("pub(in crate::store) const A: u8 = 1;", &["store"]),
        (
            "// crate::cli\n    /// [`crate::cli`]\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\nuse crate::spool::Spool;",
            &["spool"],
        ),
    ] {
        let found: Vec<String> = imports(&without_tests(text), &own).iter().map(|path| module(path)).collect();
        assert_eq!(found, want, "{text}");
    }
}
