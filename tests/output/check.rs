//! What `check` looks at on this machine.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use super::SOON;
use super::support::*;

fn account(server: &MailboxServer, state_dir: &str, keys: &str) -> String {
    let account = mailbox(server.port(), "a", &format!("deliver = \"home\"\n{keys}"));
    format!("state-dir = \"{state_dir}\"\n{account}{}", maildir("home"))
}

#[test]
fn a_state_directory_that_cannot_be_used_is_found_before_the_first_poll() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    std::fs::write(program.path("file"), "text").unwrap();
    for (dir, words) in [("file", "ot a directory"), ("file/state", "ot a directory")] {
        program.raw_config(&account(&server, dir, ""), 0o600);
        let checked = program.run(&["check", "--connect"]).assert_code(74);
        let fetched = program.run(&["fetch"]).assert_code(74);
        assert!(checked.stderr.contains("state directory") && checked.stderr.contains(words), "{}", checked.stderr);
        assert!(fetched.stderr.contains("state directory"), "{}", fetched.stderr);
        // By itself the configuration is right: another user may run the service.
        let looked = program.run(&["check"]);
        assert!(looked.stderr.contains("state directory"), "{}", looked.stderr);
        if dir == "file" {
            assert!(looked.assert_success().stderr.contains("note: state directory"));
        }
    }
}

#[test]
fn a_look_at_the_state_directory_leaves_nothing_there() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    program.raw_config(&account(&server, "new/state", ""), 0o600);
    let looked = program.run(&["check", "--connect"]).assert_success();
    assert!(looked.stdout.contains("new/state, which is created when it is needed"), "{}", looked.stdout);
    assert!(!program.path("new").exists());
    program.run(&["fetch"]).assert_success();
    let files = || {
        let mut files: Vec<_> =
            std::fs::read_dir(program.path("new/state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        files.sort();
        files
    };
    let before = files();
    program.run(&["check", "--connect"]).assert_success();
    assert_eq!(files(), before);
}

#[test]
fn a_file_of_the_state_that_belongs_to_another_user_is_named() {
    let server = MailboxServer::start(Vec::new());
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    if !program.share_with_nobody(&["state", "home", "home/tmp", "home/new", "home/cur", "run"]) {
        return;
    }
    program.run_as_nobody(&["fetch"]).assert_success();
    let database = program.state_dir().join("state.db");
    std::os::unix::fs::chown(&database, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(&database, Permissions::from_mode(0o600)).unwrap();
    let output = program.run_as_nobody(&["check", "--connect"]).assert_code(74);
    assert!(output.stderr.contains("state.db") && output.stderr.contains("belongs to root"), "{}", output.stderr);
}

#[test]
fn every_file_with_a_secret_that_others_may_read_is_warned_of_once() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    let hub = "[destinations.hub]\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = 1\nrecipient = \"a@b.example\"\n\
               username = \"u\"\npassword-file = \"hub\"\n";
    let text = account(&server, "state", "").replace("deliver = \"home\"", "deliver = [\"home\", \"hub\"]");
    let text = text.replace(&format!("password = \"{}\"", MailboxServer::PASSWORD), "password-file = \"pw\"");
    program.raw_config(&[&text, hub].concat(), 0o600);
    for file in ["pw", "hub"] {
        std::fs::write(program.path(file), MailboxServer::PASSWORD).unwrap();
        std::fs::set_permissions(program.path(file), Permissions::from_mode(0o644)).unwrap();
    }
    let output = program.run(&["check"]).assert_success();
    for words in ["account a: password file", "destination hub: password file"] {
        assert_eq!(output.stderr.matches(words).count(), 1, "{words}: {}", output.stderr);
    }
    assert!(!output.text().contains(MailboxServer::PASSWORD), "{}", output.text());
    std::fs::set_permissions(program.path("hub"), Permissions::from_mode(0o666)).unwrap();
    program.run(&["check"]).assert_code(78);
}

#[test]
fn a_server_that_is_silent_is_told_of_before_it_is_given_up() {
    // A client that connects has to wait.
    let server = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = server.local_addr().expect("its address").port();
    let program = Postrider::new();
    let account = mailbox(port, "a", "deliver = \"hub\"\ntimeout = \"9s\"");
    program.config(&format!("{account}{}tls = \"none\"\ntimeout = \"9s\"\n", smtp("hub", port)));
    let (check, list) = (program.spawn(&["check", "--connect"]), program.spawn(&["list", "a"]));
    let said = format!("waiting for account a: 127.0.0.1:{port}; it may stay silent for 9 s");
    let checked = check.wait(SOON).assert_code(69);
    for text in [&checked.stderr, &list.wait(SOON).assert_code(69).stderr] {
        assert_eq!(text.matches(&said).count(), 1, "{text}");
    }
    assert!(checked.stderr.contains("destination hub: 127.0.0.1:"), "{}", checked.stderr);
    assert!(!checked.stderr.contains("t is tried again"), "{}", checked.stderr);
}

#[test]
fn a_server_that_answers_is_not_said_to_be_waited_for() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program =
        Postrider::with_config(&format!("{}{}", mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")));
    for command in [&["check", "--connect"][..], &["list", "a"]] {
        let output = program.run(command).assert_success();
        assert!(!output.stderr.contains("waited for"), "{}", output.stderr);
    }
}
