//! Signing in by a device code (RFC 8628).

use super::*;

/// A provider that gives these answers about its device code, one after the other.
fn server(answers: &'static [&'static str]) -> AuthorizationServer {
    let left = Mutex::new(answers.iter());
    AuthorizationServer::start(move |asked| {
        if asked.path == "/device" {
            return json(
                200,
                "{\"device_code\":\"dev1ce.canary\",\"user_code\":\"WDJB-MJHT\",\"interval\":1,\"expires_in\":1800,\
                 \"verification_uri\":\"https://p.example/device\"}",
            );
        }
        assert_eq!(asked.form["device_code"], "dev1ce.canary");
        match left.lock().expect("no panic while locked").next() {
            Some(&"503") => json(503, "{}"),
            Some(error) => json(400, &format!("{{\"error\":\"{error}\"}}")),
            None => tokens(ACCESS, Some(REFRESH), 3600),
        }
    })
}

fn program(server: &AuthorizationServer, pop3: u16) -> Postrider {
    let device = format!("device-authorization-endpoint = \"http://127.0.0.1:{}/device\"\n", server.port);
    let mut program = Postrider::with_config(&format!("{}{}{device}", account(pop3, ""), provider(server.port)));
    program.env("POSTRIDER_LOG", "trace");
    program
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

#[test]
fn a_device_code_is_waited_for_through_every_not_yet() {
    let (server, mailbox) = (server(&["authorization_pending", "503", "slow_down"]), mailbox_for(&[ACCESS]));
    let program = program(&server, mailbox.port());
    // Without a screen this way is chosen.
    let run = program.run(&["login", "a"]).assert_success();
    for words in ["https://p.example/device", "with the code WDJB-MJHT", "30 minutes", "account a: signed in"] {
        assert!(run.stdout.contains(words), "{words}: {}", run.text());
    }
    assert_no_secret(&run);
    assert_eq!(server.asked()[0].form["scope"], "mail offline");
    assert_eq!(server.grants(GRANT).len(), 4);
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("mail")), 2);
}

#[test]
fn a_device_code_that_is_denied_or_expires_says_so() {
    for (error, code, words) in [
        ("access_denied", 77, "the provider p refused: access_denied"),
        ("expired_token", 75, "nobody has signed in within 30 minutes"),
        ("invalid_client", 77, "Check `client-id`"),
    ] {
        let answers: &'static [&'static str] = Box::leak(Box::new([error]));
        let server = server(answers);
        let run = program(&server, 1).run(&["login", "a", "--device"]).assert_code(code);
        assert_says(&run, &[words]);
        assert_no_secret(&run);
    }
}

#[test]
fn a_provider_without_a_device_flow_says_so() {
    let server = rotating(3600);
    let run = super::program(&server, 1).run(&["login", "a", "--device"]).assert_code(78);
    assert_says(&run, &["the provider p has no device flow", "device-authorization-endpoint"]);
}
