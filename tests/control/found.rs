//! Where the socket is, and how it is found there.

use super::*;

/// A runtime directory whose socket is too long for an address.
fn long_folder(program: &Postrider) -> std::path::PathBuf {
    program.path(&"long-".repeat(30))
}

#[test]
fn a_socket_that_is_taken_away_comes_back() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    let mut service = program.start_service(LIMIT);
    let socket = program.path("run/control.sock");
    let answers = |program: &Postrider| wait_until("status", LIMIT, || program.run(&["status"]).code == Some(0));
    std::fs::remove_file(&socket).expect("removed");
    answers(&program);
    std::fs::remove_dir_all(program.path("run")).expect("removed");
    answers(&program);
    // What a dead service leaves behind does not count as another's socket.
    std::fs::remove_file(&socket).expect("removed");
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("bound"));
    answers(&program);
    assert!(service.stderr().contains("the control socket is at"), "{}", service.stderr());
    service.sigterm();
    service.wait(LIMIT).assert_success();
    assert!(!socket.exists());
}

#[test]
fn the_socket_of_a_service_that_was_killed_is_replaced() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    program.start_service(LIMIT).kill();
    assert!(program.path("run/control.sock").exists());
    program.run(&["status"]).assert_code(69);
    program.run(&["fetch"]).assert_success();
    let service = program.start_service(LIMIT);
    program.run(&["status"]).assert_success();
    assert!(!service.stderr().contains("no control socket"), "{}", service.stderr());
}

#[test]
fn a_session_without_a_runtime_directory_finds_the_service_of_one_that_has_it() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let mut program = Postrider::new();
    of_the_session(&program, &account(&server));
    let mut service = program.start_service(LIMIT);
    service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("polled: 1 delivered"));
    assert!(program.path("run/postrider/control.sock").exists());
    for other in ["", "/nonexistent/1000"] {
        program.env("XDG_RUNTIME_DIR", other);
        program.run(&["status"]).assert_success();
        let fetched = program.run(&["fetch"]).assert_success();
        assert_eq!(fetched.stdout, "one: no new mail\n");
        program.run(&["reload"]).assert_success();
    }
    service.sigterm();
    service.wait(LIMIT).assert_success();
    // No dangling link is left.
    assert!(program.state_dir().join("run/control.sock").symlink_metadata().is_err());
    program.run(&["status"]).assert_code(69);
}

#[test]
fn the_end_of_a_session_takes_the_runtime_directory_and_not_the_service() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    of_the_session(&program, &account(&server));
    let mut service = program.start_service(LIMIT);
    std::fs::remove_dir_all(program.path("run")).expect("removed");
    wait_until("status without it", LIMIT, || program.run(&["status"]).code == Some(0));
    assert_eq!(service.stderr().matches("no control socket at").count(), 1, "{}", service.stderr());
    std::fs::create_dir(program.path("run")).expect("the next session");
    service.wait_until("the socket to be back", LIMIT, |_| program.path("run/postrider/control.sock").exists());
    wait_until("status with it", LIMIT, || program.run(&["status"]).code == Some(0));
    service.sigterm();
    service.wait(LIMIT).assert_success();
}

#[test]
fn a_path_may_be_longer_than_an_address() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::new();
    let text = format!("runtime-dir = \"{}\"\n{}", long_folder(&program).display(), account(&server));
    of_the_session(&program, &text);
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 1);
    let service = program.start_service(LIMIT);
    assert!(long_folder(&program).join("control.sock").exists(), "{}", service.stderr());
    program.run(&["status"]).assert_success();
    program.run(&["fetch"]).assert_success();
}

#[test]
fn a_runtime_directory_that_cannot_be_made_keeps_nobody_from_anything() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::new();
    std::fs::write(program.path("file"), "").expect("written");
    for folder in ["file/run", "no/such/folder", "file"] {
        of_the_session(&program, &format!("runtime-dir = \"{folder}\"\n{}", account(&server)));
        program.run(&["fetch"]).assert_success();
        let mut service = program.start_service(LIMIT);
        program.run(&["status"]).assert_success();
        program.run(&["fetch"]).assert_success();
        assert_eq!(service.stderr().matches("no control socket at").count(), 1, "{}", service.stderr());
        service.sigterm();
        service.wait(LIMIT).assert_success();
    }
}

#[test]
fn two_services_with_one_runtime_directory_are_told_apart() {
    let (first, second) = (MailboxServer::start(Vec::new()), MailboxServer::start(Vec::new()));
    let (one, two) = (Postrider::with_config(&account(&first)), Postrider::new());
    of_the_session(&two, &format!("runtime-dir = \"{}\"\n{}", one.path("run").display(), account(&second)));
    let _first = one.start_service(LIMIT);
    // Before it runs, the other's service is not taken for its own.
    let absent = two.run(&["status"]).assert_code(69);
    assert!(absent.stderr.contains("keeps its state in"), "{}", absent.stderr);
    two.run(&["fetch"]).assert_success();
    let mut other = two.start_service(LIMIT);
    assert!(other.stderr().contains("another process answers there"), "{}", other.stderr());
    for program in [&one, &two] {
        let status = program.run(&["status", "--json"]).assert_success();
        let status: serde_json::Value = serde_json::from_str(&status.stdout).expect("JSON");
        assert_eq!(status["state-dir"], program.state_dir().display().to_string());
    }
    other.sigterm();
    other.wait(LIMIT).assert_success();
    one.run(&["status"]).assert_success();
    assert!(one.path("run/control.sock").exists());
}

#[test]
fn a_state_directory_by_another_name_is_the_same() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    let _service = program.start_service(LIMIT);
    std::os::unix::fs::symlink(program.state_dir(), program.path("link")).expect("a link");
    let run = program.path("run");
    let text = format!("state-dir = \"link\"\nruntime-dir = \"{}\"\n{}", run.display(), account(&server));
    program.raw_config(&text, 0o600);
    program.run(&["status"]).assert_success();
}

#[test]
fn who_has_the_state_is_told_where_no_service_answers() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    server.change(|behaviour| behaviour.hang_at = Some("UIDL".into()));
    let program = Postrider::with_config(&account(&server));
    let mut fetch = program.spawn(&["fetch"]);
    fetch.wait_until("the fetch to begin", LIMIT, |_| server.logins() == 1);
    let status = program.run(&["status"]).assert_code(69);
    let wanted = format!("Process {} uses the state directory", fetch.pid());
    assert!(status.stderr.contains(&wanted), "{}", status.stderr);
    fetch.kill();
    let status = program.run(&["status"]).assert_code(69);
    assert!(status.stderr.contains("the service is not running"), "{}", status.stderr);
}
