//! Files of one module import each other in no circle.
//!
//! What a folder's `mod.rs` passes on counts as an import of the file that declares it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{imports, path_of, sources, without_tests};

type Module = Vec<String>;

/// The source of each module, without its tests.
fn modules() -> BTreeMap<Module, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let named = files.into_iter().map(|file| (path_of(&file, &src), file));
    named
        .filter(|(path, _)| !["lib", "main"].contains(&path[0].as_str()))
        .map(|(path, file)| (path, without_tests(&std::fs::read_to_string(file).expect("readable"))))
        .collect()
}

/// A text without its re-exports, and the re-exports.
fn split_passed_on(text: &str) -> (String, Vec<String>) {
    let (mut own, mut passed_on) = (String::new(), Vec::new());
    for item in text.split_inclusive(';') {
        let begins = item.trim_start();
        let visible = begins.strip_prefix("pub").map(|rest| match rest.strip_prefix('(') {
            Some(scope) => scope.split_once(')').map_or(rest, |(_, rest)| rest),
            None => rest,
        });
        match visible.and_then(|rest| rest.strip_prefix(" use ")) {
            Some(path) => passed_on.push(path.trim_end_matches(';').to_owned()),
            None => own.push_str(item),
        }
    }
    (own, passed_on)
}

/// Names that modules pass on, and where these are declared.
fn passed_on(modules: &BTreeMap<Module, String>) -> BTreeMap<Module, Module> {
    let mut found = BTreeMap::new();
    for (module, text) in modules {
        for path in split_passed_on(text).1 {
            let is_whole = ["crate::", "super::", "self::"].iter().any(|start| path.starts_with(start));
            // `pub use child::Name` is below the module itself.
            let (text, base) = match path.strip_prefix("self::") {
                Some(rest) => (format!("super::{rest}"), [&module[..], &["child".to_owned()]].concat()),
                None if is_whole => (path.clone(), module.clone()),
                None => (format!("super::{path}"), [&module[..], &["child".to_owned()]].concat()),
            };
            for declared in imports(&text, &base) {
                let name = declared.last().expect("a name").clone();
                found.insert([&module[..], &[name]].concat(), declared);
            }
        }
    }
    found
}

/// The module that declares what a path names.
fn resolve(
    path: &[String],
    modules: &BTreeMap<Module, String>,
    passed_on: &BTreeMap<Module, Module>,
) -> Option<Module> {
    let mut path = path.to_vec();
    // No name is passed on more often.
    for _ in 0..5 {
        let next = (1..=path.len()).rev().find_map(|length| {
            let declared = passed_on.get(&path[..length])?;
            Some([&declared[..], &path[length..]].concat())
        });
        match next {
            Some(next) if next != path => path = next,
            _ => break,
        }
    }
    (1..=path.len()).rev().map(|length| &path[..length]).find(|module| modules.contains_key(*module)).map(<[_]>::to_vec)
}

/// Which files each file imports.
fn graph(modules: &BTreeMap<Module, String>) -> BTreeMap<&Module, BTreeSet<Module>> {
    let passed_on = passed_on(modules);
    let of = |module: &Module, text: &String| {
        let own = split_passed_on(text).0.replace("pub(in ", "pub in(");
        let imported = imports(&own, module).into_iter().filter_map(|path| resolve(&path, modules, &passed_on));
        imported.filter(|other| other != module).collect()
    };
    modules.iter().map(|(module, text)| (module, of(module, text))).collect()
}

/// Files from which a way leads back to themselves, each with the others on it.
fn circles(graph: &BTreeMap<&Module, BTreeSet<Module>>) -> BTreeSet<Vec<String>> {
    let reached = |from: &Module| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from.clone()]);
        while let Some(module) = next.pop() {
            for other in graph.get(&module).into_iter().flatten() {
                if reached.insert(other.clone()) {
                    next.push(other.clone());
                }
            }
        }
        reached
    };
    let reached: BTreeMap<&Module, BTreeSet<Module>> = graph.keys().map(|module| (*module, reached(module))).collect();
    let circle = |module: &Module| {
        let on_it = reached[module].iter().filter(|other| reached.get(other).is_some_and(|all| all.contains(module)));
        let names: Vec<String> = on_it.map(|module| module.join("/")).collect();
        (names.len() > 1).then_some(names)
    };
    graph.keys().filter_map(|module| circle(module)).collect()
}

#[test]
fn files_import_each_other_in_no_circle() {
    let modules = modules();
    let graph = graph(&modules);
    assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 500, "the imports were found");
    assert_eq!(circles(&graph), BTreeSet::new());
}

#[test]
fn a_circle_is_found_through_what_a_folder_passes_on() {
    let files = [
        ("net", "mod stream;\nmod tls;\npub use stream::Stream;\npub(crate) use self::tls::{A, B};"),
        ("net/stream", "use super::tls;\npub(super) struct Stream;"),
        ("net/tls", "use crate::text;\nuse crate::net::Stream;"),
        ("text", "pub(in crate::net) fn f() {}"),
    ];
    let modules: BTreeMap<Module, String> =
        files.iter().map(|(path, text)| (path.split('/').map(str::to_owned).collect(), (*text).to_owned())).collect();
    let circle = vec!["net/stream".to_owned(), "net/tls".to_owned()];
    assert_eq!(circles(&graph(&modules)), BTreeSet::from([circle]));
    let mut mended = modules.clone();
    mended.insert(vec!["net".to_owned(), "tls".to_owned()], "use crate::text;".to_owned());
    assert_eq!(circles(&graph(&mended)), BTreeSet::new());
}
