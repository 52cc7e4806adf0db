//! What is fetched and what is left: the first poll, sizes, numbers, and servers without PIPELINING.

use super::support::*;
use super::{HOME, one_account};

#[test]
fn initial_none_leaves_what_is_there_and_fetches_what_comes_later() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(30, Mix::Tiny));
    let program = one_account(&server, "initial = \"none\"\nretention = \"delete\"");
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
    let later = server.fill("user1", &Fill::new(1, Mix::Tiny).from(31));
    program.run(&["fetch"]).assert_success();
    later.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 30, "what is left alone is not deleted either");
}

#[test]
fn initial_days_fetches_only_what_is_as_young() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(30, Mix::Tiny));
    let mut wanted = Manifest::default();
    for index in 1..=3 {
        let text = message_of_today(7, index);
        server.put("user1", &format!("180000000{index}.M1P1"), &text);
        wanted.add(&text);
    }
    let program = one_account(&server, "initial = \"30d\"");
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    // Old mail that comes after the first poll is new.
    wanted.merge(server.fill("user1", &Fill::new(2, Mix::Tiny).from(31)));
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn max_messages_takes_a_mailbox_in_several_polls() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(25, Mix::Tiny));
    let program = one_account(&server, "max-messages = 10");
    for (delivered, waiting) in [(10, 15), (10, 5), (5, 0)] {
        let output = program.run(&["fetch"]).assert_success();
        assert!(output.stdout.starts_with(&format!("a: {delivered} messages delivered")), "{}", output.stdout);
        assert_eq!(output.stdout.contains(&format!("{waiting} left for the next poll")), waiting > 0);
        wanted.verify(&program.path("home")).assert_nothing_wrong();
    }
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_message_above_max_size_is_left_and_comes_when_the_limit_is_raised() {
    let server = Dovecot::start();
    let small = server.fill("user1", &Fill::new(10, Mix::Tiny));
    let large = server.fill("user1", &Fill::new(3, Mix::Fixed(50_000)).from(11));
    let program = one_account(&server, "max-size = \"20kB\"\nretention = \"delete\"");
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.contains("3 left because of their size"), "{}", output.stdout);
    small.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 3, "what was not fetched is not deleted");

    let config = std::fs::read_to_string(program.config_path()).expect("the configuration");
    program.raw_config(&config.replace("20kB", "100kB"), 0o600);
    program.run(&["fetch"]).assert_success();
    let mut both = small;
    both.merge(large);
    both.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 0);
}

#[test]
fn a_message_above_max_size_gives_its_header_once_and_the_rest_when_the_limit_is_raised() {
    let server = Dovecot::start();
    let small = server.fill("user1", &Fill::new(5, Mix::Tiny));
    let large = server.fill("user1", &Fill::new(2, Mix::Fixed(50_000)).from(6));
    let lines = "max-size = \"20kB\"\noversize = \"headers\"\nretention = \"delete\"\nreceived-header = false";
    let program = one_account(&server, lines);
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    let texts = read_messages(&program.path("home"));
    let headers: Vec<String> = texts
        .iter()
        .filter(|text| text.starts_with(b"X-Postrider-Oversize: "))
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    assert_eq!((texts.len(), headers.len()), (7, 2), "each header once");
    for header in headers {
        assert!(header.contains("\nX-Test-Message: 1-") && header.ends_with("8bit\n\n"), "{header}");
    }
    assert_eq!(server.messages_on_server("user1"), 2, "of which only the header was fetched is not deleted");

    let config = std::fs::read_to_string(program.config_path()).expect("the configuration");
    program.raw_config(&config.replace("20kB", "100kB"), 0o600);
    program.run(&["fetch"]).assert_success();
    // The headers are in the way of the verdict now.
    for entry in std::fs::read_dir(program.path("home/new")).expect("new/") {
        let path = entry.expect("an entry").path();
        if std::fs::read(&path).expect("read").starts_with(b"X-Postrider-Oversize: ") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    let mut both = small;
    both.merge(large);
    both.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 0);
}

#[test]
fn without_pipelining_no_command_comes_before_the_reply_to_the_last() {
    let fetch = |pipelining: bool| {
        let mut behaviour = Behaviour::default();
        let capabilities = behaviour.capabilities.get_or_insert_default();
        capabilities.retain(|capability| pipelining || capability != "PIPELINING");
        let server = MailboxServer::start_with(Message::several(60, Mix::Tiny), behaviour);
        let wanted = server.manifest();
        let lines = format!("{HOME}\nretention = \"delete\"\ninitial = \"3650d\"");
        let program = Postrider::with_config(&[mailbox(server.port(), "a", &lines), maildir("home")].concat());
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!((server.remaining(), server.count("RETR"), server.count("DELE")), (0, 60, 60));
        server.commands_ahead()
    };
    assert_eq!(fetch(false), 0);
    assert_ne!(fetch(true), 0, "the test would see it");
}

#[test]
fn a_server_without_capa_is_spoken_to_in_the_old_way() {
    let behaviour = Behaviour { capabilities: None, ..Behaviour::default() };
    let server = MailboxServer::start_with(Message::several(10, Mix::Tiny), behaviour);
    let wanted = server.manifest();
    let program = Postrider::with_config(&[mailbox(server.port(), "a", HOME), maildir("home")].concat());
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!((server.commands_ahead(), server.count("USER"), server.count("AUTH")), (0, 1, 0));
}
