//! `postrider state`: check, rebuild, export.

use super::*;

#[test]
fn check_tells_a_whole_state_from_a_damaged_one() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "");
    assert!(program.run(&["state", "check"]).assert_success().stdout.contains("no state yet"));
    program.run(&["fetch"]).assert_success();
    let run = program.run(&["state", "check"]).assert_success();
    assert_eq!(run.stdout, "ok: 1 account, 5 messages, 5 deliveries\n");

    State::of(&program).damage_a_message();
    let run = program.run(&["state", "check"]).assert_code(74);
    assert!(run.stdout.contains("1 rows of message"), "{}", run.stdout);
}

#[test]
fn check_works_beside_the_service() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let program = program(&server, "");
    let mut service = program.spawn(&["run"]);
    service.wait_until("the first poll", std::time::Duration::from_secs(30), |service| {
        service.stderr().contains("polled: 5 delivered")
    });
    let run = program.run(&["state", "check"]).assert_success();
    assert_eq!(run.stdout, "ok: 1 account, 5 messages, 5 deliveries\n");
    assert_eq!(program.run(&["state", "export"]).assert_success().stdout.lines().count(), 1 + 5 + 5);
    let run = program.run(&["state", "rebuild"]).assert_code(75);
    assert!(run.stderr.contains("in use"), "{}", run.stderr);
    service.sigterm();
    drop(service);
}

#[test]
fn a_rebuild_of_a_whole_state_keeps_the_old_one_and_all_that_it_knew() {
    let server = MailboxServer::start(Message::several(5, Mix::Tiny));
    let wanted = server.manifest();
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    let before = program.run(&["history", "--json"]).assert_success().stdout;
    let run = program.run(&["state", "rebuild"]).assert_success();
    assert!(run.stderr.contains("5 messages, 5 deliveries"), "{}", run.stderr);
    assert_eq!(program.run(&["history", "--json"]).assert_success().stdout, before);
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("a: no new mail\n", ""));
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(set_aside(&program).len(), 1);
}

#[test]
fn only_a_lost_account_has_anything_to_decide() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    for way in ["--seen", "--fetch-again"] {
        let run = program.run(&["state", "rebuild", way, "a"]).assert_code(64);
        assert!(run.stderr.contains("not lost"), "{}", run.stderr);
        program.run(&["state", "rebuild", way, "nobody"]).assert_code(64);
    }
    assert_eq!(set_aside(&program), [""; 0]);
}

#[test]
fn export_writes_a_line_of_json_for_everything_on_record() {
    let server = MailboxServer::start(vec![Message::text("a\u{1b}b", &message(1, 1, Mix::Tiny))]);
    let program = program(&server, "");
    program.run(&["fetch"]).assert_success();
    let run = program.run(&["state", "export"]).assert_success();
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().expect("a type").to_owned()).collect();
    assert_eq!(types, ["account", "message", "delivery"]);
    assert_eq!((lines[1]["account"].as_str(), lines[1]["uid"].as_str()), (Some("a"), Some("a\\x1bb")));
    assert_eq!((lines[2]["state"].as_str(), lines[2]["destination"].as_str()), (Some("delivered"), Some("home")));
}
