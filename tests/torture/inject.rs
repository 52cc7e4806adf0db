//! An error from the N-th system call of a kind, without the call being made.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::support::{Output, Postrider};

/// A run in which calls failed.
pub(crate) struct Injected {
    pub(crate) output: Output,
    /// How many calls of each name failed: strace counts for each thread, so there may be several.
    pub(crate) failed: BTreeMap<String, usize>,
}

/// Runs `postrider fetch` with expressions of `strace -e inject=`.
pub(crate) fn fetch_with(program: &Postrider, expressions: &[String]) -> Injected {
    let told = program.path("strace.out");
    let mut command = Command::new("strace");
    command.args(["-f", "--seccomp-bpf", "-qq", "-s", "0", "-e", "signal=none", "-o"]).arg(&told);
    let calls: Vec<&str> = expressions.iter().filter_map(|one| one.split(':').next()).collect();
    command.arg("-e").arg(format!("trace={}", calls.join(",")));
    for expression in expressions {
        command.arg("-e").arg(format!("inject={expression}"));
    }
    command.arg(program.command().get_program()).arg("-c").arg(program.config_path()).arg("fetch");
    program.prepare(&mut command);
    let output = program.spawn_command(command).wait(Duration::from_secs(120));
    let told = std::fs::read(told).unwrap_or_default();
    let mut failed = BTreeMap::new();
    for line in String::from_utf8_lossy(&told).lines().filter(|line| line.ends_with("(INJECTED)")) {
        // "12 fsync(7) = ..." or "12 <... fsync resumed>) = ...".
        let words = line.split([' ', '(']).filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase()));
        *failed.entry(words.take(1).collect()).or_default() += 1;
    }
    Injected { output, failed }
}
