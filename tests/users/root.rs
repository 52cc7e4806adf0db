//! Root in the folders of somebody else: in a state directory it acts as its owner, in a Maildir it does nothing.

use super::*;

/// Every command that works in the state directory.
const COMMANDS: [&[&str]; 8] = [
    &["fetch"],
    &["check", "--connect"],
    &["state", "rebuild"],
    &["state", "check"],
    &["history"],
    &["list", "a"],
    &["quarantine", "list"],
    &["quarantine", "retry", "a", "--all"],
];

#[test]
fn root_leaves_nothing_of_its_own_where_the_state_is_somebody_elses() {
    if !is_root() {
        return;
    }
    for command in COMMANDS {
        let server = MailboxServer::start(Message::several(2, Mix::Tiny));
        let program = Postrider::with_config(&config(&server, ""));
        program.share_with_nobody(&["state", "home", "run"]);
        let output = program.run(command);
        let all = [owners(&program.state_dir()), owners(&program.path("home"))].concat();
        assert!(all.iter().all(|(_, owner)| *owner == NOBODY), "{command:?}: {all:?}");
        if command == ["state", "rebuild"] {
            // After that a Maildir that is not there is waited for, which it says.
            assert_eq!(output.code, Some(74), "{}", output.text());
            continue;
        }
        program.run_as_nobody(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), 2, "{command:?}");
    }
}

#[test]
fn root_makes_a_state_directory_that_is_missing_for_whoever_owns_the_folder_above() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::new();
    let (state, run) = (program.path("lib/state"), program.path("lib/state/run"));
    let tops = format!("state-dir = \"{}\"\nruntime-dir = \"{}\"\n", state.display(), run.display());
    let text = config(&server, "").replace("path = \"home\"", "path = \"lib/home\"");
    program.raw_config(&format!("{tops}{text}"), 0o600);
    program.share_with_nobody(&["lib"]);
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("lib/home")), 2);
    let all = owners(&program.path("lib"));
    assert!(all.iter().all(|(_, owner)| *owner == NOBODY), "{all:?}");
}

#[test]
fn root_follows_no_link_that_the_owner_of_a_state_directory_has_laid() {
    if !is_root() {
        return;
    }
    const TEXT: &str = "root's\n";
    let links = ["lock", "initialized.new", "state.db", "attempts/.died", "attempts/a", "clean.new", "state.db-wal"];
    for command in COMMANDS {
        for link in &links[..if command == ["fetch"] { links.len() } else { 3 }] {
            let server = MailboxServer::start(Message::several(1, Mix::Tiny));
            let program = Postrider::with_config(&config(&server, ""));
            program.share_with_nobody(&["state", "home", "run", "state/attempts"]);
            std::fs::write(program.path("victim"), TEXT).expect("written");
            let link = program.state_dir().join(link);
            symlink(program.path("victim"), &link).expect("linked");
            program.give_to_nobody(&link);
            program.run(command);
            let text = std::fs::read_to_string(program.path("victim")).expect("there");
            assert_eq!(text, TEXT, "{command:?} wrote through {}", link.display());
        }
    }
}

#[test]
fn root_writes_no_mail_through_a_link_in_somebody_elses_maildir() {
    if !is_root() {
        return;
    }
    for linked in ["tmp", "new", "cur"] {
        let server = MailboxServer::start(Message::several(2, Mix::Tiny));
        // The state is root's own.
        let program = Postrider::with_config(&config(&server, "retention = \"delete\""));
        program.share_with_nobody(&["home"]);
        std::fs::create_dir(program.path("elsewhere")).expect("made");
        symlink(program.path("elsewhere"), program.path("home").join(linked)).expect("linked");
        program.run(&["fetch"]).assert_code(74);
        assert_eq!(std::fs::read_dir(program.path("elsewhere")).expect("there").count(), 0, "{linked}");
        assert_eq!((server.remaining(), server.count("RETR")), (2, 0));
    }
}

#[test]
fn root_delivers_into_no_maildir_of_somebody_else_and_the_others_go_on() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let text = mailbox(server.port(), "a", "deliver = [\"home\", \"mine\"]");
    let program = Postrider::with_config(&[&text, &*maildir("home"), &maildir("mine")].concat());
    program.share_with_nobody(&["home", "home/tmp", "home/new", "home/cur"]);
    for command in [&["check", "--connect"][..], &["fetch"]] {
        let output = program.run(command).assert_code(74);
        assert_says(&output, &["destination home", "belongs to nobody", "runuser -u nobody -- "]);
    }
    assert_eq!((count_messages(&program.path("home")), count_messages(&program.path("mine"))), (0, 2));
    // A part of it is enough.
    for part in ["", "tmp", "new"] {
        std::os::unix::fs::chown(program.path("home").join(part), Some(0), Some(0)).expect("root's again");
    }
    let output = program.run(&["check", "--connect"]).assert_code(74);
    assert_says(&output, &["home/cur belongs to nobody"]);
    std::os::unix::fs::chown(program.path("home/cur"), Some(0), Some(0)).expect("root's again");
    program.run(&["check", "--connect"]).assert_success();
}

#[test]
fn root_makes_no_maildir_in_a_folder_of_somebody_else() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let text = config(&server, "").replace("path = \"home\"", "path = \"alice/Maildir\"");
    let program = Postrider::with_config(&text);
    program.share_with_nobody(&["alice"]);
    let output = program.run(&["fetch"]).assert_code(74);
    assert_says(&output, &["alice belongs to nobody"]);
    assert!(!program.path("alice/Maildir").exists());
}

#[test]
fn root_makes_no_socket_in_a_folder_of_somebody_else_and_fetches_all_the_same() {
    if !is_root() {
        return;
    }
    let limit = std::time::Duration::from_secs(60);
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, ""));
    program.share_with_nobody(&["run"]);
    // What is there is somebody's socket, or a link to one: it stays.
    let socket = std::os::unix::net::UnixListener::bind(program.path("victim")).expect("bound");
    drop(socket);
    symlink(program.path("victim"), program.path("run/control.sock")).expect("linked");
    let mut service = program.spawn(&["run"]);
    service.wait_until("a word", limit, |service| service.stderr().contains("run belongs to nobody"));
    service.wait_until("the mail", limit, |_| count_messages(&program.path("home")) == 2);
    service.sigterm();
    service.wait(limit).assert_success();
    assert!(program.path("victim").exists());
}

#[test]
fn root_touches_no_state_in_a_folder_that_everybody_may_change() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::new();
    std::fs::create_dir(program.path("open")).expect("made");
    set_mode(&program.path("open"), 0o777);
    let state = program.path("open/state");
    let text = format!("state-dir = \"{}\"\n{}", state.display(), config(&server, ""));
    program.raw_config(&text, 0o600);
    let output = program.run(&["fetch"]).assert_code(74);
    assert_says(&output, &["open can be changed by every user (mode 0777)", "chmod o-w"]);
    assert!(!state.exists());
}

#[test]
fn root_has_the_groups_and_the_home_of_whom_it_acts_as_and_none_of_its_own() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let script = "(id -u; id -G; echo $HOME; echo ${XDG_RUNTIME_DIR-none}) >home/who; echo pass1";
    let text = config(&server, "");
    let line = text.lines().find(|line| line.starts_with("password")).expect("a password");
    let password = line.split('"').nth(1).expect("its text");
    let command = format!("password-command = [\"sh\", \"-c\", \"{}\"]", script.replace("pass1", password));
    let program = Postrider::with_config(&text.replace(line, &command));
    program.share_with_nobody(&["state", "home", "run"]);
    program.run(&["fetch"]).assert_success();
    let who = std::fs::read_to_string(program.path("home/who")).expect("it ran");
    assert_eq!(who, format!("{NOBODY}\n{NOBODY}\n/nonexistent\nnone\n"));
}

#[test]
fn root_hands_a_configuration_over_that_comes_by_a_pipe() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, "").replace("path = \"home\"", "path = \"HOME/home\""));
    let text = std::fs::read_to_string(program.config_path()).expect("it");
    program.raw_config(&text.replace("HOME/", &format!("{}/", program.home().display())), 0o600);
    program.share_with_nobody(&["state", "home", "run"]);
    let mut command = std::process::Command::new("bash");
    program.prepare(&mut command);
    let binary = env!("CARGO_BIN_EXE_postrider");
    command.arg("-c").arg(format!("{binary} -c <(cat {}) fetch", program.config_path().display()));
    program.spawn_command(command).wait(std::time::Duration::from_secs(60)).assert_success();
    let all = [owners(&program.state_dir()), owners(&program.path("home"))].concat();
    assert!(all.iter().all(|(_, owner)| *owner == NOBODY), "{all:?}");
    assert_eq!(count_messages(&program.path("home")), 2);
}

#[test]
fn root_is_told_whom_it_acts_as_where_that_one_cannot_go_on() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, ""));
    program.share_with_nobody(&["state", "run"]);
    set_mode(&program.config_path(), 0o600);
    let output = program.run(&["fetch"]).assert_code(78);
    assert_says(
        &output,
        &["cannot be read: Permission denied", "it belongs to root (mode 0600)", "root acts as nobody"],
    );
    // The service alone is asked, whoever asks.
    program.run(&["status"]).assert_code(69);
}
