//! No function of `src` has more than 60 lines and no file more than 400, but for those that are listed here with
//! their reason.
//!
//! Read from the source as rustfmt leaves it: a function ends with the brace below its first letter.
#![allow(clippy::allow_attributes, clippy::expect_used, reason = "a failure here is a failure of the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lines that a function may have, from its `fn` to its last brace.
const FUNCTION_LINES: usize = 60;

/// Lines that a file may have.
const FILE_LINES: usize = 400;

/// A row of values, or an arm for each variant: longer, but not harder to read.
const FLAT: &str = "flat";

/// Longer functions: file below `src`, name, why.
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("config/tests/accepted.rs", "every_account_key_has_its_effect", FLAT),
    ("config/tests/accepted.rs", "what_is_allowed_but_odd_is_a_warning_with_its_place", FLAT),
    ("config/tests/refused.rs", "a_bad_account_key_is_one_problem_that_says_what_is_wanted", FLAT),
    ("config/tests/refused.rs", "a_bad_structure_is_told_in_plain_words", FLAT),
    ("pop3/session/error.rs", "advice", FLAT),
    ("event/sentence.rs", "of", FLAT),
];

/// Longer files: below `src`, why.
const FILES: &[(&str, &str)] = &[];

/// Names and lines of the functions of a text.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = name_of(line) else { continue };
        let indent = line.len() - line.trim_start().len();
        let at_margin = |line: &&str| line.len() - line.trim_start().len() == indent;
        let ends = |line: &&str| at_margin(line) && (line.trim() == "}" || line.ends_with(';'));
        let is_one_line = line.ends_with('}') || line.ends_with(';');
        let rest = if is_one_line { 0 } else { lines[first + 1..].iter().position(ends).map_or(0, |n| n + 1) };
        found.push((name.to_owned(), rest + 1));
    }
    found
}

/// The name of the function that begins on a line.
fn name_of(line: &str) -> Option<&str> {
    let mut words = line.trim_start();
    if let Some(rest) = words.strip_prefix("pub(") {
        words = rest.split_once(") ")?.1;
    }
    for word in ["pub ", "default ", "const ", "async ", "unsafe "] {
        words = words.strip_prefix(word).unwrap_or(words);
    }
    let name = words.strip_prefix("extern \"C\" ").unwrap_or(words).strip_prefix("fn ")?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Every source below `src`, with its path from there.
fn sources() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![src.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&src).expect("below src").to_str().expect("ASCII").to_owned();
                found.push((name, std::fs::read_to_string(path).expect("a source")));
            }
        }
    }
    found
}

/// What is longer than it may be, and what may be longer and is not.
fn compare<T: Ord + std::fmt::Debug>(what: &str, long: &BTreeSet<T>, allowed: &BTreeSet<T>) {
    let (new, idle): (Vec<_>, Vec<_>) = (long.difference(allowed).collect(), allowed.difference(long).collect());
    assert!(new.is_empty(), "split these {what}, or list them in tests/size.rs with a reason: {new:#?}");
    assert!(idle.is_empty(), "these {what} need no row in tests/size.rs any more: {idle:#?}");
}

#[test]
fn no_function_is_longer_than_sixty_lines_but_those_with_a_reason() {
    let sources = sources();
    let all: Vec<(&str, String, usize)> = sources
        .iter()
        .flat_map(|(file, text)| functions(text).into_iter().map(move |(name, lines)| (file.as_str(), name, lines)))
        .collect();
    assert!(all.len() > 1500, "the functions were found: {}", all.len());
    let long = all.into_iter().filter(|(.., lines)| *lines > FUNCTION_LINES).map(|(file, name, _)| (file, name));
    let long: BTreeSet<(&str, String)> = long.collect();
    let allowed = FUNCTIONS.iter().map(|(file, name, _)| (*file, (*name).to_owned())).collect();
    compare("functions", &long, &allowed);
}

#[test]
fn no_file_is_longer_than_four_hundred_lines_but_those_with_a_reason() {
    let sources = sources();
    let long = sources.iter().filter(|(_, text)| text.lines().count() > FILE_LINES).map(|(file, _)| file.as_str());
    compare("files", &long.collect(), &FILES.iter().map(|(file, _)| *file).collect());
}

#[test]
fn functions_are_measured_as_they_stand() {
    let text = "\
pub(crate) async fn one() {
    if x {
    }
}
impl X {
    fn two(
        a: usize,
    ) -> usize {
        a
    }

    const fn three() {}
}
trait Y {
    fn four(
        a: usize,
    );
    fn five();
}
let fn_six = 6;
";
    let want = [("one", 4), ("two", 5), ("three", 1), ("four", 3), ("five", 1)];
    assert_eq!(functions(text), want.map(|(name, lines)| (name.to_owned(), lines)));
}
