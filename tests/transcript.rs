//! The dialogue with servers, in the log at level trace: it is all there, line by line with its account, but for
//! messages and whatever somebody could log in with.  (`tests/login.rs`, `tests/oauth.rs` and `tests/hostile` run at
//! that level, too, and look for what they log in with.)

#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::*;

const LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

/// A password that is found in no other text.
fn random() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(20).collect()
}

/// A secret, and all that is made of one on the wire.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|octet| format!("{octet:02x}")).collect();
    let percent: String = secret.bytes().map(|octet| format!("%{octet:02X}")).collect();
    let base64 = (0..3).map(|before| {
        let text = STANDARD.encode([&vec![0; before][..], secret.as_bytes()].concat());
        text[4..text.len() - 4].to_owned()
    });
    let mut forms: Vec<String> = base64.collect();
    forms.extend([secret.to_owned(), secret.to_uppercase(), hex.to_uppercase(), hex, percent]);
    forms.push(secret[..10].to_owned());
    forms
}

#[track_caller]
fn assert_no_secret(output: &Output, secret: &str) {
    for form in forms(secret) {
        assert!(!output.text().contains(&form), "{form} is in: {}", output.text());
    }
}

#[track_caller]
fn assert_lines(output: &Output, lines: &[&str]) {
    for line in lines {
        let found = output.stderr.lines().any(|found| found.contains(line));
        assert!(found, "{line:?} is not in: {}", output.text());
    }
}

fn account(port: u16, password: &str, lines: &str) -> String {
    mailbox(port, "one", &format!("deliver = \"home\"\n{lines}"))
        .replace(&format!("\"{}\"", MailboxServer::PASSWORD), &format!("\"{password}\""))
}

#[test]
fn a_fetch_shows_what_is_said_line_by_line_and_whose_it_is() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let account = account(server.port(), MailboxServer::PASSWORD, "auth = \"user\"\nretention = \"delete\"");
    let program = Postrider::with_config(&format!("{account}{}", maildir("home")));
    let fetched = program.run(&["fetch", "-vv"]).assert_success();
    let user = format!("C: USER {} account=", MailboxServer::USER);
    assert_lines(&fetched, &["S: +OK ready account=", "C: CAPA", "S: PIPELINING", &user, "C: PASS *** account="]);
    assert_lines(&fetched, &["C: UIDL", "C: RETR 1", "S: (", " octets of a message)", "C: DELE 1", "C: QUIT"]);
    assert!(!fetched.stderr.contains(MailboxServer::PASSWORD) && !fetched.stderr.contains("Message-ID"));
    for line in fetched.stderr.lines().filter(|line| line.contains(" C: ") || line.contains(" S: ")) {
        assert!(line.contains("TRACE") && line.contains("account=one"), "{line}");
    }
    // The sizes of both messages, with what is stuffed and the final dot.
    let octets: u64 = fetched
        .stderr
        .lines()
        .filter_map(|line| line.split_once("S: (")?.1.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(octets > 500, "{}", fetched.text());
}

#[test]
fn nothing_of_it_is_shown_unless_it_is_asked_for() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let account = account(server.port(), MailboxServer::PASSWORD, "");
    let mut program = Postrider::with_config(&format!("{account}{}", maildir("home")));
    assert!(!program.run(&["fetch", "-v"]).assert_success().text().contains("C: "));
    program.env("POSTRIDER_LOG", "postrider=debug");
    assert!(!program.run(&["fetch"]).assert_success().text().contains("C: "));
    program.env("POSTRIDER_LOG", "postrider=trace");
    for command in [&["fetch"][..], &["list", "one"], &["check", "--connect"]] {
        let output = program.run(command).assert_success();
        assert_lines(&output, &["C: STAT account=one", "S: +OK ready account=one"]);
    }
}

#[test]
fn a_service_tells_it_by_its_log_and_a_fetch_says_so() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let account = account(server.port(), MailboxServer::PASSWORD, "");
    let program = Postrider::new();
    program.config(&format!("log-level = \"trace\"\n{account}{}", maildir("home")));
    let service = program.start_service(LIMIT);
    let fetched = program.run(&["fetch", "-vv"]).assert_success();
    assert!(fetched.stderr.contains("note: the service does the polls"), "{}", fetched.text());
    wait_until("the dialogue", LIMIT, || service.stderr().contains("C: QUIT account=one"));
}

#[test]
fn what_a_server_makes_of_a_secret_is_not_shown_in_any_login() {
    for (auth, capability) in
        [("user", "USER"), ("plain", "SASL PLAIN"), ("login", "SASL LOGIN"), ("cram-md5", "SASL CRAM-MD5")]
    {
        let secret = random();
        for echo in forms(&secret) {
            let server = Scripted::dialogue(&[
                "S: +OK",
                "C: CAPA",
                "S: +OK",
                &format!("S: {capability}"),
                "S: .",
                "C: *",
                &format!(
                    "S: {}",
                    match auth {
                        "user" => "+OK",
                        "plain" => "-ERR",
                        _ => "+ PDFAMj4=",
                    }
                ),
                "C: *",
                &format!("S: {}-ERR you said {echo}", if auth == "login" { "+ UGFzc3dvcmQ6\r\n" } else { "" }),
                "C: *",
                "S: -ERR no",
                "eof",
            ]);
            let text = account(server.port(), &secret, &format!("auth = \"{auth}\""));
            let mut program = Postrider::with_config(&format!("{text}{}", maildir("home")));
            program.env("POSTRIDER_LOG", "trace");
            assert_no_secret(&program.run(&["fetch"]), &secret);
        }
    }
}

#[test]
fn a_secret_that_is_repeated_later_in_the_session_is_not_shown() {
    let secret = MailboxServer::PASSWORD;
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let said = format!("+OK 1 100 {secret}");
    server
        .change(|behaviour| behaviour.answers = vec![("STAT".into(), said), ("QUIT".into(), format!("+OK {secret}"))]);
    let program = Postrider::with_config(&format!("{}{}", account(server.port(), secret, ""), maildir("home")));
    let fetched = program.run(&["fetch", "-vv"]);
    assert!(!fetched.stderr.contains(secret), "{}", fetched.text());
    assert_lines(&fetched, &["S: +OK *** (repeats the login)"]);
}

/// Has one message, and repeats something in its refusal of a command after the login.
fn repeating(at: &'static str, echo: String) -> Scripted {
    Scripted::conversation(move |_, peer| {
        peer.connection.send_line("+OK")?;
        let mut has_asked = false;
        while let Some(line) = peer.hear()? {
            let verb = line.split(' ').next().unwrap_or_default();
            has_asked |= matches!(verb, "STAT" | "UIDL");
            let repeats = verb == at && (verb != "UIDL" || !line.contains(' '));
            let answer = match verb {
                _ if repeats => format!("-ERR unknown, you said <{echo}>"),
                "CAPA" if !has_asked => "+OK\r\nUSER\r\nUIDL\r\nTOP\r\nSASL PLAIN\r\n.".to_owned(),
                "STAT" => "+OK 1 20".to_owned(),
                "UIDL" if line.contains(' ') => "+OK 1 u1".to_owned(),
                "UIDL" => "+OK\r\n1 u1\r\n.".to_owned(),
                "LIST" => "+OK\r\n1 20\r\n.".to_owned(),
                "RETR" | "TOP" => "+OK\r\nSubject: x\r\n\r\nx\r\n.".to_owned(),
                _ => "+OK".to_owned(),
            };
            peer.connection.send_line(&answer)?;
        }
        Ok(())
    })
}

/// Whatever the program says and keeps.
#[track_caller]
fn assert_nowhere(program: &Postrider, secret: &str) {
    for args in
        [&["fetch"][..], &["fetch", "-vv"], &["history", "--json"], &["status", "--json"], &["quarantine", "list"]]
    {
        assert_no_secret(&program.run(args), secret);
    }
    let mut kept = Vec::new();
    for name in ["state.db", "state.db-wal"] {
        kept.extend(std::fs::read(program.state_dir().join(name)).unwrap_or_default());
    }
    let kept = String::from_utf8_lossy(&kept);
    assert!(!kept.is_empty());
    for form in forms(secret) {
        assert!(!kept.contains(&form), "{form} is in the state");
    }
}

#[test]
fn what_a_server_repeats_behind_the_login_is_in_no_error_and_not_in_the_state() {
    let secret = random();
    for (number, at) in ["STAT", "UIDL", "RETR", "TOP", "LIST", "DELE", "QUIT"].into_iter().enumerate() {
        let line = STANDARD.encode(format!("\0{}\0{secret}", MailboxServer::USER));
        for (auth, echo) in [
            ("user", forms(&secret).swap_remove(number)),
            ("user", format!("PASS {secret}")),
            ("plain", format!("AUTH PLAIN {line}")),
            ("plain", format!("AUTH PLAIN {}", &line[..30])),
        ] {
            let server = repeating(at, echo);
            let initial = if at == "TOP" { "30d" } else { "all" };
            let keys = format!("auth = \"{auth}\"\nretention = \"delete\"\ninitial = \"{initial}\"");
            let text = account(server.port(), &secret, &keys);
            assert_nowhere(&Postrider::with_config(&format!("{text}{}", maildir("home"))), &secret);
        }
    }
}

#[test]
fn what_a_mail_server_repeats_behind_the_login_is_in_no_error_and_not_in_the_state() {
    let secret = random();
    for (number, (stage, code)) in [
        (Stage::Mail, "550 5.7.1"),
        (Stage::Rcpt, "451 4.3.0"),
        (Stage::Data, "554"),
        (Stage::Dot, "550 5.7.1"),
        (Stage::Dot, "451"),
        (Stage::Dot, "250 2.0.0"),
    ]
    .into_iter()
    .enumerate()
    {
        for echo in [secret.clone(), forms(&secret).swap_remove(number)] {
            let server = MailboxServer::start(Message::several(1, Mix::Tiny));
            let hub = ScriptedSmtp::start();
            hub.change(|behaviour| {
                behaviour.extensions.push("AUTH PLAIN".to_owned());
                behaviour.replies = vec![(stage, None, format!("{code} you are <{echo}>"))];
            });
            let account = mailbox(server.port(), "one", "deliver = \"hub\"");
            let login = format!("username = \"me\"\npassword = \"{secret}\"\ntls = \"none\"\n");
            let program = Postrider::with_config(&format!("{account}{}{login}", smtp("hub", hub.port())));
            assert_nowhere(&program, &secret);
        }
    }
}

#[test]
fn mail_by_smtp_is_shown_without_the_login_and_the_message() {
    for mechanism in ["AUTH PLAIN", "AUTH LOGIN"] {
        let secret = random();
        let server = MailboxServer::start(Message::several(1, Mix::Tiny));
        let hub = ScriptedSmtp::start();
        hub.change(|behaviour| {
            behaviour.extensions.push(mechanism.to_owned());
            behaviour.replies = vec![(Stage::Auth, None, format!("235 2.7.0 welcome {}", STANDARD.encode(&secret)))];
        });
        let account = mailbox(server.port(), "one", "deliver = \"hub\"");
        let login = format!("username = \"me\"\npassword = \"{secret}\"\ntls = \"none\"\n");
        let program = Postrider::with_config(&format!("{account}{}{login}", smtp("hub", hub.port())));
        let fetched = program.run(&["fetch", "-vv"]).assert_success();
        assert_no_secret(&fetched, &secret);
        let shown = format!("C: {mechanism}");
        assert_lines(
            &fetched,
            &[&shown, "S: 235 *** (repeats the login)", "C: MAIL FROM:", "C: RCPT TO:<user1@example.net>"],
        );
        assert_lines(&fetched, &["C: DATA", "octets of a message) account=one server=127.0.0.1:"]);
        assert!(!fetched.stderr.contains("Message-ID:") && !fetched.stderr.contains("Subject:"), "{}", fetched.text());
    }
}

#[test]
fn a_mail_server_that_refuses_the_login_and_repeats_it_is_not_quoted() {
    let secret = random();
    for echo in forms(&secret).into_iter().take(7) {
        let server = MailboxServer::start(Message::several(1, Mix::Tiny));
        let hub = ScriptedSmtp::start();
        hub.change(|behaviour| {
            behaviour.extensions.push("AUTH PLAIN".to_owned());
            behaviour.replies = vec![(Stage::Auth, None, format!("535 5.7.8 not {echo}"))];
        });
        let account = mailbox(server.port(), "one", "deliver = \"hub\"");
        let login = format!("username = \"me\"\npassword = \"{secret}\"\ntls = \"none\"\n");
        let program = Postrider::with_config(&format!("{account}{}{login}", smtp("hub", hub.port())));
        let fetched = program.run(&["fetch", "-vv"]).assert_code(77);
        assert_no_secret(&fetched, &secret);
    }
}

#[test]
fn lines_are_escaped_and_bounded_and_so_is_their_number() {
    let long = "x".repeat(3000);
    let server = MailboxServer::start(Message::several(700, Mix::Tiny));
    server.change(|behaviour| behaviour.greeting = format!("+OK \u{1b}[2J\u{202e}{long}"));
    let account = account(server.port(), MailboxServer::PASSWORD, "initial = \"none\"");
    let program = Postrider::with_config(&format!("{account}{}", maildir("home")));
    let fetched = program.run(&["fetch", "-vv"]).assert_success();
    assert_lines(&fetched, &["S: +OK \\x1b[2J\\xe2\\x80\\xae", "more lines)"]);
    assert!(fetched.stderr.lines().all(|line| line.len() < 1000 && !line.contains('\u{1b}')), "{}", fetched.text());
    assert!(fetched.stderr.lines().count() < 2500, "{}", fetched.stderr.lines().count());
}
