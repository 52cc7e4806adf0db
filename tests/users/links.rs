//! No link in the state directory is followed, nothing other than a file is waited for, and nothing behind a link
//! is truncated.

use super::*;

const PRECIOUS: &str = "precious\n";

/// Names in the state directory at which a file is opened, made or emptied.
const FILES: [&str; 14] = [
    "lock",
    "state.db",
    "state.db-wal",
    "state.db-journal",
    "clean",
    "clean.new",
    "initialized",
    "initialized.new",
    "origins",
    "origins.new",
    "rebuilding",
    "state.db.new",
    "attempts/.died",
    "attempts/a",
];

/// Names at which a folder is.
const FOLDERS: [&str; 2] = ["attempts", "spool"];

/// A program that has fetched before, and a file of its user's that it must not touch.
fn fetched(server: &MailboxServer) -> Postrider {
    let text = [
        &mailbox(server.port(), "a", "deliver = [\"home\", \"hub\"]"),
        &*maildir("home"),
        // Nobody listens there: mail for it is spooled all the same.
        &smtp("hub", free_port()),
    ];
    let program = Postrider::with_config(&text.concat());
    program.run(&["fetch"]);
    std::fs::write(program.path("precious"), PRECIOUS).expect("written");
    program
}

/// Puts something else in the place of a file of the state directory.
fn replace(program: &Postrider, name: &str, make: impl FnOnce(&Path)) {
    let path = program.state_dir().join(name);
    let _ = std::fs::remove_dir_all(&path);
    let _ = std::fs::remove_file(&path);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    make(&path);
}

#[test]
fn no_link_in_the_state_directory_is_followed() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    for name in FILES {
        for command in [&["fetch"][..], &["state", "rebuild"], &["history"]] {
            let program = fetched(&server);
            replace(&program, name, |path| symlink(program.path("precious"), path).expect("linked"));
            let output = program.run(command);
            let text = std::fs::read_to_string(program.path("precious")).expect("there");
            assert_eq!(text, PRECIOUS, "{command:?} wrote through {name}\n{}", output.text());
        }
    }
}

#[test]
fn a_link_that_leads_nowhere_makes_no_file_there() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    for name in FILES {
        let program = fetched(&server);
        replace(&program, name, |path| symlink(program.path("new-file"), path).expect("linked"));
        let output = program.run(&["fetch"]);
        assert!(!program.path("new-file").exists(), "{name}: {}", output.text());
    }
}

#[test]
fn a_folder_of_the_state_that_is_a_link_is_refused_by_its_name() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    for name in FOLDERS {
        let program = fetched(&server);
        server.add(Message::generated(3, 7, Mix::Tiny));
        std::fs::create_dir(program.path("elsewhere")).expect("made");
        replace(&program, name, |path| symlink(program.path("elsewhere"), path).expect("linked"));
        let output = program.run(&["fetch"]);
        let made: Vec<_> = std::fs::read_dir(program.path("elsewhere")).expect("there").collect();
        assert!(made.is_empty(), "{name}: {made:?}");
        assert_eq!(output.code, Some(74), "{name}: {}", output.text());
        assert_says(&output, &[&format!("state/{name}: is a symbolic link, and postrider follows none here")]);
    }
}

#[test]
fn a_link_is_refused_by_its_name_and_nothing_is_fetched() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    for name in ["lock", "state.db", "state.db-wal", "attempts/.died"] {
        let program = fetched(&server);
        let retrieved = server.count("RETR");
        replace(&program, name, |path| symlink(program.path("precious"), path).expect("linked"));
        let output = program.run(&["fetch"]).assert_code(74);
        assert_says(&output, &[&format!("state/{name}: is a symbolic link, and postrider follows none here")]);
        assert_eq!(server.count("RETR"), retrieved, "{name}");
    }
}

#[test]
fn a_fifo_in_the_state_directory_holds_nothing_up() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    for name in FILES {
        let program = fetched(&server);
        replace(&program, name, |path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).expect("made");
        });
        // It ends, well or not.
        program.run(&["fetch"]);
        program.run(&["history"]);
    }
}

#[test]
fn links_above_the_state_directory_are_its_owners() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, ""));
    std::fs::create_dir(program.path("disk")).expect("made");
    symlink("disk", program.state_dir()).expect("linked");
    program.run(&["fetch"]).assert_success();
    program.run(&["history"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 2);
    assert!(program.path("disk/state.db").is_file());
}
