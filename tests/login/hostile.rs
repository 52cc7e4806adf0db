//! Servers that break the rules of a mechanism: nothing more is said to them, and nothing fetched.

use super::*;

const PASSWORD: &str = "s3cret-pass.word";
const GOOD: &str = "b64: r=NONCEserver,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn config(server: &Scripted, auth: &str) -> String {
    format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"user1\"\ntimeout = \"5s\"\n\
         auth = \"{auth}\"\npassword = \"{PASSWORD}\"\nretention = \"delete\"\ndeliver = \"mail\"\n{}",
        server.port(),
        maildir("mail")
    )
}

/// Fetches from a scripted server, in clear on this machine, with everything logged.  The server
/// must not hear of anything after the login, and nobody of the password.
#[track_caller]
fn assert_ends(server: &Scripted, auth: &str, code: i32, words: &[&str]) {
    let mut program = Postrider::with_config(&config(server, auth));
    program.env("POSTRIDER_LOG", "trace");
    let run = program.run(&["fetch"]).assert_code(code);
    assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?} are not in: {}", run.stderr);
    assert_no_secret(&run, &[PASSWORD]);
    server.assert_followed();
    let heard = server.heard();
    let after = ["STAT", "LIST", "UIDL", "RETR", "TOP", "DELE", "USER", "PASS"];
    assert!(!heard.iter().any(|line| after.iter().any(|verb| line.starts_with(verb))), "{heard:#?}");
    assert_eq!(heard.iter().filter(|line| line.starts_with("AUTH")).count(), 1, "{heard:#?}");
    assert_eq!(server.connections(), 1);
}

/// A server that says these lines one after another, each after a line of the client; behind `b64: `
/// in base64, with the client's nonce in place of NONCE.  The last one is said for ever.
fn speaking(lines: &[&str]) -> Scripted {
    let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
    Scripted::conversation(move |_, peer| {
        peer.connection.send_line("+OK ready")?;
        peer.expect("CAPA")?;
        peer.connection.send_line("-ERR")?;
        let mut nonce = String::new();
        for number in 0.. {
            // A client that is fed up may end by a reset.
            let Ok(Some(line)) = peer.hear() else { break };
            if number == 0 {
                let first = line.rsplit(' ').next().map(|word| STANDARD.decode(word).unwrap_or_default());
                let first = String::from_utf8_lossy(&first.unwrap_or_default()).into_owned();
                nonce = first.split(",r=").nth(1).unwrap_or_default().to_owned();
            }
            let line = &lines[number.min(lines.len() - 1)];
            let said = match line.strip_prefix("b64: ") {
                Some(text) => format!("+ {}", STANDARD.encode(text.replace("NONCE", &nonce))),
                None => line.clone(),
            };
            let _ = peer.connection.send_line(&said);
        }
        Ok(())
    })
}

#[test]
fn a_server_that_does_not_prove_that_it_knows_the_password_gets_nothing() {
    for lines in [
        &["+OK welcome"][..],
        &[GOOD, "+OK welcome"],
        &[GOOD, "b64: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="],
        &[GOOD, "b64: v=", "+OK welcome"],
        &[GOOD, "b64: e=other-error", "+OK welcome"],
        &["b64: e=unknown-user", "+OK welcome"],
    ] {
        let words = ["did not prove by SCRAM-SHA-256", "Perhaps it is not the server", "Nothing was fetched"];
        assert_ends(&speaking(lines), "scram-sha-256", 77, &words);
    }
}

#[test]
fn a_refusal_within_scram_is_a_refused_login() {
    let refused = speaking(&[GOOD, "b64: e=invalid-proof", "-ERR [AUTH] no"]);
    let words = ["by scram-sha-1: the server refused: [AUTH] no (invalid-proof).  Check `username`"];
    assert_ends(&refused, "scram-sha-1", 77, &words);
    // The answer to it is empty.
    assert_eq!(refused.heard().last().map(String::as_str), Some(""));
}

#[test]
fn a_first_message_of_scram_that_breaks_its_rules_is_not_computed_with() {
    let long = format!("b64: r=NONCE{},s=QUJDRA==,i=4096", "x".repeat(3000));
    let longer = format!("b64: r=NONCE{},s=QUJDRA==,i=4096", "x".repeat(5000));
    let endless = format!("+ {}", "QUJD".repeat(3000));
    for (line, words) in [
        ("b64: r=NONCEserver,s=QUJDRA==,i=1", "iteration count is not between 4096"),
        ("b64: r=NONCEserver,s=QUJDRA==,i=4000000000", "iteration count is not between 4096"),
        ("b64: r=NONCEserver,s=QUJDRA==,i=99999999999999999999", "iteration count is not between 4096"),
        ("b64: r=NONCE,s=QUJDRA==,i=4096", "its nonce adds nothing to ours"),
        ("b64: r=somebody-else,s=QUJDRA==,i=4096", "its nonce does not begin with ours"),
        ("b64: m=required,r=NONCEserver,s=QUJDRA==,i=4096", "does not begin with a nonce"),
        ("b64: r=NONCEserver,s=,i=4096", "has no salt"),
        ("b64: r=NONCEserver,s=!,i=4096", "SCRAM-SHA-256"),
        (&long, "too long"),
        (&longer, "says too much"),
        (&endless, "a line of more than 8192 octets"),
        ("+ !!!not-base64", "not in base64"),
        ("+", "does not begin with a nonce"),
        ("what?", "not a POP3 reply"),
    ] {
        let server = speaking(&[line]);
        assert_ends(&server, "scram-sha-256", 76, &[words]);
        // It is called off, and no proof is sent.
        let heard = server.heard();
        assert!(heard[2..].iter().all(|line| line == "*"), "{line}: {heard:#?}");
    }
}

#[test]
fn a_challenge_of_another_mechanism_that_is_none_is_not_answered() {
    for (name, lines, words, answers) in [
        ("cram-md5", &["+ "][..], "its challenge is empty", 0),
        ("cram-md5", &["+"], "its challenge is empty", 0),
        ("cram-md5", &["+ AAAA"], "its challenge is empty", 0),
        ("cram-md5", &["+ <1.2@three>"], "not in base64", 0),
        ("cram-md5", &["b64: <1.2@three>"], "CRAM-MD5", 1),
        ("login", &["b64: Username:"], "LOGIN", 2),
        // It has not read the first message, and asks for it; then there are no more.
        ("plain", &["+ "], "it has questions", 1),
    ] {
        let server = speaking(lines);
        assert_ends(&server, name, 76, &[words, "name another mechanism in `auth`"]);
        let heard = server.heard();
        assert_eq!(heard[2..].iter().filter(|line| *line != "*").count(), answers, "{name} {lines:?}: {heard:#?}");
    }
}

#[test]
fn a_server_that_repeats_what_it_is_told_gives_nothing_away() {
    for answer in ["-ERR unknown command: ", "500 unknown command: "] {
        for auth in ["plain", "login", "user"] {
            let server = Scripted::conversation(move |_, peer| {
                peer.connection.send_line("+OK ready")?;
                peer.expect("CAPA")?;
                peer.connection.send_line("-ERR")?;
                while let Ok(Some(line)) = peer.hear() {
                    let said = match line.as_str() {
                        "AUTH LOGIN" => "+",
                        "USER user1" => "+OK",
                        "dXNlcjE=" => "+ UGFzc3dvcmQ6",
                        line => &format!("{answer}{line}"),
                    };
                    let _ = peer.connection.send_line(said);
                }
                Ok(())
            });
            let code = if answer.starts_with('-') { 77 } else { 76 };
            let mut program = Postrider::with_config(&config(&server, auth));
            program.env("POSTRIDER_LOG", "trace");
            let run = program.run(&["fetch"]).assert_code(code);
            assert!(run.stderr.contains("its answer repeats what it was sent"), "{}", run.stderr);
            assert_no_secret(&run, &[PASSWORD]);
        }
    }
}

#[test]
fn what_comes_unasked_during_a_login_ends_it() {
    let server = Scripted::dialogue(&[
        "S: +OK",
        "C: CAPA",
        "S: -ERR",
        "C: AUTH CRAM-MD5",
        "R: + PDEuMkB0aHJlZT4=\r\n+OK forged\r\n",
        "eof",
    ]);
    assert_ends(&server, "cram-md5", 76, &["AUTH CRAM-MD5", "not a POP3 reply"]);
}

#[test]
fn a_bare_plus_asks_for_the_first_message() {
    // A user name and a password for which AUTH PLAIN is longer than a command may be.
    let password = "0123456789".repeat(20);
    let server = Scripted::dialogue(&[
        "S: +OK",
        "C: CAPA",
        "S: -ERR",
        "C: AUTH PLAIN",
        "S: +",
        "C: *",
        "S: -ERR [AUTH] no",
        "eof",
    ]);
    let program = Postrider::with_config(&format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"user1\"\nauth = \"plain\"\n\
         password = \"{password}\"\ndeliver = \"mail\"\n{}",
        server.port(),
        maildir("mail")
    ));
    program.run(&["fetch"]).assert_code(77);
    server.assert_followed();
    assert_eq!(server.heard()[2], STANDARD.encode(format!("\0user1\0{password}")));
}
