//! The service: it polls again, ends when it is told to, and is alone.

use std::time::Duration;

use super::support::*;

const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_service_picks_up_what_comes_later_and_ends_with_success() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let lines = "deliver = \"home\"\ninterval = \"10s\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), maildir("home")].concat());
    let home = program.path("home");
    let mut running = program.spawn(&["run"]);
    running.wait_until("the first poll", SOON, |_| count_messages(&home) == 3);
    server.add(Message::generated(1, 4, Mix::Tiny));
    running.wait_until("the second poll", SOON, |_| count_messages(&home) == 4);
    running.sigterm();
    let output = running.wait(Duration::from_secs(10)).assert_success();
    server.manifest().verify(&home).assert_exactly_once();
    assert!(
        output.stderr.contains("delivered") && !output.text().contains(MailboxServer::PASSWORD),
        "{}",
        output.stderr
    );
}

#[test]
fn a_hung_poll_does_not_keep_the_service_from_ending_in_time() {
    for command in ["CAPA", "UIDL", "RETR 2", "QUIT"] {
        let behaviour = Behaviour { hang_at: Some(command.into()), ..Behaviour::default() };
        let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), behaviour);
        let program =
            Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
        let mut running = program.spawn(&["run"]);
        running.wait_until(command, SOON, |_| server.count(command) == 1);
        running.sigterm();
        running.wait(Duration::from_secs(10)).assert_success();
        // What was in flight is finished by the next fetch.
        server.change(|behaviour| behaviour.hang_at = None);
        program.run(&["fetch"]).assert_success();
        server.manifest().verify(&program.path("home")).assert_exactly_once();
    }
}

#[test]
fn accounts_of_the_service_do_not_wait_for_one_that_hangs() {
    let hung = Scripted::dialogue(&["hang"]);
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let mut config = mailbox(hung.port(), "hung", "deliver = \"home\"");
    config += &mailbox(server.port(), "good", "deliver = \"home\"\ninterval = \"10s\"");
    let program = Postrider::with_config(&(config + &maildir("home")));
    let home = program.path("home");
    let mut running = program.spawn(&["run"]);
    running.wait_until("the first poll", SOON, |_| count_messages(&home) == 3);
    server.add(Message::generated(1, 4, Mix::Tiny));
    running.wait_until("the second poll", SOON, |_| count_messages(&home) == 4);
    // The second connection was a look whether the server waits for TLS.
    assert_eq!(hung.connections(), 2, "it still hangs in its first poll");
}

#[test]
fn a_second_instance_refuses_and_names_the_first() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let program =
        Postrider::with_config(&[mailbox(server.port(), "a", "deliver = \"home\""), maildir("home")].concat());
    let mut running = program.spawn(&["run"]);
    let home = program.path("home");
    running.wait_until("the first poll", SOON, |_| count_messages(&home) == 3);
    let pid = running.pid();
    let output = program.run(&["run"]).assert_code(75);
    assert!(output.stderr.contains(&format!("process {pid}")), "{}", output.stderr);
    // By another runtime directory the service is found too, as long as the state leads to it.
    let text = std::fs::read_to_string(program.config_path()).expect("the configuration");
    let other = program.path("other.toml");
    std::fs::write(&other, text.replace("runtime-dir = \"", "runtime-dir = \"/nowhere")).expect("written");
    std::fs::set_permissions(&other, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("mode");
    let fetch = || {
        let mut fetch = program.command();
        fetch.arg("-c").arg(&other).arg("fetch");
        program.spawn_command(fetch).wait(SOON)
    };
    fetch().assert_success();
    // Where nothing leads to it, this cannot be done by the service.
    let folder = program.state_dir().join("run");
    wait_until("a file in place of the folder", SOON, || {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::write(&folder, "").is_ok()
    });
    let output = fetch().assert_code(75);
    assert!(output.stderr.contains(&format!("process {pid}")), "{}", output.stderr);
    // Looking is allowed beside it.
    let history = program.run(&["history", "--json"]).assert_success();
    assert!(history.stdout.contains("uid-1-1"), "{}", history.stdout);
    assert!(running.is_running());
    running.kill();
    // No lock outlives its process.
    program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&home), 3);
}
