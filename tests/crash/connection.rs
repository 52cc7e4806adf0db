//! Connections that are cut at any octet, QUITs that fail, and the order of delivery and deletion.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::support::*;

const DELETE: &str = "deliver = \"home\"\nretention = \"delete\"";

fn fetch_from(server: &MailboxServer, lines: &str) -> Postrider {
    Postrider::with_config(&[mailbox(server.port(), "a", lines), maildir("home")].concat())
}

#[test]
fn a_connection_cut_at_any_octet_loses_and_doubles_nothing() {
    let messages = || {
        let mut messages = Message::several(5, Mix::Tiny);
        messages.extend((1..=8).map(|index| Message::generated(2, index, Mix::Edge)).filter(|one| one.octets() < 5000));
        messages
    };
    // A whole session, to know how long it is.
    let honest = MailboxServer::start(messages());
    let octets: u64 = messages().iter().map(Message::octets).sum::<u64>() + 1500;
    fetch_from(&honest, DELETE).run(&["fetch"]).assert_success();
    assert_eq!(honest.remaining(), 0);

    let step = (octets / 45) as usize;
    let mut cut = 0;
    for at in (0..octets).step_by(step).chain([octets - 40, octets - 20]) {
        let behaviour = Behaviour { cut_after_octets: Some(at), faulty_connections: 2, ..Behaviour::default() };
        let server = MailboxServer::start_with(messages(), behaviour);
        let wanted = server.manifest();
        let program = fetch_from(&server, DELETE);
        let output = program.run(&["fetch"]);
        wanted.verify(&program.path("home")).assert_nothing_wrong();
        // What is left after a cut late in a session is fetched by a second session of the same poll.
        cut += u32::from(server.connections() > 1);
        if output.code != Some(0) {
            assert_eq!(server.remaining(), wanted.len(), "cut at {at}: nothing is deleted without QUIT");
            assert!(output.stderr.starts_with("postrider: account a: "), "cut at {at}: {}", output.stderr);
        }
        server.change(|behaviour| behaviour.cut_after_octets = None);
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.remaining(), 0, "cut at {at}");
    }
    assert!(cut > 30, "{cut}");
}

#[test]
fn a_connection_cut_inside_a_message_delivers_what_came_whole_before_it() {
    for octets in [0, 10, 300, 480] {
        let behaviour = Behaviour { cut_in_retr: Some((4, octets)), faulty_connections: 2, ..Behaviour::default() };
        let server = MailboxServer::start_with(Message::several(6, Mix::Tiny), behaviour);
        let wanted = server.manifest();
        let program = fetch_from(&server, DELETE);
        program.run(&["fetch"]).assert_code(69);
        let verdict = wanted.verify(&program.path("home"));
        verdict.assert_nothing_wrong();
        assert_eq!((verdict.found, verdict.left_in_tmp), (3, 0), "{octets}");
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(
            // The first message of the session for the suspect has the number 1 again.
            (server.remaining(), server.count("RETR 2"), server.count("RETR 3")),
            (0, 1, 1),
            "{octets}: what was whole is not fetched again"
        );
    }
}

#[test]
fn a_quit_that_is_lost_or_refused_doubles_nothing_and_deletions_are_repeated() {
    for (quit, remaining) in [(Quit::Vanish, 20), (Quit::Refuse, 20), (Quit::DeleteSilently, 0)] {
        let behaviour = Behaviour { quit, ..Behaviour::default() };
        let server = MailboxServer::start_with(Message::several(20, Mix::Tiny), behaviour);
        let wanted = server.manifest();
        let program = fetch_from(&server, DELETE);
        for _ in 0..2 {
            let output = program.run(&["fetch"]).assert_success();
            assert!(!output.stdout.contains("deleted"), "{quit:?}: nothing is known of it: {}", output.stdout);
            wanted.verify(&program.path("home")).assert_exactly_once();
            assert_eq!(server.remaining(), remaining, "{quit:?}");
        }
        server.change(|behaviour| behaviour.quit = Quit::Answer);
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!((server.remaining(), server.count("RETR")), (0, 20), "{quit:?}");
        assert_eq!(server.count("DELE"), 20 + 2 * remaining, "{quit:?}");
    }
}

#[test]
fn a_refused_deletion_is_tried_again_and_the_message_is_not_fetched_again() {
    let behaviour = Behaviour { answers: vec![("DELE 2".into(), "-ERR locked".into())], ..Behaviour::default() };
    let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), behaviour);
    let wanted = server.manifest();
    let program = fetch_from(&server, DELETE);
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.remaining_uids(), ["uid-1-2"]);
    server.change(|behaviour| behaviour.answers.clear());
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.remaining(), server.count("RETR")), (0, 3));
    wanted.verify(&program.path("home")).assert_exactly_once();
}

/// The messages that were asked to be deleted before `is_there` said yes to their mark.
fn deleted_too_early(
    server: &MailboxServer,
    is_there: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Arc<Mutex<Vec<String>>> {
    let early = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&early);
    server.watch(move |line| {
        if let Some(number) = line.strip_prefix("DELE ")
            && !is_there(&format!("1-{number}"))
        {
            found.lock().expect("no panic while locked").push(line.to_owned());
        }
    });
    early
}

fn is_in(new: &PathBuf, mark: &str) -> bool {
    let entries = std::fs::read_dir(new).into_iter().flatten();
    let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    texts.into_iter().any(|text| text.contains(&format!("X-Test-Message: {mark}\n")))
}

#[test]
fn no_deletion_is_asked_for_before_the_message_is_in_every_maildir() {
    for capabilities in [None, Behaviour::default().capabilities] {
        let behaviour = Behaviour { capabilities, ..Behaviour::default() };
        let server = MailboxServer::start_with(Message::several(150, Mix::Tiny), behaviour);
        let lines = "deliver = [\"home\", \"archive\"]\nretention = \"delete\"";
        let config = [mailbox(server.port(), "a", lines), maildir("home"), maildir("archive")].concat();
        let program = Postrider::with_config(&config);
        let places = [program.path("home/new"), program.path("archive/new")];
        let early = deleted_too_early(&server, move |mark| places.iter().all(|new| is_in(new, mark)));
        program.run(&["fetch"]).assert_success();
        assert_eq!((server.count("DELE"), server.remaining()), (150, 0));
        assert_eq!(*early.lock().expect("no panic while locked"), [""; 0]);
    }
}

#[test]
fn no_deletion_is_asked_for_before_the_mail_server_has_accepted_the_message() {
    let server = MailboxServer::start(Message::several(150, Mix::Tiny));
    let hub = Arc::new(ScriptedSmtp::start());
    let lines = "deliver = \"hub\"\nretention = \"delete\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), smtp("hub", hub.port())].concat());
    let accepted = Arc::clone(&hub);
    let early = deleted_too_early(&server, move |mark| {
        let mark = format!("X-Test-Message: {mark}\r\n");
        accepted.received().iter().any(|message| String::from_utf8_lossy(&message.body).contains(&mark))
    });
    program.run(&["fetch"]).assert_success();
    assert_eq!((server.count("DELE"), server.remaining(), hub.received().len()), (150, 0, 150));
    assert_eq!(*early.lock().expect("no panic while locked"), [""; 0]);
}
