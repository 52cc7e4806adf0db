//! Things that are not files, and files on a disk that does not answer: they are refused by name, and
//! delay nothing else.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::*;

/// A machine under load takes its time.
const LIMIT: Duration = Duration::from_secs(30);

/// What may lie where a file should be, and the words for it.
const KINDS: [(&str, &str); 5] = [
    ("fifo", "is a FIFO, not a file"),
    ("socket", "is a socket, not a file"),
    ("folder", "is a folder, not a file"),
    ("zero", "is a device, not a file"),
    ("terabyte", "is longer than"),
];

fn make(kind: &str, at: &Path) {
    match kind {
        "fifo" => assert!(Command::new("mkfifo").arg(at).status().expect("run").success()),
        "socket" => drop(UnixListener::bind(at).expect("bound")),
        "folder" => std::fs::create_dir(at).expect("made"),
        "zero" => symlink("/dev/zero", at).expect("linked"),
        _ => {
            let file = File::create(at).expect("made");
            file.set_len(1 << 40).expect("a file with a hole");
            file.set_permissions(Permissions::from_mode(0o600)).expect("its mode");
        }
    }
}

fn remove(kind: &str, at: &Path) {
    match kind {
        "folder" => std::fs::remove_dir(at),
        _ => std::fs::remove_file(at),
    }
    .expect("removed");
}

/// One account that is polled every hour; `number` makes one text differ from another.
fn account(server: &MailboxServer, number: usize) -> String {
    let lines = format!("interval = \"1h\"\nmax-messages = {}\ndeliver = \"home\"", number + 1);
    format!("{}{}", mailbox(server.port(), "one", &lines), maildir("home"))
}

/// Overwrites the configuration in place.
fn edit(program: &Postrider, text: &str) {
    let (state, run) = (program.state_dir(), program.path("run"));
    let text = format!("state-dir = \"{}\"\nruntime-dir = \"{}\"\n{text}", state.display(), run.display());
    std::fs::write(program.config_path(), text).expect("written");
}

#[test]
fn what_is_no_file_in_conf_d_is_told_by_its_name_and_ends_no_reloading() {
    let server = MailboxServer::start(Vec::new());
    for hidden in [false, true] {
        let program = Postrider::with_config(&account(&server, 0));
        std::fs::create_dir(program.path("conf.d")).expect("made");
        let mut service = program.start_service(LIMIT);
        for (number, (kind, words)) in KINDS.into_iter().enumerate() {
            let name = format!("{}{kind}.toml", if hidden { "." } else { "" });
            let at = program.path("conf.d").join(&name);
            make(kind, &at);
            if !hidden {
                let told = |service: &Running| service.stderr().contains(&format!("{name}: {words}"));
                service.wait_until("the refusal", LIMIT, told);
            }
            remove(kind, &at);
            edit(&program, &account(&server, number + 1));
            let changed = |service: &Running| service.stderr().matches("1 changed").count() > number;
            service.wait_until("a change behind it", LIMIT, changed);
        }
        service.sigterm();
        service.wait(LIMIT).assert_success();
    }
}

#[test]
fn a_main_file_that_becomes_none_changes_nothing() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&account(&server, 0));
    let mut service = program.start_service(LIMIT);
    for (number, (kind, words)) in KINDS.into_iter().enumerate() {
        std::fs::remove_file(program.config_path()).expect("removed");
        make(kind, &program.config_path());
        service.signal("HUP");
        let told = |service: &Running| service.stderr().contains(&format!("config.toml: {words}"));
        service.wait_until("the refusal", LIMIT, told);
        remove(kind, &program.config_path());
        program.config(&account(&server, number + 1));
        let changed = |service: &Running| service.stderr().matches("1 changed").count() > number;
        service.wait_until("the mended file", LIMIT, changed);
    }
    service.sigterm();
    service.wait(LIMIT).assert_success();
}

#[test]
fn whatever_file_of_an_account_is_none_the_others_are_polled() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let keys = [
        ("password-file", "password-file = \"FILE\"", false),
        ("tls-ca", "password = \"x\"\ntls-ca = \"FILE\"", true),
        ("tls-client-cert", "password = \"x\"\ntls-client-cert = \"FILE\"\ntls-client-key = \"FILE\"", true),
        (
            "proxy",
            "password = \"x\"\nproxy = \"socks5://127.0.0.1:PROXY\"\nproxy-username = \"u\"\nproxy-password-file = \"FILE\"",
            false,
        ),
    ];
    let login = Some(("u".to_owned(), "p".to_owned()));
    let proxy = SocksProxy::start(server.port(), SocksBehaviour { login, ..SocksBehaviour::default() });
    for (kind, _) in KINDS {
        let program = Postrider::with_config(&account(&server, 0));
        let at = program.path(kind);
        make(kind, &at);
        let shown = at.display().to_string();
        for (key, lines, at_load) in keys {
            let lines = lines.replace("FILE", &shown).replace("PROXY", &proxy.port().to_string());
            let tls = if at_load { "" } else { "tls = \"none\"\n" };
            let other = format!(
                "[accounts.two]\nhost = \"127.0.0.1\"\nport = {}\n{tls}username = \"{}\"\ndeliver = \"home\"\n{lines}\n",
                server.port(),
                MailboxServer::USER
            );
            program.config(&format!("{}{other}", account(&server, 0)));
            // Nothing is asked of the disk before it is needed, but for certificates.
            let output = program.run(&["fetch"]).assert_code(78);
            assert!(output.stderr.contains(&shown), "{kind} as {key}: {}", output.stderr);
            assert_eq!(output.stdout.contains("one: "), !at_load, "{kind} as {key}: {}", output.text());
        }
    }
}

#[test]
fn a_configuration_from_a_pipe_is_good_for_a_command() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::new();
    // Relative paths would begin beside the pipe.
    let home = format!("path = \"{}\"", program.path("home").display());
    program.config(&account(&server, 9).replace("path = \"home\"", &home));
    let mut command = Command::new("sh");
    program.prepare(&mut command);
    command.args(["-c", "cat config.toml | \"$0\" -c /dev/stdin fetch", env!("CARGO_BIN_EXE_postrider")]);
    program.spawn_command(command).wait(LIMIT).assert_success();
    assert_eq!(count_messages(&program.path("home")), 2);
}

/// The program beside a disk that never answers, the folder `dead`: a file system in user space
/// whose server is silent.  `None` where this machine does not allow one.
fn beside_a_dead_disk(program: &Postrider, arguments: &[&str]) -> Option<(File, Running)> {
    let script = "mount -i -t fuse -o fd=0,rootmode=40000,user_id=0,group_id=0 dead \"$0\" && touch ready && \
                  exec \"$@\" </dev/null";
    let disk = File::options().read(true).write(true).open("/dev/fuse").ok()?;
    std::fs::create_dir(program.path("dead")).expect("made");
    let mut command = Command::new("unshare");
    program.prepare(&mut command);
    command.args(["-m", "sh", "-c", script]).arg(program.path("dead")).arg(env!("CARGO_BIN_EXE_postrider"));
    command.arg("-c").arg(program.config_path()).args(arguments);
    let mut running = program.spawn_from(command, Stdio::from(disk.try_clone().expect("a descriptor")));
    wait_until("the disk", LIMIT, || program.path("ready").exists() || !running.is_running());
    program.path("ready").exists().then_some((disk, running))
}

#[test]
fn a_disk_that_does_not_answer_holds_up_no_other_account_and_no_end() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let program = Postrider::with_config(&account(&server, 0));
    let Some((disk, mut service)) = beside_a_dead_disk(&program, &["run"]) else { return };
    // A client that asks during a poll is told how that poll ends.
    service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("polled: 1 delivered"));
    let on_disk = |lines: &str| {
        let other = format!(
            "[accounts.two]\nhost = \"127.0.0.1\"\nport = {}\nusername = \"{}\"\ndeliver = \"home\"\n{lines}\n",
            server.port(),
            MailboxServer::USER
        );
        format!("{}{other}", account(&server, 0))
    };
    // For the commands, which see no dead disk there.
    let old = program.path("old.toml");
    std::fs::copy(program.config_path(), &old).expect("copied");
    let spawn = |arguments: &[&str]| {
        let mut command = program.command();
        command.arg("-c").arg(&old).args(arguments);
        program.spawn_command(command)
    };
    edit(&program, &on_disk("password = \"x\"\ntls-ca = \"dead/ca.pem\""));
    // The reload waits for the disk; the service does not.
    let waiting = spawn(&["reload"]);
    server.add(Message::generated(1, 7, Mix::Tiny));
    spawn(&["fetch", "one"]).wait(LIMIT).assert_success();
    assert_eq!(count_messages(&program.path("home")), 2, "mail comes meanwhile");
    let output = waiting.wait(LIMIT).assert_code(78);
    assert!(output.stderr.contains("nothing came within"), "{}", output.stderr);
    edit(&program, &on_disk("tls = \"none\"\npassword-file = \"dead/password\""));
    service.wait_until("the reload", LIMIT, |service| service.reloads() == 1);
    let output = program.run(&["fetch", "two"]).assert_code(75);
    assert!(output.stderr.contains("dead/password: cannot be read: nothing came"), "{}", output.stderr);
    server.add(Message::generated(1, 8, Mix::Tiny));
    spawn(&["fetch", "one"]).wait(LIMIT).assert_success();
    assert_eq!(count_messages(&program.path("home")), 3);
    service.sigterm();
    service.wait(LIMIT).assert_success();
    drop(disk);
}
