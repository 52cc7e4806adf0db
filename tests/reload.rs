//! Hot reload: however a file is changed, it is taken up once, and nothing else is disturbed.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use support::*;

/// The program has 2 s; a machine under load gets more.
const LIMIT: Duration = Duration::from_secs(10);

/// The service with one account at `server`, polled every hour, and a line that tests change.
fn config(server: &MailboxServer, number: usize) -> String {
    let account =
        mailbox(server.port(), "one", &format!("interval = \"1h\"\nmax-messages = {}\ndeliver = \"home\"", number + 1));
    format!("{account}{}", maildir("home"))
}

fn full(program: &Postrider, text: &str) -> String {
    let run = program.path("run");
    format!("state-dir = \"{}\"\nruntime-dir = \"{}\"\n{text}", program.state_dir().display(), run.display())
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}

/// Changes a file by `change` this many times; each change is taken up, and once.
#[track_caller]
fn each_change_is_one_reload(change: impl Fn(&Postrider, &str)) {
    const TIMES: usize = 20;
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, 0));
    let mut service = program.start_service(LIMIT);
    for number in 1..=TIMES {
        change(&program, &full(&program, &config(&server, number)));
        service.wait_until("a reload", LIMIT, |service| service.reloads() >= number);
    }
    // Nothing more comes of it: a further change is the next reload and not the one after.
    change(&program, &full(&program, &config(&server, TIMES + 1)));
    service.wait_until("the last reload", LIMIT, |service| service.reloads() > TIMES);
    assert_eq!(service.reloads(), TIMES + 1, "{}", service.stderr());
    assert!(!service.stderr().contains("not reloaded"), "{}", service.stderr());
    assert_eq!(server.logins(), 1, "an account that keeps its time is not polled by a reload");
    service.sigterm();
    service.wait(LIMIT).assert_success();
    server.manifest().verify(&program.path("home")).assert_nothing_wrong();
}

#[test]
fn a_file_that_an_editor_replaces_is_taken_up_once() {
    each_change_is_one_reload(|program, text| {
        let new = program.path("config.toml.new");
        write(&new, text);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&new, mode).expect("mode");
        std::fs::rename(new, program.config_path()).expect("renamed");
    });
}

#[test]
fn a_file_that_is_truncated_and_written_is_taken_up_once() {
    each_change_is_one_reload(|program, text| write(&program.config_path(), text));
}

#[test]
fn a_file_that_is_written_in_two_halves_is_taken_up_once() {
    use std::io::Write;
    each_change_is_one_reload(|program, text| {
        let mut file = std::fs::File::create(program.config_path()).expect("truncated");
        let (first, second) = text.split_at(text.len() / 2);
        file.write_all(first.as_bytes()).expect("written");
        file.write_all(second.as_bytes()).expect("written");
    });
}

#[test]
fn a_file_that_is_deleted_and_made_anew_is_taken_up_once() {
    each_change_is_one_reload(|program, text| {
        std::fs::remove_file(program.config_path()).expect("removed");
        program.raw_config(text, 0o600);
    });
}

#[test]
fn a_link_that_is_turned_is_taken_up_once() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = Postrider::new();
    let store = |number: usize| {
        let folder = program.path(&format!("..v{number}"));
        std::fs::create_dir(&folder).expect("made");
        let file = folder.join("config.toml");
        write(&file, &full(&program, &config(&server, number)));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("mode");
        // As kubelet does it: a new link is moved over the old one.
        let (new, link) = (program.path("..data.new"), program.path("..data"));
        std::os::unix::fs::symlink(format!("..v{number}"), &new).expect("linked");
        std::fs::rename(new, link).expect("turned");
    };
    store(0);
    std::os::unix::fs::symlink("..data/config.toml", program.config_path()).expect("linked");
    let mut service = program.start_service(LIMIT);
    for number in 1..=20 {
        store(number);
        service.wait_until("a reload", LIMIT, |service| service.reloads() >= number);
    }
    assert_eq!(service.reloads(), 20, "{}", service.stderr());
}

#[test]
fn a_broken_file_changes_nothing_but_the_status() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, 9));
    let mut service = program.start_service(LIMIT);
    let good = std::fs::read_to_string(program.config_path()).expect("read");
    write(&program.config_path(), &good.replace("interval", "intervall"));
    service.wait_until("the refusal", LIMIT, |service| service.stderr().contains("the running one is kept"));
    assert!(service.stderr().contains("did you mean `interval`"), "{}", service.stderr());
    // The command line itself needs a configuration that can be read.
    let old = program.path("old.toml");
    write(&old, &good);
    let mut status = program.command();
    status.arg("-c").arg(&old).arg("status");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&old, mode).expect("mode");
    let output = program.spawn_command(status).wait(LIMIT).assert_code(78);
    assert!(output.stdout.contains("intervall"), "{}", output.stdout);
    server.add(Message::generated(1, 4, Mix::Tiny));
    service.signal("USR1");
    service.wait_until("mail all the same", LIMIT, |_| count_messages(&program.path("home")) == 4);
    write(&program.config_path(), &good.replace("\"1h\"", "\"2h\""));
    service.wait_until("the mended file", LIMIT, |service| service.reloads() == 1);
    program.run(&["status"]).assert_success();
}

#[test]
fn new_accounts_are_polled_at_once_and_removed_ones_end() {
    let (first, second) =
        (MailboxServer::start(Message::several(2, Mix::Tiny)), MailboxServer::start(Message::several(3, Mix::Edge)));
    let program = Postrider::with_config(&config(&first, 9));
    let mut service = program.start_service(LIMIT);
    service.wait_until("the first mail", LIMIT, |_| count_messages(&program.path("home")) == 2);
    let folder = program.path("conf.d");
    std::fs::create_dir(&folder).expect("made");
    let other = mailbox(second.port(), "two", "interval = \"1h\"\ndeliver = \"other\"");
    let fragment = folder.join("two.toml");
    write(&fragment, "");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&fragment, mode).expect("mode");
    write(&fragment, &format!("{other}{}", maildir("other")));
    service.wait_until("mail of the new account", LIMIT, |_| count_messages(&program.path("other")) == 3);
    std::fs::remove_file(&fragment).expect("removed");
    service.wait_until("its end", LIMIT, |service| service.stderr().contains("1 removed"));
    second.add(Message::generated(1, 9, Mix::Tiny));
    first.add(Message::generated(1, 9, Mix::Tiny));
    service.signal("USR1");
    service.wait_until("mail of the other", LIMIT, |_| count_messages(&program.path("home")) == 3);
    assert_eq!((second.logins(), count_messages(&program.path("other"))), (1, 3));
}

#[test]
fn a_removed_account_finishes_its_batch_and_is_taken_up_again_without_doubles() {
    let server = MailboxServer::start(Message::several(300, Mix::Realistic));
    let program = Postrider::with_config(&config(&server, 999));
    let mut service = program.start_service(LIMIT);
    service.wait_until("some mail", LIMIT, |_| count_messages(&program.path("home")) > 0);
    let good = std::fs::read_to_string(program.config_path()).expect("read");
    write(&program.config_path(), &good.replace("interval", "enabled = false\ninterval"));
    service.wait_until("the reload", LIMIT, |service| service.reloads() == 1);
    write(&program.config_path(), &good);
    service.wait_until("all mail", Duration::from_secs(60), |_| count_messages(&program.path("home")) == 300);
    service.sigterm();
    service.wait(Duration::from_secs(12)).assert_success();
    server.manifest().verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn a_corrected_password_file_releases_a_refused_login() {
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::new();
    let secret = program.path("password");
    write(&secret, "wrong\n");
    let account = config(&server, 9).replace(
        &format!("password = \"{}\"", MailboxServer::PASSWORD),
        &format!("password-file = \"{}\"", secret.display()),
    );
    program.config(&account);
    let mut service = program.start_service(LIMIT);
    service.wait_until("the refusal", LIMIT, |service| service.stderr().contains("login as"));
    program.run(&["status"]).assert_code(77);
    // Neither a reload that changes nothing nor a poll of all tries it again.
    service.signal("USR1");
    service.signal("HUP");
    service.wait_until("the reload", LIMIT, |service| service.reloads() == 1);
    assert_eq!(server.logins(), 1);
    write(&secret, &format!("{}\n", MailboxServer::PASSWORD));
    service.wait_until("the mail", LIMIT, |_| count_messages(&program.path("home")) == 2);
    // The mail is there before the poll has ended, and the status shows only polls that have.
    service.wait_until("the end of the poll", LIMIT, |service| service.stderr().contains("polled: 2 delivered"));
    assert_eq!(server.logins(), 2);
    program.run(&["status"]).assert_success();
}

#[test]
fn a_refused_password_is_remembered_through_failures_of_another_kind() {
    let server = MailboxServer::start(Vec::new());
    server.change(|behaviour| behaviour.refuse_login = Some("-ERR [AUTH] no".into()));
    let program = Postrider::with_config(&config(&server, 9));
    let mut service = program.spawn(&["run", "--verbose"]);
    service.wait_until("the refusal", LIMIT, |service| service.stderr().contains("login as"));
    server.change(|behaviour| behaviour.greeting = "-ERR [SYS/TEMP] later".into());
    program.run(&["poll", "one"]).assert_success();
    service.wait_until("the failure of another kind", LIMIT, |service| service.stderr().contains("[SYS/TEMP] later"));
    server.change(|behaviour| behaviour.greeting = "+OK ready".into());
    service.signal("HUP");
    let looked = |service: &Running| {
        let log = service.stderr();
        log.contains("still those that were refused") || log.contains("have changed")
    };
    service.wait_until("a look at the password", LIMIT, looked);
    assert!(!service.stderr().contains("have changed"), "{}", service.stderr());
    // Somebody who names the account means it.
    program.run(&["poll", "one"]).assert_success();
    service.wait_until("the login", LIMIT, |_| server.logins() == 2);
}

#[test]
fn reload_says_what_is_wrong() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&config(&server, 9));
    let mut service = program.start_service(LIMIT);
    program.run(&["reload"]).assert_success();
    // The answer does not wait for the log.
    service.wait_until("its reload", LIMIT, |service| service.reloads() == 1);
    let killed = Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().expect("sent");
    assert!(killed.success());
    service.wait_until("SIGHUP's reload", LIMIT, |service| service.reloads() == 2);
}
