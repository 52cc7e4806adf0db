//! `apt purge` takes all that postrider makes in its state directory, sign-ins above all, and no mail.

#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::*;

/// Runs the package's script on a program's own directories.
fn purge(program: &Postrider) -> String {
    let script = std::fs::read_to_string(checkout("packaging/deb/postrm")).expect("the script");
    let script = script
        .replace("/var/lib/postrider", &program.state_dir().display().to_string())
        .replace("/etc/postrider", &program.path("etc").display().to_string())
        .replace("/run/systemd/system", "/nowhere")
        .replace("command -v deb-systemd-helper", "false");
    let path = program.path("postrm");
    std::fs::write(&path, script).expect("written");
    let output = Command::new("sh").arg(path).arg("purge").output().expect("sh");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// A state directory with everything that may come into one: what a fetch leaves, a crash, a rebuild that
/// has set the old database aside, a sign-in, and sockets.
fn full(program: &Postrider) {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let account = mailbox(server.port(), "one", "deliver = \"home\"");
    program.raw_config(&format!("state-dir = \"state\"\n{account}{}", maildir("home")), 0o600);
    program.run(&["fetch"]).assert_success();
    let renamed = mailbox(server.port(), "two", "deliver = \"home\"");
    program.raw_config(&format!("state-dir = \"state\"\n{renamed}{}", maildir("home")), 0o600);
    program.run(&["fetch"]).assert_success();
    let state = program.state_dir();
    assert!(state.join("origins").exists(), "an account was renamed: {:?}", files(&state));
    std::fs::write(state.join("state.db"), vec![7; 20_000]).expect("damaged");
    program.run(&["fetch"]);
    let aside = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("state.db."));
    assert!(files(&state).iter().any(aside), "an old database was set aside: {:?}", files(&state));
    // Named as the program names them; `oauth/vault.rs` and `store/durable.rs`.
    std::fs::create_dir_all(state.join("tokens/.sign-in")).expect("made");
    for name in ["tokens/one", "tokens/.one.lock", "tokens/.one.new", "tokens/.sign-in/one", "clean.new", "rebuilding"]
    {
        std::fs::write(state.join(name), "secret").expect("written");
    }
    let mut service = program.spawn(&["run"]);
    service.wait_until("something in the state", Duration::from_secs(30), |service| {
        service.stderr().contains("is running") || !service.stderr().is_empty()
    });
    service.kill();
}

#[test]
fn a_purge_leaves_nothing_that_postrider_has_made() {
    let program = Postrider::new();
    full(&program);
    let said = purge(&program);
    assert!(!program.state_dir().exists(), "{:?} is left; {said}", files(&program.state_dir()));
    assert_eq!(said, "");
}

#[test]
fn a_purge_leaves_mail_wherever_it_lies() {
    let program = Postrider::new();
    full(&program);
    let mail = program.state_dir().join("Maildir/new/1");
    std::fs::create_dir_all(mail.parent().expect("a folder")).expect("made");
    std::fs::write(&mail, "mail").expect("written");
    let said = purge(&program);
    assert_eq!(files(&program.state_dir()), [mail]);
    assert!(said.contains("stays"), "{said}");
    assert_eq!(count_messages(&program.path("home")), 2);
}
