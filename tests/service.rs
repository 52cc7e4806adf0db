//! The service: what systemd, the control socket and an impatient administrator do to it.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};
use support::*;

const LIMIT: Duration = Duration::from_secs(15);

fn config(server: &MailboxServer, lines: &str) -> String {
    format!("{}{}", mailbox(server.port(), "one", &format!("{lines}\ndeliver = \"home\"")), maildir("home"))
}

/// The next datagrams, until one satisfies `wanted`; all of them.
fn hear(socket: &UnixDatagram, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let octets = socket.recv(&mut buffer).expect("a notification in time");
        let text = String::from_utf8_lossy(&buffer[..octets]).into_owned();
        let found = wanted(&text);
        heard.push(text);
        if found {
            return heard;
        }
    }
}

#[test]
fn systemd_is_told_of_readiness_reloads_and_life() {
    let server = MailboxServer::start(Vec::new());
    let mut program = Postrider::with_config(&config(&server, ""));
    let path = program.path("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(LIMIT)).expect("set");
    program.env("NOTIFY_SOCKET", &path);
    program.env("WATCHDOG_USEC", "400000");
    let began = Instant::now();
    let mut service = program.spawn(&["run"]);
    hear(&socket, |text| text.contains("READY=1"));
    // The watchdog is notified twice in its period: three times take at least two halves of it.
    for _ in 0..3 {
        hear(&socket, |text| text.contains("WATCHDOG=1"));
    }
    assert!(began.elapsed() >= Duration::from_millis(400));
    service.signal("HUP");
    let heard = hear(&socket, |text| text.contains("READY=1"));
    let reloading = heard.iter().find(|text| text.contains("RELOADING=1")).expect("it says that it reloads");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    service.sigterm();
    hear(&socket, |text| text.contains("STOPPING=1"));
    service.wait(LIMIT).assert_success();
}

#[test]
fn systemd_is_told_which_accounts_fail_and_when_that_is_over() {
    let (good, bad) = (MailboxServer::start(Vec::new()), MailboxServer::start(Vec::new()));
    bad.change(|behaviour| behaviour.refuse_login = Some("-ERR [SYS/TEMP] later".into()));
    let second = mailbox(bad.port(), "two", "deliver = \"home\"\ninterval = \"1h\"");
    let mut program = Postrider::with_config(&format!("{}{second}", config(&good, "interval = \"1h\"")));
    let path = program.path("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket.set_read_timeout(Some(LIMIT)).expect("set");
    program.env("NOTIFY_SOCKET", &path);
    let mut service = program.spawn(&["run"]);
    hear(&socket, |text| text.contains("READY=1") && text.contains("STATUS=2 accounts\n"));
    hear(&socket, |text| text.trim_end() == "STATUS=2 accounts, 1 failing: two");
    bad.change(|behaviour| behaviour.refuse_login = None);
    program.run(&["poll"]).assert_success();
    hear(&socket, |text| text.trim_end() == "STATUS=2 accounts");
    service.sigterm();
    service.wait(LIMIT).assert_success();
}

#[test]
fn sigterm_in_a_large_message_ends_in_time_and_loses_nothing() {
    let server = MailboxServer::start(vec![Message::large("big", 1, 100 << 20), Message::generated(1, 2, Mix::Tiny)]);
    let manifest = server.manifest();
    let program = Postrider::with_config(&config(&server, "retention = \"delete\""));
    let mut service = program.start_service(LIMIT);
    let tmp = program.path("home/tmp");
    service.wait_until("the large message to begin", LIMIT, |_| {
        let drafts = std::fs::read_dir(&tmp).into_iter().flatten().flatten();
        drafts.filter_map(|draft| draft.metadata().ok()).any(|draft| draft.len() > 1 << 20)
    });
    service.sigterm();
    service.wait(Duration::from_secs(10)).assert_success();
    program.run(&["fetch"]).assert_success();
    manifest.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn whatever_clients_do_to_the_control_socket_mail_goes_on() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, "interval = \"1h\""));
    let mut service = program.start_service(LIMIT);
    service.wait_until("the first mail", LIMIT, |_| count_messages(&program.path("home")) == 2);
    let path = program.path("run/control.sock");
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("the socket").permissions());
    assert_eq!(mode & 0o777, 0o660);
    let connect = || UnixStream::connect(&path).expect("connected");
    // One that asks and never reads, one that says nothing, and many that talk nonsense.
    let mut silent: Vec<UnixStream> = (0..3).map(|_| connect()).collect();
    silent[0].write_all(b"{\"command\":\"fetch\"}\n").expect("sent");
    for garbage in [&b"\xff\xfe\0garbage\n"[..], b"{}\n", b"{\"command\":\"format\"}\n", b"[[[[[[[[[[[[[[[[[\n", b"\n"]
    {
        let mut client = connect();
        client.write_all(garbage).expect("sent");
        let mut answer = String::new();
        BufReader::new(client).read_line(&mut answer).expect("an answer");
        assert!(answer.contains("\"failed\""), "{answer}");
    }
    let mut endless = connect();
    // It is cut off; when exactly is the system's choice.
    let _ = endless.write_all(&vec![b'x'; 4 << 20]);
    let crowd: Vec<UnixStream> = (0..100).map(|_| connect()).collect();
    server.add(Message::generated(1, 3, Mix::Tiny));
    service.signal("USR1");
    service.wait_until("mail meanwhile", LIMIT, |_| count_messages(&program.path("home")) == 3);
    drop((crowd, endless, silent));
    wait_until("the socket to answer again", LIMIT, || program.run(&["status"]).code == Some(0));
    service.sigterm();
    service.wait(LIMIT).assert_success();
    assert!(!path.exists(), "the socket is removed");
}

#[test]
fn strangers_are_not_served() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested: only root can be somebody else");
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&config(&server, ""));
    let _service = program.start_service(LIMIT);
    // Even if the socket's mode let them in.
    let path = program.path("run/control.sock");
    for (path, mode) in [(path.as_path(), 0o666), (&program.path("run"), 0o755), (program.home(), 0o755)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("mode");
    }
    let script = format!(
        "use IO::Socket::UNIX; $SIG{{PIPE}} = q(IGNORE); my $s = IO::Socket::UNIX->new(Peer => '{}') or die $!;\
         $s->syswrite(qq({{\"command\":\"stop\"}}\\n)); $s->sysread(my $answer, 4096); print $answer;",
        path.display()
    );
    let output = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/perl", "-e", &script])
        .output()
        .expect("setpriv and perl, which every Debian has");
    assert!(String::from_utf8_lossy(&output.stdout).contains("not allowed"), "{output:?}");
    program.run(&["status"]).assert_success();
}

#[test]
fn fetch_goes_through_the_service_and_says_the_same() {
    let server = MailboxServer::start(Message::several(5, Mix::Edge));
    let program = Postrider::with_config(&config(&server, "interval = \"1h\""));
    let mut service = program.start_service(LIMIT);
    // A fetch would join a poll that has not ended.
    service.wait_until("the first poll's end", LIMIT, |service| service.stderr().contains("polled: 5 delivered"));
    server.add(Message::generated(1, 6, Mix::Tiny));
    let output = program.run(&["fetch"]).assert_success();
    assert!(output.stdout.starts_with("one: 1 message delivered ("), "{}", output.stdout);
    let output = program.run(&["fetch", "one"]).assert_success();
    assert_eq!(output.stdout, "one: no new mail\n");
    server.change(|behaviour| behaviour.refuse_login = Some("-ERR [SYS/TEMP] later".into()));
    let output = program.run(&["fetch"]).assert_code(75);
    assert!(output.stderr.contains("account one: login as") && output.stderr.contains("later"), "{}", output.stderr);
    service.sigterm();
    service.wait(LIMIT).assert_success();
    // Without the service the same command works by itself.
    server.change(|behaviour| behaviour.refuse_login = None);
    program.run(&["fetch"]).assert_success();
}

#[test]
fn status_tells_health_by_its_exit_code_and_its_json() {
    let (good, bad) = (MailboxServer::start(Message::several(3, Mix::Tiny)), free_port());
    let program = Postrider::new();
    let second = mailbox(bad, "two", "deliver = \"home\"");
    program.config(&format!("{}{second}", config(&good, "interval = \"1h\"")));
    program.run(&["status"]).assert_code(69);
    let mut service = program.start_service(LIMIT);
    service.wait_until("both polls to end", LIMIT, |service| {
        service.stderr().contains("failed: ") && service.stderr().contains("polled: ")
    });
    let output = program.run(&["status", "--json"]).assert_code(69);
    let status: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(status["schema"], 1);
    let accounts = status["accounts"].as_array().expect("accounts");
    assert_eq!(accounts[0]["account"], "one");
    assert_eq!((&accounts[0]["state"], &accounts[0]["new-today"]), (&"idle".into(), &3.into()));
    assert_eq!((&accounts[1]["state"], &accounts[1]["exit-code"]), (&"backing-off".into(), &69.into()));
    assert!(accounts[1]["error"].as_str().expect("an error").contains("connecting to"));
    let table = program.run(&["status"]).assert_code(69).stdout;
    assert!(table.contains("backing off") && table.contains("New today"), "{table}");
}

#[test]
fn back_off_and_refused_logins_survive_a_restart() {
    let server = MailboxServer::start(Vec::new());
    server.change(|behaviour| behaviour.refuse_login = Some("-ERR [AUTH] no".into()));
    let program = Postrider::with_config(&config(&server, "interval = \"10s\""));
    for _ in 0..3 {
        let mut service = program.start_service(LIMIT);
        service.wait_until("the state to be told", LIMIT, |_| {
            let output = program.run(&["status"]);
            output.code == Some(77) && output.stdout.contains("login refused")
        });
        service.sigterm();
        service.wait(LIMIT).assert_success();
    }
    assert_eq!(server.logins(), 1);
    let _service = program.start_service(LIMIT);
    program.run(&["fetch", "one"]).assert_code(77);
    assert_eq!(server.logins(), 1);
    // Somebody who asks for this account by name means it.
    program.run(&["poll", "one"]).assert_success();
    wait_until("the login", LIMIT, || server.logins() == 2);
}

#[test]
fn nothing_that_is_logged_holds_a_secret() {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let mut program = Postrider::with_config(&config(&server, "interval = \"10s\""));
    program.env("POSTRIDER_LOG", "trace");
    for format in ["human", "json"] {
        let mut service = program.spawn(&["run", "--verbose", "--log-format", format]);
        service.wait_until("a poll", LIMIT, |service| service.stderr().contains("polled"));
        let status = program.run(&["status", "--json"]);
        service.sigterm();
        let output = service.wait(LIMIT).assert_success();
        let (user, password) = (MailboxServer::USER, MailboxServer::PASSWORD);
        let text = format!("{}{}", output.text(), status.text());
        for secret in [
            password.to_owned(),
            BASE64_STANDARD.encode(password),
            BASE64_STANDARD.encode(format!("\0{user}\0{password}")),
        ] {
            assert!(!text.contains(&secret), "{secret} in {text}");
        }
    }
}

#[test]
fn a_log_that_nobody_reads_does_not_stop_the_mail() {
    let server = MailboxServer::start(Message::several(200, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, "interval = \"10s\""));
    let mut command = program.command();
    command.arg("-c").arg(program.config_path()).args(["run", "--verbose"]);
    command.env("POSTRIDER_LOG", "trace").stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut child = command.spawn().expect("started");
    let mut stderr = child.stderr.take().expect("piped");
    wait_until("all mail though the pipe is full", Duration::from_secs(30), || {
        count_messages(&program.path("home")) == 200
    });
    let killed = std::process::Command::new("kill").arg(child.id().to_string()).status().expect("sent");
    assert!(killed.success());
    let reader = std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
    assert!(child.wait().expect("ended").success());
    let _ = reader.join();
}
