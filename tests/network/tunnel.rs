//! By a command: its input and output are the connection, and nothing of it stays.

use std::path::Path;
use std::time::Duration;

use super::*;

const DELIVER: &str = "deliver = \"mail\"\ntimeout = \"2s\"";

/// A script for bash that connects to a port of this machine, and complains more than a pipe holds.
fn connecting(port: u16) -> String {
    let script = "head -c 200000 /dev/zero >&2; exec 3<>/dev/tcp/127.0.0.1/$0; cat <&3 & exec cat >&3";
    format!("connect-command = ['bash', '-c', '{script}', '{port}']\n")
}

/// The account of a mailbox that no address leads to.
fn account(server: &MailboxServer, keys: &str) -> String {
    let account = mailbox(server.port(), "a", &format!("{DELIVER}\n{keys}"));
    account.replace("127.0.0.1\"\nport", "pop.invalid\"\nport") + &maildir("mail")
}

/// Whether the process whose number is in a file runs; a dead one may wait for its parent.
fn runs(file: &Path) -> bool {
    let pid = std::fs::read_to_string(file).expect("its number");
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn mail_comes_through_a_command_without_its_host_being_looked_up() {
    let server = MailboxServer::start(Message::several(20, Mix::Tiny));
    let program = Postrider::with_config(&account(&server, &connecting(server.port())));
    program.run(&["fetch"]).assert_success();
    server.manifest().verify(&program.path("mail")).assert_exactly_once();
}

#[test]
fn all_three_modes_of_tls_go_through_it() {
    let server = Dovecot::start_with(&["--users", "1"]);
    server.fill("user1", &Fill::new(1, Mix::Tiny));
    for (tls, port) in [("implicit", server.tls_port), ("starttls", server.port), ("none", server.port)] {
        let ca = if tls == "none" { String::new() } else { format!("tls-ca = \"{}\"\n", server.ca().display()) };
        let program = Postrider::with_config(&format!(
            "[accounts.a]\nhost = \"localhost\"\nport = 1\ntls = \"{tls}\"\n{ca}username = \"user1\"\n\
             password = \"pass1\"\n{DELIVER}\n{}{}",
            connecting(port),
            maildir("mail")
        ));
        program.run(&["fetch"]).assert_success();
        assert_eq!(support::count_messages(&program.path("mail")), 1, "{tls}");
    }
}

#[test]
fn mail_goes_to_an_smtp_server_through_it() {
    let (server, smtp) = (MailboxServer::start(Message::several(2, Mix::Tiny)), ScriptedSmtp::start());
    let hub = support::smtp("hub", 1).replace("127.0.0.1", "mx.invalid") + &connecting(smtp.port());
    let program = Postrider::with_config(&(mailbox(server.port(), "a", "deliver = \"hub\"") + &hub));
    program.run(&["fetch"]).assert_success();
    assert_eq!(smtp.received().len(), 2);
}

#[test]
fn a_command_that_is_no_connection_says_how_it_ended() {
    let server = MailboxServer::start(Vec::new());
    let complaining = r#"['sh', '-c', 'echo one >&2; printf "no \033way" >&2; exit 3']"#;
    let ended = r#"connect-command "sh" ended with exit code 3: no \x1bway"#;
    for (command, tls, code, words) in [
        (complaining, "none", 69, [ended, "greeting"]),
        (complaining, "implicit", 69, [ended, "Run the command by hand"]),
        ("['true']", "none", 69, ["connect-command \"true\" ended with exit code 0", "greeting"]),
        ("['echo', 'hello']", "none", 76, ["greeting", "hello"]),
        ("['sh', '-c', 'echo +OK POP3; cat']", "implicit", 69, ["TLS handshake", "does not speak TLS"]),
        ("['/nowhere/ssh']", "none", 78, ["connect-command \"/nowhere/ssh\"", "No such file"]),
        ("['sleep', '1000']", "none", 69, ["greeting", "silent for 2 s"]),
        ("['sleep', '1000']", "implicit", 69, ["by connect-command \"sleep\"", "no answer within 2 s"]),
    ] {
        let config = account(&server, &format!("connect-command = {command}\n"));
        let run = Postrider::with_config(&config.replace("\"none\"", &format!("\"{tls}\""))).run(&["fetch"]);
        let run = run.assert_code(code);
        assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?}: {}", run.stderr);
    }
}

#[test]
fn nothing_of_our_environment_is_passed_on_but_what_it_needs() {
    let server = MailboxServer::start(Vec::new());
    let script = r#"connect-command = ['sh', '-c', 'env | cut -d= -f1 | sort | tr "\n" " " >&2; exit 1']"#;
    let mut program = Postrider::with_config(&account(&server, script));
    program.env("S3CRET", "x");
    let run = program.run(&["fetch"]).assert_code(69);
    let told = run.stderr.split_once("exit code 1: ").expect("the last line").1;
    assert!(told.contains("HOME PATH"), "{told}");
    for name in ["S3CRET", "SSL_CERT_FILE", "RUST_BACKTRACE", "XDG_RUNTIME_DIR"] {
        assert!(!told.contains(name), "{told}");
    }
}

#[test]
fn a_command_that_hangs_is_killed_with_all_that_it_has_started_and_collected() {
    let server = MailboxServer::start(Vec::new());
    let script = "connect-command = ['sh', '-c', 'sleep 1000 & echo $! >~/child; echo $$ >~/parent; wait']";
    let program = Postrider::with_config(&account(&server, script));
    let mut service = program.spawn(&["run"]);
    let (parent, child) = (program.path("parent"), program.path("child"));
    let limit = Duration::from_secs(20);
    service.wait_until("the command to be started", limit, |_| {
        std::fs::read_to_string(&parent).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let pid = std::fs::read_to_string(&parent).expect("its number");
    let entry = Path::new("/proc").join(pid.trim());
    service.wait_until("the command to be gone, and no zombie", limit, |_| !entry.exists());
    service.wait_until("what it has started to be gone", limit, |_| !runs(&child));
}
