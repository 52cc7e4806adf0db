//! What SECURITY.md says is held by tests, and those that it names exist.
#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

const PAGE: &str = include_str!("../SECURITY.md");

/// The items of a list, each with its further lines.
fn items(page: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut in_item = false;
    for line in page.lines() {
        in_item = line.starts_with("* ") || in_item && line.starts_with("  ");
        match items.last_mut() {
            Some(item) if in_item && !line.starts_with("* ") => item.push_str(line),
            _ if in_item => items.push(line.to_owned()),
            _ => {}
        }
    }
    items
}

/// The tests that a text names: a file and a function.
fn named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').filter_map(|word| word.split_once("::")).collect()
}

/// Whether a source has the function as a test.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ").and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    lines.iter().enumerate().any(|(at, line)| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        is_it(line) && above.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn every_test_that_security_md_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = named(PAGE);
    assert!(named.len() > 30, "{named:?}");
    for (file, name) in named {
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(has_test(&source, name), "{file} has no test {name}");
    }
}

#[test]
fn every_sentence_of_security_md_is_held_by_a_test_or_says_what_is_not_protected() {
    let items = items(PAGE);
    assert!(items.len() > 15, "{items:?}");
    for item in items {
        assert!(item.starts_with("* Not protected: ") || !named(&item).is_empty(), "no test holds: {item}");
    }
}

#[test]
fn a_function_that_is_no_test_holds_nothing() {
    for (source, want) in [
        ("#[test]\nfn a() {", true),
        ("    #[tokio::test]\n    async fn a() {", true),
        ("#[test]\n#[cfg(unix)]\nfn a() {", true),
        ("fn a() {", false),
        ("#[test]\nfn ab() {", false),
        ("#[test]\nfn b() {}\nfn a() {", false),
        ("// fn a() {", false),
    ] {
        assert_eq!(has_test(source, "a"), want, "{source}");
    }
}
