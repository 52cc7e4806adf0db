//! What the program says about a mistyped command, and about what it did.

use super::*;

#[test]
fn a_name_that_is_no_account_is_an_error_and_the_accounts_are_named() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    for command in [
        &["history", "nosuch"][..],
        &["history", "--json", "nosuch"],
        &["quarantine", "list", "nosuch"],
        &["quarantine", "show", "nosuch", "--all"],
        &["quarantine", "retry", "nosuch", "--all"],
        &["quarantine", "skip", "nosuch", "--all"],
        &["state", "rebuild", "--seen", "nosuch"],
        &["state", "rebuild", "--fetch-again", "nosuch"],
    ] {
        let refused = program.run(command).assert_code(64);
        assert!(refused.stderr.contains("no account \"nosuch\".  It has: one."), "{}", refused.text());
        assert_eq!(refused.stdout, "");
    }
    let near = program.run(&["history", "onee"]).assert_code(64);
    assert!(near.stderr.contains("Did you mean \"one\"?"), "{}", near.text());
    let _service = program.start_service(LIMIT);
    let refused = program.run(&["poll", "nosuch"]).assert_code(64);
    assert!(refused.stderr.contains("the service has no account \"nosuch\".  It has: one."), "{}", refused.text());
}

#[test]
fn an_account_that_is_not_configured_any_more_keeps_its_history() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    let other = mailbox(server.port(), "other", "enabled = false\ndeliver = \"home\"");
    program.config(&format!("{other}{}", maildir("home")));
    assert!(program.run(&["history", "one"]).assert_success().stdout.contains("delivered"));
    let nothing = program.run(&["history", "other"]).assert_success();
    assert!(nothing.stderr.contains("Nothing of that kind"), "{}", nothing.text());
}

#[test]
fn a_reload_says_what_was_done() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    let _service = program.start_service(LIMIT);
    let reload = program.run(&["reload"]).assert_success();
    assert_eq!(reload.stderr, "The service has read its configuration and uses it now.\n");
}

#[test]
fn help_and_version_are_understood_as_words_too() {
    let program = Postrider::new();
    let help = program.run(&["help"]).assert_success();
    assert_eq!(help.stdout, program.run(&["-h"]).assert_success().stdout);
    let of_a_command = program.run(&["help", "quarantine", "retry"]).assert_success();
    assert!(of_a_command.stdout.contains("postrider quarantine retry"), "{}", of_a_command.text());
    assert_eq!(program.run(&["version"]).assert_success().stdout, program.run(&["-V"]).assert_success().stdout);
    let unknown = program.run(&["help", "nosuch"]).assert_code(64);
    assert!(unknown.stderr.contains("no command \"nosuch\""), "{}", unknown.text());
}

#[test]
fn times_are_those_of_this_machine_wherever_they_are_shown() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let mut program = Postrider::new();
    let account = mailbox(server.port(), "one", "deliver = \"home\"\nretention = \"14d\"");
    program.config(&format!("{account}{}", maildir("home")));
    program.run(&["fetch"]).assert_success();
    let until = |program: &Postrider| {
        let list = program.run(&["list", "one"]).assert_success().stdout;
        let until =
            list.split("kept until ").nth(1).and_then(|rest| rest.lines().next()).expect("a time").trim().to_owned();
        jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", until).expect("a time as everywhere")
    };
    program.env("TZ", "UTC0");
    let utc = until(&program);
    program.env("TZ", "EAST-5");
    let east = until(&program);
    assert_eq!(utc.saturating_add(jiff::Span::new().hours(5)), east);
}
