//! Members of the control socket's group: they may ask and hurry the service, and see nothing else of it.

use std::process::Command;
use std::time::Duration;

use super::*;

const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn members_of_the_sockets_group_may_ask_and_poll_and_read_no_mail_and_no_state() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(2, Mix::Tiny));
    let program = Postrider::with_config(&config(&server, "interval = \"1h\""));
    program.share_with_nobody(&[]);
    set_mode(&program.path("run"), 0o755);
    // The service's group is root's here, and so is the configuration's.
    std::os::unix::fs::chown(program.config_path(), Some(0), Some(0)).expect("its group");
    let mut service = program.spawn(&["run"]);
    service.wait_until("the mail", LIMIT, |_| count_messages(&program.path("home")) == 2);
    let member = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        program.prepare(&mut command);
        command.args([&format!("--reuid={NOBODY}"), "--regid=0", "--clear-groups"]);
        command.arg(env!("CARGO_BIN_EXE_postrider")).arg("-c").arg(program.config_path()).args(arguments);
        program.spawn_command(command).wait(LIMIT)
    };
    wait_until("an answer to a member", LIMIT, || member(&["status"]).code == Some(0));
    member(&["poll"]).assert_success();
    assert_says(&member(&["history"]).assert_code(74), &["state belongs to root (mode 0700)"]);
    let home = program.path("home/new");
    let listed = Command::new("setpriv")
        .args([&format!("--reuid={NOBODY}"), "--regid=0", "--clear-groups", "ls"])
        .arg(home)
        .output()
        .expect("setpriv and ls");
    assert!(!listed.status.success(), "{listed:?}");
}
