//! A database that cannot be used now: from a newer version, of another program, locked, on a full
//! or read-only disk.  Each has an error of its own, and nothing is fetched or deleted.

use super::*;

/// Nothing was delivered or deleted, and nothing set aside.
fn assert_untouched(program: &Postrider, server: &MailboxServer, code: i32, words: &str) {
    let before = (count_messages(&program.path("home")), server.count("DELE"));
    let run = program.run(&["fetch"]).assert_code(code);
    assert!(run.stderr.contains(words), "{}", run.stderr);
    assert_eq!((count_messages(&program.path("home")), server.count("DELE")), before);
    assert_eq!(std::fs::read_dir(program.path("home/tmp")).expect("tmp/").count(), 0);
    assert_eq!(set_aside(program), [""; 0]);
}

fn delivered() -> (MailboxServer, Postrider) {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = program(&server, "retention = \"delete\"");
    program.run(&["fetch"]).assert_success();
    server.add(Message::generated(2, 1, Mix::Tiny));
    (server, program)
}

#[test]
fn a_newer_database_is_left_to_the_newer_program() {
    let (server, program) = delivered();
    State::of(&program).set_format(99);
    // The newer program has broken the seal.
    std::fs::remove_file(state_file(&program, "clean")).expect("removed");
    assert_untouched(&program, &server, 74, "newer postrider (format 99");
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let (server, program) = delivered();
    lose_database(&program);
    let _ = std::fs::remove_file(state_file(&program, "clean"));
    State::of(&program).be_of_another_program();
    assert_untouched(&program, &server, 74, "another program");
}

#[test]
fn a_state_directory_that_cannot_be_written_fetches_nothing() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        // Nothing is forbidden to root.
        return;
    }
    let (server, program) = delivered();
    std::fs::set_permissions(program.state_dir(), std::fs::Permissions::from_mode(0o500)).expect("changed");
    assert_untouched(&program, &server, 74, "state d");
    std::fs::set_permissions(program.state_dir(), std::fs::Permissions::from_mode(0o700)).expect("changed");
    program.run(&["fetch"]).assert_success();
}

#[test]
fn a_database_that_another_program_keeps_locked_fetches_nothing() {
    let (server, program) = delivered();
    let state = State::of(&program);
    state.lock();
    assert_untouched(&program, &server, 75, "locked for");
    state.unlock();
    drop(state);
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining(), 0);
}
