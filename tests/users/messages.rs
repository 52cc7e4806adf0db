//! What is closed to this user is named: the file and not its folder, with its owner; and it is not "gone".

use super::*;

/// A program of `nobody`'s that has fetched.
fn fetched(server: &MailboxServer) -> Postrider {
    let program = Postrider::with_config(&config(server, ""));
    program.share_with_nobody(&["state", "home", "run"]);
    program.run_as_nobody(&["fetch"]).assert_success();
    server.add(Message::generated(5, 1, Mix::Tiny));
    program
}

fn give_to_root(path: &Path) {
    std::os::unix::fs::chown(path, Some(0), Some(0)).expect("root's");
}

#[test]
fn a_file_of_the_state_that_is_roots_is_named_with_its_owner_and_the_way_out() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    for name in ["lock", "state.db", "state.db-wal", "attempts/.died"] {
        let program = fetched(&server);
        let path = program.state_dir().join(name);
        assert!(path.exists(), "{name}");
        give_to_root(&path);
        let output = program.run_as_nobody(&["fetch"]).assert_code(74);
        assert_says(&output, &[&path.display().to_string(), "it belongs to root (mode 0600)", "chown -hR nobody "]);
    }
}

#[test]
fn a_folder_on_the_way_to_the_state_is_named_where_it_is_the_matter() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = fetched(&server);
    give_to_root(&program.state_dir());
    let output = program.run_as_nobody(&["fetch"]).assert_code(74);
    assert_says(&output, &["state belongs to root (mode 0700)"]);
    let program = fetched(&server);
    set_mode(program.home(), 0o700);
    let output = program.run_as_nobody(&["fetch"]);
    assert_says(&output, &[&format!("{} belongs to root (mode 0700)", program.home().display())]);
}

#[test]
fn a_maildir_that_may_not_be_entered_is_not_gone_and_cannot_be_made() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = fetched(&server);
    for part in ["home", "home/tmp", "home/new"] {
        give_to_root(&program.path(part));
        for command in [&["fetch"][..], &["check", "--connect"]] {
            let output = program.run_as_nobody(command).assert_code(74);
            assert_says(&output, &["Permission denied", "belongs to root (mode 0700)"]);
            for word in ["not there any more", "mounted", "cannot be made"] {
                // A message cannot be made in tmp/, which is there.
                let text = output.stderr.replace("a message cannot be made", "");
                assert!(!text.contains(word), "{part}: {word}: {}", output.stderr);
            }
        }
        program.give_to_nobody(&program.path(part));
    }
    program.run_as_nobody(&["check", "--connect"]).assert_success();
}

#[test]
fn a_maildir_that_is_gone_is_said_to_be() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, ""));
    program.run(&["fetch"]).assert_success();
    std::fs::rename(program.path("home"), program.path("elsewhere")).expect("moved");
    let output = program.run(&["fetch"]).assert_code(74);
    assert_says(&output, &["is not there any more, though mail was delivered to it: tmp does not exist", "mounted"]);
}
