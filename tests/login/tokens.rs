//! OAuth 2.0 tokens, by both mechanisms.

use super::*;

const NAMES: [(&str, &str); 2] = [("oauthbearer", "OAUTHBEARER"), ("xoauth2", "XOAUTH2")];

/// Keys whose token is what a file of the server's directory holds.
fn keys(server: &Dovecot, auth: &str, token: &str) -> String {
    let file = server.dir().join("token");
    std::fs::write(&file, format!("{token}\n")).expect("written");
    format!("auth = \"{auth}\"\ntoken-command = [\"cat\", \"{}\"]", file.display())
}

#[test]
fn a_token_fetches_and_an_expired_one_says_what_to_do() {
    let server = server("plain oauthbearer xoauth2");
    let (good, expired) = (server.token("user1", 600), server.token("user1", -600));
    let advice = "Run `token-command` by hand";
    for (name, method) in NAMES {
        assert_fetches(&server, Way::Implicit, &keys(&server, name, &good), method);
        assert_fetches(&server, Way::StartTls, &keys(&server, name, &good), method);
        let said = format!("login as \"user1\" by {name}: the server refused");
        let words = [&said, "(the token is invalid or has expired)", advice, "sign in"];
        assert_refused(&server, Way::Implicit, &keys(&server, name, &expired), &words, &[&expired]);
        assert_refused(&server, Way::Implicit, &keys(&server, name, WRONG), &words, &[WRONG]);
    }
    assert_fetches(&server, Way::Implicit, &keys(&server, "auto", &good), "OAUTHBEARER");
}

#[test]
fn a_command_without_a_token_and_a_server_without_its_mechanisms_say_so() {
    let server = server("plain");
    for (keys, code, words) in [
        ("token-command = [\"false\"]", 75, &["token command \"false\"", "exit code 1", "print the token"][..]),
        ("token-command = [\"true\"]", 78, &["token command", "empty", "print the token"]),
        ("token-command = [\"echo\", \"t\"]", 77, &["none of the ways to log in with a token", "offers: PLAIN"]),
    ] {
        let run = Postrider::with_config(&account(&server, Way::Implicit, keys)).run(&["fetch"]).assert_code(code);
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{}", run.stderr);
    }
    assert_eq!(attempts(&server), Vec::<String>::new());
}

/// Fetches from a scripted server, in clear on this machine, with everything logged.
fn run(server: &Scripted, auth: &str, token: &str) -> Output {
    let mut program = Postrider::with_config(&format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nusername = \"user1\"\ntimeout = \"5s\"\n\
         auth = \"{auth}\"\ntoken-command = [\"echo\", \"{token}\"]\ndeliver = \"mail\"\n{}",
        server.port(),
        maildir("mail")
    ));
    program.env("POSTRIDER_LOG", "trace");
    program.run(&["fetch"])
}

#[test]
fn of_a_refusal_only_what_is_known_is_shown() {
    let token = "eyJhbGciOiJub25lIn0.canary-t0ken.sig";
    for (json, words, advice) in [
        (format!("{{\"status\":\"400\",\"scope\":\"{token}\"}}"), "(the token is invalid or has expired)", true),
        ("{\"status\":\"insufficient_scope\"}".to_owned(), "it lacks the scope)", true),
        (format!("{{\"status\":\"{token}\"}}"), "the server refused: no.  Run", true),
        (format!("{token}\n"), "the server refused: no.  Run", true),
        (String::new(), "the server refused: no.  Run", true),
    ] {
        for (name, sasl) in NAMES {
            let first = format!("S: + {}", STANDARD.encode(&json));
            // A server may leave the space out.
            let first = if json.is_empty() { "S: +" } else { &first };
            let auth = format!("C: AUTH {sasl}");
            let answer = match sasl {
                "XOAUTH2" => "C: ",
                // Nothing asks for the first message.
                _ if json.is_empty() => "C: *",
                _ => "C: AQ==",
            };
            let server = Scripted::dialogue(&[
                "S: +OK",
                "C: CAPA",
                "S: +OK",
                "S: SASL XOAUTH2 OAUTHBEARER",
                "S: .",
                &format!("{auth}*"),
                first,
                answer,
                "S: -ERR no",
                "eof",
            ]);
            let server = match sasl {
                // It takes the token on a line of its own.
                "XOAUTH2" => Scripted::dialogue(&[
                    "S: +OK",
                    "C: CAPA",
                    "S: +OK",
                    "S: SASL XOAUTH2",
                    "S: .",
                    &auth,
                    "S: +",
                    "C: *",
                    first,
                    answer,
                    "S: -ERR no",
                    "eof",
                ]),
                _ => server,
            };
            let run = run(&server, name, token).assert_code(77);
            assert!(run.stderr.contains(words) && run.stderr.contains("`token-command`") == advice, "{}", run.stderr);
            assert_no_secret(&run, &[token]);
            server.assert_followed();
        }
    }
}

#[test]
fn a_token_that_the_server_repeats_is_not_shown() {
    let token = "eyJhbGciOiJub25lIn0.canary-t0ken.sig".repeat(9);
    let refusal = format!("S: -ERR [AUTH] not good: {token}");
    let server = Scripted::dialogue(&["S: +OK", "C: CAPA", "S: -ERR", "C: AUTH XOAUTH2", "S: +", "C: *", &refusal]);
    let run = run(&server, "xoauth2", &token).assert_code(77);
    assert!(run.stderr.contains("by xoauth2: the server refused: (its answer repeats"), "{}", run.stderr);
    assert_no_secret(&run, &[&token[..24]]);
}

#[test]
fn a_long_token_makes_no_long_command() {
    let token = "t0ken.".repeat(700);
    for (name, sasl) in NAMES {
        let auth = format!("C: AUTH {sasl}");
        let server = Scripted::dialogue(&[
            "S: +OK",
            "C: CAPA",
            "S: -ERR",
            &auth,
            "S: + ",
            "C: *",
            "S: -ERR [SYS/TEMP] later",
            "eof",
        ]);
        let run = run(&server, name, &token).assert_code(75);
        server.assert_followed();
        let sent = STANDARD.decode(&server.heard()[2]).expect("base64");
        let sent = String::from_utf8(sent).expect("text");
        assert!(sent.ends_with(&format!("\x01auth=Bearer {token}\x01\x01")), "{sent}");
        assert_no_secret(&run, &[&token[..24]]);
    }
}
