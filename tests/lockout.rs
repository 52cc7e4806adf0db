//! Nobody is locked out of a mailbox: a refused login is left alone for hours, whoever repeats the command, and
//! what is no refusal of the password is not taken for one.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use support::*;

const LIMIT: Duration = Duration::from_secs(20);
const HOUR: i64 = 3600;

fn account(server: &MailboxServer, keys: &str) -> String {
    [mailbox(server.port(), "a", &format!("deliver = \"home\"\n{keys}")), maildir("home")].concat()
}

fn refusing(text: &str) -> (MailboxServer, Postrider) {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    refuse(&server, Some(text));
    let program = Postrider::with_config(&account(&server, ""));
    (server, program)
}

fn refuse(server: &MailboxServer, text: Option<&str>) {
    server.change(|behaviour| behaviour.refuse_login = text.map(str::to_owned));
}

#[test]
fn a_fetch_that_nobody_watches_tries_a_refused_login_no_more_often_than_the_service() {
    let (server, program) = refusing("-ERR [AUTH] no");
    let first = program.run(&["fetch", "--quiet"]).assert_code(77);
    assert!(
        first.stderr.contains("the server refused") && first.stderr.contains("It is tried after "),
        "{}",
        first.stderr
    );
    // It was told; whoever mails what is written need not be told again each time.
    for _ in 0..3 {
        let again = program.run(&["fetch", "--quiet"]).assert_code(77);
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    }
    let told = program.run(&["fetch", "a"]).assert_code(77);
    assert!(told.stderr.contains("The login was not tried again.  It is tried after "), "{}", told.stderr);
    let json = program.run(&["fetch", "--json"]).assert_code(77).stdout;
    assert!(json.contains("\"skipped\": true") && json.contains("\"next-try\": "), "{json}");
    assert_eq!(server.logins(), 1);
    for (passes, logins) in [(HOUR * 8 / 10, 1), (HOUR, 2), (HOUR, 2), (4 * HOUR, 3), (12 * HOUR, 3), (16 * HOUR, 4)] {
        let_pass(&program, passes);
        program.run(&["fetch", "--quiet"]).assert_code(77);
        assert_eq!(server.logins(), logins, "{passes}");
    }
}

#[test]
fn service_and_fetch_know_of_each_other_what_was_refused() {
    let (server, program) = refusing("-ERR [AUTH] no");
    program.run(&["fetch"]).assert_code(77);
    let mut service = program.start_service(LIMIT);
    service.wait_until("the state to be told", LIMIT, |_| program.run(&["status"]).code == Some(77));
    let told = program.run(&["fetch", "a"]).assert_code(77);
    assert!(told.stderr.contains("not tried again"), "{}", told.stderr);
    let quiet = program.run(&["fetch", "-q"]).assert_code(77);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    service.sigterm();
    service.wait(LIMIT).assert_success();
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(server.logins(), 1);
}

#[test]
fn a_fetch_on_a_terminal_tries_at_once_whether_or_not_it_names_the_account() {
    let (server, program) = refusing("-ERR [AUTH] no");
    program.run(&["fetch"]).assert_code(77);
    for (logins, words) in [(2, "fetch"), (3, "fetch a"), (4, "fetch -q")] {
        let mut command = std::process::Command::new("script");
        let line = format!("{} -c {} {words}", env!("CARGO_BIN_EXE_postrider"), program.config_path().display());
        command.args(["-qec", &line, "/dev/null"]);
        program.prepare(&mut command);
        program.spawn_command(command).wait(LIMIT).assert_code(77);
        assert_eq!(server.logins(), logins, "{words}");
    }
}

#[test]
fn another_password_or_other_settings_are_tried_at_once() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let file = "password-file = \"pw\"";
    let config = account(&server, "").replace(&format!("password = \"{}\"", MailboxServer::PASSWORD), file);
    let program = Postrider::with_config(&config);
    let password = |text: &str| std::fs::write(program.path("pw"), text).expect("written");
    password("wrong");
    program.run(&["fetch"]).assert_code(77);
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(server.logins(), 1);
    password("also wrong");
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(server.logins(), 2);
    program.config(&config.replace(file, &format!("{file}\nauth = \"user\"")));
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(server.logins(), 3);
    password(MailboxServer::PASSWORD);
    program.run(&["fetch"]).assert_success();
    // What worked leaves nothing behind.
    password("wrong once more");
    let told = program.run(&["fetch"]).assert_code(77);
    assert!((HOUR / 2..2 * HOUR).contains(&State::of(&program).seconds_to_login()), "{}", told.stderr);
}

#[test]
fn a_bare_refusal_is_tried_once_more_in_minutes_and_then_counts() {
    for text in ["-ERR", "-ERR, no", "-ERR:no", "-ERROR no", "-ERR no such luck"] {
        let (server, program) = refusing(text);
        program.run(&["fetch"]).assert_code(77);
        assert!((60 - LIMIT.as_secs() as i64..=300).contains(&State::of(&program).seconds_to_login()), "{text}");
        program.run(&["fetch"]).assert_code(77);
        assert!(State::of(&program).seconds_to_login() > HOUR / 2, "{text}");
        for _ in 0..3 {
            program.run(&["fetch"]).assert_code(77);
        }
        assert_eq!(server.logins(), 2, "{text}");
    }
}

#[test]
fn a_refusal_that_names_the_password_counts_at_once() {
    for text in [
        "-ERR invalid password",
        "-ERR Password supplied for \"alice\" is incorrect.",
        "-ERR Logon failure: unknown user name or bad password.",
        "-ERR[AUTH] mailbox is locked",
    ] {
        let (server, program) = refusing(text);
        for _ in 0..3 {
            program.run(&["fetch"]).assert_code(77);
        }
        assert_eq!(server.logins(), 1, "{text}");
    }
}

#[test]
fn a_locked_mailbox_is_no_refused_login_wherever_it_is_told() {
    let locked = "-ERR unable to lock maildrop";
    for (step, text) in [
        ("PASS", "-ERR maildrop already locked"),
        ("PASS", "-ERR [LOCKED] Mailbox is in use"),
        ("PASS", "-ERR Account is temporarily locked by another session"),
        ("PASS", "-ERR [AUTH] mailbox locked by another session"),
        ("USER", locked),
        ("AUTH", "-ERR POP lock busy!  Is another session active? (11)"),
        ("STAT", locked),
        ("UIDL", locked),
    ] {
        let answers = match step {
            "STAT" => vec![("STAT".into(), text.into()), ("UIDL".into(), text.into())],
            step => vec![(step.to_owned(), text.to_owned())],
        };
        let behaviour = Behaviour { answers, ..Behaviour::default() };
        let server = MailboxServer::start_with(Message::several(1, Mix::Tiny), behaviour);
        let auth = if step == "AUTH" { "auth = \"plain\"" } else { "auth = \"user\"" };
        let program = Postrider::with_config(&account(&server, auth));
        for _ in 0..2 {
            let output = program.run(&["fetch"]).assert_code(75);
            assert!(
                output.stderr.contains("Another program") && !output.stderr.contains("password"),
                "{}",
                output.stderr
            );
        }
        assert_eq!(server.connections(), 2, "{step}");
    }
}

#[test]
fn a_greeting_that_asks_for_patience_is_no_broken_protocol() {
    for (greeting, code) in [
        ("-ERR unable to lock maildrop", 75),
        ("-ERR too many connections, try again later", 75),
        ("-ERR Server too busy", 75),
        ("-ERR service not available", 75),
        ("-ERR [SYS/TEMP] overloaded", 75),
        ("-ERR Connection refused: too many sessions from your address", 75),
        ("-ERR access denied", 76),
        ("-ERR wrong password", 76),
        ("-ERR", 76),
    ] {
        let behaviour = Behaviour { greeting: greeting.to_owned(), ..Behaviour::default() };
        let server = MailboxServer::start_with(Vec::new(), behaviour);
        let output = Postrider::with_config(&account(&server, "")).run(&["fetch"]).assert_code(code);
        assert!(!output.stderr.contains("Check `username`"), "{}", output.stderr);
    }
}

#[test]
fn the_service_tries_a_locked_mailbox_again_within_minutes() {
    let (_server, program) = refusing("-ERR mail storage services unavailable, wait a few minutes and try again");
    let mut service = program.start_service(LIMIT);
    let state = |program: &Postrider| {
        let output = program.run(&["status", "--json"]);
        serde_json::from_str::<serde_json::Value>(&output.stdout).expect("JSON")["accounts"][0].clone()
    };
    service.wait_until("the first poll to end", LIMIT, |_| state(&program)["exit-code"] == 75);
    service.wait_until("its end to be told", LIMIT, |_| state(&program)["state"] == "backing-off");
}

#[test]
fn a_password_that_has_worked_is_in_doubt_three_times_before_it_counts_as_refused() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server, ""));
    program.run(&["fetch"]).assert_success();
    refuse(&server, Some("-ERR no"));
    for _ in 0..3 {
        let output = program.run(&["fetch"]).assert_code(75);
        assert!(output.stderr.contains("the same password has worked before"), "{}", output.stderr);
    }
    // One that works in between begins anew.
    refuse(&server, None);
    program.run(&["fetch"]).assert_success();
    refuse(&server, Some("-ERR no"));
    let logins = server.logins();
    (0..3).for_each(|_| drop(program.run(&["fetch"]).assert_code(75)));
    let output = program.run(&["fetch"]).assert_code(77);
    assert!(output.stderr.contains("somebody has changed it"), "{}", output.stderr);
    let_pass(&program, 301);
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(server.logins(), logins + 4);
}

#[test]
fn whatever_words_refuse_a_password_that_has_worked_it_is_in_doubt_first() {
    for text in ["-ERR [AUTH] wrong", "-ERR invalid password", "-ERR"] {
        let server = MailboxServer::start(Message::several(1, Mix::Tiny));
        let program = Postrider::with_config(&account(&server, ""));
        program.run(&["fetch"]).assert_success();
        refuse(&server, Some(text));
        for code in [75, 75, 75, 77, 77, 77] {
            program.run(&["fetch"]).assert_code(code);
        }
        assert_eq!(server.logins(), 1 + 4, "{text}");
    }
}

#[test]
fn a_password_that_never_worked_is_not_in_doubt() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let good = account(&server, "");
    let program = Postrider::with_config(&good);
    program.run(&["fetch"]).assert_success();
    program.config(&good.replace(&format!("\"{}\"", MailboxServer::PASSWORD), "\"another one\""));
    let output = program.run(&["fetch"]).assert_code(77);
    assert!(!output.stderr.contains("has worked"), "{}", output.stderr);
    assert!(State::of(&program).seconds_to_login() > HOUR / 2);
}

/// An SMTP server that wants a login, with the password in a file.
fn hub(keys: &str) -> (MailboxServer, ScriptedSmtp, Postrider) {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let hub = ScriptedSmtp::start();
    hub.change(|behaviour| behaviour.extensions.push("AUTH PLAIN LOGIN".into()));
    let program = Postrider::new();
    let account = mailbox(server.port(), "a", "deliver = \"hub\"\nretention = \"delete\"");
    let login =
        format!("tls = \"none\"\nusername = \"u\"\npassword-file = \"{}\"\n{keys}", program.path("secret").display());
    write_secret(&program, "first");
    program.config(&[account, smtp("hub", hub.port()), login].concat());
    (server, hub, program)
}

fn write_secret(program: &Postrider, secret: &str) {
    std::fs::write(program.path("secret"), secret).unwrap();
    std::fs::set_permissions(program.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn an_smtp_login_that_was_refused_is_left_alone_by_fetch_and_service_until_its_password_changes() {
    let (server, hub, program) = hub("");
    hub.change(|behaviour| behaviour.replies = vec![(Stage::Auth, None, "535 5.7.8 wrong".into())]);
    let logins = || hub.commands().iter().filter(|line| line.starts_with("AUTH")).count();
    program.run(&["fetch", "--quiet"]).assert_code(77);
    assert_eq!(logins(), 1);
    for _ in 0..3 {
        let again = program.run(&["fetch", "--quiet"]).assert_code(77);
        assert!(
            again.stderr.contains("535 5.7.8 wrong") && again.stderr.contains("it is tried again later"),
            "{}",
            again.stderr
        );
    }
    // The service knows, too, and status tells.
    let mut service = program.start_service(LIMIT);
    service.wait_until("the failure", LIMIT, |_| program.run(&["status"]).code == Some(77));
    let status = program.run(&["status"]).stdout;
    assert!(status.contains("destination hub has not worked for") && status.contains("535 5.7.8 wrong"), "{status}");
    service.sigterm();
    service.wait(LIMIT);
    assert_eq!((logins(), server.count("RETR")), (1, 0));
    // Its time comes, ...
    let_pass(&program, HOUR / 3);
    program.run(&["fetch", "--quiet"]).assert_code(77);
    assert_eq!(logins(), 2);
    // ... or another password.
    hub.change(|behaviour| behaviour.replies.clear());
    write_secret(&program, "second");
    program.run(&["fetch", "--quiet"]).assert_success();
    assert_eq!((hub.received().len(), server.remaining()), (3, 0));
}
