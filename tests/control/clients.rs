//! Clients that wait, that say nothing or half of something, and those of other users.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::*;

/// Three times as many are more than there are places.
const MANY: usize = 100;

fn connect(program: &Postrider, text: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(program.path("run/control.sock")).expect("connected");
    stream.write_all(text).expect("sent");
    stream
}

fn line(stream: &UnixStream) -> String {
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line
}

#[test]
fn who_waits_for_a_poll_takes_no_place_of_who_asks() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server));
    let mut service = program.start_service(LIMIT);
    service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("polled: 1 delivered"));
    server.change(|behaviour| behaviour.hang_at = Some("UIDL".into()));
    let fetch = b"{\"command\":\"fetch\",\"accounts\":[\"one\"]}\n";
    let waiting: Vec<UnixStream> = (0..MANY).map(|_| connect(&program, fetch)).collect();
    // Each is told how the poll that it waits for went.
    for stream in &waiting {
        let told = line(stream);
        assert!(told.contains("\"progress\"") && told.contains("\"one\""), "{told}");
    }
    program.run(&["status"]).assert_success();
    program.run(&["poll", "one"]).assert_success();
    program.run(&["reload"]).assert_success();
    drop(waiting);
    service.sigterm();
    service.wait(LIMIT).assert_success();
}

#[test]
fn who_says_nothing_or_half_of_it_makes_room_and_is_told() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    let _service = program.start_service(LIMIT);
    let texts = [&b""[..], b"{\"command\":", b"{\"command\":\"fetch\",\"accounts\":[\"one\"", &[b'['; 4096]];
    let crowd: Vec<UnixStream> = (0..3 * MANY).map(|number| connect(&program, texts[number % texts.len()])).collect();
    for _ in 0..3 {
        program.run(&["status"]).assert_success();
        program.run(&["fetch"]).assert_success();
    }
    let told = line(&crowd[0]);
    assert!(told.contains("too many clients"), "{told}");
}

#[test]
fn who_never_reads_keeps_nobody_out() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::new();
    // Its status is longer than a socket holds.
    let accounts = (0..2000).map(|number| {
        let lines = "enabled = false\ndeliver = \"home\"";
        mailbox(server.port(), &format!("an-account-with-a-long-name-{number}"), lines)
    });
    program.config(&format!("{}{}{}", accounts.collect::<String>(), account(&server), ""));
    let _service = program.start_service(LIMIT);
    let crowd: Vec<UnixStream> = (0..3 * MANY).map(|_| connect(&program, b"{\"command\":\"status\"}\n")).collect();
    let status = program.run(&["status", "--json"]).assert_success();
    assert!(status.stdout.contains("an-account-with-a-long-name-1999"));
    drop(crowd);
}

#[test]
fn the_sockets_group_is_let_in_by_any_of_a_users_groups_and_nobody_else_is() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    let _service = program.start_service(LIMIT);
    for folder in [program.home(), &program.path("run")] {
        set_mode(folder, 0o755);
    }
    let socket = program.path("run/control.sock");
    std::os::unix::fs::chown(&socket, None, Some(4711)).expect("its group");
    let ask = |groups: &[&str]| {
        let script = format!(
            "use IO::Socket::UNIX; $SIG{{PIPE}} = q(IGNORE);\
             my $s = IO::Socket::UNIX->new(Peer => '{}') or die $!;\
             $s->syswrite(qq({{\"command\":\"status\"}}\\n)); $s->sysread(my $answer, 65536); print $answer;",
            socket.display()
        );
        let mut command = Command::new("setpriv");
        command.arg("--reuid=65534").args(groups).args(["/usr/bin/perl", "-e", &script]);
        let output = command.output().expect("setpriv and perl, which every Debian has");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    for groups in [
        &["--regid=65534", "--groups=4711"][..],
        &["--regid=65534", "--groups=1,2,4711,5"],
        &["--regid=4711", "--clear-groups"],
    ] {
        let answer = ask(groups);
        assert!(answer.contains("\"state-dir\""), "{groups:?}: {answer}");
    }
    let stranger = ["--regid=65534", "--groups=4712"];
    assert!(ask(&stranger).contains("Permission denied"), "{}", ask(&stranger));
    // A mode that lets everybody in cannot be meant.
    set_mode(&socket, 0o666);
    assert!(ask(&stranger).contains("not allowed"), "{}", ask(&stranger));
}
