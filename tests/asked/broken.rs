//! A configuration on the disk that cannot be used, or is not there.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// Breaks the configuration of a program.
type Break = fn(&Postrider);

/// Each way to break a configuration, and a word of what is wrong with it.
const WAYS: [(Break, &str); 8] = [
    (misspell, "`intervall`"),
    (cut, "config.toml"),
    (|program| in_folder(program, b"intervall = 3\n"), "more.toml"),
    (|program| in_folder(program, b"[accounts.one]\n"), "more.toml"),
    (not_utf8, "UTF-8"),
    (open_to_others, "chmod 600"),
    (a_folder, "config.toml"),
    (gone, "config.toml"),
];

fn text(program: &Postrider) -> String {
    std::fs::read_to_string(program.config_path()).expect("the configuration")
}

fn misspell(program: &Postrider) {
    program.raw_config(&text(program).replace("interval", "intervall"), 0o600);
}

fn cut(program: &Postrider) {
    program.raw_config(&text(program).replace("deliver = \"home\"", "deliver = \"home\n["), 0o600);
}

fn in_folder(program: &Postrider, octets: &[u8]) {
    std::fs::create_dir_all(program.path("conf.d")).expect("a folder");
    std::fs::write(program.path("conf.d/more.toml"), octets).expect("written");
}

fn not_utf8(program: &Postrider) {
    let octets = [text(program).as_bytes(), b"# caf\xe9\n"].concat();
    std::fs::write(program.config_path(), octets).expect("written");
}

fn open_to_others(program: &Postrider) {
    program.raw_config(&text(program), 0o644);
}

fn a_folder(program: &Postrider) {
    gone(program);
    std::fs::create_dir(program.config_path()).expect("a folder");
}

fn gone(program: &Postrider) {
    std::fs::remove_file(program.config_path()).expect("removed");
}

/// A configuration with the default folders, so that they are found without it.
fn with_defaults(server: &MailboxServer) -> Postrider {
    let program = Postrider::new();
    program.raw_config(&account(server), 0o600);
    program
}

#[track_caller]
fn assert_says(output: &Output, words: &[&str]) {
    for word in words {
        assert!(output.text().contains(word), "{word:?} is not in: {}", output.text());
    }
}

#[test]
fn a_running_service_is_asked_whatever_is_wrong_with_the_configuration() {
    for (index, (break_it, word)) in WAYS.into_iter().enumerate() {
        let server = MailboxServer::start(Message::several(1, Mix::Tiny));
        let program = with_defaults(&server);
        let mut service = program.start_service(LIMIT);
        service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("1 delivered"));
        break_it(&program);
        let status = program.run(&["status"]).assert_code(78);
        assert_says(&status, &["one ", "idle", "the service uses the previous one", word]);
        let shown = json(&program.run(&["status", "--json"]).assert_code(78));
        assert_eq!(shown["accounts"][0]["account"], "one", "{index}");
        assert!(shown["config-error"].as_str().is_some_and(|error| error.contains(word)), "{index}: {shown}");
        let polls = server.logins();
        assert_says(&program.run(&["poll", "one"]).assert_code(78), &[word]);
        wait_until("the poll", LIMIT, || server.logins() > polls);
        assert_says(&program.run(&["reload"]).assert_code(78), &[word]);
        let history = program.run(&["history", "one"]).assert_code(78);
        assert_says(&history, &["delivered", word]);
        assert!(json(&program.run(&["history", "--json"]).assert_code(78)).is_array());
        assert_says(&program.run(&["quarantine", "list"]).assert_code(78), &["The quarantine is empty", word]);
        service.sigterm();
        service.wait(LIMIT).assert_success();
    }
}

#[test]
fn without_a_service_what_is_on_record_is_told_beside_what_is_wrong() {
    for (break_it, word) in WAYS {
        let server = MailboxServer::start(Message::several(1, Mix::Tiny));
        let program = with_defaults(&server);
        program.run(&["fetch"]).assert_success();
        break_it(&program);
        let status = program.run(&["status"]).assert_code(78);
        assert_says(&status, &["one ", "the service is not running", "The configuration file is broken", word]);
        let shown = json(&program.run(&["status", "--json"]).assert_code(78));
        assert!(shown["config-error"].as_str().is_some_and(|error| error.contains(word)), "{shown}");
        assert_eq!((&shown["running"], &shown["pid"]), (&false.into(), &Value::Null));
        for command in [&["poll"][..], &["reload"]] {
            assert_says(&program.run(command).assert_code(78), &["the service is not running", word]);
        }
        assert_says(&program.run(&["history"]).assert_code(78), &["delivered", word]);
    }
}

#[test]
fn folders_that_the_broken_file_names_are_found() {
    for (break_it, word) in WAYS.into_iter().take(6) {
        let server = MailboxServer::start(Vec::new());
        let program = Postrider::with_config(&account(&server));
        let _service = program.start_service(LIMIT);
        break_it(&program);
        assert_says(&program.run(&["status"]).assert_code(78), &["one ", word]);
    }
}

#[test]
fn a_service_is_found_by_its_configuration_where_the_file_does_not_tell_the_state_any_more() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::new();
    program.raw_config(&format!("state-dir = \"elsewhere\"\n{}", account(&server)), 0o600);
    let mut service = program.start_service(LIMIT);
    service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("1 delivered"));
    program.raw_config("state-dir = \"elsewhere\n", 0o600);
    assert_says(&program.run(&["status"]).assert_code(78), &["one "]);
    assert_says(&program.run(&["history"]).assert_code(78), &["delivered"]);
    gone(&program);
    assert_says(&program.run(&["status"]).assert_code(78), &["one ", "does not exist"]);
    assert_says(&program.run(&["poll"]).assert_code(78), &["does not exist"]);
}

#[test]
fn where_nothing_tells_of_the_state_it_is_not_said_to_be_empty() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    for break_it in [a_folder as Break, gone, |program| program.raw_config("interval = \"5m\"\n[", 0o600)] {
        let before = text(&program);
        break_it(&program);
        for command in [&["history"][..], &["history", "--json"], &["quarantine", "list"]] {
            let output = program.run(command).assert_code(78);
            assert_says(&output, &["cannot tell where the state is", "there is none in", "config.toml"]);
            assert!(!output.text().contains("is empty") && !output.text().contains("Nothing"), "{}", output.text());
        }
        let _ = std::fs::remove_dir(program.config_path());
        program.raw_config(&before, 0o600);
    }
    // A file that says where the state is, or a state in the default place, is enough.
    misspell(&program);
    assert_says(&program.run(&["quarantine", "list"]).assert_code(78), &["The quarantine is empty"]);
    let program = with_defaults(&server);
    program.run(&["fetch"]).assert_success();
    gone(&program);
    assert_says(&program.run(&["quarantine", "list"]).assert_code(78), &["The quarantine is empty"]);
}

#[test]
fn a_fifo_into_which_nobody_writes_is_not_waited_for_without_end() {
    let server = MailboxServer::start(Vec::new());
    let program = with_defaults(&server);
    program.run(&["fetch"]).assert_success();
    gone(&program);
    let path = program.config_path();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
    let commands: [&[&str]; 4] = [&["status"], &["poll"], &["history"], &["quarantine", "list"]];
    let running: Vec<Running> = commands.into_iter().map(|command| program.spawn(command)).collect();
    for command in running {
        let output = command.wait(LIMIT).assert_code(78);
        assert_says(&output, &["config.toml", "nothing came within 10 s"]);
    }
}

#[test]
fn without_any_file_the_default_folders_are_tried() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    let file = program.path(".config/postrider/config.toml");
    std::fs::create_dir_all(file.parent().expect("its folder")).expect("made");
    std::fs::write(&file, account(&server)).expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
    let run = |arguments: &[&str]| {
        let mut command = program.command();
        command.args(arguments);
        program.spawn_command(command)
    };
    let mut service = run(&["run"]);
    service.wait_until("the service", LIMIT, |service| service.stderr().contains("postrider is running"));
    std::fs::remove_file(file).expect("removed");
    let status = run(&["status"]).wait(LIMIT).assert_code(78);
    assert_says(&status, &["one ", "there is no configuration file"]);
    run(&["poll"]).wait(LIMIT).assert_code(78);
}

#[test]
fn what_needs_all_settings_still_refuses() {
    let server = MailboxServer::start(Vec::new());
    let program = with_defaults(&server);
    misspell(&program);
    for command in [&["fetch"][..], &["check"], &["list", "one"], &["quarantine", "export", "one", "--all"], &["run"]] {
        let refused = program.run(command).assert_code(78);
        assert!(refused.stderr.contains("`intervall`"), "{}", refused.text());
    }
}

#[test]
fn a_password_in_the_broken_file_is_never_shown() {
    let server = MailboxServer::start(Vec::new());
    let program = with_defaults(&server);
    let broken = text(&program).replace("password = \"", "password = [\"");
    program.raw_config(&broken, 0o600);
    for command in [&["status"][..], &["status", "--json"], &["poll"], &["history"]] {
        let output = program.run(command).assert_code(78);
        assert!(!output.text().contains(MailboxServer::PASSWORD), "{}", output.text());
    }
}

#[test]
fn a_file_that_only_another_user_may_not_read_is_no_fault_of_the_service() {
    let server = MailboxServer::start(Vec::new());
    let program = with_defaults(&server);
    if !program.share_with_nobody(&[]) {
        eprintln!("not tested: only root can be somebody else");
        return;
    }
    let _service = program.start_service(LIMIT);
    std::fs::set_permissions(program.config_path(), PermissionsExt::from_mode(0o600)).expect("its mode");
    for folder in ["run", "run/postrider"] {
        std::fs::set_permissions(program.path(folder), PermissionsExt::from_mode(0o755)).expect("its mode");
    }
    let socket = program.path("run/postrider/control.sock");
    std::os::unix::fs::chown(socket, None, Some(65534)).expect("its group");
    let status = program.run_as_nobody(&["status", "--json"]);
    assert_eq!(json(&status)["config-error"], Value::Null, "{}", status.text());
    assert_eq!(status.code, Some(0), "{}", status.text());
    let poll = program.run_as_nobody(&["poll"]).assert_success();
    assert_says(&poll, &["you cannot read the configuration", "Permission denied"]);
}
