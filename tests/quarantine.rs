//! Messages that cannot be handled: tried again, then set aside, visible, and never in the way.

#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "quarantine/boot.rs"]
mod boot;
mod support;

use std::time::Duration;

use support::*;

fn program(server: &MailboxServer, keys: &str) -> Postrider {
    let keys = format!("deliver = \"home\"\n{keys}");
    Postrider::with_config(&[mailbox(server.port(), "a", &keys), maildir("home")].concat())
}

/// Starts a fetch, and lets it crash in the middle of the message on which the server falls silent,
/// once this many others are delivered.
fn die(program: &Postrider, server: &MailboxServer, delivered: usize) {
    die_of(program, server, b"uid-1-2", "SEGV", delivered);
}

/// The same for any message.
fn die_of(program: &Postrider, server: &MailboxServer, uid: &[u8; 7], signal: &str, delivered: usize) {
    die_in(|| program.spawn(&["fetch"]), program, server, uid, signal, delivered);
}

/// The same for a fetch that is started in another way.
fn die_in(
    start: impl FnOnce() -> Running,
    program: &Postrider,
    server: &MailboxServer,
    uid: &[u8; 7],
    signal: &str,
    delivered: usize,
) {
    let before = server.count("RETR");
    let mut running = start();
    let marks = program.state_dir().join("attempts/a");
    running.wait_until("the message is being handled", Duration::from_secs(60), |_| {
        server.count("RETR") > before
            && std::fs::read(&marks).is_ok_and(|marks| marks.windows(7).any(|seven| seven == uid))
            && std::fs::read_dir(program.path("home/new")).is_ok_and(|new| new.count() == delivered)
    });
    running.signal(signal);
    let output = running.wait(Duration::from_secs(10));
    assert!(output.signal.is_some(), "{}", output.text());
}

#[test]
fn a_message_that_is_died_of_twice_is_set_aside_and_the_rest_delivered() {
    // In the middle of a body, small or large.
    for (mix, octets) in [(Mix::Tiny, 20), (Mix::Fixed(500_000), 300_000)] {
        let server = MailboxServer::start_with(
            Message::several(4, mix),
            Behaviour { hang_in_retr: Some((2, octets)), ..Behaviour::default() },
        );
        let wanted = server.manifest();
        let program = program(&server, "retention = \"delete\"");
        die(&program, &server, 1);
        // Now the others come first.
        die(&program, &server, 3);
        let output = program.run(&["fetch"]).assert_success();
        assert!(output.stdout.contains("1 in quarantine"), "{}", output.stdout);
        let list = program.run(&["quarantine", "list"]).assert_success().stdout;
        assert!(list.contains("uid-1-2") && list.contains("crashed") && list.contains("2 of 2"), "{list}");
        assert_eq!(server.remaining_uids(), ["uid-1-2"]);
        // Once what killed it is fixed, the operator lets it through.
        server.change(|behaviour| behaviour.hang_in_retr = None);
        program.run(&["quarantine", "retry", "a", "uid-1-2"]).assert_success();
        program.run(&["fetch"]).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
        assert_eq!(server.remaining(), 0);
    }
}

#[test]
fn a_message_that_is_died_of_once_is_tried_again_at_once() {
    let server = MailboxServer::start_with(
        Message::several(3, Mix::Tiny),
        Behaviour { hang_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    die(&program, &server, 1);
    server.change(|behaviour| behaviour.hang_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn deaths_that_hit_another_message_each_time_set_none_aside() {
    let server = MailboxServer::start_with(
        Message::several(4, Mix::Tiny),
        Behaviour { hang_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    die(&program, &server, 1);
    server.change(|behaviour| behaviour.hang_in_retr = Some((3, 20)));
    die_of(&program, &server, b"uid-1-3", "ABRT", 1);
    server.change(|behaviour| behaviour.hang_in_retr = Some((2, 20)));
    die(&program, &server, 1);
    server.change(|behaviour| behaviour.hang_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn whoever_is_killed_from_outside_has_died_of_nothing() {
    let server = MailboxServer::start_with(
        Message::several(3, Mix::Tiny),
        Behaviour { hang_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    for delivered in [1, 1, 1] {
        die_of(&program, &server, b"uid-1-2", "KILL", delivered);
    }
    server.change(|behaviour| behaviour.hang_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn what_the_server_breaks_off_is_not_died_of() {
    let server = MailboxServer::start_with(
        Message::several(3, Mix::Tiny),
        Behaviour { cut_in_retr: Some((2, 20)), ..Behaviour::default() },
    );
    let wanted = server.manifest();
    let program = program(&server, "");
    for _ in 0..3 {
        // Whether another session of the same poll gets as far as the message depends on what was on its way.
        let code = program.run(&["fetch"]).code;
        assert!(matches!(code, Some(69 | 75)), "{code:?}");
        set_deferrals_due(&program);
    }
    server.change(|behaviour| behaviour.cut_in_retr = None);
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
}

/// A message that the server lists and does not hand out until it is in quarantine.
fn refused(behaviour: Behaviour) -> (MailboxServer, Postrider) {
    let answers = [("RETR 2".to_owned(), "-ERR no such message".to_owned())].to_vec();
    let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), Behaviour { answers, ..behaviour });
    let program = program(&server, "retention = \"delete\"");
    // The others are deleted; it is message 1 then.
    for command in ["RETR 1"; 5] {
        program.run(&["fetch"]).assert_code(75);
        let_pass(&program, 7 * 3600);
        server.change(|behaviour| behaviour.answers[0].0 = command.to_owned());
    }
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail, 1 in quarantine\n");
    (server, program)
}

#[test]
fn a_message_in_quarantine_is_shown_and_exported_as_the_server_has_it() {
    let (server, program) = refused(Behaviour::default());
    let shown = program.run(&["quarantine", "show", "a", "uid-1-2"]).assert_success().stdout;
    for word in ["uid-1-2", "no such message", "Attempts:     5", "quarantined since", "home"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    let json = program.run(&["quarantine", "show", "--json", "--all", "a"]).assert_success().stdout;
    assert!(json.contains("\"attempts\": 5") && json.contains("\"state\": \"quarantined\""), "{json}");
    // It is still refused; then it is there.
    program.run(&["quarantine", "export", "a", "uid-1-2"]).assert_code(76);
    server.change(|behaviour| behaviour.answers.clear());
    let exported = program.run(&["quarantine", "export", "a", "uid-1-2"]).assert_success();
    assert_eq!(exported.stdout.as_bytes(), as_stored(&message(1, 2, Mix::Tiny)));
    let folder = program.path("out");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.display().to_string();
    let exported = program.run(&["quarantine", "export", "--output", &path, "a", "--all"]).assert_success();
    assert_eq!(std::fs::read(exported.stdout.trim_end()).unwrap(), as_stored(&message(1, 2, Mix::Tiny)));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    assert_eq!(server.remaining_uids(), ["uid-1-2"], "nothing is deleted");
    program.run(&["quarantine", "export", "--output", "/nowhere", "a", "--all"]).assert_code(74);
    program.run(&["quarantine", "export", "a", "unknown"]).assert_code(64);
    program.run(&["quarantine", "show", "a", "unknown"]).assert_code(64);
    server.replace(Vec::new());
    program.run(&["quarantine", "export", "a", "uid-1-2"]).assert_code(66);
}

#[test]
fn an_export_from_a_server_that_deletes_what_was_retrieved_ends_without_quit() {
    let mut capabilities = Behaviour::default().capabilities.unwrap();
    capabilities.push("EXPIRE 0".to_owned());
    let (server, program) = refused(Behaviour { capabilities: Some(capabilities), ..Behaviour::default() });
    server.change(|behaviour| behaviour.answers.clear());
    let before = server.count("QUIT");
    program.run(&["quarantine", "export", "a", "uid-1-2"]).assert_success();
    assert_eq!(server.count("QUIT"), before);
}
