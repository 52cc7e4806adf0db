//! A socket of another user, and one whose answers are not a service's.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::*;

const ESCAPES: &str = "\u{1b}]0;title\u{7}\u{1b}[31mred\u{9b}2J\u{202e}\nroot: all is well";

/// Answers every connection to a socket with one line.
fn answer(path: PathBuf, reply: String) {
    let listener = UnixListener::bind(path).expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(format!("{reply}\n").as_bytes());
        }
    });
}

/// A process of another user that does the same.  Ends when it is dropped.
struct Stranger(Child);

impl Stranger {
    fn at(path: &Path, reply: &serde_json::Value) -> Self {
        let script = format!(
            "use IO::Socket::UNIX; $SIG{{PIPE}} = q(IGNORE); umask 0;\
             my $l = IO::Socket::UNIX->new(Local => '{}', Listen => 9) or die $!;\
             while (my $s = $l->accept) {{ $s->sysread(my $asked, 4096); $s->syswrite($ARGV[0] . qq(\\n)); }}",
            path.display()
        );
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/perl", "-e", &script]);
        let child = command.arg(reply.to_string()).stderr(Stdio::null()).spawn().expect("setpriv and perl");
        wait_until("the other's socket", LIMIT, || std::os::unix::net::UnixStream::connect(path).is_ok());
        Self(child)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn status_of(program: &Postrider) -> serde_json::Value {
    serde_json::json!({
        "reply": "status", "schema": 1, "version": "0", "pid": 1, "since": 0, "config-file": "/stranger", "config-loaded": 0,
        "state-dir": program.state_dir().display().to_string(), "config-error": null, "accounts": [],
    })
}

#[test]
fn what_another_user_answers_is_not_believed() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server));
    set_mode(program.home(), 0o755);
    set_mode(&program.path("run"), 0o1777);
    for (seed, reply) in [
        (2, serde_json::json!({ "reply": "failed", "error": ESCAPES, "exit_code": 0 })),
        (3, serde_json::json!({ "reply": "done" })),
        (4, status_of(&program)),
    ] {
        let _stranger = Stranger::at(&program.path("run/control.sock"), &reply);
        for command in [&["status"][..], &["status", "--json"], &["poll"], &["reload"]] {
            let output = program.run(command).assert_code(69);
            assert!(output.stderr.contains("runs as user 65534"), "{}", output.text());
            assert!(!output.text().contains(['\u{1b}', '\u{9b}']) && !output.text().contains("stranger"));
        }
        server.add(Message::generated(seed, 1, Mix::Tiny));
        program.run(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), seed as usize);
        // The service does without the place that was taken, and is found.
        let mut service = program.start_service(LIMIT);
        program.run(&["status"]).assert_success();
        service.sigterm();
        service.wait(LIMIT).assert_success();
        let _ = std::fs::remove_file(program.path("run/control.sock"));
    }
}

#[test]
fn a_link_of_another_user_does_not_lead_to_whom_root_believes() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server));
    // Root's own socket, and a state directory whose owner has made a link to it.
    answer(program.path("roots"), status_of(&program).to_string());
    let folder = program.state_dir().join("run");
    std::fs::create_dir_all(&folder).expect("made");
    std::os::unix::fs::symlink(program.path("roots"), folder.join("control.sock")).expect("a link");
    program.run(&["status"]).assert_success();
    std::os::unix::fs::chown(program.state_dir(), Some(65534), Some(65534)).expect("its owner");
    let output = program.run(&["status"]).assert_code(69);
    assert!(output.stderr.contains("its replies are ignored"), "{}", output.text());
}

#[test]
fn no_text_of_a_service_steers_the_terminal() {
    let server = MailboxServer::start(Vec::new());
    let refused = serde_json::json!({ "reply": "failed", "error": ESCAPES, "exit_code": 0 });
    let account_ = serde_json::json!({
        "account": ESCAPES, "state": "idle", "progress": null, "last-success": null, "next-poll": null, "new-today": 0,
        "waiting": 0, "quarantined": 0, "failures": 1, "error": ESCAPES, "advice": ESCAPES, "exit-code": 75,
    });
    for change in ["refused", "accounts", "version", "config-file", "config-error"] {
        let program = Postrider::with_config(&account(&server));
        std::fs::create_dir_all(program.state_dir()).expect("made");
        let mut reply = if change == "refused" { refused.clone() } else { status_of(&program) };
        match change {
            "refused" => {}
            "accounts" => reply["accounts"] = [account_.clone()].as_slice().into(),
            key => reply[key] = ESCAPES.into(),
        }
        answer(program.path("run/control.sock"), reply.to_string());
        for command in [&["status"][..], &["status", "--json"], &["poll"], &["reload"], &["fetch"]] {
            let output = program.run(command);
            let text = output.text();
            assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{7}', '\u{202e}']), "{change} {command:?}: {text:?}");
            assert!(change == "config-error" || !text.contains("\nroot: "), "{change} {command:?}: {text:?}");
            assert!(change != "refused" || output.code == Some(76), "{change} {command:?}: {text:?}");
        }
    }
}
