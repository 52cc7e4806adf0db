//! Through a SOCKS 5 proxy: the name goes to the proxy, the password to nobody who may not have it.

use super::*;

const SECRET: &str = "pr0xy-s3cret";
const DELIVER: &str = "deliver = \"mail\"";

/// A program that fetches from `pop.invalid`, a name that nobody here can look up.
fn program(server: &MailboxServer, proxy: &SocksProxy, keys: &str) -> Postrider {
    let keys = format!("proxy = \"socks5://127.0.0.1:{}\"\ntimeout = \"2s\"\n{DELIVER}\n{keys}", proxy.port());
    let account = mailbox(server.port(), "a", &keys).replace("127.0.0.1\"\nport", "pop.invalid\"\nport");
    let mut program = Postrider::with_config(&(account + &maildir("mail")));
    std::fs::write(program.path("proxy-password"), SECRET).expect("written");
    program.env("POSTRIDER_LOG", "trace");
    program
}

fn with_login(proxy: &str) -> SocksBehaviour {
    SocksBehaviour { login: Some(("alice".into(), proxy.into())), ..SocksBehaviour::default() }
}

const LOGIN: &str = "proxy-username = \"alice\"\nproxy-password-file = \"proxy-password\"";

#[test]
fn the_name_is_sent_to_the_proxy_and_not_looked_up() {
    for (behaviour, keys) in [
        (SocksBehaviour::default(), ""),
        (SocksBehaviour { drips: true, ..SocksBehaviour::default() }, ""),
        (SocksBehaviour { drips: true, ..with_login(SECRET) }, LOGIN),
    ] {
        let server = MailboxServer::start(Message::several(3, Mix::Tiny));
        let proxy = SocksProxy::start(server.port(), behaviour);
        let program = program(&server, &proxy, &format!("auth = \"user\"\n{keys}"));
        let run = program.run(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("mail")).assert_exactly_once();
        assert_eq!(proxy.asked(), [format!("name pop.invalid:{}", server.port())]);
        assert!(!run.text().contains(SECRET), "{}", run.text());
    }
}

#[test]
fn all_three_modes_of_tls_go_through_it() {
    let server = Dovecot::start_with(&["--users", "1"]);
    server.fill("user1", &Fill::new(1, Mix::Tiny));
    for (tls, port) in [("implicit", server.tls_port), ("starttls", server.port), ("none", server.port)] {
        let proxy = SocksProxy::start(port, SocksBehaviour::default());
        let ca = if tls == "none" { String::new() } else { format!("tls-ca = \"{}\"\n", server.ca().display()) };
        let program = Postrider::with_config(&format!(
            "[accounts.a]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\n{ca}username = \"user1\"\n\
             password = \"pass1\"\nauth = \"plain\"\nproxy = \"socks5://localhost:{}\"\n{DELIVER}\n{}",
            proxy.port(),
            maildir("mail")
        ));
        program.run(&["fetch"]).assert_success();
        assert_eq!(support::count_messages(&program.path("mail")), 1, "{tls}");
        assert_eq!(proxy.asked(), [format!("name localhost:{port}")]);
    }
}

#[test]
fn no_password_goes_in_clear_where_the_proxy_leads_unless_it_is_wanted() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let proxy = SocksProxy::start(server.port(), SocksBehaviour::default());
    let run = program(&server, &proxy, "").run(&["fetch"]).assert_code(77);
    assert!(run.stderr.contains("not encrypted and leaves this network"), "{}", run.stderr);
    assert_eq!((server.count("PASS"), server.count("USER")), (0, 0));
}

#[test]
fn a_proxy_that_does_not_connect_says_why_and_counts_as_no_refused_login() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let replying = |reply| SocksBehaviour { reply, ..SocksBehaviour::default() };
    let saying = |raw: &[u8]| SocksBehaviour { raw: Some(raw.to_vec()), ..SocksBehaviour::default() };
    for (behaviour, keys, code, words) in [
        (replying(2), "", 69, ["its rules do not allow", "operator to allow it"]),
        (replying(5), "", 69, ["the server refuses the connection (reply 5)", "`host` and `port`"]),
        (with_login("another"), LOGIN, 69, ["refuses the user name and the password", "`proxy-password-file`"]),
        (with_login("another"), "", 69, ["wants a user name and a password", "Set `proxy-username`"]),
        (with_login(SECRET), &LOGIN.replace("proxy-password\"", "no\""), 78, ["password file", "No such file"]),
        (saying(b"+OK POP3 ready\r\n"), "", 69, ["does not speak SOCKS 5", "names a SOCKS 5 proxy"]),
        (saying(b""), "", 69, ["through the proxy 127.0.0.1", "no answer within 2 s"]),
        (saying(b"\x05"), "", 69, ["through the proxy 127.0.0.1", "no answer within 2 s"]),
    ] {
        let proxy = SocksProxy::start(server.port(), behaviour);
        let run = program(&server, &proxy, keys).run(&["fetch"]).assert_code(code);
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?}: {}", run.stderr);
        assert!(!run.text().contains(SECRET), "{}", run.text());
    }
    let away = SocksProxy::start(server.port(), SocksBehaviour::default());
    let program = program(&server, &away, "");
    drop(away);
    let run = program.run(&["fetch"]).assert_code(69);
    assert!(run.stderr.contains("proxy 127.0.0.1") && run.stderr.contains("refused"), "{}", run.stderr);
    assert_eq!(server.connections(), 0);
}

#[test]
fn mail_goes_to_an_smtp_server_through_it() {
    let (server, smtp) = (MailboxServer::start(Message::several(2, Mix::Tiny)), ScriptedSmtp::start());
    let proxy = SocksProxy::start(smtp.port(), SocksBehaviour::default());
    let hub = support::smtp("hub", smtp.port()).replace("127.0.0.1", "mx.invalid");
    let keys = format!("tls = \"none\"\nproxy = \"socks5://127.0.0.1:{}\"\n", proxy.port());
    let config = mailbox(server.port(), "a", "deliver = \"hub\"") + &hub + &keys;
    Postrider::with_config(&config).run(&["fetch"]).assert_success();
    assert_eq!(smtp.received().len(), 2);
    assert_eq!(proxy.asked().first(), Some(&format!("name mx.invalid:{}", smtp.port())));
}
