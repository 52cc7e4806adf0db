//! Maildirs that others may read: `file-mode`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::support::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn of_messages(maildir: &Path) -> Vec<u32> {
    std::fs::read_dir(maildir.join("new")).unwrap().map(|entry| mode(&entry.unwrap().path())).collect()
}

fn home(server: &MailboxServer, file_mode: &str) -> Postrider {
    let keys = format!("file-mode = \"{file_mode}\"\n");
    Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home"), keys].concat())
}

/// Runs `fetch` under an umask.
fn fetch_with_umask(program: &Postrider, umask: &str) {
    let mut command = std::process::Command::new("sh");
    program.prepare(&mut command);
    command.args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"]);
    command.arg(program.command().get_program()).arg("-c").arg(program.config_path()).arg("fetch");
    program.spawn_command(command).wait(std::time::Duration::from_secs(60)).assert_success();
}

#[test]
fn messages_and_new_folders_have_the_mode_that_is_wished_whatever_the_umask_is() {
    for (wish, of_message, of_folder) in
        [("0600", 0o600, 0o700), ("640", 0o640, 0o750), ("0660", 0o660, 0o770), ("0644", 0o644, 0o755)]
    {
        for umask in ["0", "077", "027"] {
            let server = MailboxServer::start(Message::several(2, Mix::Tiny));
            let program = home(&server, wish);
            fetch_with_umask(&program, umask);
            for folder in ["home", "home/tmp", "home/new", "home/cur"] {
                assert_eq!(mode(&program.path(folder)), of_folder, "{wish} {umask}: {folder}");
            }
            assert_eq!(of_messages(&program.path("home")), [of_message; 2], "{wish} {umask}");
            server.manifest().verify(&program.path("home")).assert_exactly_once();
        }
    }
}

#[test]
fn folders_that_are_there_keep_their_mode_and_a_group_that_they_hand_on() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = home(&server, "0640");
    for (folder, wish) in [("home", 0o2775), ("home/new", 0o711)] {
        std::fs::create_dir(program.path(folder)).unwrap();
        std::fs::set_permissions(program.path(folder), Permissions::from_mode(wish)).unwrap();
    }
    program.run(&["fetch"]).assert_success();
    for (folder, want) in [("home", 0o2775), ("home/new", 0o711), ("home/tmp", 0o2750), ("home/cur", 0o2750)] {
        assert_eq!(mode(&program.path(folder)), want, "{folder}");
    }
    assert_eq!(of_messages(&program.path("home")), [0o640]);
}

#[test]
fn a_mode_that_makes_no_sense_is_refused_with_the_reason() {
    let server = MailboxServer::start(Vec::new());
    for (wish, words) in [
        ("0750", "not executable"),
        ("0622", "writable by everyone: write \"0660\""),
        ("0602", "write \"0660\""),
        ("4600", "no setuid"),
        ("2640", "write \"0640\""),
        ("0400", "owner must be able"),
        ("0060", "owner must be able"),
        ("u=rw", "three octal digits"),
        ("0o640", "three octal digits"),
        ("0680", "three octal digits"),
        ("", "is empty"),
    ] {
        let output = home(&server, wish).run(&["check"]).assert_code(78);
        assert!(output.stderr.contains(words), "{wish}: {}", output.stderr);
    }
}
