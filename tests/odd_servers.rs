//! Old and odd servers that other programs fetch from: bare line feeds, no CAPA, no TOP or too much of it, an empty
//! mailbox that is an error, AUTH from before its RFC, and PIPELINING that does not work.
#![allow(clippy::allow_attributes, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "odd_servers/shapes.rs"]
mod shapes;
mod support;

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::*;

fn program(port: u16, keys: &str) -> Postrider {
    Postrider::with_config(&[mailbox(port, "a", &format!("deliver = \"home\"\n{keys}")), maildir("home")].concat())
}

fn behaving(messages: usize, change: impl FnOnce(&mut Behaviour)) -> MailboxServer {
    let mut behaviour = Behaviour::default();
    change(&mut behaviour);
    MailboxServer::start_with(Message::several(messages, Mix::Tiny), behaviour)
}

fn capabilities(without: &[&str]) -> Option<Vec<String>> {
    let all = Behaviour::default().capabilities.expect("some");
    Some(all.into_iter().filter(|one| !without.contains(&one.as_str())).collect())
}

/// Messages with these bodies from a server that says everything as the lines are written here.
fn bodies(program: &Postrider) -> Vec<String> {
    let mut all: Vec<String> = read_messages(&program.path("home"))
        .into_iter()
        .map(|message| String::from_utf8_lossy(&message).split_once("\n\n").expect("a header").1.to_owned())
        .collect();
    all.sort();
    all
}

// Bare line feeds

#[test]
fn a_server_that_ends_all_its_lines_in_a_bare_line_feed_is_understood() {
    let server = Scripted::dialogue(&[
        "R: +OK ready\n",
        "C: CAPA",
        "R: -ERR\n",
        "C: USER user",
        "R: +OK\n",
        "C: PASS secret",
        "R: +OK\n",
        "C: STAT",
        "R: +OK 3 60\n",
        "C: UIDL",
        "R: +OK\n1 u1\n2 u2\n3 u3\n.\n",
        "C: LIST",
        "R: +OK\n1 20\n2 20\n3 20\n.\n",
        "C: RETR 1",
        "R: +OK\nSubject: 1\n\none\n..dot\n\n.\n",
        "C: UIDL 1",
        "R: +OK 1 u1\n",
        "C: RETR 2",
        // With CRLF in it a lone dot between bare line feeds is text.
        "R: +OK\nSubject: 2\r\n\r\ntwo\r\na\n.\nb\r\n.\r\n",
        "C: RETR 3",
        "R: +OK\nSubject: 3\n\n.\n",
        "C: UIDL 3",
        "R: +OK 3 u3\n",
        "C: QUIT",
        "R: +OK\n",
    ]);
    let program = program(server.port(), "received-header = false");
    program.run(&["fetch"]).assert_success();
    server.assert_followed();
    assert_eq!(bodies(&program), ["", "one\n.dot\n\n", "two\na\n.\nb\n"]);
}

#[test]
fn a_message_that_seems_to_end_at_a_dot_between_bare_line_feeds_is_not_delivered() {
    // The server does not stuff: what follows the dot is read as the next reply, which it is not.
    let server = Scripted::dialogue(&[
        "R: +OK ready\n",
        "C: CAPA",
        "R: -ERR\n",
        "C: USER user",
        "R: +OK\n",
        "C: PASS secret",
        "R: +OK\n",
        "C: STAT",
        "R: +OK 1 20\n",
        "C: UIDL",
        "R: +OK\n1 u1\n.\n",
        "C: LIST",
        "R: +OK\n1 20\n.\n",
        "C: RETR 1",
        "R: +OK\nSubject: 1\n\none\n.\nmore\n.\n",
        "eof",
    ]);
    let program = program(server.port(), "");
    program.run(&["fetch"]).assert_code(76);
    assert_eq!(count_messages(&program.path("home")), 0);
}

// CAPA

#[test]
fn a_server_that_hangs_up_or_falls_silent_at_capa_is_not_asked_the_next_time() {
    for silent in [false, true] {
        let server = behaving(2, |behaviour| {
            if silent { behaviour.hang_at = Some("CAPA".into()) } else { behaviour.drop_at = Some("CAPA".into()) }
        });
        server.change(|behaviour| behaviour.faulty_connections = usize::MAX);
        let program = program(server.port(), "timeout = \"1s\"");
        program.run(&["fetch"]).assert_code(69);
        for _ in 0..3 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!((count_messages(&program.path("home")), server.count("CAPA")), (2, 1), "silent: {silent}");
        // What is looked at by hand is looked at all the same.
        program.run(&["check", "--connect"]).assert_success();
        program.run(&["list", "a"]).assert_success();
    }
}

#[test]
fn a_server_that_refuses_capa_and_is_then_gone_is_not_asked_the_next_time() {
    for (auth, offers) in [("user", "USER"), ("plain", "SASL PLAIN")] {
        for (silent, again) in [(false, false), (true, false), (false, true)] {
            // `again`: it refuses only after the login.
            let server = Scripted::conversation(move |_, peer| {
                peer.connection.send_line("+OK")?;
                let (mut asked, mut gone) = (0, false);
                while let Some(line) = peer.hear()? {
                    match line.split(' ').next().unwrap_or_default() {
                        _ if gone && silent => {}
                        _ if gone => return Ok(()),
                        "CAPA" if again && asked == 0 => {
                            asked += 1;
                            peer.connection.send(format!("+OK\r\n{offers}\r\n.\r\n").as_bytes())?;
                        }
                        "CAPA" => {
                            gone = true;
                            peer.connection.send_line("-ERR unknown command")?;
                        }
                        "STAT" => peer.connection.send_line("+OK 0 0")?,
                        "UIDL" | "LIST" => peer.connection.send(b"+OK\r\n.\r\n")?,
                        _ => peer.connection.send_line("+OK")?,
                    }
                }
                Ok(())
            });
            let program = program(server.port(), &format!("timeout = \"1s\"\nauth = \"{auth}\""));
            program.run(&["fetch"]).assert_code(69);
            for _ in 0..3 {
                program.run(&["fetch"]).assert_success();
            }
            if !again {
                program.run(&["check", "--connect"]).assert_success();
                program.run(&["list", "a"]).assert_success();
            }
        }
    }
}

#[test]
fn a_server_that_hangs_up_at_the_second_capa_is_asked_once() {
    let server = Scripted::conversation(|_, peer| {
        peer.connection.send_line("+OK")?;
        let mut asked = 0;
        while let Some(line) = peer.hear()? {
            match line.as_str() {
                "CAPA" if asked == 1 => return Ok(()),
                "CAPA" => {
                    asked += 1;
                    peer.connection.send(b"+OK\r\nUSER\r\n.\r\n")?;
                }
                "STAT" => peer.connection.send_line("+OK 0 0")?,
                "UIDL" | "LIST" => peer.connection.send(b"+OK\r\n.\r\n")?,
                _ => peer.connection.send_line("+OK")?,
            }
        }
        Ok(())
    });
    let program = program(server.port(), "");
    program.run(&["fetch"]).assert_code(69);
    program.run(&["fetch"]).assert_success();
}

#[test]
fn where_a_login_needs_what_the_server_offers_it_is_asked_once_more() {
    let server = behaving(1, |behaviour| {
        behaviour.drop_at = Some("CAPA".into());
        behaviour.tokens = vec!["t0ken".into()];
        behaviour.faulty_connections = 1;
        behaviour.capabilities.as_mut().expect("some").push("SASL PLAIN XOAUTH2".into());
    });
    let config = [mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat();
    let password = format!("password = \"{}\"", MailboxServer::PASSWORD);
    let program = Postrider::with_config(&config.replace(&password, "token-command = [\"echo\", \"t0ken\"]"));
    program.run(&["fetch"]).assert_code(69);
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), 1);
}

// An empty mailbox

#[test]
fn an_empty_mailbox_may_refuse_to_be_listed() {
    for (capabilities, refused) in [
        (Behaviour::default().capabilities, &["UIDL", "LIST"][..]),
        (Behaviour::default().capabilities, &["LIST"]),
        (capabilities(&["PIPELINING"]), &["UIDL", "LIST"]),
        (None, &["UIDL", "LIST"]),
        (None, &["UIDL"]),
    ] {
        for retention in ["keep", "delete"] {
            let answers = refused.iter().map(|&verb| (verb.to_owned(), "-ERR no messages".to_owned())).collect();
            let server = behaving(0, |behaviour| {
                behaviour.capabilities.clone_from(&capabilities);
                behaviour.answers = answers;
            });
            let program = program(server.port(), &format!("retention = \"{retention}\""));
            program.run(&["fetch"]).assert_success();
            let listed = program.run(&["list", "a"]).assert_success();
            assert!(!listed.stderr.contains("UIDL"), "{}", listed.stderr);
            server.change(|behaviour| behaviour.answers.clear());
            server.add(Message::generated(1, 1, Mix::Tiny));
            program.run(&["fetch"]).assert_success();
            assert_eq!(count_messages(&program.path("home")), 1, "{refused:?}");
        }
    }
}

#[test]
fn whatever_refuses_to_list_an_empty_mailbox_says_that_it_is_empty() {
    for text in ["-ERR", "-ERR [SYS/PERM] empty", "-ERR [X] maildrop locked: nothing there", "-ERR try again later"] {
        for refused in [&["UIDL", "LIST"][..], &["UIDL"], &["LIST"]] {
            let answers = refused.iter().map(|&verb| (verb.to_owned(), text.to_owned())).collect();
            let server = behaving(0, |behaviour| behaviour.answers = answers);
            let program = program(server.port(), "");
            program.run(&["fetch"]).assert_success();
            program.run(&["list", "a"]).assert_success();
        }
    }
}

#[test]
fn a_mailbox_with_mail_may_not() {
    let server = behaving(1, |behaviour| behaviour.answers = vec![("UIDL".into(), "-ERR no messages".into())]);
    program(server.port(), "").run(&["fetch"]).assert_code(76);
}

// TOP

#[test]
fn without_top_nothing_is_fetched_where_its_date_decides() {
    for (capabilities, answers) in [
        (capabilities(&["TOP"]), vec![]),
        (None, vec![("TOP".to_owned(), "-ERR unknown command".to_owned())]),
        (Behaviour::default().capabilities, vec![("TOP".to_owned(), "-ERR no".to_owned())]),
    ] {
        let is_known = answers.is_empty() || capabilities.is_none();
        let server = behaving(3, |behaviour| {
            behaviour.capabilities = capabilities;
            behaviour.answers = answers;
        });
        let program = program(server.port(), "initial = \"30d\"");
        for _ in 0..2 {
            let output = program.run(&["fetch"]).assert_code(78);
            assert!(output.stderr.contains("no TOP") && output.stderr.contains("initial = "), "{}", output.stderr);
        }
        if is_known {
            let check = program.run(&["check", "--connect"]).assert_code(78);
            assert!(check.stderr.contains("no TOP"), "{}", check.stderr);
        }
        assert_eq!(server.count("RETR"), 0);
        // An account that has begun needs no dates.
        let keys = |initial: &str| mailbox(server.port(), "a", &format!("deliver = \"home\"\ninitial = \"{initial}\""));
        program.config(&[keys("none"), maildir("home")].concat());
        program.run(&["fetch"]).assert_success();
        server.add(Message::generated(1, 7, Mix::Tiny));
        program.config(&[keys("30d"), maildir("home")].concat());
        program.run(&["fetch"]).assert_success();
        program.run(&["check", "--connect"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), 1);
    }
}

#[test]
fn a_header_without_a_field_tells_no_date() {
    for answer in ["+OK\r\n.", "+OK\r\n\r\n.", "+OK\r\n\r\nDate: Mon, 1 Jan 2018 00:00:00 +0000\r\n."] {
        for announced in [true, false] {
            let server = behaving(3, |behaviour| {
                behaviour.answers = vec![("TOP".to_owned(), answer.to_owned())];
                if !announced {
                    behaviour.capabilities = None;
                }
            });
            let program = program(server.port(), "initial = \"30d\"");
            for _ in 0..2 {
                let output = program.run(&["fetch"]).assert_code(78);
                assert!(output.stderr.contains("no TOP"), "{}", output.stderr);
            }
            assert_eq!(server.count("RETR"), 0);
        }
    }
}

// AUTH

/// A dialogue up to the reply to the login; the session after it is that of an empty mailbox.
fn login(steps: &[&str]) -> Scripted {
    let begin = ["S: +OK", "C: CAPA", "S: -ERR"];
    let end = ["C: STAT", "S: +OK 0 0", "C: UIDL", "R: +OK\r\n.\r\n", "C: QUIT", "S: +OK"];
    Scripted::dialogue(&[&begin[..], steps, &end[..]].concat())
}

fn with_token(port: u16, auth: &str, token: &str) -> Postrider {
    let config = [mailbox(port, "a", &format!("deliver = \"home\"\nauth = \"{auth}\"")), maildir("home")].concat();
    let password = format!("password = \"{}\"", MailboxServer::PASSWORD);
    Postrider::with_config(&config.replace(&password, &format!("token-command = [\"echo\", \"{token}\"]")))
}

#[test]
fn a_server_that_asks_for_what_it_was_given_gets_it_again() {
    let plain = STANDARD.encode("\0user\0secret");
    for plus in ["S: +", "S: + ", "S: + go ahead", "S: + VXNlcm5hbWU6"] {
        let (ask, again) = (format!("C: AUTH PLAIN {plain}"), format!("C: {plain}"));
        let server = login(&[&ask, plus, &again, "S: +OK"]);
        program(server.port(), "auth = \"plain\"").run(&["fetch"]).assert_success();
        server.assert_followed();
    }
    for plus in ["S: + ", "S: +", "S: + go ahead", "S: + Continue"] {
        let server = login(&["C: AUTH OAUTHBEARER *", plus, "C: *", "S: +OK"]);
        with_token(server.port(), "oauthbearer", "t0ken").run(&["fetch"]).assert_success();
        server.assert_followed();
        let heard = server.heard();
        assert_eq!(heard[1], format!("AUTH OAUTHBEARER {}", heard[2]));
    }
    // The reason for refusing a token does not ask for the message again.
    let why = format!("S: + {}", STANDARD.encode("{\"status\":\"invalid_token\"}"));
    let begin = ["S: +OK", "C: CAPA", "S: -ERR"];
    let refused = ["C: AUTH OAUTHBEARER *", &why, "C: AQ==", "S: -ERR no", "eof"];
    let server = Scripted::dialogue(&[&begin[..], &refused[..]].concat());
    let output = with_token(server.port(), "oauthbearer", "t0ken").run(&["fetch"]).assert_code(77);
    assert!(output.stderr.contains("the token is invalid"), "{}", output.stderr);
}

#[test]
fn a_refusal_of_the_syntax_is_answered_by_the_other_form_and_is_not_the_passwords_fault() {
    let plain = STANDARD.encode("\0user\0secret");
    let ask = format!("C: AUTH PLAIN {plain}");
    let server =
        login(&[&ask, "S: -ERR Syntax: AUTH mechanism", "C: AUTH PLAIN", "S: + ", &format!("C: {plain}"), "S: +OK"]);
    program(server.port(), "auth = \"plain\"").run(&["fetch"]).assert_success();
    server.assert_followed();
    let begin = ["S: +OK", "C: CAPA", "S: -ERR"];
    let refused = [&ask, "S: -ERR too many arguments", "C: AUTH PLAIN", "S: -ERR syntax error", "eof"];
    let server = Scripted::dialogue(&[&begin[..], &refused[..]].concat());
    let output = program(server.port(), "auth = \"plain\"").run(&["fetch"]).assert_code(76);
    assert!(output.stderr.contains("password or token is not to blame"), "{}", output.stderr);
    server.assert_followed();
}

#[test]
fn a_server_that_takes_a_token_in_one_line_only_gets_it_in_one_line() {
    for (refusal, token) in [("S: -ERR missing argument", "t0ken".to_owned()), ("S: -ERR no", "t0ken.".repeat(300))] {
        let server = login(&["C: AUTH XOAUTH2", refusal, "C: AUTH XOAUTH2 *", "S: +OK"]);
        with_token(server.port(), "xoauth2", &token).run(&["fetch"]).assert_success();
        server.assert_followed();
    }
}

#[test]
fn a_refused_password_is_offered_once() {
    let plain = STANDARD.encode("\0user\0secret");
    let ask = format!("C: AUTH PLAIN {plain}");
    let server = Scripted::dialogue(&["S: +OK", "C: CAPA", "S: -ERR", &ask, "S: -ERR [AUTH] no", "eof"]);
    program(server.port(), "auth = \"plain\"").run(&["fetch"]).assert_code(77);
    server.assert_followed();
}

// PIPELINING

#[derive(Clone, Copy, Debug)]
enum Fault {
    Loses,
    HangsUp,
    Swaps,
}

/// Announces PIPELINING, and cannot handle two commands at once.  Has two messages.
fn stumbling(fault: Fault) -> Scripted {
    Scripted::conversation(move |_, peer| {
        peer.connection.send_line("+OK")?;
        while let Some(line) = peer.hear()? {
            if !peer.connection.has_more() {
                peer.connection.send(&answer(&line))?;
                continue;
            }
            match fault {
                Fault::HangsUp => return Ok(()),
                Fault::Loses => {
                    while peer.connection.has_more() {
                        peer.hear()?;
                    }
                    peer.connection.send(&answer(&line))?;
                }
                Fault::Swaps => {
                    let next = peer.hear()?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    peer.connection.send(&[answer(&next), answer(&line)].concat())?;
                }
            }
        }
        Ok(())
    })
}

fn answer(line: &str) -> Vec<u8> {
    let text = match line {
        "CAPA" => "+OK\r\nUSER\r\nUIDL\r\nTOP\r\nPIPELINING\r\n.\r\n",
        "STAT" => "+OK 2 50\r\n",
        "UIDL" => "+OK\r\n1 u1\r\n2 u2\r\n.\r\n",
        "LIST" => "+OK\r\n1 25\r\n2 25\r\n.\r\n",
        "RETR 1" => "+OK\r\nSubject: 1\r\n\r\none\r\n.\r\n",
        "RETR 2" => "+OK\r\nSubject: 2\r\n\r\ntwo\r\n.\r\n",
        "UIDL 1" => "+OK 1 u1\r\n",
        "UIDL 2" => "+OK 2 u2\r\n",
        _ => "+OK\r\n",
    };
    text.into()
}

#[test]
fn a_server_that_breaks_under_pipelining_gets_one_command_at_a_time_in_the_same_poll_and_later() {
    for fault in [Fault::Loses, Fault::HangsUp, Fault::Swaps] {
        let server = stumbling(fault);
        let program = program(server.port(), "timeout = \"2s\"");
        program.run(&["fetch"]).assert_success();
        assert_eq!(bodies(&program), ["one\n", "two\n"], "{fault:?}");
        assert_eq!(server.connections(), 2, "{fault:?}");
        program.run(&["fetch"]).assert_success();
        assert_eq!(server.connections(), 3, "{fault:?}");
    }
}

// What never comes

#[test]
fn a_quiet_fetch_tells_once_of_what_never_comes() {
    let server = behaving(1, |_| ());
    server.add(Message::large("large", 2, 300_000));
    server.add(Message::generated(1, 3, Mix::Tiny).named(b""));
    let program = program(server.port(), "max-size = \"100kB\"");
    let first = program.run(&["fetch", "-q"]).assert_success();
    assert_eq!(first.stdout, "");
    assert!(first.stderr.contains("larger than `max-size`") && first.stderr.contains("(large "), "{}", first.stderr);
    assert!(first.stderr.contains("without a usable unique-id"), "{}", first.stderr);
    for _ in 0..2 {
        let again = program.run(&["fetch", "-q"]).assert_success();
        assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", ""));
    }
    server.add(Message::large("huge", 4, 400_000));
    let next = program.run(&["fetch", "-q"]).assert_success();
    assert!(next.stderr.contains("huge") && !next.stderr.contains("large ("), "{}", next.stderr);
}
