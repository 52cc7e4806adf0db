//! What the operator is told: one paragraph with account, step, cause and what to do next, the
//! exit code of sysexits(3), never a password; and nothing is lost once the cause is mended.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod support;

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use support::{
    Behaviour, Dovecot, MailboxServer, Message, Mix, Output, Postrider, Scripted, ScriptedSmtp, SmtpBehaviour, Stage,
};

const PASSWORD: &str = "s3cret-pass.word";
const HOME: &str = "[destinations.home]\ntype = \"maildir\"\npath = \"Maildir\"\n";

/// An account; `keys` come first and hold the password unless it is [`PASSWORD`].
fn account(host: &str, port: u16, tls: &str, keys: &str) -> String {
    let password = if keys.contains("password") { String::new() } else { format!("password = \"{PASSWORD}\"\n") };
    format!(
        "[accounts.a]\nhost = \"{host}\"\nport = {port}\ntls = \"{tls}\"\nusername = \"user\"\ntimeout = \"2s\"\n\
         {password}{keys}\ndeliver = \"home\"\n"
    )
}

fn mailbox(server: &MailboxServer, keys: &str) -> String {
    account("127.0.0.1", server.port(), "none", &format!("password = \"{}\"\n{keys}", MailboxServer::PASSWORD))
}

/// The password in every form in which it is sent.
fn assert_no_secret(output: &Output, secrets: &[&str]) {
    let text = output.text();
    for secret in secrets {
        let plain = format!("\0user\0{secret}");
        for form in [(*secret).to_owned(), STANDARD.encode(secret), STANDARD.encode(plain)] {
            assert!(!text.contains(form.trim_end_matches('=')), "{form}:\n{text}");
        }
    }
    assert!(!text.contains("panicked") && !text.contains("RUST_BACKTRACE"), "{text}");
}

/// Runs `fetch`, as it is and with everything logged; the first run's output is one paragraph
/// with these words.
fn assert_fails(config: &str, code: i32, words: &[&str]) -> String {
    let config = if config.contains("[destinations") { config.to_owned() } else { format!("{config}{HOME}") };
    let mut program = Postrider::with_config(&config);
    let run = program.run(&["fetch"]).assert_code(code);
    let lines: Vec<&str> = run.stderr.lines().collect();
    assert!(lines.len() == 1 && lines[0].starts_with("postrider: account a: "), "not one paragraph:\n{}", run.stderr);
    for word in words {
        assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
    }
    let (cause, advice) = lines[0].split_once(".  ").expect("a cause and an advice");
    assert!(advice.ends_with('.') && !cause.ends_with('.') && !run.stderr.contains("error:"), "{}", run.stderr);
    program.env("POSTRIDER_LOG", "trace");
    let loud = program.run(&["fetch"]);
    for output in [&run, &loud] {
        assert_no_secret(output, &[PASSWORD, MailboxServer::PASSWORD]);
    }
    run.stderr
}

/// A server without CAPA that answers PASS like this.
fn refusing(answer: &str) -> Scripted {
    let answer = format!("S: {answer}");
    Scripted::dialogue(&["S: +OK ready", "C: CAPA", "S: -ERR", "C: USER user", "S: +OK", "C: PASS *", &answer, "eof"])
}

#[test]
fn a_refused_login_is_told_from_one_that_passes() {
    for (answer, code, words) in [
        ("-ERR", 77, &["login as \"user\"", "refused", "Check `username`", "app password"][..]),
        ("-ERR [AUTH] wrong.", 77, &["[AUTH] wrong.  Check"]),
        ("-ERR [IN-USE] locked", 75, &["[IN-USE] locked", "Another program"]),
        ("-ERR [SYS/TEMP] busy", 75, &["busy", "the next poll tries again"]),
        ("-ERR [SYS/PERM] broken", 75, &["broken", "ask the provider"]),
        ("-ERR [LOGIN-DELAY] wait", 75, &["wait", "raise `interval`"]),
        ("what?", 76, &["PASS", "not a POP3 reply", "Nothing was deleted"]),
    ] {
        let server = refusing(answer);
        assert_fails(&account("127.0.0.1", server.port(), "none", ""), code, words);
        server.assert_followed();
    }
}

#[test]
fn a_server_that_cannot_be_reached_or_is_none_says_at_which_step() {
    let silent = Scripted::dialogue(&["hang"]);
    let closing = Scripted::dialogue(&["S: +OK", "close"]);
    let smtp = Scripted::dialogue(&["S: 220 smtp.example ESMTP", "eof"]);
    let refused = support::free_port();
    for (host, port, tls, code, words) in [
        ("no-such-host.invalid", 995, "implicit", 69, &["looking up no-such-host.invalid", "spelling"][..]),
        ("127.0.0.1", refused, "implicit", 69, &["connecting to 127.0.0.1", "refused", "Nothing listens"]),
        ("127.0.0.1", silent.port(), "none", 69, &["greeting", "silent for 2 s", "`timeout`"]),
        ("127.0.0.1", silent.port(), "implicit", 69, &["no answer within 2 s"]),
        ("127.0.0.1", closing.port(), "none", 69, &["CAPA", "closed", "Nothing was deleted"]),
        ("127.0.0.1", smtp.port(), "none", 76, &["greeting", "220 smtp.example", "name a POP3 server"]),
        ("127.0.0.1", smtp.port(), "implicit", 69, &["TLS handshake", "does not speak TLS here", "`port` and `tls`"]),
    ] {
        assert_fails(&account(host, port, tls, ""), code, words);
    }
}

#[test]
fn a_listing_that_is_refused_says_for_how_long() {
    for (answer, code, words) in [
        ("-ERR unknown command", 76, &["no UIDL", "known by their content"][..]),
        ("-ERR [SYS/TEMP] index", 75, &["UIDL", "[SYS/TEMP] index", "the next poll tries again"]),
        ("-ERR [IN-USE] locked", 75, &["UIDL", "Another program"]),
    ] {
        let server = MailboxServer::start(vec![Message::generated(1, 1, Mix::Tiny)]);
        server.change(|behaviour| {
            behaviour.answers.push(("UIDL".into(), answer.into()));
            behaviour.capabilities = None;
        });
        assert_fails(&mailbox(&server, ""), code, words);
        server.change(|behaviour| *behaviour = Behaviour::default());
        let program = Postrider::with_config(&(mailbox(&server, "") + HOME));
        program.run(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("Maildir")).assert_exactly_once();
    }
}

#[test]
fn no_credential_goes_over_a_connection_that_should_be_encrypted_and_is_not() {
    let no_stls = ["S: +OK", "C: CAPA", "S: +OK", "S: USER", "S: .", "eof"];
    let refused = ["S: +OK", "C: CAPA", "S: -ERR", "C: STLS", "S: -ERR no.", "eof"];
    let injected = ["S: +OK", "C: CAPA", "S: +OK", "S: STLS", "S: .", "C: STLS", "R: +OK go\r\n+OK forged\r\n", "eof"];
    for (dialogue, words) in [
        (&no_stls[..], &["STLS", "does not offer it", "No password was sent", "995"][..]),
        (&refused, &["STLS", "refused: no.  No password"]),
        (&injected, &["STLS", "injected", "No password was sent"]),
    ] {
        let server = Scripted::dialogue(dialogue);
        assert_fails(&account("127.0.0.1", server.port(), "starttls", ""), 76, words);
        server.assert_followed();
        let heard = server.heard();
        assert!(heard.iter().all(|line| matches!(line.as_str(), "CAPA" | "STLS")), "{heard:?}");
    }
}

#[test]
fn a_certificate_is_verified_by_default_and_says_what_is_wrong_with_it() {
    for (kind, trusted, words) in [
        ("good", false, &["does not know the authority", "`tls-ca`", "`tls-pin`"][..]),
        ("expired", true, &["it has expired", "clock", "renew"]),
        ("wrong-name", true, &["for another name", "`tls-server-name`"]),
    ] {
        let server = Dovecot::start_with(&["--cert", kind]);
        let ca = format!("tls-ca = \"{}\"", server.ca().display());
        let keys = if trusted { ca.as_str() } else { "" };
        let mut words = words.to_vec();
        words.push("No password was sent");
        for (port, tls) in [(server.tls_port, "implicit"), (server.port, "starttls")] {
            assert_fails(&account("localhost", port, tls, keys), 69, &words);
        }
        assert!(!server.log().contains("user=<user"), "{}", server.log());

        // The advice to the operator helps.
        let pin = pin_of(&server.certificate());
        let wrong = format!("tls-pin = \"sha256:{}\"", "0".repeat(64));
        assert_fails(&account("localhost", server.tls_port, "implicit", &wrong), 69, &["tls-pin", &pin, "operator"]);
        let keys = format!("tls-pin = \"sha256:{pin}\"\npassword = \"pass1\"");
        let config = account("localhost", server.tls_port, "implicit", &keys).replace("\"user\"", "\"user1\"");
        Postrider::with_config(&(config + HOME)).run(&["fetch"]).assert_success();
    }
    let server = Dovecot::start();
    let keys = format!("tls-ca = \"{}\"", server.ca().display());
    let words = ["login as \"user\"", "Authentication failed", "Check `username`"];
    assert_fails(&account("localhost", server.tls_port, "implicit", &keys), 77, &words);
    let words = ["greeting", "waits for TLS", "tls = \"implicit\""];
    assert_fails(&account("localhost", server.tls_port, "none", ""), 69, &words);
}

fn pin_of(certificate: &Path) -> String {
    let args = ["x509", "-noout", "-fingerprint", "-sha256", "-in"];
    let output = Command::new("openssl").args(args).arg(certificate).output().expect("run openssl");
    let text = String::from_utf8(output.stdout).expect("ASCII");
    text.trim().rsplit('=').next().expect("a fingerprint").replace(':', "").to_lowercase()
}

#[test]
fn a_password_that_cannot_be_had_is_told_without_its_source_being_shown() {
    let server = Scripted::dialogue(&["S: +OK", "C: CAPA", "S: -ERR", "eof"]);
    for (key, code, words) in [
        ("password-file = \"nowhere\"", 78, &["password file", "nowhere", "No such file", "first line"][..]),
        ("password-file = \"/dev/null\"", 78, &["/dev/null", "is a device, not a file"]),
        ("password-command = [\"/nowhere/pass\"]", 78, &["password command", "/nowhere/pass", "by hand"]),
        ("password-command = [\"true\"]", 78, &["password command", "empty", "by hand"]),
        ("password-command = [\"sh\", \"-c\", \"echo s3cret-pass.word >&2; exit 3\"]", 75, &["exit code 3", "by hand"]),
        ("password-command = [\"sleep\", \"60\"]\ndeadline = \"10s\"", 75, &["10 s (deadline)", "next poll"]),
        ("password-credential = \"none\"", 78, &["systemd", "LoadCredential="]),
    ] {
        assert_fails(&account("127.0.0.1", server.port(), "none", key), code, words);
    }
    assert!(server.heard().iter().all(|line| line == "CAPA"), "{:?}", server.heard());
}

#[test]
fn a_maildir_that_cannot_be_used_leaves_the_mail_on_the_server() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let manifest = server.manifest();
    for (path, words) in [
        ("config.toml", &["destination home", "config.toml", "a file and not a folder"][..]),
        ("config.toml/Maildir", &["Not a directory", "a file and not a folder"]),
        ("missing/Maildir", &["missing/Maildir", "No such file", "The folder above it must exist"]),
    ] {
        let config = mailbox(&server, "retention = \"delete\"") + &HOME.replace("Maildir", path);
        assert_fails(&config, 74, words);
    }
    assert_eq!((server.remaining(), server.count("RETR")), (3, 0));
    let program = Postrider::with_config(&(mailbox(&server, "retention = \"delete\"") + HOME));
    program.run(&["fetch"]).assert_success();
    manifest.verify(&program.path("Maildir")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_full_or_read_only_disk_loses_nothing() {
    let server = MailboxServer::start(Message::several(6, Mix::Fixed(30_000)));
    let manifest = server.manifest();
    let program = Postrider::with_config(
        &(mailbox(&server, "retention = \"delete\"") + &HOME.replace("\"Maildir\"", "\"disk/Maildir\"")),
    );
    let Some(disk) = Disk::mount(&program.path("disk"), "size=96k") else { return };
    for (options, words) in [("size=96k", "Make room"), ("ro,size=96k", "must be able to write")] {
        disk.remount(options);
        let run = program.run(&["fetch"]).assert_code(74);
        let told: Vec<&str> = run.stderr.lines().filter(|line| line.starts_with("postrider: account a: ")).collect();
        assert!(told.len() == 1 && told[0].contains(words) && told[0].contains("destination home"), "{}", run.stderr);
        manifest.verify(&program.path("disk/Maildir")).assert_nothing_wrong();
    }
    disk.remount("rw,size=8m");
    program.run(&["fetch"]).assert_success();
    manifest.verify(&program.path("disk/Maildir")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_state_that_cannot_be_written_loses_nothing() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&(mailbox(&server, "retention = \"delete\"") + HOME));
    std::fs::write(program.state_dir(), "a file").unwrap();
    let run = program.run(&["fetch"]).assert_code(74);
    assert!(run.stderr.contains("state directory") && run.stderr.contains("`state-dir`"), "{}", run.stderr);
    std::fs::remove_file(program.state_dir()).unwrap();
    let Some(disk) = Disk::mount(&program.state_dir(), "size=8m") else { return };
    program.run(&["fetch"]).assert_success();

    let mut manifest = support::Manifest::of(&support::Fill::new(2, Mix::Tiny));
    (3..9).for_each(|index| server.add(Message::generated(1, index, Mix::Tiny)));
    manifest.merge(server.manifest());
    let filler = std::fs::File::create(program.state_dir().join("filler")).unwrap();
    let _ = std::io::copy(&mut std::io::repeat(0), &mut &filler);
    drop(filler);
    let run = program.run(&["fetch"]).assert_code(74);
    assert!(run.stderr.contains("state ") && run.stderr.contains("Nothing was lost"), "{}", run.stderr);
    assert_eq!(server.remaining(), 6);
    std::fs::remove_file(program.state_dir().join("filler")).unwrap();
    program.run(&["fetch"]).assert_success();
    manifest.verify(&program.path("Maildir")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
    drop(disk);
}

/// A small file system, if this user may mount one.
struct Disk(std::path::PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a mount point");
        let args = ["-t", "tmpfs", "-o", options, "tmpfs"];
        let mounted = Command::new("mount").args(args).arg(at).output().is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("skipped: only root can mount a small disk");
        }
        mounted.then(|| Self(at.to_owned()))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(
            Command::new("mount").args(["-o", &options]).arg(&self.0).status().is_ok_and(|status| status.success())
        );
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn an_smtp_server_that_is_away_or_refuses_leaves_the_mail_on_the_pop3_server() {
    let smtp = ScriptedSmtp::start_with(SmtpBehaviour {
        replies: vec![(Stage::Connect, None, "554 go away.".into())],
        ..SmtpBehaviour::default()
    });
    let hub = |port: u16| {
        format!(
            "[destinations.home]\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nrecipient = \"a@example.org\"\n"
        )
    };
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let config = |port: u16| mailbox(&server, "retention = \"delete\"") + &hub(port);
    assert_fails(
        &config(support::free_port()),
        69,
        &["destination home", "connecting to 127.0.0.1", "Nothing listens"],
    );
    assert_fails(&config(smtp.port()), 69, &["destination home", "554 go away.  The server does not serve"]);
    assert_eq!((server.remaining(), server.count("RETR")), (2, 0));
    smtp.change(|behaviour| behaviour.replies.clear());
    Postrider::with_config(&config(smtp.port())).run(&["fetch"]).assert_success();
    assert_eq!((smtp.received().len(), server.remaining()), (2, 0));
}

#[test]
fn what_is_wrong_with_the_configuration_or_the_command_line_is_shown_where_it_is() {
    let good = account("127.0.0.1", 1, "none", "") + HOME;
    for (mode, config, args, code, words) in [
        (0o600, good.replace("timeout", "timout"), &["fetch"][..], 78, &["`timout`", "did you mean `timeout`"][..]),
        (0o600, good.replace("\"2s\"", "\"2 parsecs\""), &["check"], 78, &["`timeout`", "s, m, h, d and w"]),
        (0o644, good.clone(), &["fetch"], 78, &["open to others", "chmod 600", "config.toml"]),
        (0o600, good.clone(), &["fetch", "work"], 64, &["no account \"work\"", "It has: a."]),
        (0o600, good.replace(".a]", ".work]"), &["fetch", "wrok"], 64, &["Did you mean \"work\"?"]),
        (0o600, good.clone(), &["fetsch"], 64, &["fetsch", "fetch"]),
    ] {
        let program = Postrider::new();
        program.raw_config(&format!("state-dir = \"state\"\n{config}"), mode);
        let run = program.run(args).assert_code(code);
        for word in words {
            assert!(run.stderr.contains(word), "{word:?} is not in: {}", run.stderr);
        }
        assert_no_secret(&run, &[PASSWORD]);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
    }
    let run = Postrider::new().run(&["fetch"]).assert_code(78);
    assert!(run.stderr.contains("config.toml does not exist") && run.stderr.contains("-c FILE"), "{}", run.stderr);
}
