//! The licences of everything that the program is made of are those that `deny.toml` allows and that the
//! package's copyright file names.
//!
//! What `cargo deny check licenses` does, for machines without it: from what cargo itself tells.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Licences that have to be kept together.
type Way = BTreeSet<String>;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a file of the source")
}

/// The ways in which an expression of SPDX (Annex D) can be kept; an old `/` is an OR.
fn ways(expression: &str) -> Vec<Way> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (found, rest) = any(&words);
    assert!(rest.is_empty(), "{expression:?}: {rest:?} is left");
    found
}

fn any<'w, 't>(words: &'w [&'t str]) -> (Vec<Way>, &'w [&'t str]) {
    let (mut found, mut rest) = all(words);
    while let Some((&"OR", behind)) = rest.split_first() {
        let (more, left) = all(behind);
        found.extend(more);
        rest = left;
    }
    (found, rest)
}

fn all<'w, 't>(words: &'w [&'t str]) -> (Vec<Way>, &'w [&'t str]) {
    let (mut found, mut rest) = one(words);
    while let Some((&"AND", behind)) = rest.split_first() {
        let (more, left) = one(behind);
        found = found.iter().flat_map(|way| more.iter().map(move |other| way | other)).collect();
        rest = left;
    }
    (found, rest)
}

fn one<'w, 't>(words: &'w [&'t str]) -> (Vec<Way>, &'w [&'t str]) {
    match words {
        ["(", inner @ ..] => {
            let (found, rest) = any(inner);
            (found, rest.strip_prefix(&[")"]).expect("a closing parenthesis"))
        }
        [name, "WITH", exception, rest @ ..] => (vec![Way::from([format!("{name} WITH {exception}")])], rest),
        [name, rest @ ..] => (vec![Way::from([(*name).to_owned()])], rest),
        [] => panic!("an expression that ends too early"),
    }
}

/// Whether one of the ways keeps within a list.
fn is_kept(expression: &str, list: &BTreeSet<String>) -> bool {
    ways(expression).iter().any(|way| way.is_subset(list))
}

/// A list of `deny.toml`.
fn list(deny: &toml::Table, table: &str, key: &str) -> BTreeSet<String> {
    let words = deny[table][key].as_array().expect("a list");
    words.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// The expressions of all packages for one target, by name and version; for the program alone, or for its
/// tests as well.
fn expressions(target: &str, with_tests: bool) -> BTreeMap<String, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, &Value> =
        tree["resolve"]["nodes"].as_array().expect("a list").iter().map(|node| (text(&node["id"]), node)).collect();
    let (mut reached, mut open) = (BTreeSet::new(), vec![text(&tree["resolve"]["root"])]);
    while let Some(id) = open.pop() {
        if !reached.insert(id.clone()) {
            continue;
        }
        for dependency in nodes[&id]["deps"].as_array().expect("a list") {
            let kinds = dependency["dep_kinds"].as_array().expect("a list");
            if with_tests || kinds.iter().any(|kind| kind["kind"] != "dev") {
                open.push(text(&dependency["pkg"]));
            }
        }
    }
    let packages = tree["packages"].as_array().expect("a list").iter();
    let packages = packages.filter(|package| reached.contains(&text(&package["id"])));
    packages
        .map(|package| (format!("{} {}", text(&package["name"]), text(&package["version"])), text(&package["license"])))
        .collect()
}

#[test]
fn every_licence_of_the_tree_is_allowed_and_named_in_the_copyright_file() {
    let deny: toml::Table = read("deny.toml").parse().expect("TOML");
    let allowed = list(&deny, "licenses", "allow");
    let copyright = read("packaging/deb/copyright");
    let words: BTreeSet<&str> = copyright.split(|c: char| c.is_whitespace() || ",()".contains(c)).collect();
    let named: BTreeSet<String> = allowed.iter().filter(|licence| words.contains(licence.as_str())).cloned().collect();
    let (mut faults, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for target in list(&deny, "graph", "targets") {
        let everything = expressions(&target, true);
        assert!(everything.len() > 100, "{target}: the tree was read");
        for (package, expression) in &everything {
            if expression.is_empty() || !is_kept(expression, &allowed) {
                faults.insert(format!("{package} ({expression:?}): not in deny.toml"));
            }
            seen.extend(ways(expression).into_iter().flatten());
        }
        for (package, expression) in expressions(&target, false) {
            if !is_kept(&expression, &named) {
                faults.insert(format!("{package} ({expression:?}): not in packaging/deb/copyright"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let unused: Vec<_> = allowed.difference(&seen).collect();
    assert!(unused.is_empty(), "deny.toml allows what nothing has: {unused:?}");
}

#[test]
fn an_expression_is_kept_in_any_of_its_ways() {
    let list = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned).into();
    for (expression, want) in [
        ("MIT", true),
        ("ISC", false),
        ("ISC OR MIT", true),
        ("ISC/MIT", true),
        ("ISC AND MIT", false),
        ("(ISC OR MIT) AND Zlib", true),
        ("(MIT OR Zlib) AND ISC", false),
        ("ISC AND MIT OR Zlib", true),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception OR Apache-2.0", true),
    ] {
        assert_eq!(is_kept(expression, &list), want, "{expression}");
    }
}
