//! What makes a destination another one.

use super::*;

fn destination(name: &str, path: &str) -> String {
    format!("[destinations.{name}]\ntype = \"maildir\"\npath = \"{path}\"\n")
}

#[test]
fn mail_that_was_delivered_before_a_destination_was_added_does_not_go_there_and_that_is_told() {
    let server = MailboxServer::start(by_place(1..=3));
    let of = |deliver: &str, keys: &str| {
        let account = mailbox(server.port(), "a", &format!("deliver = [{deliver}]\n{keys}"));
        [account, maildir("home"), maildir("archive")].concat()
    };
    let program = Postrider::with_config(&of("\"home\"", ""));
    program.run(&["fetch"]).assert_success();
    program.config(&of("\"home\", \"archive\"", ""));
    let said = program.run(&["fetch"]).assert_success().stderr;
    assert!(
        said.contains(
            "a: 3 messages on the server were delivered before the destination archive was added, and will not"
        ),
        "{said}"
    );
    server.add(Message::wire("4", &wire(4)));
    let said = program.run(&["fetch"]).assert_success().stderr;
    assert!(!said.contains("will not go there"), "it is told once: {said}");
    assert_eq!((delivered(&program, "home"), delivered(&program, "archive")), (once(1..=4), once([4])));
}

#[test]
fn destinations_that_are_swapped_get_what_they_lack_and_nothing_twice() {
    let server = MailboxServer::start(by_place(1..=2));
    let of = |home: &str, archive: &str| {
        let account = mailbox(server.port(), "a", "deliver = [\"home\", \"archive\"]\nretention = \"delete\"");
        [account, destination("home", home), destination("archive", archive)].concat()
    };
    let program = Postrider::with_config(&of("one", "two"));
    std::fs::write(program.path("two"), "").expect("a file, where no Maildir can be");
    program.run(&["fetch"]);
    assert_eq!((delivered(&program, "one"), server.remaining()), (once(1..=2), 2));
    std::fs::remove_file(program.path("two")).expect("removed");
    set_deferrals_due(&program);
    program.config(&of("two", "one"));
    for _ in 0..3 {
        program.run(&["fetch"]);
    }
    assert_eq!((delivered(&program, "one"), delivered(&program, "two")), (once(1..=2), once(1..=2)));
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_refusal_holds_for_the_place_that_refused() {
    let replies = vec![(Stage::Dot, None, "554 5.6.0 no".to_owned())];
    let refusing = ScriptedSmtp::start_with(SmtpBehaviour { replies, ..SmtpBehaviour::default() });
    let server = MailboxServer::start(by_place(1..=1));
    let program = Postrider::with_config(
        &[mailbox(server.port(), "a", "deliver = \"hub\""), smtp("hub", refusing.port())].concat(),
    );
    program.run(&["fetch"]);
    assert_eq!(server.remaining(), 1);
    let taking = ScriptedSmtp::start();
    program.config(&[mailbox(server.port(), "a", "deliver = \"hub\""), smtp("hub", taking.port())].concat());
    program.run(&["fetch"]).assert_success();
    assert_eq!(taking.received().len(), 1);
}

#[test]
fn one_folder_by_two_names_is_one_maildir() {
    let server = MailboxServer::start(by_place(1..=2));
    let program = Postrider::new();
    std::fs::create_dir_all(program.path("x")).expect("made");
    std::fs::create_dir_all(program.path("one")).expect("made");
    std::os::unix::fs::symlink("one", program.path("link")).expect("linked");
    std::os::unix::fs::symlink(program.home(), program.path("back")).expect("linked");
    for second in ["link", "x/../one", "back/one", "back/link"] {
        let account = mailbox(server.port(), "a", "deliver = [\"home\", \"two\"]");
        program.config(&[account, destination("home", "one"), destination("two", second)].concat());
        let said = program.run(&["check"]).assert_code(78).text();
        assert!(said.contains("are the same folder"), "{second}: {said}");
        program.run(&["fetch"]).assert_code(78);
    }
    assert_eq!(server.count("RETR"), 0);
}

#[test]
fn a_folder_that_becomes_another_one_by_a_link_gets_nothing_twice() {
    let server = MailboxServer::start(by_place(1..=2));
    let program = Postrider::new();
    let account = mailbox(server.port(), "a", "deliver = [\"home\", \"two\"]\ninterval = \"10s\"");
    program.config(&[account, destination("home", "one"), destination("two", "two")].concat());
    let mut service = program.spawn(&["run"]);
    service.wait_until("both have it", Duration::from_secs(20), |_| {
        program.path("two").exists() && count_messages(&program.path("two")) == 2
    });
    // Under the running service, which has no reason to read its configuration again.
    std::fs::remove_dir_all(program.path("two")).expect("removed");
    std::os::unix::fs::symlink("one", program.path("two")).expect("linked");
    server.add(Message::wire("3", &wire(3)));
    service.wait_until("it is told", Duration::from_secs(60), |service| {
        service.stderr().contains("it is the same folder as")
    });
    service.sigterm();
    service.wait(Duration::from_secs(20));
    assert_eq!(delivered(&program, "home").len() + delivered(&program, "one").len(), 3);
    assert!(delivered(&program, "one").values().all(|copies| *copies == 1));
}

#[test]
fn what_was_owed_to_a_destination_that_was_taken_away_is_owed_again_when_it_is_back() {
    let server = MailboxServer::start(by_place(1..=2));
    let later = vec![(Stage::Data, None, "451 4.3.0 later".to_owned())];
    let hub = ScriptedSmtp::start_with(SmtpBehaviour { replies: later, ..SmtpBehaviour::default() });
    let of = |deliver: &str, retention: &str| {
        let keys = format!("deliver = [{deliver}]\nretention = \"{retention}\"");
        [mailbox(server.port(), "a", &keys), maildir("home"), smtp("hub", hub.port())].concat()
    };
    let program = Postrider::with_config(&of("\"home\", \"hub\"", "keep"));
    program.run(&["fetch"]);
    program.config(&of("\"home\"", "keep"));
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
    }
    hub.change(|behaviour| behaviour.replies.clear());
    program.config(&of("\"home\", \"hub\"", "delete"));
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
    }
    assert_eq!((hub.received().len(), server.remaining()), (2, 0));
    assert_eq!(delivered(&program, "home"), once(1..=2));
}
