//! POP3 servers other than Dovecot, as Debian packages them: log in, fetch, keep, delete, poll again.
//! Where the packages or root are missing, the tests say that they are skipped.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

mod support;

use support::*;

/// What a server is like.
struct Kind {
    package: &'static str,
    /// What it announces, as `check --connect` shows it.
    capabilities: &'static str,
    /// Header fields that it adds to what it was given.
    adds: &'static [&'static str],
    /// What it makes of an empty body.
    empty_body: &'static [u8],
    /// The ways to log in that it offers, as `auth` names them.
    logins: &'static [&'static str],
}

impl Kind {
    /// What it returns for messages that it was given, in the order of [`arrived`].
    fn gives(&self, mut messages: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        for message in messages.iter_mut().filter(|message| message.ends_with(b"8bit\n\n")) {
            message.extend_from_slice(self.empty_body);
        }
        messages.sort();
        messages
    }
}

/// One account `a` of user1, delivered into the Maildir `home` without a header of our own.
fn account(server: &Inetd, password: &str, lines: &str) -> Postrider {
    let port = server.port;
    Postrider::with_config(&format!(
        "[accounts.a]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nusername = \"user1\"\n\
         password = \"{password}\"\nreceived-header = false\ndeliver = \"home\"\n{lines}\n{}",
        maildir("home")
    ))
}

/// What has arrived, without what the server has added to the headers.
fn arrived(program: &Postrider, kind: &Kind) -> Vec<Vec<u8>> {
    let mut messages: Vec<Vec<u8>> =
        read_messages(&program.path("home")).iter().map(|message| without(message, kind.adds)).collect();
    messages.sort();
    messages
}

fn without(message: &[u8], fields: &[&str]) -> Vec<u8> {
    let mut in_header = true;
    let mut kept = Vec::with_capacity(message.len());
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        in_header &= line != b"\n";
        if !in_header || !fields.iter().any(|field| line.starts_with(field.as_bytes())) {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// The same for every server; only what [`Kind`] says differs.
fn core(kind: &Kind) {
    let Some(server) = Inetd::start(kind.package) else { return };
    let mut messages = server.fill("user1", &Fill::new(200, Mix::Realistic));
    // Other indexes, see `popa3d`.
    messages.extend(server.fill("user1", &Fill::new(16, Mix::Edge).from(301)));
    let wanted = kind.gives(messages.clone());

    let keeping = account(&server, "pass1", "");
    let checked = keeping.run(&["check", "--connect"]).assert_success();
    assert!(checked.stdout.contains("logged in, in clear, 216 messages"), "{}", checked.stdout);
    assert!(checked.stdout.contains(&format!("capabilities: {}\n", kind.capabilities)), "{}", checked.stdout);
    let first = keeping.run(&["fetch"]).assert_success();
    assert!(first.stdout.starts_with("a: 216 messages delivered"), "{}", first.stdout);
    assert!(arrived(&keeping, kind) == wanted);

    assert_eq!(keeping.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
    assert_eq!(server.messages_on_server("user1"), 216);
    messages.extend(server.fill("user1", &Fill::new(3, Mix::Tiny).from(501)));
    let wanted = kind.gives(messages);
    let third = keeping.run(&["fetch"]).assert_success();
    assert!(third.stdout.starts_with("a: 3 messages delivered"), "{}", third.stdout);
    assert!(arrived(&keeping, kind) == wanted);

    for login in kind.logins {
        let program = account(&server, "pass1", &format!("auth = \"{login}\""));
        let checked = program.run(&["check", "--connect"]).assert_success();
        assert!(checked.stdout.contains("logged in, in clear, 219 messages"), "{login}: {}", checked.stdout);
    }
    let refused = account(&server, "wrong", "").run(&["fetch"]).assert_code(77);
    assert!(refused.stderr.contains("the server refused: "), "{}", refused.stderr);

    let deleting = account(&server, "pass1", "retention = \"delete\"");
    let emptied = deleting.run(&["fetch"]).assert_success();
    assert!(emptied.stdout.contains("219 deleted on the server"), "{}", emptied.stdout);
    assert_eq!(server.messages_on_server("user1"), 0);
    assert!(arrived(&deleting, kind) == wanted);
    assert_eq!(deleting.run(&["fetch"]).assert_success().stdout, "a: no new mail\n");
}

/// No CAPA, so USER and PASS, and one command at a time.  Every octet comes back.  A unique-id is 16
/// hexadecimal digits, a hash of the Received header alone if there is one.
#[test]
fn popa3d() {
    core(&Kind { package: "popa3d", capabilities: "none announced", adds: &[], empty_body: b"", logins: &["user"] });
}

#[test]
fn popa3d_gives_messages_with_the_same_received_header_one_unique_id() {
    let Some(server) = Inetd::start("popa3d") else { return };
    for seed in [1, 2] {
        server.fill("user1", &Fill::new(3, Mix::Tiny).seed(seed));
    }
    let program = account(&server, "pass1", "retention = \"delete\"");
    let first = program.run(&["fetch"]).assert_success();
    assert!(first.stdout.starts_with("a: 6 messages delivered"), "{}", first.stdout);
    // Which is which is certain only when all of them are known.
    assert_eq!(server.messages_on_server("user1"), 6);
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "a: no new mail, 6 deleted on the server\n");
    assert_eq!((server.messages_on_server("user1"), count_messages(&program.path("home"))), (0, 6));
}

/// PIPELINING, STLS, USER and PASS; EXPIRE NEVER comes as one word.  Header fields are written into
/// the file, the last one only into its first message, and RETR sends them.  An empty body becomes
/// an empty line.
#[test]
fn mailutils() {
    core(&Kind {
        package: "mailutils-pop3d",
        capabilities: "TOP, UIDL, RESP-CODES, PIPELINING, AUTH-RESP-CODE, EXPIRENEVER, USER, STLS",
        adds: &["X-UID: ", "Status: ", "X-UIDL: ", "X-IMAPbase: "],
        empty_body: b"\n",
        logins: &["user"],
    });
}

/// APOP is done by name only, and only with TLS from the start.
#[test]
fn mailutils_over_tls() {
    let Some(server) = Inetd::start("mailutils-pop3d") else { return };
    server.fill("user1", &Fill::new(3, Mix::Tiny));
    let pin = server.certificate_sha256();
    for (port, tls, login) in [
        (server.tls_port, "implicit", "apop"),
        (server.tls_port, "implicit", "user"),
        (server.port, "starttls", "user"),
    ] {
        let program = Postrider::with_config(&format!(
            "[accounts.a]\nhost = \"localhost\"\nport = {port}\ntls = \"{tls}\"\ntls-pin = \"sha256:{pin}\"\n\
             username = \"user1\"\npassword = \"pass1\"\nauth = \"{login}\"\ndeliver = \"home\"\n{}",
            maildir("home")
        ));
        let fetched = program.run(&["fetch"]).assert_success();
        assert!(fetched.stdout.starts_with("a: 3 messages delivered"), "{tls}, {login}: {}", fetched.stdout);
        assert_eq!(count_messages(&program.path("home")), 3);
    }
}

/// PIPELINING, SASL, and a Maildir, of which every octet comes back.  LOGIN-DELAY is announced and
/// not insisted on.
#[test]
fn courier() {
    core(&Kind {
        package: "courier-pop",
        capabilities: "SASL PLAIN LOGIN CRAM-MD5, TOP, USER, LOGIN-DELAY 10, PIPELINING, UIDL, UTF8 USER, \
                       IMPLEMENTATION Courier Mail Server",
        adds: &[],
        empty_body: b"",
        logins: &["cram-md5", "plain", "login", "user"],
    });
}
