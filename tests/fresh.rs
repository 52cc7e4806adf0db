//! What a machine lacks to build and to check is found out by trying it, and reported with what to do.
//!
//! `make check-fresh` (`tests/fresh/run`) tries the same on machines that lack everything.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder with commands of ours: each is a line of shell.
fn commands(lines: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, line) in lines {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{line}\n")).expect("a command");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    folder
}

/// Runs a script of `tests/`, where the commands of `folder` stand before the system's.
fn run(script: &str, argument: &str, folder: &Path) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .arg(argument)
        .env("PATH", format!("{}:{path}", folder.display()))
        .output()
        .expect("the script")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// An ordinary user with apt and a sudo that allows nothing, and `more` commands.
fn ordinary_user(more: &[(&str, &str)]) -> TempDir {
    let mut lines = vec![("id", "echo 1000"), ("sudo", "exit 1"), ("apt-get", "exit 100")];
    lines.extend_from_slice(more);
    commands(&lines)
}

#[test]
fn an_old_toolchain_is_told_with_the_version_that_is_needed() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    for (version, good) in [
        ("cargo 1.65.0", false),
        ("cargo 1.94.1 (29ea6fb6a 2026-03-24)", false),
        (&format!("cargo {needed}.0 (f2d3ce0bd 2026-03-21)"), true),
        (&format!("cargo {needed}.0-nightly (f2d3ce0bd 2026-03-21)"), true),
        ("cargo 1.100.0", true),
        ("cargo 2.0.0", true),
    ] {
        let folder = commands(&[("cargo", &format!("echo '{version}'"))]);
        let output = run("tests/toolchain", "cargo", folder.path());
        assert_eq!(output.status.code(), Some(if good { 0 } else { 69 }), "{version}: {}", said(&output));
        assert_eq!(said(&output).contains(&format!("Rust {needed} or later is needed")), !good, "{version}");
    }
}

#[test]
fn a_toolchain_that_is_not_there_or_does_not_work_is_told() {
    let folder = commands(&[("cargo", "echo 'rustup could not choose a version of cargo to run' >&2; exit 1")]);
    let output = run("tests/toolchain", "cargo", folder.path());
    assert_eq!(output.status.code(), Some(69));
    assert!(said(&output).contains("rustup could not choose"), "{}", said(&output));
    assert!(said(&output).contains("does not work"), "{}", said(&output));
    let output = run("tests/toolchain", "/nonexistent/cargo", folder.path());
    assert_eq!(output.status.code(), Some(69));
    assert!(said(&output).contains("there is no /nonexistent/cargo"), "{}", said(&output));
}

/// Debian's gcc only recommends the C library's headers: `cc` is there, and cannot make a program.
#[test]
fn a_compiler_that_cannot_link_is_missing() {
    let folder = ordinary_user(&[("cc", "echo 'cannot open Scrt1.o' >&2; exit 1")]);
    let output = run("tests/servers/install", "demo", folder.path());
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("Missing system packages: gcc libc6-dev"), "{}", said(&output));
}

/// The compiler here makes everything but programs with OpenSSL's headers.
#[test]
fn headers_that_are_gone_are_missing_though_pkg_config_knows_them() {
    let compiler = "! grep -q openssl/ssl.h \"$3\" || exit 1\nprintf '#!/bin/sh\\n' >\"$2\" && chmod 755 \"$2\"";
    let folder = ordinary_user(&[("cc", compiler), ("pkg-config", "exit 0")]);
    let output = run("tests/servers/install", "demo", folder.path());
    assert_eq!(output.status.code(), Some(69), "{}", said(&output));
    assert!(said(&output).contains("libssl-dev"), "{}", said(&output));
    assert!(!said(&output).contains("gcc"), "{}", said(&output));
}

#[test]
fn who_is_not_root_is_told_one_line_that_root_can_run_from_anywhere() {
    let folder = ordinary_user(&[("cc", "exit 1")]);
    for what in ["demo", "check"] {
        let output = run("tests/servers/install", what, folder.path());
        assert_eq!(output.status.code(), Some(69), "{}", said(&output));
        let line = format!("{}/tests/servers/install {what}", env!("CARGO_MANIFEST_DIR"));
        assert!(said(&output).lines().any(|told| told.trim() == line), "{}", said(&output));
    }
}
