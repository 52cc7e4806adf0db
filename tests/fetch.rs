//! `postrider fetch` from a real Dovecot into Maildirs: every message once, byte for byte, and on
//! the server what the retention says.  `fetch/` holds the limits, and what other commands show.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

#[path = "fetch/limits.rs"]
mod limits;
#[path = "fetch/shown.rs"]
mod shown;
mod support;

use std::os::unix::fs::PermissionsExt;

use support::*;

const HOME: &str = "deliver = \"home\"";

/// Every kind of peculiar message, none of which has the mark of another fill.
fn edge() -> Fill {
    Fill::new(16, Mix::Edge).seed(2)
}

/// One account `a` of user1, delivered into the Maildir `home`.
fn one_account(server: &Dovecot, lines: &str) -> Postrider {
    Postrider::with_config(&format!("{}{}", pop3s(server, "a", 1, &format!("{HOME}\n{lines}")), maildir("home")))
}

#[test]
fn every_message_arrives_once_byte_for_byte_and_private() {
    let server = Dovecot::start();
    let mut wanted = server.fill("user1", &Fill::new(500, Mix::Realistic));
    wanted.merge(server.fill("user1", &edge()));
    let program = one_account(&server, "");
    let first = program.run(&["fetch"]).assert_success();
    assert!(first.stdout.starts_with("a: 516 messages delivered ("), "{}", first.stdout);
    assert_eq!(first.stderr, "");
    let home = program.path("home");
    wanted.verify(&home).assert_exactly_once();
    for file in std::fs::read_dir(home.join("new")).expect("new/") {
        let file = file.expect("an entry");
        assert_eq!(file.metadata().expect("there").permissions().mode() & 0o7777, 0o600, "{:?}", file.file_name());
    }

    let second = program.run(&["fetch"]).assert_success();
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("a: no new mail\n", ""));
    wanted.verify(&home).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), 516);
}

#[test]
fn each_way_of_connecting_fetches_the_same() {
    let server = Dovecot::start_with(&["--set", "disable_plaintext_auth = no"]);
    let wanted = server.fill("user1", &edge());
    let ca = server.ca();
    let secured = format!("port = {}\ntls-ca = \"{}\"\n", server.tls_port, ca.display());
    let upgraded = format!("port = {}\ntls = \"starttls\"\ntls-ca = \"{}\"\n", server.port, ca.display());
    let clear = format!("port = {}\ntls = \"none\"\n", server.port);
    for (lines, line) in [(secured, "pop3s"), (upgraded, "stls"), (clear, "in clear")] {
        let program = Postrider::with_config(&format!(
            "[accounts.a]\nhost = \"localhost\"\nusername = \"user1\"\npassword = \"pass1\"\n{lines}{HOME}\n{}",
            maildir("home")
        ));
        program.run(&["fetch"]).assert_success();
        let verdict = wanted.verify(&program.path("home"));
        assert_eq!((verdict.found, verdict.corrupt.len()), (wanted.len(), 0), "{line}: {verdict}");
        verdict.assert_exactly_once();
    }
}

#[test]
fn a_certificate_that_does_not_hold_gets_no_password() {
    for kind in ["expired", "wrong-name"] {
        let server = Dovecot::start_with(&["--cert", kind]);
        server.fill("user1", &Fill::new(1, Mix::Tiny));
        let program = one_account(&server, "");
        let output = program.run(&["fetch"]).assert_code(69);
        assert!(output.stderr.contains("certificate"), "{}", output.stderr);
        assert_eq!(count_messages(&program.path("home")), 0);
        assert!(!server.log().contains("user1"), "{}", server.log());
    }
}

#[test]
fn retention_delete_empties_the_server_after_delivery() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(150, Mix::Tiny));
    let program = one_account(&server, "retention = \"delete\"");
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.contains("150 deleted on the server"), "{}", output.stdout);
    assert_eq!(server.messages_on_server("user1"), 0);
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
}

#[test]
fn a_retention_keeps_until_then() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(20, Mix::Tiny));
    let program = one_account(&server, "retention = \"14d\"");
    program.run(&["fetch"]).assert_success();
    // As if these had been delivered this much earlier.
    State::of(&program).delivered_earlier(5, 86_400);
    let days = 24 * 3600;
    for (passed, left) in [(0, 20), (13 * days - 600, 20), (600, 15), (days - 600, 15), (600, 0)] {
        let_pass(&program, passed);
        let output = program.run(&["fetch"]).assert_success();
        assert_eq!(server.messages_on_server("user1"), left, "{}", output.stdout);
        // This fetch looks at what is left, and the next one runs while nothing is due.
        assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
    }
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn two_maildirs_both_get_everything_and_only_then_the_server_is_emptied() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &edge());
    let lines = "deliver = [\"home\", \"archive\"]\nretention = \"delete\"";
    let program =
        Postrider::with_config(&[pop3s(&server, "a", 1, lines), maildir("home"), maildir("archive")].concat());
    // A file stands where the archive should be.
    std::fs::write(program.path("archive"), "").expect("written");
    program.run(&["fetch"]).assert_code(74);
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.messages_on_server("user1"), wanted.len());

    std::fs::remove_file(program.path("archive")).expect("removed");
    set_deferrals_due(&program);
    program.run(&["fetch"]).assert_success();
    for name in ["home", "archive"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
    }
    assert_eq!(server.messages_on_server("user1"), 0);
}

#[test]
fn without_a_received_header_a_file_is_the_message_and_nothing_else() {
    let server = Dovecot::start();
    let fill = edge();
    server.fill("user1", &fill);
    // Stored with CRLF or without a final newline, it arrives with LF and one.
    let message = |index| as_stored(&message(fill.seed, index, fill.mix));
    let mut wanted: Vec<Vec<u8>> = fill.indexes().map(message).collect();
    let program = one_account(&server, "received-header = false");
    program.run(&["fetch"]).assert_success();
    let mut found = read_messages(&program.path("home"));
    found.sort();
    wanted.sort();
    assert!(found == wanted);

    let program = one_account(&server, "received-header = true");
    program.run(&["fetch"]).assert_success();
    for text in read_messages(&program.path("home")) {
        let head = String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
        assert!(head.starts_with("Received: from localhost"), "{head}");
    }
}

#[test]
fn accounts_are_polled_side_by_side_and_each_is_reported() {
    let server = Dovecot::start();
    let mut config = String::new();
    let mut wanted = Vec::new();
    for user in 1..=5 {
        wanted.push(server.fill(&format!("user{user}"), &Fill::new(40, Mix::Tiny).seed(user as u64)));
        config += &pop3s(&server, &format!("a{user}"), user, &format!("deliver = \"home{user}\""));
        config += &maildir(&format!("home{user}"));
    }
    let program = Postrider::with_config(&config);
    let output = program.run(&["fetch"]).assert_success();
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    for (user, line) in (1..=5).zip(lines) {
        assert!(line.starts_with(&format!("a{user}: 40 messages delivered")), "{line}");
        wanted[user - 1].verify(&program.path(&format!("home{user}"))).assert_exactly_once();
    }
    // Only the account that is asked for.
    server.put("user2", "1800000000.M1P1", &message_of_today(9, 1));
    server.put("user3", "1800000000.M1P1", &message_of_today(9, 1));
    let output = program.run(&["fetch", "a3"]).assert_success();
    assert!(output.stdout.starts_with("a3: 1 message delivered"), "{}", output.stdout);
    assert_eq!((count_messages(&program.path("home2")), count_messages(&program.path("home3"))), (40, 41));
}
