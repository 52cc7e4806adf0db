//! What a provider may do wrong: nothing of it is believed, shown, waited for without end, or taken
//! for a refusal that it is not.

use super::*;

/// Answers a code well, and a refresh token by `answer`.
fn server(answer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> AuthorizationServer {
    AuthorizationServer::start(move |asked| match asked.form["grant_type"].as_str() {
        "authorization_code" => tokens(&format!("{ACCESS}-1"), Some(REFRESH), 100),
        _ => answer(),
    })
}

fn raw(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()
}

type Make = fn() -> Vec<u8>;

#[test]
fn every_fault_has_its_exit_code_and_words_and_the_tokens_stay() {
    let cases: [(Make, i32, &str); 19] = [
        (|| json(400, "{\"error\":\"invalid_grant\"}"), 77, "refused: invalid_grant.  Run `postrider login a`"),
        (|| json(401, "{\"error\":\"invalid_client\"}"), 77, "Check `client-id` and the client secret in [oauth.p]"),
        (|| json(400, "{\"error\":\"unauthorized_client\"}"), 77, "Check `client-id`"),
        (|| json(400, "{\"error\":\"invalid_scope\"}"), 77, "Check `scopes` in [oauth.p]"),
        (|| json(400, "{\"error\":\"interaction_required\"}"), 77, "Run `postrider login a`"),
        (|| json(400, "{\"error\":\"temporarily_unavailable\"}"), 75, "refused for now: temporarily_unavailable"),
        (|| json(500, "{\"error\":\"invalid_grant\"}"), 75, "HTTP status 500"),
        (|| json(429, "{}"), 75, "HTTP status 429"),
        (|| raw("503 Busy\r\nContent-Length: 0", ""), 75, "HTTP status 503"),
        (|| raw("302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0", ""), 76, "redirect"),
        (|| json(200, "{\"error\":"), 76, "not valid OAuth 2.0"),
        (|| json(200, "{\"access_token\":{\"r3fresh.canary\":1}}"), 76, "not valid OAuth 2.0"),
        (|| json(403, "<html>no</html>"), 76, "not valid OAuth 2.0"),
        (|| raw("200 OK\r\nContent-Type: text/html\r\nContent-Length: 2", "{}"), 76, "not valid OAuth 2.0"),
        (|| b"+OK POP3\r\n".to_vec(), 76, "does not speak HTTP"),
        (|| raw("200 OK\r\nContent-Type: application/json\r\nContent-Length: 99", "{"), 76, "broke off"),
        (|| json(200, &" ".repeat(300_000)), 76, "too large"),
        (|| raw(&format!("200 OK\r\nX: {}", "x".repeat(200_000)), ""), 76, "does not speak HTTP"),
        (
            || json(400, "{\"error\":\"r3fresh.canary\",\"error_description\":\"r3fresh.canary\\u001b\"}"),
            77,
            "(not shown",
        ),
    ];
    for (answer, code, words) in cases {
        let server = server(answer);
        let mailbox = mailbox_for(&[]);
        let program = program(&server, mailbox.port());
        sign_in(&program);
        let before = kept(&program);
        let run = program.run(&["fetch"]).assert_code(code);
        assert_says(&run, &["account a: renewing the token: ", words]);
        assert_no_secret(&run);
        assert_eq!((kept(&program), offered(&mailbox).len()), (before, 0), "{words}");
    }
}

#[test]
fn a_provider_that_is_not_there_is_unreachable() {
    let server = server(|| json(500, ""));
    let program = program(&server, mailbox_for(&[]).port());
    sign_in(&program);
    let port = server.port;
    drop(server);
    let config = std::fs::read_to_string(program.config_path()).expect("a configuration");
    assert!(config.contains(&format!("127.0.0.1:{port}")));
    // The listening socket is closed with its thread, which needs a moment.
    wait_until("the port to be closed", LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    // The mailbox is gone too; the provider is asked after its greeting.
    let mailbox = mailbox_for(&[]);
    program.config(&format!("{}{}", account(mailbox.port(), ""), provider(port)));
    let run = program.run(&["fetch"]).assert_code(69);
    assert_says(&run, &["renewing the token: connecting to 127.0.0.1", "the endpoints and `tls-ca` in [oauth.p]"]);
}

#[test]
fn a_silent_provider_is_not_waited_for_for_ever() {
    let server = server(Vec::new);
    let mailbox = mailbox_for(&[]);
    let program = program(&server, mailbox.port());
    sign_in(&program);
    let run = program.run(&["fetch"]).assert_code(69);
    assert_says(&run, &["renewing the token: asking 127.0.0.1: no answer within 30 s"]);
}
